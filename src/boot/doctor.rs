//! Looks for whatever voids a promise before somebody relies on it.

use crate::config::Settings;
use crate::store::break_glass::key_first_used;
use crate::store::{Across, Facts, PostgresFacts, Store};
use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works; something is worth knowing.
    Note,
    /// A promise does not hold.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub verdict: Verdict,
    /// What was looked at.
    pub subject: &'static str,
    /// What was found and, if it is not good, what it means and what to do.
    pub finding: String,
}

fn finding(verdict: Verdict, subject: &'static str, finding: impl Into<String>) -> Finding {
    Finding { verdict, subject, finding: finding.into() }
}

/// Examines the database that the settings name, and the settings.
pub async fn doctor(settings: &Settings) -> Vec<Finding> {
    let facts = match Store::new(&settings.database) {
        Ok(store) => store.facts().await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match facts {
        Ok(facts) => {
            let mut findings = examine(settings, &facts);
            findings.push(master_key(settings).await);
            findings
        }
        Err(error) => vec![finding(
            Verdict::Bad,
            "database",
            format!(
                "{error}; checks are answered UNAVAILABLE after one lease. Is it up, and migrated (`doorward migrate`)?"
            ),
        )],
    }
}

fn examine(settings: &Settings, facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![finding(Verdict::Good, "database", "it answers, and its schema is there")];
    findings.push(lease(settings, facts));
    let (replicas, draining) = facts.replicas;
    let silent = if draining > 0 { Verdict::Note } else { Verdict::Good };
    findings.push(finding(
        silent,
        "replicas",
        format!("{replicas} enlisted, {draining} of them leaving or shut out; while one is, a revocation waits out its lease"),
    ));
    match &facts.postgres {
        None => findings.push(finding(
            Verdict::Note,
            "replicas",
            "SQLite serves one process; for several replicas use PostgreSQL",
        )),
        Some(postgres) => examine_postgres(settings, postgres, &mut findings),
    }
    findings
}

/// What is to be known of the break-glass key.
async fn master_key(settings: &Settings) -> Finding {
    const SUBJECT: &str = "break_glass";
    let glass = match settings.break_glass.glass() {
        Ok(Some(glass)) => glass,
        Ok(None) => return finding(Verdict::Good, SUBJECT, "off"),
        Err(bad) => return finding(Verdict::Bad, SUBJECT, format!("break_glass.master_key: {bad}")),
    };
    let used = async {
        let store = Store::new(&settings.database).map_err(|error| error.to_string())?;
        let conn = &mut store.read(Across::Instance).await.map_err(|error| error.to_string())?;
        key_first_used(conn, &glass.key_id()).await.map_err(|error| error.to_string())
    };
    match used.await {
        Ok(None) => finding(Verdict::Note, SUBJECT, "on; the master key was never used"),
        Ok(Some(used)) => finding(
            Verdict::Bad,
            SUBJECT,
            format!(
                "the master key was first used at {used}; configure another one. It opens nothing more from {} on",
                used.plus(glass.key_lasts())
            ),
        ),
        Err(error) => finding(Verdict::Bad, SUBJECT, format!("whether the master key was used: {error}")),
    }
}

fn lease(settings: &Settings, facts: &Facts) -> Finding {
    let own = settings.coherence.lease_ms;
    let others = facts.leases.iter().filter(|lease| u64::try_from(**lease) != Ok(own));
    let others: Vec<String> = others.map(ToString::to_string).collect();
    if others.is_empty() {
        return finding(Verdict::Good, "coherence.lease_ms", format!("{own}, as all replicas have it"));
    }
    let others = others.join(", ");
    finding(
        Verdict::Bad,
        "coherence.lease_ms",
        format!(
            "{own} here, and replicas run with {others}: a server with these settings would not start. Stop all replicas to change it"
        ),
    )
}

fn examine_postgres(settings: &Settings, postgres: &PostgresFacts, findings: &mut Vec<Finding>) {
    let mut add = |good: bool, bad: Verdict, subject, text: String| {
        findings.push(finding(if good { Verdict::Good } else { bad }, subject, text));
    };
    add(
        postgres.version >= 150_000,
        Verdict::Bad,
        "server version",
        format!("{}; 15 or newer is needed", postgres.version / 10_000),
    );
    add(
        !postgres.in_recovery && postgres.read_only == "off",
        Verdict::Bad,
        "writes",
        if postgres.in_recovery {
            "this is a standby: leases cannot be renewed here, so nothing would be answered. Connect to the primary".into()
        } else if postgres.read_only == "on" {
            "default_transaction_read_only is on: leases cannot be renewed, so nothing would be answered"
                .into()
        } else {
            "the server takes writes".into()
        },
    );
    add(
        postgres.fsync == "on" && postgres.full_page_writes == "on",
        Verdict::Bad,
        "durability",
        format!(
            "fsync = {}, full_page_writes = {}; with either off a crash of the machine can bring a revoked key back",
            postgres.fsync, postgres.full_page_writes
        ),
    );
    add(
        matches!(postgres.synchronous_commit.as_str(), "on" | "remote_apply"),
        Verdict::Bad,
        "synchronous_commit",
        format!("{}; below `on` a revocation that was answered can be lost", postgres.synchronous_commit),
    );
    add(
        postgres.standbys == postgres.synchronous_standbys,
        if postgres.hidden_standbys > 0 { Verdict::Note } else { Verdict::Bad },
        "standbys",
        match (postgres.standbys, postgres.synchronous_standbys) {
            (0, _) if postgres.synchronous_standby_names.is_empty() => {
                "none: what was answered survives a crash of this server, not its loss".into()
            }
            (0, _) => "none is connected, though some are named: writes wait for one".into(),
            (all, _) if postgres.hidden_standbys > 0 => format!(
                "{all} connected; whether they are synchronous this role may not know: GRANT pg_read_all_stats TO {}",
                quoted(&postgres.role)
            ),
            (all, waited) => format!(
                "{all} connected, {waited} of them synchronous; to fail over to an asynchronous one can bring revoked keys back. Name every standby that may be promoted in synchronous_standby_names"
            ),
        },
    );
    add(
        postgres.statement_timeout == "0",
        Verdict::Bad,
        "statement_timeout",
        format!(
            "{}; a commit that is cancelled while it waits for a standby is committed here and not there. Set it to 0 for Doorward's role",
            postgres.statement_timeout
        ),
    );
    add(
        postgres.notices,
        Verdict::Bad,
        "notices",
        if postgres.notices {
            "LISTEN and NOTIFY work".into()
        } else {
            "they do not come round (a pooler in transaction mode?): sessions get lost, and with them the scope that row-level security goes by, so rows are not found. Connect directly, or have the pooler keep sessions".into()
        },
    );
    add(
        !postgres.passes_walls,
        Verdict::Bad,
        "row-level security",
        if postgres.passes_walls {
            format!(
                "it does not hold for {role}, so a query of ours that forgot its tenant would see all: ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS",
                role = quoted(&postgres.role)
            )
        } else {
            format!("it holds for {}", quoted(&postgres.role))
        },
    );
    let own = i64::from(settings.database.write_connections) + i64::from(settings.database.read_connections);
    add(
        own < postgres.max_connections,
        Verdict::Bad,
        "connections",
        format!("each replica may use {own} of the server's {}", postgres.max_connections),
    );
}

/// A name as a statement has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> PostgresFacts {
        PostgresFacts {
            version: 150_010,
            in_recovery: false,
            fsync: "on".into(),
            full_page_writes: "on".into(),
            synchronous_commit: "on".into(),
            synchronous_standby_names: String::new(),
            standbys: 0,
            synchronous_standbys: 0,
            hidden_standbys: 0,
            role: "doorward".into(),
            passes_walls: false,
            read_only: "off".into(),
            statement_timeout: "0".into(),
            max_connections: 100,
            notices: true,
        }
    }

    type Spoil = fn(&mut PostgresFacts);

    fn bad_in(postgres: PostgresFacts) -> Vec<&'static str> {
        let facts = Facts { replicas: (1, 0), leases: vec![2_000], postgres: Some(postgres) };
        let findings = examine(&Settings::default(), &facts);
        findings.iter().filter(|it| it.verdict == Verdict::Bad).map(|it| it.subject).collect()
    }

    #[test]
    fn every_setting_that_voids_a_promise_is_named() {
        assert!(bad_in(sound()).is_empty());
        let cases: [(Spoil, &str); 11] = [
            (|it| it.standbys = 1, "standbys"),
            (|it| it.passes_walls = true, "row-level security"),
            (|it| it.notices = false, "notices"),
            (|it| it.fsync = "off".into(), "durability"),
            (|it| it.full_page_writes = "off".into(), "durability"),
            (|it| it.synchronous_commit = "local".into(), "synchronous_commit"),
            (|it| it.in_recovery = true, "writes"),
            (|it| it.read_only = "on".into(), "writes"),
            (|it| it.statement_timeout = "30s".into(), "statement_timeout"),
            (|it| it.version = 140_000, "server version"),
            (|it| it.max_connections = 10, "connections"),
        ];
        for (spoil, subject) in cases {
            let mut facts = sound();
            spoil(&mut facts);
            assert_eq!(bad_in(facts), [subject]);
        }
    }

    #[test]
    fn another_lease_than_the_others_have_is_found() {
        let facts = Facts { replicas: (2, 0), leases: vec![500, 2_000], postgres: None };
        let bad: Vec<_> = examine(&Settings::default(), &facts)
            .into_iter()
            .filter(|it| it.verdict == Verdict::Bad)
            .collect();
        assert!(bad.len() == 1 && bad[0].finding.contains("500"), "{bad:?}");
    }
}
