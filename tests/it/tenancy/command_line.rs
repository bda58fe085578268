//! People and roles of a tenant on the command line, with letters and logins as people have them.
use super::house::{PAGE, PASSWORD};
use crate::harness::server::{Printed, doorward};
use crate::harness::world::OWNER;
use crate::harness::{Database, World, on_both};
use crate::people::person::Mailbox;
use std::io::Write;
use std::process::Stdio;
use tempfile::TempDir;

const ADA: &str = "ada@acme.test";

/// A server, and a machine of each of its people.
struct Desk {
    world: World,
    mailbox: Mailbox,
    homes: TempDir,
}

impl Desk {
    async fn start(database: Database) -> Self {
        let mailbox = Mailbox::new();
        let world = World::with(database, mailbox.settings()).await;
        Self { world, mailbox, homes: tempfile::tempdir().unwrap() }
    }

    /// Runs a verb as somebody, with these lines on standard input.
    async fn runs(&self, who: &str, line: &str, input: &[&str]) -> Printed {
        let mut command = doorward();
        command.args(line.split_whitespace()).env("HOME", self.homes.path().join(who));
        command.env_remove("XDG_CONFIG_HOME");
        command.env("DOORWARD_ADDRESS", format!("http://{}", self.world.server.api()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let input: String = input.iter().flat_map(|line| [*line, "\n"]).collect();
        let running = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            // A verb that reads nothing may be gone by now.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap().into()
        });
        running.await.unwrap()
    }

    async fn done(&self, who: &str, line: &str, input: &[&str]) -> Printed {
        let ran = self.runs(who, line, input).await;
        assert_eq!(ran.code, Some(0), "{line}\n{}{}", ran.out, ran.err);
        ran
    }

    async fn refused(&self, who: &str, line: &str, reason: &str) {
        let ran = self.runs(who, line, &[]).await;
        assert!(ran.code == Some(1) && ran.err.contains(reason), "{line}\n{}{}", ran.out, ran.err);
    }

    async fn log_in(&self, who: &str, email: &str, password: &str) {
        self.done(who, &format!("login --email {email} --password-stdin"), &[password]).await;
    }
}

on_both! {
    // R37, R41: from the letter to the role, and out again.
    async fn somebody_is_invited_gets_a_role_and_leaves(database: Database) {
        let desk = Desk::start(database).await;
        desk.log_in("owner", OWNER, &desk.world.password).await;
        desk.done("owner", "role create billing --permission usage.read --permission members.read", &[]).await;
        let made = desk.done("owner", &format!("invitation create {ADA} --role billing --output json"), &[]).await.json();
        let id = made["invitation"]["id"].as_str().unwrap();
        let listed = desk.done("owner", "invitation list", &[]).await;
        assert!(listed.out.contains(id) && listed.out.contains("billing"), "{}", listed.out);
        let first = desk.mailbox.token(PAGE).await;
        desk.done("owner", &format!("invitation resend {id}"), &[]).await;
        let token = desk.mailbox.token(PAGE).await;
        let old = desk.runs("ada", "invitation accept --token-stdin", &[&first, PASSWORD]).await;
        assert!(old.code == Some(1) && old.err.contains("INVALID_TOKEN"), "{}", old.err);
        let joined = desk.done("ada", "invitation accept --token-stdin", &[&token, PASSWORD]).await;
        assert!(joined.err.contains("as billing") && !joined.err.contains(&token), "{}", joined.err);
        desk.log_in("ada", ADA, PASSWORD).await;
        desk.refused("ada", "key create mine", "INSUFFICIENT_PERMISSIONS").await;
        // The role is changed for everybody who has it, at once.
        desk.done("owner", "role update billing --permission keys.read --permission keys.write", &[]).await;
        desk.done("ada", "key create mine --quiet", &[]).await;
        desk.refused("owner", "role delete billing", "FAILED_PRECONDITION").await;
        let moved = desk.done("owner", &format!("member role {} viewer", ADA.to_uppercase()), &[]).await;
        assert!(moved.out.contains("viewer"), "{}", moved.out);
        desk.done("owner", "role delete billing", &[]).await;
        let left = desk.done("ada", "member leave --yes", &[]).await;
        assert!(left.err.contains("keys ended: 1, sessions ended: 1"), "{}", left.err);
        let members = desk.done("owner", "member list --all", &[]).await;
        assert!(members.out.contains(OWNER) && !members.out.contains(ADA), "{}", members.out);
    }

    // R37, R41, R42: with an account of before; the owner hands over, and the new one ends it.
    async fn a_tenant_is_handed_over_and_deleted(database: Database) {
        let desk = Desk::start(database).await;
        desk.log_in("owner", OWNER, &desk.world.password).await;
        desk.done("owner", &format!("invitation create {ADA} --role member"), &[]).await;
        let token = desk.mailbox.token(PAGE).await;
        desk.done("ada", "invitation accept --new-account --token-stdin", &[&token, PASSWORD]).await;
        desk.log_in("ada", ADA, PASSWORD).await;
        desk.done("owner", "tenant create umbrella --owner-email o@umbrella.test", &[]).await;
        desk.done("owner", &format!("--tenant umbrella invitation create {ADA} --role viewer"), &[]).await;
        let token = desk.mailbox.token(PAGE).await;
        let joined = desk.done("ada", "invitation accept --token-stdin --output json", &[&token]).await.json();
        assert_eq!(joined["tenant_slug"], "umbrella");

        let set = "tenant update --session-lifetime 3600 --allow-key-kind user --feature sso --output json";
        let tenant = &desk.done("owner", set, &[]).await.json()["tenant"];
        assert_eq!((&tenant["session_lifetime_seconds"], &tenant["features"][0]), (&3600.into(), &"sso".into()));
        desk.refused("owner", "key create x --kind service", "FAILED_PRECONDITION").await;
        desk.done("owner", "tenant update --any-key-kind --no-features", &[]).await;

        desk.refused("ada", "tenant delete acme --yes", "tenant.delete").await;
        desk.done("owner", &format!("member transfer-ownership {ADA} --yes"), &[]).await;
        let me = desk.done("ada", "whoami", &[]).await;
        assert!(me.out.contains("owner"), "{}", me.out);
        desk.refused("owner", &format!("member transfer-ownership {OWNER} --yes"), "owner").await;
        let gone = desk.done("ada", "tenant delete acme --yes", &[]).await;
        assert!(gone.out.contains("deleted"), "{}", gone.out);
        desk.refused("owner", "whoami", "SESSION_REVOKED").await;
    }
}
