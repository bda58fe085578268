//! Reading texts and numbers, where all that an error could say is "unreadable".
//!
//! Turning an error into an absence is how outages come to look like answers.
//! So it can be done only with errors that no outage can cause: those listed here.

/// An error of a pure conversion: no file, no network, no clock behind it.
pub trait Unreadable {}

/// The value, if it could be read.
pub trait Reading<T> {
    /// The value, or `None` if what was given is not one.
    fn readable(self) -> Option<T>;
}

impl<T, E: Unreadable> Reading<T> for Result<T, E> {
    #[expect(clippy::disallowed_methods, reason = "these errors cannot be outages")]
    fn readable(self) -> Option<T> {
        self.ok()
    }
}

macro_rules! pure {
    ($($error:ty),* $(,)?) => { $(impl Unreadable for $error {})* };
}

pure! {
    std::array::TryFromSliceError,
    std::net::AddrParseError,
    std::num::ParseIntError,
    std::num::TryFromIntError,
    std::str::ParseBoolError,
    std::str::Utf8Error,
    std::string::FromUtf8Error,
    base64::DecodeError,
    http::header::InvalidHeaderValue,
    http::header::ToStrError,
    http::uri::InvalidUri,
    ipnet::AddrParseError,
    prost_types::DurationError,
    std::ffi::OsString,
    super::features::BadFeature,
    super::ids::BadId,
    super::members::UnknownRole,
    super::roles::BadRoleName,
    super::signing::BadAlgorithm,
    super::signing::BadKid,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_absent() {
        assert_eq!("7".parse::<u8>().readable(), Some(7));
        assert_eq!("seven".parse::<u8>().readable(), None);
    }
}
