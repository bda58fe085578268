//! Every RPC by every kind of caller, and every field that could name what is another tenant's.
//!
//! The methods and their fields come from the descriptors that the server is built from; what each cell must
//! answer comes from the tables in [`rows`], [`people`] and [`foreign`], which repeat by hand what the policy
//! table and the roles say. A method without a row, or an id without a decision, fails.

mod call;
mod fields;
mod foreign;
mod headers;
mod people;
mod rows;
mod state;
mod town;

use crate::harness::{Database, on_both};
use call::{Door, methods};
use doorward::guard::{Need, Policy};
use people::{Caller, Standing};
use rows::{ROWS, Row};
use std::collections::BTreeSet;
use tonic::Code;
use town::Town;

/// What a call comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is done.
    Done,
    /// It is refused so.
    Refused(Code, &'static str),
}

const MISSING: Outcome = Outcome::Refused(Code::Unauthenticated, "CREDENTIALS_MISSING");
const LACKS: Outcome = Outcome::Refused(Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
const NOT_FOUND: Outcome = Outcome::Refused(Code::NotFound, "NOT_FOUND");
const MISMATCH: Outcome = Outcome::Refused(Code::PermissionDenied, "TENANT_MISMATCH");

/// What the tables say of a cell.
fn expected(row: &Row, caller: &Caller) -> Outcome {
    let is_open = match row.need {
        Need::Nothing | Need::Visitor => true,
        Need::Either => caller.standing == Standing::Nobody,
        Need::Credential | Need::Permission(_) => false,
    };
    if is_open {
        return row.then;
    }
    match caller.standing {
        Standing::Nobody => return MISSING,
        Standing::Bad(reason) => return Outcome::Refused(Code::Unauthenticated, reason),
        Standing::Good => {}
    }
    // R13: none of these methods is for telemetry.
    if caller.is_ingest() || row.need.permission().is_some_and(|needed| !caller.may(needed.name())) {
        return LACKS;
    }
    row.asks.iter().find_map(|ask| ask(caller)).unwrap_or(row.then)
}

/// A new method is not served to anybody before somebody has said here to whom.
#[test]
fn every_method_has_a_row_that_agrees_with_its_policy() {
    let told: BTreeSet<String> = ROWS.iter().map(Row::path).collect();
    let served: BTreeSet<String> = methods().map(|method| call::path(&method)).collect();
    let undecided: Vec<_> = served.difference(&told).collect();
    assert!(undecided.is_empty(), "add a row to tests/it/matrix/rows.rs for each of {undecided:?}");
    let gone: Vec<_> = told.difference(&served).collect();
    assert!(gone.is_empty(), "there are no such methods: {gone:?}");
    for row in ROWS {
        let policy = Policy::of(&row.path()).unwrap();
        assert_eq!(policy.need, row.need, "{}: policy and row disagree about who may call it", row.method);
    }
}

on_both! {
    // R3, R5, R13, R14, R41: each method, by each kind of caller.
    async fn every_method_by_every_caller(database: Database) {
        let town = Town::build(database).await;
        let door = Door::of(&town.server.api());
        let mut wrong = Vec::new();
        let mut done = 0;
        for row in ROWS {
            // Of one connection only so many calls may be refused while their bodies are on the way.
            let door = Door::of(&town.server.api());
            for caller in &town.callers {
                let body = town.body(row.body, caller).await;
                let got = door.call(&row.path(), &body, &caller.metadata).await;
                let wanted = expected(row, caller);
                done += usize::from(wanted == Outcome::Done);
                if got.outcome() != Some(wanted) {
                    wrong.push(format!("{} by {}: {wanted:?} wanted, got {got:?} for {body}", row.method, caller.name));
                }
            }
        }
        assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
        // A table that refuses everybody everything would agree with a server that does.
        assert!(done > ROWS.len(), "only {done} cells let anybody in");
        for caller in &town.callers {
            caller.is_as_told(&door).await;
        }
    }
}
