//! A39: `x-tenant-id` with another tenant in it, at every method.
use super::call::Door;
use super::rows::ROWS;
use super::state::fingerprint;
use super::town::{HERE, Town};
use super::{MISMATCH, Outcome};
use crate::harness::{Database, on_both};
use doorward::guard::Need;

/// What comes of the header, whose tenant the caller has nothing to do with.
fn expected(need: Need, otherwise: Outcome) -> Outcome {
    match need {
        // Nobody in particular calls, so nobody can act for anybody.
        Need::Nothing | Need::Visitor => otherwise,
        Need::Either | Need::Credential | Need::Permission(_) => MISMATCH,
    }
}

on_both! {
    // R6
    async fn nobody_acts_for_a_tenant_by_naming_it(database: Database) {
        let town = Town::build(database).await;
        let before = fingerprint(&town.database, &town.tenant_id).await;
        for row in ROWS {
            // Of one connection only so many calls may be refused while their bodies are on the way.
            let door = Door::of(&town.server.api());
            for stranger in &town.strangers {
                for tenant in [town.tenant_id.as_str(), HERE] {
                    let body = town.harmless(row.body, stranger).await;
                    let metadata = stranger.metadata.clone().and("x-tenant-id", tenant);
                    let got = door.call(&row.path(), &body, &metadata).await;
                    let wanted = expected(row.need, row.then);
                    assert_eq!(got.outcome(), Some(wanted), "{} by {}: {got:?}", row.method, stranger.name);
                    assert!(!got.text.contains(&format!("@{HERE}.test")), "{got:?}");
                }
            }
        }
        assert_eq!(fingerprint(&town.database, &town.tenant_id).await, before);
    }
}
