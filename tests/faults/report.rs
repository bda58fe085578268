//! What is told in the end: a table, one line of JSON, and what happened around the first breach.
use crate::history::{Entry, History, Op, Strike};
use crate::judge::{self, Breach, Kind};
use crate::options::Options;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a fault needs besides a lease of quiet after it for the recovery from it to be told.
const QUIET: Duration = Duration::from_millis(500);
/// Lines of one replica's trace.
const TRACE: usize = 12;
/// What the trace shows before and after (µs).
const AROUND: u64 = 300_000;

/// A campaign with its verdict.
pub struct Report<'a> {
    pub options: &'a Options,
    pub seed: u64,
    pub history: &'a History,
    pub breaches: &'a [Breach],
}

impl Report<'_> {
    /// Prints everything.
    pub fn print(&self) {
        let figures = self.figures();
        println!();
        for (name, value) in &figures {
            println!("{name:<28} {}", plain(value));
        }
        for remark in &self.history.remarks {
            println!("odd: {remark}");
        }
        println!("{}", Value::Object(figures));
    }

    /// Prints what is needed to understand the first breach of each kind.
    pub fn print_breaches(&self) {
        for kind in Kind::ALL {
            let Some(first) = self.breaches.iter().find(|breach| breach.kind == kind) else { continue };
            let at = first.replica.map(|replica| format!(", replica {replica}")).unwrap_or_default();
            println!(
                "\nfirst of {} (seed {}): {}{at}: {}",
                kind.name(),
                self.seed,
                seconds(first.at),
                first.what
            );
            if first.late > 0 {
                println!("  {} ms after the acknowledgement", first.late / 1000);
            }
            self.trace(first);
        }
    }

    fn figures(&self) -> Map<String, Value> {
        let mut figures = Map::new();
        let mut put = |name: &str, value: Value| figures.insert(name.to_owned(), value);
        put("scenario", json!(format!("{:?}", self.options.scenario)));
        put("seed", json!(self.seed));
        put("replicas", json!(self.options.replicas));
        put("lease_ms", json!(self.options.lease_ms));
        put("seconds", json!(self.history.end / 1_000_000));
        put("operations", json!(self.history.entries.len()));
        put(
            "operations_by_kind",
            counted(self.history.entries.iter().map(|entry| format!("{:?}", entry.op))),
        );
        put("answers", counted(self.history.entries.iter().map(|entry| format!("{:?}", entry.outcome))));
        put("faults", json!(self.history.strikes.len()));
        put("faults_by_kind", counted(self.history.strikes.iter().map(|strike| strike.fault.to_owned())));
        for kind in Kind::ALL {
            put(kind.name(), json!(self.breaches.iter().filter(|breach| breach.kind == kind).count()));
        }
        let stale = self.breaches.iter().filter(|breach| breach.kind == Kind::Stale);
        put("stale_latest_ms", json!(stale.map(|breach| breach.late / 1000).max().unwrap_or(0)));
        self.put_revocations(&mut put);
        self.put_load(&mut put);
        let recovery = judge::recovery_times(self.history, self.options.lease() + QUIET);
        put("recovery_ms", spread(recovery));
        figures
    }

    fn put_revocations(&self, put: &mut impl FnMut(&str, Value) -> Option<Value>) {
        let receipts = &self.history.receipts;
        let (calm, struck): (Vec<_>, Vec<_>) =
            receipts.iter().partition(|receipt| !self.disturbed(receipt.sent, receipt.returned));
        let took = |receipts: &[&crate::history::Receipt]| {
            spread(receipts.iter().map(|receipt| receipt.returned - receipt.sent).collect())
        };
        put("revoke_ms_calm", took(&calm));
        put("revoke_ms_with_faults", took(&struck));
        put(
            "revokes_acknowledged_by_all",
            json!(receipts.iter().filter(|receipt| receipt.expired == 0).count()),
        );
        put("revokes_that_waited", json!(receipts.iter().filter(|receipt| receipt.expired > 0).count()));
        let streams: u64 = receipts.iter().map(|receipt| u64::from(receipt.streams_cut)).sum();
        put("streams_cut", json!(streams));
        let most = receipts.iter().map(|receipt| receipt.acknowledged).max();
        put("most_replicas_acknowledged", json!(most));
    }

    /// How much is answered, in calm and during faults: as a share of what was asked, and by the second.
    fn put_load(&self, put: &mut impl FnMut(&str, Value) -> Option<Value>) {
        let spans = merged(&self.history.strikes);
        let struck_time: u64 = spans.iter().map(|(from, to)| to - from).sum();
        let calm_time = self.history.healed.saturating_sub(struck_time);
        let mut asked = [0_u64; 2];
        let mut answered = [0_u64; 2];
        let checks =
            |entry: &&Entry| matches!(entry.op, Op::Verify | Op::Ask) && entry.sent < self.history.healed;
        for entry in self.history.entries.iter().filter(checks) {
            let at = spans.partition_point(|(_, to)| *to < entry.sent);
            let struck = usize::from(spans.get(at).is_some_and(|(from, _)| *from <= entry.sent));
            asked[struck] += 1;
            answered[struck] += u64::from(entry.outcome.is_answer());
        }
        let names = [("calm", calm_time), ("faults", struck_time)];
        for (struck, (name, time)) in names.into_iter().enumerate() {
            put(&format!("answered_share_{name}"), share(answered[struck], asked[struck]));
            put(&format!("answered_per_second_{name}"), json!(answered[struck] * 1_000_000 / time.max(1)));
        }
    }

    /// Whether a fault, or a lease's time after one, touched this time.
    fn disturbed(&self, from: u64, to: u64) -> bool {
        let echo = self.options.lease_ms * 1_500;
        self.history.strikes.iter().any(|strike| strike.from < to && strike.to + echo > from)
    }

    /// What each replica was asked about that key around the breach.
    fn trace(&self, breach: &Breach) {
        let Some(subject) = breach.subject else { return };
        let of_key = |entry: &&Entry| {
            self.history.subjects[entry.subject.0 as usize] == self.history.subjects[subject.0 as usize]
        };
        println!("  key {}", self.history.keys[self.history.subjects[subject.0 as usize] as usize]);
        let from = breach.at.saturating_sub(breach.late + AROUND);
        let to = breach.at + AROUND;
        for strike in self.history.strikes.iter().filter(|strike| strike.from < to && strike.to > from) {
            println!(
                "  {} .. {} {} of {}",
                seconds(strike.from),
                seconds(strike.to),
                strike.fault,
                strike.target
            );
        }
        let near: Vec<&Entry> = self
            .history
            .entries
            .iter()
            .filter(of_key)
            .filter(|entry| entry.sent < to && entry.returned > from)
            .collect();
        for entry in near.iter().filter(|entry| entry.op.is_mutation()) {
            println!("  {}", told(entry));
        }
        for replica in 0..self.options.replicas {
            println!("  replica {replica}");
            let mut here: Vec<_> =
                near.iter().filter(|entry| entry.replica == replica && !entry.op.is_mutation()).collect();
            here.sort_by_key(|entry| entry.sent.abs_diff(breach.at));
            here.truncate(TRACE);
            here.sort_by_key(|entry| entry.sent);
            for entry in here {
                println!("    {}", told(entry));
            }
        }
    }
}

fn told(entry: &Entry) -> String {
    let Entry { op, subject, outcome, wide, replica, .. } = entry;
    let wide = if *wide { " wide" } else { "" };
    let (sent, returned) = (seconds(entry.sent), seconds(entry.returned));
    format!("{sent} .. {returned} {op:?}{wide} of secret {} at {replica}: {outcome:?}", subject.0)
}

fn counted(names: impl Iterator<Item = String>) -> Value {
    let mut counts = BTreeMap::<String, u64>::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    json!(counts)
}

/// Percentiles of microseconds, in milliseconds.
fn spread(mut micros: Vec<u64>) -> Value {
    micros.sort_unstable();
    let Some(last) = micros.last() else { return json!({"count": 0}) };
    let at = |percent: usize| round(micros[(micros.len() - 1) * percent / 100]);
    json!({"count": micros.len(), "p50": at(50), "p90": at(90), "p99": at(99), "max": round(*last)})
}

fn round(micros: u64) -> Value {
    json!(f64::from(u32::try_from(micros / 100).unwrap_or(u32::MAX)) / 10.0)
}

fn share(part: u64, whole: u64) -> Value {
    let thousandths = part * 1000 / whole.max(1);
    json!(f64::from(u32::try_from(thousandths).unwrap()) / 1000.0)
}

/// The times at which at least one fault was there.
fn merged(strikes: &[Strike]) -> Vec<(u64, u64)> {
    let mut sorted: Vec<_> = strikes.iter().map(|strike| (strike.from, strike.to)).collect();
    sorted.sort_unstable();
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for (from, to) in sorted {
        match spans.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => spans.push((from, to)),
        }
    }
    spans
}

fn plain(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06} s", micros / 1_000_000, micros % 1_000_000)
}
