//! Questions to the person at the terminal, and secrets from standard input.
//!
//! Questions go to standard error. Where standard input is no terminal nothing
//! is asked: a secret is read from it only if an option says so.

use crate::cli::failure::Failure;
use crate::cli::session::World;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::io::{self, IsTerminal, Read};
use zeroize::{Zeroize, Zeroizing};

/// The longest answer that is taken, in bytes: far above any password, code or token.
const MAX_ANSWER: usize = 8 * 1024;

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const CTRL_H: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const DELETE: u8 = 0x7f;

/// Somebody who can be asked.
pub trait Terminal: Send {
    /// Reads a line, shown while it is typed or hidden; `None` if there is to be no answer.
    fn line(&mut self, hidden: bool) -> io::Result<Option<Zeroizing<String>>>;
}

/// The terminal that standard input is.
struct Tty;

/// The terminal, if standard input is one.
pub fn terminal() -> Option<Box<dyn Terminal>> {
    io::stdin().is_terminal().then(|| Box::new(Tty) as Box<dyn Terminal>)
}

/// Asks for something that may be seen. `option` would have said it.
pub fn ask(world: &mut World, question: &str, option: &str) -> Result<Zeroizing<String>, Failure> {
    answer(world, question, option, false)
}

/// Asks for a secret; or, where `piped` says so and there is nobody to ask,
/// takes the next line of standard input. `option` would have said so.
pub fn secret(
    world: &mut World,
    question: &str,
    piped: bool,
    option: &str,
) -> Result<Zeroizing<String>, Failure> {
    if world.terminal.is_none() && piped {
        return piped_line(&mut *world.input);
    }
    answer(world, question, option, true)
}

/// A new password: asked for twice, or taken from standard input once.
pub fn new_password(world: &mut World, piped: bool, option: &str) -> Result<Zeroizing<String>, Failure> {
    let password = secret(world, "New password: ", piped, option)?;
    if world.terminal.is_some() {
        let again = secret(world, "The same again: ", piped, option)?;
        if *again != *password {
            return Err(Failure::Usage("the two passwords differ; nothing was changed".to_owned()));
        }
    }
    Ok(password)
}

/// Goes on only once the person at the terminal has typed `word`; or at once,
/// where `yes` says that the option `--yes` did so for them.
pub fn confirm(world: &mut World, question: &str, word: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let typed = ask(world, &format!("{question}\nType {word} to go on: "), "--yes")?;
    if typed.trim() == word {
        Ok(())
    } else {
        Err(Failure::Local("not confirmed; nothing was changed".to_owned()))
    }
}

/// Fails where there is nobody to ask and standard input is not to be read
/// either, so that nothing is begun that could not be ended.
pub fn possible(world: &World, piped: bool, option: &str) -> Result<(), Failure> {
    if world.terminal.is_some() || piped { Ok(()) } else { Err(nobody(option)) }
}

fn nobody(option: &str) -> Failure {
    Failure::Usage(format!("standard input is no terminal, so nothing can be asked; use {option}"))
}

fn answer(
    world: &mut World,
    question: &str,
    option: &str,
    hidden: bool,
) -> Result<Zeroizing<String>, Failure> {
    let Some(terminal) = &mut world.terminal else { return Err(nobody(option)) };
    world.output.ask(question)?;
    let line = terminal.line(hidden);
    if hidden {
        world.output.note("")?;
    }
    let line = line.map_err(|cause| Failure::Local(format!("the terminal cannot be read: {cause}")))?;
    let line = line.ok_or_else(|| Failure::Local("cancelled".to_owned()))?;
    if line.is_empty() {
        return Err(Failure::Usage("the answer is empty".to_owned()));
    }
    Ok(line)
}

/// One line, without its end, and no byte further.
fn piped_line(input: &mut dyn Read) -> Result<Zeroizing<String>, Failure> {
    let line = collect(&mut || next_of(input), &|_| Key::Letter);
    let line = line.map_err(|cause| Failure::Usage(format!("standard input: {cause}")))?;
    let mut line = line.unwrap_or_default();
    if line.ends_with('\r') {
        line.pop();
    }
    if line.is_empty() {
        return Err(Failure::Usage("standard input has no more lines, or an empty one".to_owned()));
    }
    Ok(line)
}

impl Terminal for Tty {
    fn line(&mut self, hidden: bool) -> io::Result<Option<Zeroizing<String>>> {
        let _hidden = if hidden { Some(Hidden::begin()?) } else { None };
        let meaning = if hidden { key } else { |_| Key::Letter };
        collect(&mut next_byte, &meaning)
    }
}

/// Byte by byte, so that the next line is left for the next question.
fn next_of(input: &mut dyn Read) -> io::Result<Option<u8>> {
    let mut byte = [0; 1];
    loop {
        match input.read(&mut byte) {
            Ok(read) => return Ok((read > 0).then_some(byte[0])),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
}

/// Reads past the buffer of the standard library, where a secret would stay.
fn next_byte() -> io::Result<Option<u8>> {
    let mut byte = [0; 1];
    let read = rustix::io::retry_on_intr(|| rustix::io::read(io::stdin(), &mut byte))?;
    Ok((read > 0).then_some(byte[0]))
}

/// The terminal neither shows nor edits what is typed, until this is dropped.
/// Keys that send signals do not, so that none can leave it so.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes &= !(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Drain, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone needs no mending.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// What a typed byte means.
#[derive(Clone, Copy)]
enum Key {
    Letter,
    Back,
    Clear,
    Cancel,
    End,
    Nothing,
}

fn key(byte: u8) -> Key {
    match byte {
        CTRL_H | DELETE => Key::Back,
        CTRL_U => Key::Clear,
        CTRL_C => Key::Cancel,
        CTRL_D => Key::End,
        control if control.is_ascii_control() => Key::Nothing,
        _letter => Key::Letter,
    }
}

/// Collects bytes to the end of the line; `None` if it was cancelled or ended without any.
fn collect(
    next: &mut dyn FnMut() -> io::Result<Option<u8>>,
    meaning: &dyn Fn(u8) -> Key,
) -> io::Result<Option<Zeroizing<String>>> {
    // Room for everything at once: a buffer that grows leaves copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
    loop {
        let byte = match next()? {
            None if line.is_empty() => return Ok(None),
            Some(b'\n') | None => break,
            Some(byte) => byte,
        };
        match meaning(byte) {
            Key::Letter if line.len() == MAX_ANSWER => {
                return Err(io::Error::other("a line is longer than 8,192 bytes"));
            }
            Key::Letter => line.push(byte),
            Key::Back => drop_last(&mut line),
            Key::Clear => line.zeroize(),
            Key::End if !line.is_empty() => break,
            Key::End | Key::Cancel => return Ok(None),
            Key::Nothing => {}
        }
    }
    let text = std::str::from_utf8(&line).map_err(|_unsaid: std::str::Utf8Error| {
        io::Error::new(io::ErrorKind::InvalidData, "a line is not UTF-8")
    })?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

/// Removes the last letter, however many bytes it has.
fn drop_last(line: &mut Vec<u8>) {
    let is_tail = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    while line.pop().is_some_and(is_tail) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(bytes: &[u8]) -> io::Result<Option<String>> {
        let mut bytes = bytes.iter().copied();
        let line = collect(&mut || Ok(bytes.next()), &key)?;
        Ok(line.map(|line| line.to_string()))
    }

    #[test]
    fn a_hidden_line_can_be_mended_while_it_is_typed() {
        for (bytes, line) in [
            (&b"word\nrest"[..], Some("word")),
            (b"word", Some("word")),
            (b"\n", Some("")),
            (b"wrd\x7f\x7ford\n", Some("word")),
            ("w\u{f6}\u{20ac}\u{8}\u{8}ord\n".as_bytes(), Some("word")),
            (b"\x7f\x7fword\n", Some("word")),
            (b"wrong\x15word\n", Some("word")),
            (b"w\x1bo\x00r\td\n", Some("word")),
            (b"word\x04", Some("word")),
            (b"\x04", None),
            (b"", None),
            (b"word\x03\n", None),
        ] {
            assert_eq!(typed(bytes).unwrap().as_deref(), line, "{bytes:?}");
        }
    }

    #[test]
    fn a_line_has_a_longest_length_and_must_be_text() {
        assert!(typed(&b"a".repeat(MAX_ANSWER)).is_ok());
        assert!(typed(&b"a".repeat(MAX_ANSWER + 1)).is_err());
        assert!(typed(b"\xff\n").is_err());
    }

    #[test]
    fn piped_lines_are_taken_one_by_one_as_they_stand() {
        let mut input = &b"pass word\x7f\r\nnext\n\nlast"[..];
        assert_eq!(*piped_line(&mut input).unwrap(), "pass word\x7f");
        assert_eq!(*piped_line(&mut input).unwrap(), "next");
        assert_eq!(piped_line(&mut input).unwrap_err().exit_code(), 2);
        assert_eq!(*piped_line(&mut input).unwrap(), "last");
        assert_eq!(piped_line(&mut input).unwrap_err().exit_code(), 2);
    }
}
