//! The second factor: a code of the authenticator, or a backup code.

use crate::cli::failure::Failure;
use crate::cli::prompt;
use crate::cli::session::World;
use crate::client::Refusal;
use crate::pb::v1::ErrorReason;
use std::fmt;
use zeroize::Zeroizing;

/// How often a code is asked for before the verb gives up.
pub const TRIES: u32 = 3;

/// Digits of an authenticator's code (RFC 6238).
const DIGITS: usize = 6;

/// A code of the authenticator: six digits, never shown.
#[derive(Clone)]
pub struct Code(Zeroizing<String>);

impl Code {
    /// Reads six digits, with blanks between them as authenticators show them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits: Zeroizing<String> =
            Zeroizing::new(text.chars().filter(|letter| !letter.is_whitespace()).collect());
        if digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(digits))
        } else {
            Err("a code of the authenticator is six digits".to_owned())
        }
    }

    /// The digits, for a request.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code([redacted])")
    }
}

/// What somebody gave.
pub enum Factor {
    /// A code of the authenticator.
    Totp(Code),
    /// A backup code, as it was typed.
    Backup(Zeroizing<String>),
}

/// Takes the code that was given as an option, or asks for one of the two.
pub fn either(world: &mut World, given: Option<&Code>) -> Result<Factor, Failure> {
    if let Some(code) = given {
        return Ok(Factor::Totp(code.clone()));
    }
    let text = prompt::secret(world, "Code of the authenticator, or a backup code: ", false, "--totp CODE")?;
    Ok(match Code::parse(&text) {
        Ok(code) => Factor::Totp(code),
        Err(_of_another_kind) => Factor::Backup(Zeroizing::new(text.trim().to_owned())),
    })
}

/// Takes the code that was given as an option, or asks for one of the
/// authenticator, and again if what was typed is none.
pub fn code(world: &mut World, given: Option<&Code>) -> Result<Code, Failure> {
    if let Some(code) = given {
        return Ok(code.clone());
    }
    let mut tried = 1;
    loop {
        let text = prompt::secret(world, "Code that the authenticator shows: ", false, "--totp CODE")?;
        match Code::parse(&text) {
            Ok(code) => return Ok(code),
            Err(fault) if tried < TRIES => world.output.note(&fault)?,
            Err(fault) => return Err(Failure::Usage(fault)),
        }
        tried += 1;
    }
}

/// Whether the server refused a code as wrong, so that another may be right.
pub fn is_wrong(failure: &Failure) -> bool {
    let reasons = [ErrorReason::InvalidLogin, ErrorReason::InvalidArgument, ErrorReason::MfaRequired];
    let wrong = |refusal: &Refusal| reasons.iter().any(|reason| refusal.is(*reason));
    matches!(failure, Failure::Refused(refusal) if wrong(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_six_digits_and_is_not_shown() {
        assert_eq!(Code::parse(" 123 456 ").unwrap().expose(), "123456");
        assert_eq!(format!("{:?}", Code::parse("123456").unwrap()), "Code([redacted])");
        for text in ["", "12345", "1234567", "12345a", "１２３４５６"] {
            assert!(Code::parse(text).is_err(), "{text}");
        }
    }
}
