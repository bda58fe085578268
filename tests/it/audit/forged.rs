//! Exports that were changed: each is found false, and where it begins to be is named.
use super::{Desk, is_false, is_true};
use crate::harness::python::run_python;
use crate::harness::{Database, World};
use doorward::domain::audit::merkle::Hash;
use serde_json::Value;
use std::path::Path;

/// An export that is true, in lines.
struct Paper {
    desk: Desk,
    lines: Vec<String>,
    world: World,
}

impl Paper {
    async fn of(keys: usize) -> Self {
        let (world, desk) = (World::start(Database::sqlite()).await, Desk::new());
        world.fill(keys).await;
        // An earlier checkpoint among the entries.
        desk.checkpoint(&world, "old.checkpoint").await;
        world.fill(2).await;
        let file = desk.export(&world, "true.dwaudit", &[]).await;
        is_true(&file, &[]).await;
        let text = std::fs::read_to_string(file).unwrap();
        Self { desk, lines: text.lines().map(str::to_owned).collect(), world }
    }

    /// What is said of the lines after this was done to them; both verifiers must find them false.
    async fn after(&self, forge: impl FnOnce(&mut Vec<String>)) -> String {
        let mut lines = self.lines.clone();
        forge(&mut lines);
        assert_ne!(lines, self.lines, "nothing was forged");
        self.text(&(lines.join("\n") + "\n")).await
    }

    async fn text(&self, text: &str) -> String {
        let file = self.desk.put("forged.dwaudit", text);
        self.python(&file).await;
        is_false(&file, &[]).await
    }

    async fn python(&self, file: &Path) {
        let found = run_python("tools/verify_audit.py", vec![file.to_str().unwrap().to_owned()]).await;
        assert_eq!((found.code, found.out.as_str()), (Some(1), ""), "{}", found.err);
    }
}

fn leaf_of(line: &str) -> String {
    let start = line.find("\"entry\":").unwrap() + "\"entry\":".len();
    let end = line.find(",\"fields\":").unwrap();
    Hash::of_leaf(&line.as_bytes()[start..end]).to_string()
}

/// The line with the leaf that its entry has now: a forger who knows how.
fn with_leaf(line: &str) -> String {
    let value: Value = serde_json::from_str(line).unwrap();
    line.replacen(value["leaf"].as_str().unwrap(), &leaf_of(line), 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_changed_is_found_and_named() {
    let paper = Paper::of(6).await;
    // Line 0 is the header, so entry 4 is in line 5.
    let said = paper.after(|lines| lines[5] = lines[5].replacen("key.created", "key.revoked", 1)).await;
    assert!(said.contains("index 4: the entry was changed"), "{said}");
    let said =
        paper.after(|lines| lines[5] = with_leaf(&lines[5].replacen("key.created", "key.revoked", 1))).await;
    assert!(said.contains("index 0: an entry from here to 6 is not what the checkpoint of 7"), "{said}");
    // After the earlier checkpoint, what is before it is sure.
    let said =
        paper.after(|lines| lines[8] = with_leaf(&lines[8].replacen("key.created", "key.revoked", 1))).await;
    assert!(said.contains("index 7: an entry from here"), "{said}");
    let said = paper.after(|lines| drop(lines.remove(5))).await;
    assert!(said.contains("index 4: entry 5 is in its place"), "{said}");
    let said = paper.after(|lines| lines.swap(4, 6)).await;
    assert!(said.contains("index 3: entry 5 is in its place"), "{said}");
    let said = paper.after(|lines| lines.insert(5, lines[4].clone())).await;
    assert!(said.contains("index 4: entry 3 is in its place"), "{said}");
    let said = paper.after(|lines| lines[5] = lines[5].replacen("\"leaf\":\"", "\"leaf\": \"", 1)).await;
    assert!(said.contains("index 4: the line is not in the form"), "{said}");
    let said = paper.after(|lines| lines.push(lines[3].clone())).await;
    assert!(said.contains("lines after the end"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_cut_off_is_found() {
    let paper = Paper::of(6).await;
    for kept in [1, 2, 5, paper.lines.len() - 1] {
        let said = paper.after(|lines| lines.truncate(kept)).await;
        assert!(said.contains(&format!("index {}: the file is truncated", kept - 1)), "{said}");
    }
    let text = paper.lines.join("\n");
    for cut in [text.len() - 1, text.len() / 2] {
        let said = paper.text(&text[..cut]).await;
        assert!(said.contains("the line is cut"), "{said}");
    }
    // Entries are taken from before the end, which stays.
    let end = paper.lines.len() - 1;
    let said = paper.after(|lines| drop(lines.drain(end - 2..end))).await;
    assert!(said.contains(&format!("index {}: entries are missing at the end", end - 3)), "{said}");
    // A part is made of a whole, by somebody who knows how: the seal is over all lines.
    let header: Value = serde_json::from_str(&paper.lines[0]).unwrap();
    let to = header["to"].as_u64().unwrap();
    let said = paper
        .after(|lines| {
            let last: Value = serde_json::from_str(&lines[end - 1]).unwrap();
            lines[0] = lines[0].replacen(&format!("\"to\":{to}"), &format!("\"to\":{}", to - 1), 1);
            lines[0] = lines[0].replacen(&header["checkpoints"].to_string(), "[]", 1);
            let after = format!("\"after\":[{}]", last["leaf"]);
            lines[0] = lines[0].replacen("\"after\":[]", &after, 1);
            lines[end] =
                lines[end].replacen(&format!("\"entries\":{to}"), &format!("\"entries\":{}", to - 1), 1);
            lines.remove(end - 1);
        })
        .await;
    assert!(said.contains("the seal over the file does not fit"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_to_cannot_be_another() {
    let paper = Paper::of(6).await;
    let fields = |line: &str| serde_json::from_str::<Value>(line).unwrap()["fields"].clone();
    let name = fields(&paper.lines[5])["display_name"][1].clone();
    assert_eq!(name, "plain");
    let wrong = "index 4: the field `display_name` is not what the entry committed to";
    let said = paper.after(|lines| lines[5] = lines[5].replacen("\"plain\"", "\"plane\"", 1)).await;
    assert!(said.contains(wrong), "{said}");
    // Salts of two entries, or of two fields, are swapped.
    let [one, other] =
        [4, 5].map(|at: usize| fields(&paper.lines[at])["display_name"][0].as_str().unwrap().to_owned());
    let said = paper.after(|lines| lines[5] = lines[5].replacen(&other, &one, 1)).await;
    assert!(said.contains(wrong), "{said}");
    let said = paper
        .after(|lines| {
            let [address, name] = ["address", "display_name"].map(|name| fields(&lines[5])[name].to_string());
            let told = |one: &str, other: &str| format!("\"address\":{one},\"display_name\":{other}");
            lines[5] = lines[5].replacen(&told(&address, &name), &told(&name, &address), 1);
        })
        .await;
    assert!(said.contains("index 4: the field `address` is not what the entry committed to"), "{said}");
    // A value is added that nobody committed to; one is taken away, which no erasure did to this file.
    let said = paper
        .after(|lines| {
            lines[5] = lines[5].replacen(
                "\"fields\":{",
                "\"fields\":{\"aaa\":[\"00000000000000000000000000000000\",\"x\"],",
                1,
            );
        })
        .await;
    assert!(said.contains("index 4: the field `aaa`"), "{said}");
    let address = format!("\"address\":{},", fields(&paper.lines[5])["address"]);
    let said = paper.after(|lines| lines[5] = lines[5].replacen(&address, "", 1)).await;
    assert!(said.contains("the seal over the file does not fit"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_cannot_be_forged() {
    let paper = Paper::of(6).await;
    let end = paper.lines.len() - 1;
    let last: Value = serde_json::from_str(&paper.lines[end]).unwrap();
    let note = last["end"]["checkpoint"].as_str().unwrap();
    let root = note.lines().nth(2).unwrap();
    let forged = root.replacen(&root[..4], if root.starts_with("AAAA") { "BBBB" } else { "AAAA" }, 1);
    let said = paper.after(|lines| lines[end] = lines[end].replacen(root, &forged, 1)).await;
    assert!(said.contains("the last checkpoint is not one of this log"), "{said}");
    // One of another instance, with its own key in the header: the key that was kept tells.
    let key = paper.world.audit_verb(&["checkpoint", "--key"]).await.out;
    let other = World::start(Database::sqlite()).await;
    other.fill(8).await;
    let swapped = paper.desk.export(&other, "other.dwaudit", &[]).await;
    is_true(&swapped, &[]).await;
    assert!(is_false(&swapped, &["--key", &key]).await.contains("signed by another key"));
    let theirs = std::fs::read_to_string(&swapped).unwrap();
    let theirs: Vec<&str> = theirs.lines().collect();
    let said = paper.after(|lines| lines[end] = (*theirs.last().unwrap()).to_owned()).await;
    assert!(said.contains("the last checkpoint is not one of this log"), "{said}");
    // An earlier one is put in the place of the last.
    let header: Value = serde_json::from_str(&paper.lines[0]).unwrap();
    let earlier = header["checkpoints"][0].as_str().unwrap();
    assert_ne!(earlier, note);
    let quoted = |text: &str| Value::String(text.to_owned()).to_string();
    let said =
        paper.after(|lines| lines[end] = lines[end].replacen(&quoted(note), &quoted(earlier), 1)).await;
    assert!(said.contains("of another size"), "{said}");
    let said = paper.after(|lines| lines[0] = lines[0].replacen("\"size\":", "\"size\":1", 1)).await;
    assert!(said.contains("index") || said.contains("header") || said.contains("checkpoint"), "{said}");
}
