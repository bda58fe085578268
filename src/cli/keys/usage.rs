//! `doorward key usage`: how a key was used, as bars by the hour.

use super::ingest;
use crate::cli::failure::Failure;
use crate::cli::output::{Format, Shown};
use crate::cli::session::{Session, World};
use crate::cli::table::View;
use crate::cli::values;
use crate::client::Repeat;
use crate::pb::v1::{GetApiKeyUsageRequest, GetApiKeyUsageResponse, RefusedChecks, UsageHour};
use clap::Args;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Help below the options.
pub const AFTER_HELP: &str = "\
A bar an hour in UTC; the last one is not over yet. What was checked in the last
seconds may be missing.

Examples:
  doorward key usage key_01jabcdefghjkmnpqrstvwxyz0
  doorward key usage key_… --last 7d
  doorward key usage key_… --output json | jq -r '.hours[] | [.start_time, .accepted] | @tsv'";

/// Options of `key usage`.
#[derive(Debug, Args)]
pub struct UsageArgs {
    /// The key's id, key_…
    pub id: String,
    /// How far back, at most 31d
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "24h")]
    pub last: Duration,
}

/// Letters of the longest bar.
const WIDTH: u64 = 40;

const HOUR: i64 = 3_600;

/// What bars are made of: accepted and refused checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ink(char, char);

const PLAIN: Ink = Ink('#', 'x');
const DRAWN: Ink = Ink('\u{2588}', '\u{2591}');

/// Asks for a key's use and draws it.
pub async fn run(args: UsageArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let back = i64::try_from(args.last.as_secs()).unwrap_or(i64::MAX).saturating_sub(HOUR).max(0);
    let seconds = session.world.now.as_second().saturating_sub(back).max(0);
    let start_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
    let request = GetApiKeyUsageRequest { id: args.id, start_time, end_time: None };
    let client = session.client.keys();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.get_api_key_usage(request).await }
    });
    let answer = answer.await?;
    let ink = ink(session.world);
    let output = &mut session.world.output;
    if output.format() == Format::Json {
        return Ok(output.show(&answer)?);
    }
    if answer.hours.is_empty() && answer.ingest.is_empty() {
        return Ok(output.note("no checks in this time")?);
    }
    Ok(output.result(&(chart(&answer, ink) + &ingest::summary(&answer.ingest)))?)
}

/// Blocks on a terminal that shows Unicode, letters anywhere else.
fn ink(world: &World) -> Ink {
    let set = |name: &&str| (world.environment)(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default();
    let locale = locale.to_string_lossy().to_ascii_lowercase().replace('-', "");
    if world.output.is_coloured() && locale.contains("utf8") { DRAWN } else { PLAIN }
}

/// A line for each hour, used or not.
fn chart(answer: &GetApiKeyUsageResponse, ink: Ink) -> String {
    let seconds = |time: Option<prost_types::Timestamp>| time.map_or(0, |time| time.seconds);
    let used: BTreeMap<i64, &UsageHour> =
        answer.hours.iter().map(|hour| (seconds(hour.start_time), hour)).collect();
    let most = answer.hours.iter().map(total).max().unwrap_or(0).max(1);
    let (mut from, until) = (seconds(answer.start_time), seconds(answer.end_time));
    // A year of hours is more than any answer has.
    let until = until.min(from.saturating_add(366 * 24 * HOUR));
    let mut text = format!("checks by the hour, UTC; {} accepted, {} refused\n", ink.0, ink.1);
    let (mut accepted, mut refused) = (0_u64, 0_u64);
    while from < until {
        let nothing = UsageHour::default();
        let hour = used.get(&from).copied().unwrap_or(&nothing);
        accepted = accepted.saturating_add(hour.accepted);
        refused = refused.saturating_add(refusals(hour));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", format!("{}  {}", moment(from), line(hour, most, ink)).trim_end());
        from += HOUR;
    }
    let _ = writeln!(text, "{accepted} accepted, {refused} refused");
    text
}

fn moment(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%Y-%m-%d %H:00").to_string(),
        Err(_out_of_range) => format!("{seconds} s"),
    }
}

fn line(hour: &UsageHour, most: u64, ink: Ink) -> String {
    let (all, refused) = (total(hour), refusals(hour));
    if all == 0 {
        return String::new();
    }
    // What there is shows, however little it is.
    let letters = |count: u64| {
        let length = u128::from(count) * u128::from(WIDTH) / u128::from(most);
        if count == 0 { 0 } else { usize::try_from(length).unwrap_or(0).max(1) }
    };
    let bar: String = std::iter::repeat_n(ink.0, letters(hour.accepted))
        .chain(std::iter::repeat_n(ink.1, letters(refused)))
        .collect();
    let spike = if hour.spike { "  SPIKE" } else { "" };
    format!("{bar}  {}{}{spike}", hour.accepted, why(hour))
}

/// The refused checks in words.
fn why(hour: &UsageHour) -> String {
    let Some(refused) = &hour.refused else { return String::new() };
    let named = reasons(refused).into_iter().filter(|(_, count)| *count > 0);
    let named: Vec<String> = named.map(|(name, count)| format!("{name} {count}")).collect();
    if named.is_empty() { String::new() } else { format!(", refused: {}", named.join(", ")) }
}

fn reasons(refused: &RefusedChecks) -> [(&'static str, u64); 6] {
    let RefusedChecks { expired, address, permission, rate_limit, suspended, other } = refused;
    [
        ("expired", *expired),
        ("address", *address),
        ("permission", *permission),
        ("rate limit", *rate_limit),
        ("suspended", *suspended),
        ("other", *other),
    ]
}

fn refusals(hour: &UsageHour) -> u64 {
    let all = hour.refused.as_ref().map(reasons).unwrap_or_default();
    all.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
}

fn total(hour: &UsageHour) -> u64 {
    hour.accepted.saturating_add(refusals(hour))
}

impl Shown for GetApiKeyUsageResponse {
    const NAME: &'static str = "GetApiKeyUsageResponse";

    fn view(&self) -> View {
        View::Fields(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(number: i64, accepted: u64, limited: u64, spike: bool) -> UsageHour {
        UsageHour {
            start_time: Some(prost_types::Timestamp { seconds: number * HOUR, nanos: 0 }),
            accepted,
            refused: Some(RefusedChecks { rate_limit: limited, ..RefusedChecks::default() }),
            spike,
        }
    }

    fn answer(hours: Vec<UsageHour>, from: i64, until: i64) -> GetApiKeyUsageResponse {
        let at = |number: i64| Some(prost_types::Timestamp { seconds: number * HOUR, nanos: 0 });
        GetApiKeyUsageResponse { hours, start_time: at(from), end_time: at(until), ingest: Vec::new() }
    }

    #[test]
    fn every_hour_has_its_line_and_every_count_its_bar() {
        let hours = vec![hour(1, 4_000, 0, true), hour(3, 2_000, 400, false), hour(4, 1, 1, false)];
        let text = chart(&answer(hours.clone(), 0, 5), PLAIN);
        let expected = format!(
            "checks by the hour, UTC; # accepted, x refused\n\
             1970-01-01 00:00\n\
             1970-01-01 01:00  {}  4000  SPIKE\n\
             1970-01-01 02:00\n\
             1970-01-01 03:00  {}{}  2000, refused: rate limit 400\n\
             1970-01-01 04:00  #x  1, refused: rate limit 1\n\
             6001 accepted, 401 refused\n",
            "#".repeat(40),
            "#".repeat(20),
            "x".repeat(4)
        );
        assert_eq!(text, expected);
        assert!(text.is_ascii() && !chart(&answer(hours, 0, 5), DRAWN).contains("##"));
    }

    #[test]
    fn numbers_without_sense_do_no_harm() {
        let mad = vec![hour(i64::MAX / HOUR, u64::MAX, u64::MAX, false), hour(0, u64::MAX, u64::MAX, false)];
        let text = chart(&answer(mad, 0, i64::MAX / HOUR), PLAIN);
        assert!(text.lines().count() < 10_000 && text.lines().all(|line| line.len() < 200));
    }
}
