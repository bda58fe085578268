//! The method of `doorward.v1.KeysService` that tells how keys are used.

use super::keys::{Keys, key_id};
use super::shapes::{from_time, to_time};
use crate::app::Caller;
use crate::app::usage::MOST_HOURS;
use crate::domain::ingest::HourOfIngest;
use crate::domain::refusal::Faults;
use crate::domain::usage::{Hour, HourOfUse, Outcome};
use crate::domain::{Failure, Refusal, Timestamp};
use crate::pb::v1 as pb;

/// Hours that are told when nobody says.
const USUAL_HOURS: i64 = 24;

impl Keys {
    pub(super) async fn usage(
        &self,
        caller: &Caller,
        wanted: pb::GetApiKeyUsageRequest,
    ) -> Result<pb::GetApiKeyUsageResponse, Failure> {
        let key = key_id(&wanted.id)?;
        let (from, until) = range(&wanted, self.app.clock.now())?;
        let hours = self.app.key_usage(caller, key, from, until).await?;
        let ingest = self.app.key_ingest(caller, key, from, until).await?;
        Ok(pb::GetApiKeyUsageResponse {
            hours: hours.into_iter().map(shape).collect(),
            ingest: ingest.into_iter().map(shape_ingest).collect(),
            start_time: Some(from_time(from.begins())),
            end_time: Some(from_time(until.begins())),
        })
    }
}

/// The first hour, and the first one after the last.
fn range(wanted: &pb::GetApiKeyUsageRequest, now: Timestamp) -> Result<(Hour, Hour), Refusal> {
    let mut faults = Faults::default();
    let end = wanted.end_time.and_then(|time| to_time(&mut faults, "end_time", time));
    let start = wanted.start_time.and_then(|time| to_time(&mut faults, "start_time", time));
    faults.check()?;
    let until = Hour::of(end.unwrap_or(now)).minus(-1);
    let from = start.map_or_else(|| until.minus(USUAL_HOURS), Hour::of);
    if from >= until {
        return Err(Refusal::invalid("start_time", "must be before the end"));
    }
    if until.minus(MOST_HOURS) > from {
        return Err(Refusal::invalid("start_time", "must be at most 31 days before the end"));
    }
    Ok((from, until))
}

fn shape(used: HourOfUse) -> pb::UsageHour {
    let of = |outcome| used.counts.of(outcome);
    pb::UsageHour {
        start_time: Some(from_time(used.hour.begins())),
        accepted: of(Outcome::Accepted),
        refused: Some(pb::RefusedChecks {
            expired: of(Outcome::Expired),
            address: of(Outcome::Address),
            permission: of(Outcome::Permission),
            rate_limit: of(Outcome::RateLimit),
            suspended: of(Outcome::Suspended),
            other: of(Outcome::Other),
        }),
        spike: used.spike,
    }
}

fn shape_ingest(HourOfIngest { hour, telemetry, sent }: HourOfIngest) -> pb::IngestHour {
    pb::IngestHour {
        start_time: Some(from_time(hour.begins())),
        signal: telemetry.number(),
        requests: sent.requests,
        bytes_in: sent.bytes_in,
        bytes_out: sent.bytes_out,
        accepted_items: sent.accepted,
        rejected_items: sent.rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_of_whole_hours_and_has_an_end() {
        let at = |hours: i64| Some(prost_types::Timestamp { seconds: hours * 3600 + 59, nanos: 0 });
        let asked = |start_time, end_time| {
            let wanted = pb::GetApiKeyUsageRequest { id: String::new(), start_time, end_time };
            range(&wanted, Timestamp::from_micros(1_000 * 3_600_000_000 + 5))
                .map(|(from, until)| (from.number(), until.number()))
        };
        assert_eq!(asked(None, None), Ok((977, 1001)));
        assert_eq!(asked(at(7), at(7)), Ok((7, 8)));
        assert_eq!(asked(None, at(50)), Ok((27, 51)));
        assert_eq!(asked(at(257), None), Ok((257, 1001)));
        for (start, end) in [(at(256), None), (at(8), at(7)), (at(1001), None), (at(-5), at(7))] {
            assert!(asked(start, end).is_err(), "{start:?} {end:?}");
        }
    }
}
