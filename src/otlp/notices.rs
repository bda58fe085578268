//! Warnings that come with an accepted export. Several exporters log each of them as an error, and a sender that does
//! something worth a warning does it with every batch: a key is told each thing once an hour.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::{CredentialId, Timestamp};

/// How long a key is not told the same again, in microseconds.
const HOUR: i64 = 3_600_000_000;
/// Warnings that are remembered at once, of some 60 bytes each. Beyond them a key may be told more often.
const MOST: usize = 16_384;

/// What a sender may be warned of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// Attributes were removed.
    Stripped,
    /// Its headers are oddly written.
    Headers,
}

/// Who was told what, and when.
#[derive(Debug, Default)]
pub struct Notices {
    told: Mutex<HashMap<(CredentialId, Notice), Timestamp>>,
}

impl Notices {
    /// Whether to tell it now. If so, it counts as told.
    pub fn is_due(&self, key: CredentialId, notice: Notice, now: Timestamp) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |at: &Timestamp| (0..HOUR).contains(&(now.micros() - at.micros()));
        if told.get(&(key, notice)).is_some_and(is_fresh) {
            return false;
        }
        if told.len() >= MOST {
            told.retain(|_, at| is_fresh(at));
        }
        // Rather told twice than looked through each time.
        if told.len() >= MOST {
            told.clear();
        }
        told.insert((key, notice), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::KeyId;

    fn key(number: u32) -> CredentialId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        CredentialId::Key(KeyId::from_bytes(bytes))
    }

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn each_thing_is_told_a_key_once_an_hour() {
        let notices = Notices::default();
        assert!(notices.is_due(key(1), Notice::Stripped, at(5)));
        assert!(!notices.is_due(key(1), Notice::Stripped, at(4 + HOUR)));
        assert!(notices.is_due(key(1), Notice::Headers, at(6)));
        assert!(notices.is_due(key(2), Notice::Stripped, at(6)));
        assert!(notices.is_due(key(1), Notice::Stripped, at(5 + HOUR)));
        assert!(!notices.is_due(key(1), Notice::Stripped, at(6 + HOUR)));
    }

    #[test]
    fn a_clock_that_was_set_back_silences_nobody() {
        let notices = Notices::default();
        assert!(notices.is_due(key(1), Notice::Stripped, at(HOUR)));
        assert!(notices.is_due(key(1), Notice::Stripped, at(5)));
    }

    #[test]
    fn memory_is_bounded_and_nobody_goes_untold() {
        let notices = Notices::default();
        for number in 0..20_000 {
            assert!(notices.is_due(key(number), Notice::Stripped, at(1)));
        }
        assert!(!notices.is_due(key(19_999), Notice::Stripped, at(1)));
        assert!((1..=MOST).contains(&notices.told.lock().unwrap().len()));
        let full = Notices::default();
        for number in 0..u32::try_from(MOST).unwrap() {
            assert!(full.is_due(key(number), Notice::Stripped, at(1)));
        }
        assert!(full.is_due(key(30_000), Notice::Stripped, at(1 + HOUR)));
        assert_eq!(full.told.lock().unwrap().len(), 1, "what is over goes first");
    }
}
