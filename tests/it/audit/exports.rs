//! Exports that are what the log was: found true by both verifiers.
use super::{Desk, is_false, is_true, verify};
use crate::harness::python::run_python;
use crate::harness::{Database, World, on_both};

const PYTHON: &str = "tools/verify_audit.py";

async fn python(words: &[&str]) -> crate::harness::server::Printed {
    run_python(PYTHON, words.iter().map(|word| (*word).to_owned()).collect()).await
}

on_both! {
    async fn a_whole_log_and_each_part_of_it_is_found_true(database: Database) {
        let (world, desk) = (World::start(database).await, Desk::new());
        world.fill(12).await;
        let whole = desk.export(&world, "whole.dwaudit", &[]).await;
        let said = is_true(&whole, &[]).await;
        assert!(said.starts_with("ok: 14 entries (0 to 13) of 14"), "{said}");
        for (from, to) in [(0, 1), (3, 4), (1, 14), (4, 8), (13, 14)] {
            let (from, to) = (from.to_string(), to.to_string());
            let part = desk.export(&world, "part.dwaudit", &["--from-index", &from, "--to-index", &to]).await;
            is_true(&part, &[]).await;
            let found = python(&[part.to_str().unwrap()]).await;
            assert_eq!(found.code, Some(0), "{}", found.err);
        }
        for words in [["--from-index", "5", "--to-index", "5"], ["--from-index", "100000", "--to-index", "100001"]] {
            let refused = world.audit_verb(&[&["export"], words.as_slice()].concat()).await;
            assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{}", refused.err);
        }
        let exports = world.events_of("audit.exported").await;
        assert_eq!(exports.len(), 8, "what was refused was asked for, too");
        assert_eq!(exports[2].facts["from"], "13");
    }

    async fn the_key_that_was_kept_is_the_one(database: Database) {
        let (world, desk) = (World::start(database).await, Desk::new());
        let file = desk.export(&world, "whole.dwaudit", &[]).await;
        let key = world.audit_verb(&["checkpoint", "--key"]).await.out;
        is_true(&file, &["--key", &key]).await;
        assert_eq!(python(&[file.to_str().unwrap(), "--key", key.trim()]).await.code, Some(0));
        let other = World::start(Database::sqlite()).await;
        let other = other.audit_verb(&["checkpoint", "--key"]).await.out;
        let said = is_false(&file, &["--key", &other]).await;
        assert!(said.contains("signed by another key"), "{said}");
        assert_eq!(python(&[file.to_str().unwrap(), "--key", other.trim()]).await.code, Some(1));
        assert_eq!(verify(&file, &["--key", "nonsense"]).await.code, Some(2));
    }

    // Who kept a checkpoint sees that the log went on from there, and nothing else.
    async fn a_log_goes_on_from_every_checkpoint_of_before(database: Database) {
        let (world, desk) = (World::start(database).await, Desk::new());
        world.fill(3).await;
        let old = desk.checkpoint(&world, "old.checkpoint").await;
        world.fill(6).await;
        let since = ["--since", old.to_str().unwrap()];
        let whole = desk.export(&world, "whole.dwaudit", &[]).await;
        let said = is_true(&whole, &since).await;
        assert!(said.contains("goes on from the checkpoint of 4 entries"), "{said}");
        assert_eq!(python(&[&[whole.to_str().unwrap()], since.as_slice()].concat()).await.code, Some(0));
        // A part that begins later proves it only if it was asked to.
        let part = desk.export(&world, "part.dwaudit", &["--from-index", "7"]).await;
        assert!(is_false(&part, &since).await.contains("export it with --since"));
        let part = desk.export(&world, "part.dwaudit", &["--from-index", "7", since[0], since[1]]).await;
        is_true(&part, &since).await;
        let young = desk.checkpoint(&world, "young.checkpoint").await;
        let said = is_false(&whole, &["--since", young.to_str().unwrap()]).await;
        assert!(said.contains("the log was cut"), "{said}");
        let other = desk.checkpoint(&World::start(Database::sqlite()).await, "other.checkpoint").await;
        assert!(is_false(&whole, &["--since", other.to_str().unwrap()]).await.contains("not one of this log"));
    }
}
