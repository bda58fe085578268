//! Did every stream end that a reduced credential had opened?
use super::rights::Rights;
use super::{Breach, Kind};
use crate::history::{Entry, History, Op, Strike};
use std::time::Duration;

/// Judges every stream; faults that may delay its end put its limit off.
pub fn judge(history: &History, rights: &Rights, cut: Duration) -> Vec<Breach> {
    let cut = u64::try_from(cut.as_micros()).unwrap();
    let streams = history.entries.iter().filter(|entry| entry.op == Op::OwnStream);
    streams.filter_map(|stream| outlived(stream, history, rights, cut)).collect()
}

fn outlived(stream: &Entry, history: &History, rights: &Rights, cut: u64) -> Option<Breach> {
    let done = rights.end(stream.subject).done.filter(|done| *done < stream.returned)?;
    let limit = undisturbed(done.max(stream.sent), &history.strikes, cut) + cut;
    (stream.returned > limit).then(|| Breach {
        replica: Some(stream.replica),
        subject: Some(stream.subject),
        late: stream.returned - done,
        ..Breach::new(
            Kind::StreamNotCut,
            stream.returned,
            format!("a stream was open {} ms after its credential's end", (stream.returned - done) / 1000),
        )
    })
}

/// The first moment from `from` on that begins a stretch of `length` without a fault.
fn undisturbed(from: u64, strikes: &[Strike], length: u64) -> u64 {
    let mut from = from;
    // Each round passes at least one strike, so it ends.
    while let Some(to) = strikes
        .iter()
        .filter(|strike| strike.from < from + length && strike.to > from)
        .map(|strike| strike.to)
        .max()
    {
        from = to;
    }
    from
}
