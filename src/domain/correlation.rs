//! Correlation ids: the thread that ties a call to its log lines, its audit
//! entry and its error.

use super::reading::Reading;
use bytes::Bytes;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// 1 to 64 letters, digits, `-` and `_`: safe in a header and in a log line.
#[derive(Clone, PartialEq, Eq)]
pub struct Correlation(Bytes);

impl Correlation {
    /// The id that a caller sent, if it is well-formed.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let sound = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        ((1..=64).contains(&text.len()) && text.iter().all(sound)).then(|| Self(Bytes::copy_from_slice(text)))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).readable().unwrap_or_default()
    }

    /// The id as bytes, which are shared, not copied.
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }
}

impl fmt::Display for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes ids that no other process makes: a random half for the process, and a
/// count. They need not be unforeseeable.
pub struct Correlations {
    process: u64,
    count: AtomicU64,
}

impl Correlations {
    /// A source whose ids begin with this random number.
    pub const fn new(process: u64) -> Self {
        Self { process, count: AtomicU64::new(0) }
    }

    /// The next id.
    pub fn next(&self) -> Correlation {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let halves = [self.process, count.wrapping_mul(0x9e37_79b9_7f4a_7c15)];
        let mut text = [0; 32];
        let bytes = halves.iter().flat_map(|half| half.to_be_bytes());
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *pair = [digit(byte >> 4), digit(byte & 15)];
        }
        Correlation(Bytes::copy_from_slice(&text))
    }
}

const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R7, A61
    #[test]
    fn only_harmless_ids_are_taken_over() {
        for good in ["a", "Abc-1_2", &"x".repeat(64)] {
            assert_eq!(Correlation::parse(good.as_bytes()).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\r\nb", "\u{1b}[31m", "ü", "a;b", &"x".repeat(65)] {
            assert!(Correlation::parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn new_ids_differ() {
        let ids = Correlations::new(7);
        let many: std::collections::HashSet<String> = (0..1000).map(|_| ids.next().to_string()).collect();
        assert_eq!(many.len(), 1000);
        assert!(many.iter().all(|id| Correlation::parse(id.as_bytes()).is_some()));
    }
}
