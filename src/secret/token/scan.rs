//! The quick way to read claims: in the very form in which they are written here.
//!
//! Nearly every token that comes was made by this program, so its claims stand
//! in one order and without spaces. What does not is no fault: the JSON library
//! reads it. Where this gives something it is what the library would give.

use super::claims::Members;
use crate::domain::reading::Reading;

/// The claims, if they stand in our own form.
pub(super) fn members(json: &[u8]) -> Option<Members<'_>> {
    let mut rest = Rest(std::str::from_utf8(json).readable()?);
    let members = Members {
        iss: rest.text("{\"iss\":\"")?,
        sub: rest.text(",\"sub\":\"")?,
        aud: rest.text(",\"aud\":\"")?,
        exp: rest.number(",\"exp\":")?,
        iat: rest.number(",\"iat\":")?,
        nbf: rest.number(",\"nbf\":")?,
        auth_time: rest.number(",\"auth_time\":")?,
        jti: rest.text(",\"jti\":\"")?,
        sid: rest.text(",\"sid\":\"")?,
        tid: rest.text(",\"tid\":\"")?,
        client_id: rest.text(",\"client_id\":\"")?,
        amr: rest.texts(",\"amr\":[")?,
    };
    (rest.0 == "}").then_some(members)
}

/// What is still to be read.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// A text between `before` and the next quotation mark. One with an escape or
    /// a control character is left to the library.
    fn text(&mut self, before: &str) -> Option<&'a str> {
        let (text, rest) = self.0.strip_prefix(before)?.split_once('"')?;
        self.0 = rest;
        let sound = |byte: u8| byte >= b' ' && byte != b'\\';
        text.bytes().fold(true, |all, byte| all & sound(byte)).then_some(text)
    }

    /// A number after `before`, without sign, leading zero, fraction or exponent.
    fn number(&mut self, before: &str) -> Option<i64> {
        let rest = self.0.strip_prefix(before)?;
        let end = rest.bytes().position(|byte| !byte.is_ascii_digit())?;
        let (digits, rest) = rest.split_at_checked(end)?;
        self.0 = rest;
        let sound = (1..=18).contains(&digits.len()) && (digits == "0" || !digits.starts_with('0'));
        // After a number that goes on, such as 1.5 or 1e9, the next name does not follow.
        if sound { digits.parse().readable() } else { None }
    }

    /// A list of texts.
    fn texts(&mut self, before: &str) -> Option<Vec<&'a str>> {
        self.0 = self.0.strip_prefix(before)?;
        let mut texts = Vec::with_capacity(2);
        if let Some(rest) = self.0.strip_prefix(']') {
            self.0 = rest;
            return Some(texts);
        }
        texts.push(self.text("\"")?);
        while !self.0.starts_with(']') {
            texts.push(self.text(",\"")?);
        }
        self.0 = self.0.strip_prefix(']')?;
        Some(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: &str = r#"{"iss":"i","sub":"s","aud":"a","exp":9,"iat":1,"nbf":1,"auth_time":1,"jti":"j","sid":"d","tid":"t","client_id":"c","amr":["pwd","otp"]}"#;

    #[expect(clippy::disallowed_methods, reason = "what cannot be read is what the test asks about")]
    fn by_library(json: &[u8]) -> Option<Members<'_>> {
        serde_json::from_slice(json).ok()
    }

    #[test]
    fn our_own_form_is_read_the_quick_way() {
        for ours in [OURS.to_owned(), OURS.replace(r#""pwd","otp""#, ""), OURS.replace("\"i\"", "\"ü\"")] {
            let read = members(ours.as_bytes());
            assert!(read.is_some(), "{ours}");
            assert_eq!(read, by_library(ours.as_bytes()));
        }
    }

    proptest! {
        // Whatever is done to it: what is read the quick way is what the library reads.
        #[test]
        fn it_never_reads_what_the_library_does_not(
            edits in proptest::collection::vec((0..OURS.len(), 0..4_usize, "[ -~]{0,3}|[\\\\\"{}\\[\\],:0-9.eE+ -]{0,4}"), 1..4)
        ) {
            let mut text = OURS.to_owned();
            for (at, cut, with) in edits {
                let at = at.min(text.len());
                text.replace_range(at..(at + cut).min(text.len()), &with);
            }
            if let Some(read) = members(text.as_bytes()) {
                prop_assert_eq!(Some(read), by_library(text.as_bytes()), "{}", text);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = members(&bytes);
        }
    }
}
