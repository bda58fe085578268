//! Programs in other languages that take orders.
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// The longest that one order may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running program that takes an order as a line of JSON and answers with another.
pub struct Program {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
}

impl Program {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = lines(child.stdout.take().unwrap());
        Self { orders: child.stdin.take().unwrap(), answers, child }
    }

    /// Gives an order and waits for the answer.
    pub fn ask(&mut self, order: &Value) -> Value {
        writeln!(self.orders, "{order}").unwrap();
        let answer = tokio::task::block_in_place(|| self.answers.recv_timeout(PATIENCE));
        let answer = answer.unwrap_or_else(|error| panic!("{error}: no answer to {order}"));
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// A file of this repository.
pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a command to its end, which must be good.
pub fn succeed(command: &mut Command, hint: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{hint} ({error})"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{hint}\n{command:?}\n{out}{err}");
}
