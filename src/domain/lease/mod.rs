//! For how long memory may be believed: the decisions of the coherence protocol.
//!
//! A holder of copied state (a replica, or a cache embedded in another program)
//! answers from it only under a [`Lease`]. A writer that took something away
//! returns only when its [`Fence`] says that no such answer can come any more:
//! because every holder has acknowledged, or because every lease that could
//! have missed the change is over. [`Grants`] is what a holder knows of the
//! leases that it handed on, [`Reaper`] decides when a silent member is gone.
//!
//! All moments are microseconds of the caller's own boot-time clock, which
//! goes on while the machine sleeps. Moments of two machines are never
//! compared, only spans: the rates of any two clocks differ by less than the
//! [`allowance`]. Nothing here does I/O or reads a clock.
//!
//! # Invariants
//! With terms of one origin, a proof that was sent before a commit is over
//! when the writer has waited [`Terms::waits`] from that commit, on whichever
//! clocks the two are measured. This holds through any chain of grants.

mod fence;
mod grants;
mod proof;
mod reaper;

pub use fence::{Fence, Member, Verdict};
pub use grants::{Full, Grants, MOST_WATCHERS};
pub use proof::{Lease, Proof};
pub use reaper::{Finding, Findings, Reaper, Row, Suspicion};

use std::time::Duration;

/// One part in so many is allowed for clocks that run at different rates: 2 %.
/// Oscillators stray by 0.02 %, a clock being corrected by 0.05 %.
const DRIFT: u64 = 50;

/// What a writer adds for the coarseness of clocks and the sending itself.
const MARGIN: Duration = Duration::from_millis(10);

/// The two spans that all parties of a Doorward agree on, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long a proof holds, from the moment before it was asked for.
    pub holds: u64,
    /// How long a writer waits, from its commit, for proofs to end.
    pub waits: u64,
}

impl Terms {
    /// The terms of a lease L: a proof holds L·(1 − ε), a writer waits L·(1 + ε) + 10 ms.
    pub fn of(lease: Duration) -> Self {
        let lease = micros(lease);
        let drift = allowance(lease);
        Self { holds: lease - drift, waits: lease.saturating_add(drift).saturating_add(micros(MARGIN)) }
    }
}

/// What is allowed for the drift between two clocks over a span: ε of it, rounded up.
pub const fn allowance(span: u64) -> u64 {
    span.div_ceil(DRIFT)
}

/// How much of the `remaining` span of its own lease a holder may pass on: (1 − ε) of it.
pub const fn passed_on(remaining: u64) -> u64 {
    remaining - allowance(remaining)
}

/// For how long the one who passed on that span counts it as alive: (1 + ε) times as long.
pub const fn counted_alive(passed_on: u64) -> u64 {
    passed_on.saturating_add(allowance(passed_on))
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_terms_of_two_seconds() {
        let terms = Terms::of(Duration::from_secs(2));
        assert_eq!(terms, Terms { holds: 1_960_000, waits: 2_050_000 });
    }

    #[test]
    fn no_lease_is_no_proof_and_endless_ones_do_not_overflow() {
        assert_eq!(Terms::of(Duration::ZERO).holds, 0);
        assert_eq!(Terms::of(Duration::MAX).waits, u64::MAX);
        assert_eq!((passed_on(0), counted_alive(0)), (0, 0));
        assert_eq!(counted_alive(u64::MAX), u64::MAX);
    }

    #[test]
    fn even_the_shortest_span_allows_for_drift() {
        assert_eq!((allowance(1), passed_on(1), passed_on(2), counted_alive(1)), (1, 0, 1, 2));
    }

    /// How long `span` of a clock that runs `rate` millionths off truly lasts.
    fn lasts(span: u64, rate: i32) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "spans are far below 2^52 microseconds")]
        let span = span as f64;
        span / (1.0 + f64::from(rate) / 1e6)
    }

    proptest! {
        /// Clocks that stray by 0.1 %, either way, and a chain of three holders.
        #[test]
        fn a_writer_outwaits_every_proof(
            lease in 1_000_u64..60_000_000,
            rates in prop::array::uniform4(-1_000_i32..=1_000),
            delays in prop::array::uniform2(0_u64..1_000_000),
        ) {
            let terms = Terms::of(Duration::from_micros(lease));
            let [writer, replica, cache, nested] = rates;
            // Every proof is sent at the moment of the commit: the latest that may miss it.
            let mut remaining = terms.holds;
            let mut over = lasts(remaining, replica);
            let mut sent = 0.0;
            for (delay, grantor, holder) in [(delays[0], replica, cache), (delays[1], cache, nested)] {
                let delay = delay.min(remaining);
                remaining = passed_on(remaining - delay);
                // The holder asked before the grantor's delay began, or as late as after it.
                sent += lasts(delay, grantor);
                over = f64::max(over, sent + lasts(remaining, holder));
            }
            prop_assert!(over <= lasts(terms.waits, writer));
        }

        #[test]
        fn a_grantor_counts_a_grant_for_longer_than_it_lasts_and_no_longer_than_its_own(
            remaining in 0_u64..1_000_000_000,
            rates in prop::array::uniform2(-1_000_i32..=1_000),
        ) {
            let granted = passed_on(remaining);
            prop_assert!(lasts(granted, rates[0]) <= lasts(counted_alive(granted), rates[1]));
            prop_assert!(counted_alive(granted) <= remaining);
        }
    }
}
