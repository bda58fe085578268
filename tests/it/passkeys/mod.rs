//! Passkeys: registered, used alone and as a second factor, and refused when anything is not as it was.
mod both;
mod login;
mod person;
mod register;
mod second_factor;
#[expect(dead_code, reason = "the rest of it is for the unit tests, which it belongs to")]
#[path = "../../../src/secret/webauthn/software.rs"]
mod software;
