//! Medians, ratios and gates.

use crate::drive::Sample;
use crate::rows::{Bench, Row};
use std::time::Duration;

/// Prints a line for each row, then the gates. Returns whether all gates that could be judged were passed.
pub fn print(bench: &Bench) -> bool {
    let rows = &bench.rows;
    println!(
        "{:<16} {:>11} {:>9} {:>9} {:>11} {:>10}",
        "row", "CPU µs/call", "least", "most", "calls/s", "generator"
    );
    for row in rows {
        print_row(row);
    }
    for start in &bench.starts {
        println!("start to ready, s: {:.2}", start.as_secs_f64());
    }
    let verdicts: Vec<bool> = GATES.iter().map(|gate| gate.judge(bench)).collect();
    !verdicts.contains(&false)
}

fn print_row(row: &Row) {
    let mut costs: Vec<f64> = row.samples.iter().map(cost).collect();
    let rate = median(
        row.samples.iter().map(|sample| float(sample.answers) / sample.elapsed.as_secs_f64()).collect(),
    );
    let own =
        median(row.samples.iter().map(|sample| micros(sample.own_cpu) / float(sample.answers)).collect());
    costs.sort_by(f64::total_cmp);
    let (least, most) =
        (costs.first().copied().unwrap_or(f64::NAN), costs.last().copied().unwrap_or(f64::NAN));
    println!("{:<16} {:>11.2} {least:>9.2} {most:>9.2} {rate:>11.0} {own:>10.2}", row.name, median(costs));
}

/// What a release must hold.
struct Gate {
    name: &'static str,
    figure: Figure,
    bound: Bound,
}

enum Figure {
    /// How many times the second row's cost goes into the first's: its throughput over the first's.
    Ratio(&'static str, &'static str),
    /// CPU time of one call of the row, in µs.
    Cost(&'static str),
    /// From the start of the process until it is ready, in seconds.
    Start,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// Nothing is promised; the figure helps to read the others.
    None,
}

const GATES: &[Gate] = &[
    Gate {
        name: "verify against empty",
        figure: Figure::Ratio("empty", "verify"),
        bound: Bound::AtLeast(0.88),
    },
    Gate {
        name: "verify against stock empty",
        figure: Figure::Ratio("stock", "verify"),
        bound: Bound::AtLeast(1.5),
    },
    Gate { name: "verify against health", figure: Figure::Ratio("health", "verify"), bound: Bound::None },
    Gate {
        name: "check on a stream, 16 in flight, µs",
        figure: Figure::Cost("stream-16"),
        bound: Bound::AtMost(1.5),
    },
    Gate { name: "start to ready, s", figure: Figure::Start, bound: Bound::AtMost(15.0) },
];

impl Gate {
    /// Prints the verdict; a gate whose rows were not measured is left out.
    fn judge(&self, bench: &Bench) -> bool {
        let Some(value) = self.figure.value(bench) else { return true };
        let (passed, bound) = match self.bound {
            Bound::AtLeast(bound) => (value >= bound, format!(" (≥ {bound})")),
            Bound::AtMost(bound) => (value <= bound, format!(" (≤ {bound})")),
            Bound::None => (true, String::new()),
        };
        let word = match (&self.bound, passed) {
            (Bound::None, _) => "INFO",
            (_, true) => "PASS",
            (_, false) => "FAIL",
        };
        println!("{word} {}: {value:.2}{bound}", self.name);
        passed
    }
}

impl Figure {
    /// The median over the rounds.
    fn value(&self, bench: &Bench) -> Option<f64> {
        let samples =
            |name: &str| bench.rows.iter().find(|row| row.name == name).map(|row| row.samples.iter());
        let values: Vec<f64> = match *self {
            Self::Ratio(over, under) => {
                samples(over)?.zip(samples(under)?).map(|(over, under)| cost(over) / cost(under)).collect()
            }
            Self::Cost(name) => samples(name)?.map(cost).collect(),
            Self::Start => bench.starts.iter().map(Duration::as_secs_f64).collect(),
        };
        (!values.is_empty()).then(|| median(values))
    }
}

/// CPU time of one call, in µs.
fn cost(sample: &Sample) -> f64 {
    micros(sample.cpu) / float(sample.answers)
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
