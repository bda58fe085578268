//! `doorward audit`: reads, exports and judges the audit log.

mod args;
mod shown;

pub use args::AuditVerb;

use crate::app::audit::{NoteVerifier, verify as judge};
use crate::cli::Global;
use crate::cli::failure::Failure;
use crate::cli::session::{Session, World};
use crate::cli::values::Expiry;
use crate::client::Repeat;
use crate::domain::audit::checkpoint::{Checkpoint, MAX_NOTE, Note};
use crate::pb::v1::{
    EraseAuditFieldsRequest, EraseAuditFieldsResponse, ExportEventsRequest, GetCheckpointRequest,
    ListEventsRequest, SetLegalHoldRequest,
};
use args::{CheckpointArgs, EraseArgs, ExportArgs, HoldArgs, ListArgs, VerifyArgs};
use jiff::SignedDuration;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Calls that erase at most: each erases a thousand entries' values.
const ERASURES: u32 = 10_000;

/// Runs a verb on the audit log.
pub async fn run(verb: AuditVerb, global: &Global, world: &mut World) -> Result<(), Failure> {
    match verb {
        AuditVerb::Verify(args) => verify(&args, world),
        AuditVerb::List(args) => list(args, Session::open(global, world).await?).await,
        AuditVerb::Export(args) => export(args, Session::open(global, world).await?).await,
        AuditVerb::Checkpoint(args) => checkpoint(&args, Session::open(global, world).await?).await,
        AuditVerb::Erase(args) => erase(args, Session::open(global, world).await?).await,
        AuditVerb::Hold(args) => hold(args, Session::open(global, world).await?).await,
    }
}

async fn list(args: ListArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let now = session.world.now;
    let request = ListEventsRequest {
        page_size: args.page.page_size,
        actor: args.actor,
        action: args.action,
        target: args.target,
        start_time: moment(args.when.start, now)?,
        end_time: moment(args.when.end, now)?,
        platform: args.platform,
        ..ListEventsRequest::default()
    };
    let client = session.client.audit();
    let ask = |page_token| {
        let (mut client, request) = (client.clone(), ListEventsRequest { page_token, ..request.clone() });
        async move { client.list_events(request).await }
    };
    args.page.show(&mut session, ask).await
}

async fn export(args: ExportArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let now = session.world.now;
    let since_size = args.since.as_deref().map(|file| Ok::<_, Failure>(kept(file)?.1.size)).transpose()?;
    let request = ExportEventsRequest {
        from_index: args.from_index,
        to_index: args.to_index,
        start_time: moment(args.when.start, now)?,
        end_time: moment(args.when.end, now)?,
        since_size,
        platform: args.platform,
    };
    let client = session.client.exporting();
    let answers = session.call(Repeat::Safe, || {
        let mut client = client.clone();
        async move { client.export_events(request).await }
    });
    let mut answers = answers.await?;
    while let Some(answer) = answers.message().await? {
        session.world.output.result(&answer.lines)?;
    }
    Ok(())
}

async fn checkpoint(args: &CheckpointArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = GetCheckpointRequest { platform: args.platform, ..GetCheckpointRequest::default() };
    let client = session.client.audit();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.get_checkpoint(request).await }
    });
    let answer = answer.await?;
    if args.key {
        return Ok(session.world.output.result(&format!("{}\n", answer.verifier_key))?);
    }
    if session.world.output.format() == crate::cli::output::Format::Json {
        return Ok(session.world.output.show(&answer)?);
    }
    let note = answer.checkpoint.ok_or(Failure::Incomplete("checkpoint"))?.note;
    Ok(session.world.output.result(&note)?)
}

async fn erase(args: EraseArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = EraseAuditFieldsRequest { user_id: args.user };
    let client = session.client.audit();
    let mut all = EraseAuditFieldsResponse::default();
    for _ in 0..ERASURES {
        let answer = session.call(Repeat::Safe, || {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.erase_audit_fields(request).await }
        });
        let answer = answer.await?;
        all.erased_count = all.erased_count.saturating_add(answer.erased_count);
        all.more = answer.more;
        if !all.more {
            break;
        }
    }
    let text = format!("{} values are erased; every entry stays provable", all.erased_count);
    Ok(session.world.output.done(&all, &text)?)
}

async fn hold(args: HoldArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = SetLegalHoldRequest { held: !args.end, reason: args.reason };
    let client = session.client.audit();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.set_legal_hold(request).await }
    });
    let answer = answer.await?;
    let text =
        if answer.held { "nothing of the log is pruned or erased" } else { "the log is not held any more" };
    Ok(session.world.output.done(&answer, text)?)
}

fn verify(args: &VerifyArgs, world: &mut World) -> Result<(), Failure> {
    let key = args.key.as_deref().map(|key| key.trim().parse::<NoteVerifier>()).transpose();
    let key = key.map_err(|error| Failure::Usage(format!("--key: {error}")))?;
    let since = args.since.as_deref().map(kept).transpose()?.map(|(note, _)| note);
    let name = args.file.display();
    let file = File::open(&args.file).map_err(|error| Failure::Local(format!("{name}: {error}")))?;
    let own = key.is_none();
    let verdict = judge(&mut BufReader::new(file), key, since.as_deref());
    let verdict = verdict.map_err(|error| Failure::Local(format!("{name}: {error}")))?;
    world.output.result(&shown::verdict(&verdict))?;
    if own {
        let note = format!(
            "the key is the file's own; compare it with the one that you kept:\n{}",
            verdict.header.vkey
        );
        for line in note.lines() {
            world.output.note(line)?;
        }
    }
    Ok(())
}

/// A checkpoint that was kept in a file, as text and read. Whether its
/// signature is good is seen where it is used.
fn kept(file: &Path) -> Result<(String, Checkpoint), Failure> {
    let local = |cause: &dyn std::fmt::Display| Failure::Local(format!("{}: {cause}", file.display()));
    let mut text = String::new();
    let most = u64::try_from(MAX_NOTE).unwrap_or(u64::MAX);
    let opened = File::open(file).map_err(|error| local(&error))?;
    opened.take(most).read_to_string(&mut text).map_err(|error| local(&error))?;
    let checkpoint = Note::parse(&text).and_then(|note| Checkpoint::parse(note.text));
    let checkpoint = checkpoint.ok_or_else(|| local(&"this is no checkpoint"))?;
    Ok((text, checkpoint))
}

/// A moment that is said, or that long ago.
fn moment(time: Option<Expiry>, now: jiff::Timestamp) -> Result<Option<prost_types::Timestamp>, Failure> {
    let Some(time) = time else { return Ok(None) };
    let early = |error: jiff::Error| Failure::Usage(format!("that is too long ago: {error}"));
    let time = match time {
        Expiry::In(ago) => {
            let ago = SignedDuration::try_from(ago).map_err(early)?;
            Expiry::At(now.checked_sub(ago).map_err(early)?)
        }
        Expiry::At(_) | Expiry::Never => time,
    };
    time.resolve(now).map_err(early)
}
