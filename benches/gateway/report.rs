//! Medians, ratios and gates.

use crate::drive::Sample;
use crate::rows::{Bench, Row};
use std::time::Duration;

/// Prints a line for each row, then the gates. Returns whether all gates that could be judged were passed.
pub fn print(bench: &Bench) -> bool {
    println!(
        "{:<15} {:>9} {:>13} {:>9} {:>9} {:>15} {:>6}",
        "row", "kB sent", "CPU µs/export", "least", "most", "M spans/CPU s", "load"
    );
    for row in &bench.rows {
        print_row(row);
    }
    let verdicts: Vec<bool> = GATES.iter().map(|gate| gate.judge(bench)).collect();
    !verdicts.contains(&false)
}

/// Prints a verdict and returns it.
pub fn verdict(passed: bool, what: &str) -> bool {
    println!("{} {what}", if passed { "PASS" } else { "FAIL" });
    passed
}

/// The last column tells how busy the server was, of one core.
fn print_row(row: &Row) {
    let mut costs: Vec<f64> = row.samples.iter().map(cost).collect();
    costs.sort_by(f64::total_cmp);
    let (least, most) =
        (costs.first().copied().unwrap_or(f64::NAN), costs.last().copied().unwrap_or(f64::NAN));
    let cost = median(costs);
    let load = row.samples.iter().map(|sample| sample.cpu.as_secs_f64() / sample.elapsed.as_secs_f64());
    println!(
        "{:<15} {:>9.1} {cost:>13.1} {least:>9.1} {most:>9.1} {:>15.2} {:>6.2}",
        row.name,
        float(row.plan.bytes) / 1e3,
        rate(row, cost),
        median(load.collect())
    );
}

/// What a release must hold.
struct Gate {
    name: &'static str,
    figure: Figure,
    bound: Option<f64>,
}

enum Figure {
    /// How many times the second row's cost goes into the first's: its throughput over the first's.
    Ratio(&'static str, &'static str),
    /// Millions of spans for each second of CPU time of the row.
    Rate(&'static str),
}

const fn ratio(name: &'static str, over: &'static str, under: &'static str, bound: Option<f64>) -> Gate {
    Gate { name, figure: Figure::Ratio(over, under), bound }
}

const GATES: &[Gate] = &[
    ratio("sink against receiving only", "receive", "sink", Some(0.95)),
    Gate { name: "sink, million spans a second and core", figure: Figure::Rate("sink"), bound: Some(1.5) },
    ratio("sink against decoding, editing and encoding", "prost", "sink", Some(3.5)),
    ratio("sink against receiving only, HTTP", "receive http", "sink http", None),
    ratio("forward against passing on the bytes", "pass", "forward", Some(0.8)),
    ratio("forward against the Collector", "collector", "forward", Some(5.0)),
    ratio("forward against the Collector, gzip", "collector gzip", "forward gzip", None),
    ratio("forward against the Collector, zstd", "collector zstd", "forward zstd", None),
];

impl Gate {
    /// Prints the verdict; a gate whose rows were not measured is left out.
    fn judge(&self, bench: &Bench) -> bool {
        let Some(value) = self.figure.value(bench) else { return true };
        let Some(bound) = self.bound else {
            println!("INFO {}: {value:.2}", self.name);
            return true;
        };
        verdict(value >= bound, &format!("{}: {value:.2} (≥ {bound})", self.name))
    }
}

impl Figure {
    /// The median over the rounds.
    fn value(&self, bench: &Bench) -> Option<f64> {
        let row = |name: &str| bench.rows.iter().find(|row| row.name == name);
        let values: Vec<f64> = match *self {
            Self::Ratio(over, under) => {
                let pairs = row(over)?.samples.iter().zip(&row(under)?.samples);
                pairs.map(|(over, under)| cost(over) / cost(under)).collect()
            }
            Self::Rate(name) => {
                let row = row(name)?;
                row.samples.iter().map(|sample| rate(row, cost(sample))).collect()
            }
        };
        (!values.is_empty()).then(|| median(values))
    }
}

/// CPU time of one export, in µs.
fn cost(sample: &Sample) -> f64 {
    micros(sample.cpu) / float(sample.answers)
}

/// Millions of spans for each second, an export costing so many µs.
fn rate(row: &Row, cost: f64) -> f64 {
    float(row.plan.spans) / cost
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn float(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2);
    let lower = values.get(values.len().saturating_sub(1) / 2);
    upper.zip(lower).map_or(f64::NAN, |(upper, lower)| f64::midpoint(*upper, *lower))
}
