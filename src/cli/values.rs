//! Reads the values of options.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::net::IpAddr;
use std::time::Duration;
use uuid::Uuid;

/// The units of a duration and their seconds, longest first.
const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// The longest duration that is taken, in seconds: a hundred years.
const MAX_SECONDS: u64 = 36_525 * 86_400;

/// The longest deadline of a call, in seconds.
const MAX_TIMEOUT: u64 = 600;

/// When something shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It does not.
    Never,
    /// That long from now.
    In(Duration),
    /// Then.
    At(Timestamp),
}

impl Expiry {
    /// The moment, as a message carries it; `None` is never.
    pub fn resolve(self, now: Timestamp) -> Result<Option<prost_types::Timestamp>, jiff::Error> {
        let moment = match self {
            Self::Never => return Ok(None),
            Self::At(moment) => moment,
            Self::In(span) => now.checked_add(SignedDuration::try_from(span)?)?,
        };
        Ok(Some(prost_types::Timestamp { seconds: moment.as_second(), nanos: moment.subsec_nanosecond() }))
    }
}

/// Reads `90d`, `24h`, `1h30m`: whole numbers with units w, d, h, m, s.
pub fn duration(text: &str) -> Result<Duration, String> {
    let fault = || format!("`{text}` is not a duration; write it like 90d, 24h, 1h30m or 45s");
    let mut seconds: u64 = 0;
    let mut digits = String::new();
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == letter).ok_or_else(fault)?;
        let count: u64 = digits.parse().map_err(|_not_a_number: std::num::ParseIntError| fault())?;
        let part = count.checked_mul(*unit).ok_or_else(fault)?;
        seconds = seconds.checked_add(part).filter(|sum| *sum <= MAX_SECONDS).ok_or_else(fault)?;
        digits.clear();
    }
    if text.is_empty() || !digits.is_empty() {
        return Err(fault());
    }
    Ok(Duration::from_secs(seconds))
}

/// Reads a deadline of 1 s to 10 min.
pub fn timeout(text: &str) -> Result<Duration, String> {
    let span = duration(text)?;
    if !(1..=MAX_TIMEOUT).contains(&span.as_secs()) {
        return Err("a call waits at least 1s and at most 10m".to_owned());
    }
    Ok(span)
}

/// Reads a day (its beginning in UTC), a moment (RFC 3339), a duration from now, or `never`.
pub fn expiry(text: &str) -> Result<Expiry, String> {
    if text == "never" {
        return Ok(Expiry::Never);
    }
    if let Ok(span) = duration(text) {
        return Ok(Expiry::In(span));
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(Expiry::At(moment));
    }
    let fault = format!(
        "`{text}` is not an end; write a day like 2027-01-31, a moment like 2027-01-31T18:00:00Z, a duration like 90d, or never"
    );
    let Ok(day) = text.parse::<Date>() else { return Err(fault) };
    match TimeZone::UTC.to_timestamp(day.to_datetime(Time::midnight())) {
        Ok(moment) => Ok(Expiry::At(moment)),
        Err(_out_of_range) => Err(fault),
    }
}

/// Reads a SHA-256: 64 hexadecimal digits, kept in lower case.
pub fn sha256(text: &str) -> Result<String, String> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("a SHA-256 is 64 hexadecimal digits; never give the key itself".to_owned());
    }
    Ok(text.to_ascii_lowercase())
}

/// Reads a network such as `10.0.0.0/8`, or a single address.
pub fn network(text: &str) -> Result<String, String> {
    let known = text.parse::<ipnet::IpNet>().is_ok() || text.parse::<IpAddr>().is_ok();
    known
        .then(|| text.to_owned())
        .ok_or_else(|| format!("`{text}` is neither a network like 10.0.0.0/8 nor an address"))
}

/// Reads a UUID.
pub fn request_id(text: &str) -> Result<Uuid, String> {
    Uuid::parse_str(text).map_err(|cause| format!("`{text}` is not a UUID: {cause}"))
}

/// A fresh random UUID (version 4, RFC 9562 section 5.4).
pub fn fresh_request_id() -> Result<Uuid, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, seconds) in [
            ("0s", 0),
            ("45s", 45),
            ("30m", 1_800),
            ("24h", 86_400),
            ("90d", 7_776_000),
            ("2w", 1_209_600),
            ("1h30m", 5_400),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "h", "12", "1h30", "-1h", "1.5h", "1 h", "1y", "99999999999999999999h", "5300w", "1H"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_end_is_a_day_a_moment_a_duration_or_never() {
        let now: Timestamp = "2026-11-02T00:00:00Z".parse().unwrap();
        for (text, seconds) in [
            ("2027-01-31", Some(1_801_353_600)),
            ("2027-01-31T00:00:01Z", Some(1_801_353_601)),
            ("2027-01-31T01:00:00+01:00", Some(1_801_353_600)),
            ("90d", Some(1_801_353_600)),
            ("never", None),
        ] {
            let end = expiry(text).unwrap().resolve(now).unwrap();
            assert_eq!(end.map(|moment| moment.seconds), seconds, "{text}");
        }
        for text in ["", "soon", "2027-13-01", "2027-02-30", "31.01.2027", "Never"] {
            assert!(expiry(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_end_beyond_time_is_an_error() {
        assert!(Expiry::In(Duration::from_secs(MAX_SECONDS)).resolve(Timestamp::MAX).is_err());
        assert!(Expiry::In(Duration::MAX).resolve(Timestamp::UNIX_EPOCH).is_err());
    }

    #[test]
    fn deadlines_are_bounded() {
        assert!(timeout("1s").is_ok() && timeout("10m").is_ok());
        assert!(timeout("0s").is_err() && timeout("601s").is_err());
    }

    #[test]
    fn digests_networks_and_uuids_are_checked_here() {
        assert_eq!(sha256(&"AB".repeat(32)), Ok("ab".repeat(32)));
        assert!(sha256(&"ab".repeat(31)).is_err() && sha256(&"g0".repeat(32)).is_err());
        for good in ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1"] {
            assert!(network(good).is_ok(), "{good}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0", "example.com"] {
            assert!(network(bad).is_err(), "{bad}");
        }
        assert!(request_id("not-a-uuid").is_err());
    }

    #[test]
    fn a_wrong_digest_is_not_repeated_in_the_error() {
        let error = sha256("dw_live_planted").unwrap_err();
        assert!(!error.contains("planted"));
    }

    #[test]
    fn fresh_ids_are_random_uuids() {
        let (one, two) = (fresh_request_id().unwrap(), fresh_request_id().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.get_version_num(), 4);
    }
}
