//! The audit log: what is in it, who sees it, and that no change of it goes unseen.

mod exports;
mod forged;
mod kept;
mod listed;
mod refused;
mod sink;
mod written;

use crate::harness::World;
use crate::harness::client::{self, Audit, Metadata};
use crate::harness::server::{Printed, doorward, run};
use doorward::pb::v1::{AuditEvent, ListEventsRequest};
use std::path::{Path, PathBuf};

impl World {
    /// The owner's client for the audit log.
    fn audit(&self) -> Audit {
        client::audit(&self.server.api(), Metadata::bearer(&self.owner))
    }

    /// Entries of the tenant, the newest first.
    async fn events(&self, request: ListEventsRequest) -> Vec<AuditEvent> {
        let request = ListEventsRequest { page_size: 1000, ..request };
        self.audit().list_events(request).await.unwrap().into_inner().events
    }

    /// Entries of one action.
    async fn events_of(&self, action: &str) -> Vec<AuditEvent> {
        self.events(ListEventsRequest { action: action.into(), ..Default::default() }).await
    }

    /// Runs `doorward audit` as the owner.
    async fn audit_verb(&self, words: &[&str]) -> Printed {
        let mut command = doorward();
        command.arg("audit").args(words).env("DOORWARD_ADDRESS", format!("http://{}", self.server.api()));
        command.env("DOORWARD_API_KEY", &self.owner);
        run(command).await
    }

    /// Makes so many keys, each an entry.
    async fn fill(&self, keys: usize) {
        for _ in 0..keys {
            self.create_plain().await;
        }
    }
}

/// Files that a scenario leaves behind it.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The owner's export, as a file.
    async fn export(&self, world: &World, name: &str, words: &[&str]) -> PathBuf {
        let printed = world.audit_verb(&[&["export"], words].concat()).await;
        assert_eq!(printed.code, Some(0), "{}", printed.err);
        self.put(name, &printed.out)
    }

    /// The log's checkpoint, as a file.
    async fn checkpoint(&self, world: &World, name: &str) -> PathBuf {
        let printed = world.audit_verb(&["checkpoint"]).await;
        assert_eq!(printed.code, Some(0), "{}", printed.err);
        self.put(name, &printed.out)
    }
}

/// Judges a file, without a server or a credential.
async fn verify(file: &Path, words: &[&str]) -> Printed {
    let mut command = doorward();
    command.args(["audit", "verify"]).arg(file).args(words).env("DOORWARD_ADDRESS", "http://127.0.0.1:9");
    run(command).await
}

/// A file that must be found true.
async fn is_true(file: &Path, words: &[&str]) -> String {
    let printed = verify(file, words).await;
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    printed.out
}

/// A file that must be found false; gives what is said of it.
async fn is_false(file: &Path, words: &[&str]) -> String {
    let printed = verify(file, words).await;
    assert_eq!((printed.code, printed.out.as_str()), (Some(1), ""), "{}", printed.err);
    printed.err
}
