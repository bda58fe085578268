//! When a silent member is shut out, and when it is forgotten.

use super::Terms;
use std::collections::BTreeMap;

/// A member's row, as one look found it.
///
/// `Id` tells apart every life of a member, so that what was seen of one says
/// nothing about the next: the id of the process and its incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row<Id> {
    /// Which life of which member.
    pub id: Id,
    /// How often it has renewed.
    pub renews: u64,
    /// Whether it leaves or has been shut out.
    pub draining: bool,
}

/// What is to be done about a row. Either statement repeats the row's
/// condition (same id, same renewals, same mark), so that one who came back
/// meanwhile is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finding {
    /// It lives, or it is too early to tell.
    Leave,
    /// It has been silent for a whole wait: mark it as draining.
    Drain,
    /// It has been draining for a whole wait: delete it.
    Delete,
}

/// Since when a row has looked the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Suspicion {
    /// How often the member had renewed.
    pub renews: u64,
    /// Whether it was draining.
    pub draining: bool,
    /// The moment after the first look that found it so.
    pub since: u64,
}

impl Suspicion {
    /// A first look, whose answer came at `received`.
    pub fn of<Id>(row: &Row<Id>, received: u64) -> Self {
        Self { renews: row.renews, draining: row.draining, since: received }
    }

    /// Another look, sent at `sent`: what it says of the row. A row that
    /// changed begins anew.
    pub fn look<Id>(&mut self, terms: Terms, row: &Row<Id>, sent: u64, received: u64) -> Finding {
        if (row.renews, row.draining) != (self.renews, self.draining) {
            *self = Self::of(row, received);
            return Finding::Leave;
        }
        if sent.saturating_sub(self.since) < terms.waits {
            return Finding::Leave;
        }
        if row.draining { Finding::Delete } else { Finding::Drain }
    }
}

/// Rows to mark and rows to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings<Id> {
    /// Silent for a whole wait.
    pub drain: Vec<Row<Id>>,
    /// Draining for a whole wait.
    pub delete: Vec<Row<Id>>,
}

/// Remembers the rows from look to look. It holds as many as the last look
/// found; the members of a Doorward are few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaper<Id> {
    suspicions: BTreeMap<Id, Suspicion>,
}

impl<Id> Default for Reaper<Id> {
    fn default() -> Self {
        Self { suspicions: BTreeMap::new() }
    }
}

impl<Id: Ord + Copy> Reaper<Id> {
    /// What a look at all rows says, which was sent and answered at these moments.
    ///
    /// Nothing is done at once: a row must have stood unchanged for
    /// [`Terms::waits`] on this clock.
    pub fn look(&mut self, terms: Terms, rows: &[Row<Id>], sent: u64, received: u64) -> Findings<Id> {
        let mut findings = Findings { drain: Vec::new(), delete: Vec::new() };
        let mut suspicions = BTreeMap::new();
        for row in rows {
            let known = self.suspicions.remove(&row.id);
            let mut suspicion = known.unwrap_or_else(|| Suspicion::of(row, received));
            match suspicion.look(terms, row, sent, received) {
                Finding::Leave => {}
                Finding::Drain => findings.drain.push(*row),
                Finding::Delete => findings.delete.push(*row),
            }
            suspicions.insert(row.id, suspicion);
        }
        self.suspicions = suspicions;
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TERMS: Terms = Terms { holds: 100, waits: 130 };

    fn row(renews: u64, draining: bool) -> Row<u8> {
        Row { id: 1, renews, draining }
    }

    /// A look that took ten.
    fn look(reaper: &mut Reaper<u8>, rows: &[Row<u8>], sent: u64) -> (usize, usize) {
        let findings = reaper.look(TERMS, rows, sent, sent + 10);
        (findings.drain.len(), findings.delete.len())
    }

    #[test]
    fn nothing_is_done_at_once() {
        let mut reaper = Reaper::default();
        assert_eq!(look(&mut reaper, &[row(5, false), Row { id: 2, ..row(5, true) }], 1_000_000), (0, 0));
    }

    #[test]
    fn a_silent_member_is_marked_and_then_deleted() {
        let mut reaper = Reaper::default();
        let (silent, marked) = (row(5, false), row(5, true));
        assert_eq!(look(&mut reaper, &[silent], 0), (0, 0));
        assert_eq!(look(&mut reaper, &[silent], 139), (0, 0), "counted from the answer of the first look");
        assert_eq!(look(&mut reaper, &[silent], 140), (1, 0));
        assert_eq!(look(&mut reaper, &[marked], 150), (0, 0), "the mark begins a new wait");
        assert_eq!(look(&mut reaper, &[marked], 289), (0, 0));
        assert_eq!(look(&mut reaper, &[marked], 290), (0, 1));
    }

    #[test]
    fn a_member_that_renews_is_left_alone() {
        let mut reaper = Reaper::default();
        for round in 0..20 {
            assert_eq!(look(&mut reaper, &[row(round, false)], round * 120), (0, 0));
        }
    }

    #[test]
    fn one_that_renewed_between_two_marks_begins_anew() {
        let mut reaper = Reaper::default();
        look(&mut reaper, &[row(5, true)], 0);
        assert_eq!(look(&mut reaper, &[row(6, true)], 500), (0, 0));
        assert_eq!(look(&mut reaper, &[row(6, true)], 700), (0, 1));
    }

    #[test]
    fn what_was_seen_of_one_life_says_nothing_about_the_next() {
        let mut reaper = Reaper::default();
        reaper.look(TERMS, &[Row { id: (1, 1), renews: 0, draining: true }], 0, 10);
        let next = Row { id: (1, 2), renews: 0, draining: true };
        assert_eq!(reaper.look(TERMS, &[next], 500, 510).delete, []);
        assert_eq!(reaper.suspicions.len(), 1, "the former life is forgotten");
    }

    proptest! {
        /// Whatever the looks, a row is deleted only when it stood as draining for a whole wait.
        #[test]
        fn no_row_goes_before_its_time(
            looks in prop::collection::vec((0_u64..90, 0_u64..20, 0_u64..3, prop::bool::ANY), 1..40),
        ) {
            let (mut reaper, mut now) = (Reaper::default(), 0);
            let mut alike: Option<(Row<u8>, u64)> = None;
            for (pause, took, renews, draining) in looks {
                let (sent, received) = (now + pause, now + pause + took);
                now = received;
                let row = row(renews, draining);
                let since = alike.filter(|(old, _)| *old == row).map_or(received, |(_, since)| since);
                alike = Some((row, since));
                let findings = reaper.look(TERMS, &[row], sent, received);
                let due = sent >= since + TERMS.waits;
                prop_assert_eq!(findings.delete.len(), usize::from(due && draining));
                prop_assert_eq!(findings.drain.len(), usize::from(due && !draining));
            }
        }
    }
}
