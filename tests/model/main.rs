//! The coherence protocol, checked in every state that it can reach.
//!
//! The model is a database, replicas, an embedded cache, a writer and clocks;
//! whatever the product decides by `doorward::domain::lease` (what a proof is
//! worth, what is passed on, what may be acknowledged, when a writer returns,
//! when a row goes) is decided here by that very code. Beside it stands every
//! rule as a switch ([`fault::Fault`]): with any one left out a promise must
//! break, with all kept none may.
//!
//! `cargo test --release --test model -- --ignored --nocapture` visits the
//! large worlds too.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says what is wrong by failing, and prints its table"
)]

mod cache;
mod database;
mod explore;
mod fault;
mod holder;
mod protocol;
mod replica;
mod state;
mod witness;

use doorward::domain::lease::Terms;
use explore::{Outcome, explore};
use fault::Fault;
use protocol::{Protocol, Setting};
use std::time::Duration;
use witness::Witness;

/// No search of the quick tests may take longer.
const QUICK: Duration = Duration::from_secs(50);

/// No search of the long ones.
const LONG: Duration = Duration::from_mins(30);

const CALM: Setting = Setting::CALM;

const CRASHES: Setting = Setting { name: "1 replica, crashes", crashes: true, ..CALM };

const FAILOVER: Setting = Setting { name: "1 replica, failover", failover: true, ..CALM };

const STREAMS: Setting = Setting { name: "1 replica, streams", streams: true, ..CALM };

const CACHE: Setting =
    Setting { name: "1 replica, 1 cache, one change", cache: true, other_change: false, ..CALM };

const CACHE_CRASHES: Setting =
    Setting { name: "1 replica, 1 cache, one change, crashes", crashes: true, ..CACHE };

const PAIR_CACHE: Setting = Setting { name: "2 replicas, 1 cache, one change", replicas: 2, ..CACHE };

/// Rules that matter only between two replicas and a cache.
const NEEDS_A_LARGE_WORLD: [Fault; 1] = [Fault::ProofsKeptOverReset];

#[test]
fn one_replica_keeps_all_promises() {
    for setting in [CALM, FAILOVER, STREAMS, CRASHES] {
        keeps_all(setting, QUICK);
    }
}

#[test]
fn one_replica_and_a_cache_keep_all_promises() {
    keeps_all(CACHE, QUICK);
}

#[test]
fn two_replicas_keep_all_promises() {
    keeps_all(Setting { name: "2 replicas, one change", replicas: 2, other_change: false, ..CALM }, QUICK);
}

#[test]
fn every_rule_is_needed() {
    must_break(Fault::ALL.into_iter().filter(|fault| !NEEDS_A_LARGE_WORLD.contains(fault)), QUICK);
}

#[test]
#[ignore = "minutes"]
fn every_rule_is_needed_in_a_large_world() {
    must_break(NEEDS_A_LARGE_WORLD, LONG);
}

#[test]
#[ignore = "minutes"]
fn one_replica_with_everything_keeps_all_promises() {
    let setting = Setting {
        name: "1 replica, crashes, failover, streams",
        crashes: true,
        failover: true,
        streams: true,
        ..CALM
    };
    keeps_all(setting, LONG);
}

#[test]
#[ignore = "minutes"]
fn two_replicas_and_another_change_keep_all_promises() {
    keeps_all(Setting { name: "2 replicas", replicas: 2, ..CALM }, LONG);
}

#[test]
#[ignore = "minutes"]
fn a_cache_of_a_replica_that_dies_keeps_all_promises() {
    let setting = Setting {
        name: "1 replica, 1 cache, one change, crashes, failover",
        failover: true,
        ..CACHE_CRASHES
    };
    keeps_all(setting, LONG);
}

#[test]
#[ignore = "minutes"]
fn two_replicas_that_die_keep_all_promises() {
    let setting = Setting {
        name: "2 replicas, one change, crashes",
        replicas: 2,
        crashes: true,
        other_change: false,
        ..CALM
    };
    keeps_all(setting, LONG);
}

#[test]
#[ignore = "minutes"]
fn a_cache_between_two_replicas_keeps_all_promises() {
    keeps_all(PAIR_CACHE, LONG);
}

#[test]
#[ignore = "minutes"]
fn a_longer_lease_keeps_all_promises() {
    for setting in [CALM, CRASHES, CACHE] {
        keeps_all(Setting { terms: Terms { holds: 3, waits: 4 }, ..setting }, LONG);
    }
}

/// The smallest world in which that rule matters.
fn where_it_shows(fault: Fault) -> Setting {
    match fault {
        Fault::SequenceTail
        | Fault::ReturnAtCommit
        | Fault::MarginZero
        | Fault::WaitFromBegin
        | Fault::MembersBeforeCommit
        | Fault::ServeUnregistered
        | Fault::JoinSplitRead
        | Fault::ServeWithoutLease
        | Fault::RenewWithoutHead
        | Fault::ExpiryFromReceive
        | Fault::ClockStopsInSuspend
        | Fault::EarlierProofUnapplied
        | Fault::ProofsMixed
        | Fault::AckBeforeApply
        | Fault::FillWithoutRevision => CALM,
        Fault::DrainingAcknowledges
        | Fault::ReaperInstant
        | Fault::DeleteUnguarded
        | Fault::RenewAfterReap => CRASHES,
        Fault::AsyncFailover | Fault::RenewAtOldPrimary => FAILOVER,
        Fault::AckBeforeCut | Fault::StreamsNeverCut | Fault::StreamCheckedOnlyAtOpen => STREAMS,
        Fault::CacheNotCounted
        | Fault::CacheFullLease
        | Fault::CacheDriftNotDeducted
        | Fault::CacheCountedWithoutDrift
        | Fault::GrantOfOldNeed
        | Fault::GoneCacheForgotten => CACHE,
        Fault::RowTakenOver | Fault::LeaveBeforeQuiet | Fault::GrantsLostWhenFenced => CACHE_CRASHES,
        Fault::ProofsKeptOverReset => {
            Setting { name: "2 replicas, 1 cache, one change, joined", joined: true, ..PAIR_CACHE }
        }
    }
}

/// Leaves one rule out at a time; some promise must break.
fn must_break(faults: impl IntoIterator<Item = Fault>, most: Duration) {
    let mut harmless = Vec::new();
    for fault in faults {
        let outcome = search(where_it_shows(fault), Some(fault), most);
        match outcome.broken {
            None => harmless.push(fault),
            Some((_, way)) if std::env::var_os("TRACE").is_some() => println!("    {way:?}"),
            Some(_) => {}
        }
    }
    assert!(harmless.is_empty(), "nothing broke without {harmless:?}");
}

/// Visits all of it; no promise may break, and what can happen must.
fn keeps_all(setting: Setting, most: Duration) {
    let outcome = search(setting, None, most);
    assert!(outcome.broken.is_none(), "{}: {:?}", setting.name, outcome.broken);
    assert!(outcome.exhausted, "{}: not all was visited within {most:?}", setting.name);
    let protocol = Protocol { setting, fault: None };
    let due = Witness::ALL.into_iter().filter(|witness| witness.is_due(&protocol));
    let missing: Vec<_> = due.filter(|witness| !outcome.witnesses.has(*witness)).collect();
    assert!(missing.is_empty(), "{}: never seen: {missing:?}", setting.name);
}

/// Searches, and prints a line of the table.
fn search(setting: Setting, fault: Option<Fault>, most: Duration) -> Outcome {
    let outcome = explore(&Protocol { setting, fault }, most);
    let without = fault.map_or_else(String::new, |fault| format!("without {fault:?}"));
    let verdict = match &outcome.broken {
        Some((promise, way)) => format!("{promise:?} broken after {} steps", way.len()),
        None if outcome.exhausted => "all visited, nothing broken".to_owned(),
        None => "nothing broken, NOT all visited".to_owned(),
    };
    let Outcome { states, depth, seconds, .. } = outcome;
    let lease = setting.terms.holds;
    println!(
        "{:<49} L={lease} {without:<32} {states:>9} states, depth {depth:>2}, {seconds:>5.1} s: {verdict}",
        setting.name
    );
    outcome
}
