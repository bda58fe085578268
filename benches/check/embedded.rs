//! The check as another service makes it: from a copy of its own, under a lease.

use super::{GATED_SIZE, HOT, filled, median_nanos, texts, town, verdict};
use anyhow::Result;
use arc_swap::ArcSwapOption;
use criterion::Criterion;
use doorward::client::SystemClock;
use doorward::client::embedded::{Demand, Mirror, Verified};
use doorward::domain::Clock as _;
use std::hint::black_box;
use std::sync::Arc;

/// Most that the check of a hot key may take, in ns.
const MAX_NANOS: f64 = 300.0;

/// Measures it; whether it is within its bound.
pub fn measure(criterion: &mut Criterion) -> Result<bool> {
    let secrets = town::secrets(GATED_SIZE)?;
    let clock = Arc::new(SystemClock::default());
    let mirror = Mirror::new(filled(&secrets)?, town::forms(), 0, Arc::clone(&clock));
    mirror.lend(u64::MAX);
    let copy = Copied { current: ArcSwapOption::from_pointee(mirror), clock };
    let hot = texts(&secrets, town::scattered(GATED_SIZE).take(usize::try_from(HOT)?));
    let nanos = median_nanos(&hot, |text| copy.check(text))?;
    let mut cycle = hot.iter().cycle();
    criterion.bench_function("embedded/hot", |bench| {
        bench.iter(|| cycle.next().and_then(|text| copy.check(black_box(text))));
    });
    Ok(verdict(nanos <= MAX_NANOS, &format!("embedded check, ns: {nanos:.0} (≤ {MAX_NANOS})")))
}

/// What an embedded layer has: a copy that can be replaced, and the clock.
struct Copied {
    current: ArcSwapOption<Mirror>,
    clock: Arc<SystemClock>,
}

impl Copied {
    /// As `Embedded::check` does it.
    fn check(&self, text: &str) -> Option<Verified> {
        let demand = Demand { cost: Some(1), ..Demand::default() };
        let mirror = self.current.load();
        let verified = mirror.as_ref()?.check(text, &demand, self.clock.moment());
        verified.ok().filter(|verified| verified.rate.is_some())
    }
}
