//! What the answers about the audit log look like.

use crate::cli::output::Shown;
use crate::cli::table::{View, clean, moment, short_name};
use crate::domain::audit::verdict::Verdict;
use crate::pb::v1::{
    AuditEvent, EraseAuditFieldsResponse, GetCheckpointResponse, ListEventsResponse, SetLegalHoldResponse,
};

const HEADERS: &[&str] = &["INDEX", "TIME", "ACTOR", "ACTION", "TARGET", "OUTCOME", "WHAT"];

/// Characters of what is said of an entry in a table.
const MAX_WHAT: usize = 160;

impl Shown for ListEventsResponse {
    const NAME: &'static str = "ListEventsResponse";

    fn view(&self) -> View {
        View::Rows { headers: HEADERS, rows: self.events.iter().map(row).collect(), empty: "no entries" }
    }
}

impl Shown for GetCheckpointResponse {
    const NAME: &'static str = "GetCheckpointResponse";

    fn view(&self) -> View {
        let note = self.checkpoint.as_ref().map(|checkpoint| checkpoint.note.clone());
        View::Fields(vec![("Checkpoint", note.unwrap_or_default()), ("Key", self.verifier_key.clone())])
    }
}

impl Shown for EraseAuditFieldsResponse {
    const NAME: &'static str = "EraseAuditFieldsResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Erased", self.erased_count.to_string())])
    }
}

impl Shown for SetLegalHoldResponse {
    const NAME: &'static str = "SetLegalHoldResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Held", self.held.to_string())])
    }
}

/// What was found of an export, a line each.
pub fn verdict(verdict: &Verdict) -> String {
    let Verdict { header, root, erased, checkpoints, since } = verdict;
    let entries = header.to - header.from;
    let mut lines = vec![
        format!(
            "ok: {entries} entries ({} to {}) of {} in the log",
            header.from,
            header.to.saturating_sub(1),
            header.size
        ),
        format!("log: {}", header.origin),
        format!("root: {root}"),
        format!("earlier checkpoints that agree: {checkpoints}"),
    ];
    if *erased > 0 {
        lines.push(format!("erased values: {erased}"));
    }
    if let Some(since) = since {
        lines.push(format!("goes on from the checkpoint of {since} entries"));
    }
    let lines: Vec<String> = lines.iter().map(|line| clean(line)).collect();
    lines.join("\n") + "\n"
}

fn row(event: &AuditEvent) -> Vec<String> {
    vec![
        event.index.to_string(),
        moment(event.time.as_ref()),
        event.actor.clone(),
        event.action.clone(),
        event.target.clone(),
        short_name(event.outcome().as_str_name(), "AUDIT_OUTCOME_"),
        what(event),
    ]
}

fn what(event: &AuditEvent) -> String {
    let home = (!event.home_tenant_id.is_empty()).then(|| format!("of={}", event.home_tenant_id));
    let pairs = |(name, value): (&String, &String)| format!("{name}={value}");
    let mut said: Vec<String> =
        event.facts.iter().map(pairs).chain(event.details.iter().map(pairs)).collect();
    said.sort();
    let erased = event.erased_details.iter().map(|name| format!("{name} erased"));
    let said: Vec<String> = home.into_iter().chain(said).chain(erased).collect();
    let text = said.join(" ");
    if text.chars().count() <= MAX_WHAT {
        return text;
    }
    text.chars().take(MAX_WHAT).chain(['…']).collect()
}
