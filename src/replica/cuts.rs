//! Which changes cut streams here, for the receipts of those who made them.

use crate::domain::changes::Revision;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Changes that are remembered: a receipt is written within one lease.
const MOST: usize = 32;

/// The last changes that cut streams, and how many each.
#[derive(Debug, Default)]
pub struct Cuts(Mutex<VecDeque<(u64, u32)>>);

impl Cuts {
    /// A change has cut that many streams.
    pub fn note(&self, revision: Revision, streams: u32) {
        if streams == 0 {
            return;
        }
        let mut last = self.lock();
        if last.len() == MOST {
            last.pop_front();
        }
        last.push_back((revision.number(), streams));
    }

    /// How many streams a change has cut here.
    pub fn of(&self, revision: Revision) -> u32 {
        self.lock().iter().find(|(change, _)| *change == revision.number()).map_or(0, |(_, streams)| *streams)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, u32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `change:streams,…`, as other replicas read it.
impl fmt::Display for Cuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (change, streams) in self.lock().iter() {
            write!(f, "{between}{change}:{streams}")?;
            between = ",";
        }
        Ok(())
    }
}

/// How many streams a change has cut at a replica that told so. What cannot be
/// read counts as none: it is a figure for people.
pub fn told(text: &str, revision: Revision) -> u32 {
    let change = revision.number().to_string();
    let entry = text.split(',').filter_map(|entry| entry.split_once(':')).find(|(of, _)| *of == change);
    entry.map_or(0, |(_, streams)| streams.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_was_noted() {
        let cuts = Cuts::default();
        for change in 0..100 {
            cuts.note(Revision::from_number(change), u32::from(change % 2 == 0));
        }
        assert_eq!(cuts.of(Revision::from_number(98)), 1);
        let text = cuts.to_string();
        assert_eq!(told(&text, Revision::from_number(98)), 1);
        assert_eq!(told(&text, Revision::from_number(99)), 0);
        assert_eq!(told(&text, Revision::from_number(8)), 0, "forgotten, and no part of 98");
        assert_eq!(told("98:x,,:", Revision::from_number(98)), 0);
    }
}
