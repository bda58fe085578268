//! Keeps the rooms of `src` in order: what each may import, and how long a file may be.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test says what is wrong by failing")]
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every room and the rooms it may import. A room that is not listed fails the test.
const ROOMS: &[(&str, &[&str])] = &[
    ("pb", &[]),
    ("telemetry", &[]),
    ("domain", &[]),
    ("secret", &["domain"]),
    ("view", &["domain"]),
    ("protocol", &["pb", "domain", "secret", "view"]),
    ("client", &["pb", "domain", "secret", "view", "protocol", "telemetry"]),
    ("federation", &["domain", "secret"]),
    ("store", &["domain", "telemetry"]),
    ("mail", &["domain", "telemetry"]),
    ("replica", &["domain", "view", "store", "telemetry"]),
    ("app", &["domain", "secret", "view", "federation", "store", "replica", "telemetry"]),
    ("guard", &["domain", "secret", "protocol", "app", "telemetry"]),
    ("grpc", &["pb", "domain", "secret", "protocol", "app", "guard", "telemetry"]),
    ("http", &["pb", "domain", "secret", "federation", "app", "guard", "telemetry"]),
    ("otlp", &["pb", "domain", "protocol", "app", "guard", "telemetry"]),
    ("jobs", &["domain", "app", "telemetry"]),
    (
        "config",
        &[
            "domain",
            "secret",
            "store",
            "mail",
            "replica",
            "app",
            "guard",
            "grpc",
            "http",
            "otlp",
            "jobs",
            "telemetry",
        ],
    ),
    (
        "boot",
        &[
            "pb",
            "domain",
            "secret",
            "view",
            "client",
            "federation",
            "store",
            "mail",
            "replica",
            "app",
            "guard",
            "grpc",
            "http",
            "otlp",
            "jobs",
            "config",
            "telemetry",
        ],
    ),
    ("cli", &["pb", "domain", "client", "app", "config", "boot", "telemetry"]),
];

/// Lines a source file may have, its unit tests left out.
const MAX_LINES: usize = 500;

#[test]
fn rooms_import_only_what_they_may() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ROOMS.iter().map(|(room, imports)| (*room, imports.iter().copied().collect())).collect();
    let mut faults = Vec::new();
    for file in source_files(&root().join("src")) {
        let Some(room) = room_of(&file) else { continue };
        let Some(may) = allowed.get(room.as_str()) else {
            faults.push(format!("{}: room `{room}` is not in ROOMS", file.display()));
            continue;
        };
        let code = fs::read_to_string(&file).unwrap();
        if climbs_out(&file, &code) {
            faults.push(format!("{}: write `crate::room`, not `super`, to leave a room", file.display()));
        }
        for import in imports(&code) {
            if import != room && allowed.contains_key(import.as_str()) && !may.contains(import.as_str()) {
                faults.push(format!("{}: `{room}` may not import `{import}`", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_table_itself_has_no_cycle() {
    let order: Vec<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    for (at, (room, imports)) in ROOMS.iter().enumerate() {
        for import in *imports {
            let below = order.iter().position(|name| name == import).unwrap();
            assert!(below < at, "`{room}` is listed above `{import}`, which it imports");
        }
    }
}

#[test]
fn files_stay_short() {
    let long: Vec<String> = source_files(&root().join("src"))
        .into_iter()
        .filter_map(|file| {
            let code = fs::read_to_string(&file).unwrap();
            let lines = without_tests(&code).lines().count();
            (lines > MAX_LINES).then(|| format!("{}: {lines} lines", file.display()))
        })
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn source_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(source_files(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The first path segment under `src`; `None` for `lib.rs` and `main.rs`.
fn room_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(root().join("src")).ok()?;
    let first = inside.iter().next()?.to_str()?.trim_end_matches(".rs");
    (!matches!(first, "lib" | "main")).then(|| first.to_owned())
}

/// Whether `super` is used to reach another room, which the import check could not see.
fn climbs_out(file: &Path, code: &str) -> bool {
    let code = without_comments(without_tests(code));
    let depth = file.strip_prefix(root().join("src")).unwrap().iter().count();
    let is_room_root = depth == 1 || (depth == 2 && file.ends_with("mod.rs"));
    code.contains("super::super::") || (is_room_root && code.contains("super::"))
}

/// The rooms named after `crate::`, one at a time or in a braced list.
fn imports(code: &str) -> BTreeSet<String> {
    let code = without_comments(without_tests(code));
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(first_word(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = true;
        for (at, letter) in list.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                _ if start && !letter.is_whitespace() => {
                    found.insert(first_word(&list[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    found
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn without_tests(code: &str) -> &str {
    code.split_once("#[cfg(test)]\nmod ").map_or(code, |(before, _)| before)
}

fn without_comments(code: &str) -> String {
    code.lines()
        .map(|line| line.split_once("//").map_or(line, |(before, _)| before))
        .collect::<Vec<_>>()
        .join("\n")
}
