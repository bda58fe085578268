//! A store as a process of its own: started, asked and ended.
use super::rivals::{Rival, Rivals};
use crate::exporters::exporter::SPOOFED;
use crate::harness::program::source;
use crate::harness::{ports, rest};
use bytes::Bytes;
use http::Method;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long it may take to be ready, or to show what it has acknowledged.
const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(200);

/// A store of some make.
#[derive(Clone, Copy)]
pub struct Make {
    /// The variable of the environment that names its program.
    pub variable: &'static str,
    /// Its configuration, a file of `tests/stores`.
    pub configuration: &'static str,
}

/// A running store, empty at first. Killed when dropped.
pub struct Store {
    process: Child,
    address: String,
    otlp: u16,
    directory: TempDir,
}

impl Store {
    /// Starts it and waits until it is ready.
    pub async fn start(make: Make) -> Self {
        let program = std::env::var_os(make.variable);
        let program =
            program.unwrap_or_else(|| panic!("{} is not set: run `tools/stores.sh`", make.variable));
        let directory = TempDir::new().unwrap();
        let (http, grpc, otlp) = (ports::free(), ports::free(), ports::free());
        let log = File::create(directory.path().join("log")).unwrap();
        let process = Command::new(program)
            .arg(format!("-config.file={}", source("tests/stores").join(make.configuration).display()))
            .arg("-config.expand-env=true")
            .env("HTTP_PORT", http.to_string())
            .env("GRPC_PORT", grpc.to_string())
            .env("OTLP_PORT", otlp.to_string())
            .env("DIRECTORY", directory.path())
            .current_dir(directory.path())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut store = Self { process, address: format!("127.0.0.1:{http}"), otlp, directory };
        store.becomes_ready().await;
        store
    }

    /// A URL below it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where it takes OTLP over gRPC, if that is a place of its own.
    pub fn otlp(&self) -> String {
        format!("http://127.0.0.1:{}", self.otlp)
    }

    /// Asks it in the name of a tenant, or of nobody.
    pub async fn get(&self, path: &str, tenant: Option<&str>) -> rest::Answer {
        let headers: Vec<_> = tenant.map(|tenant| ("x-scope-orgid", tenant)).into_iter().collect();
        rest::send(&self.address, rest::request(Method::GET, path, &headers, Bytes::new())).await.unwrap()
    }

    /// Asserts that each of the two finds all that it sent and nothing else, and that nobody finds anything.
    pub async fn assert_apart(&self, rivals: &Rivals, path: &str, names: fn(&Value) -> BTreeSet<String>) {
        let [first, second] = &rivals.pair;
        for (one, other) in [(first, second), (second, first)] {
            let found = self.settled(path, &one.tenant, names, one.names().len()).await;
            assert_eq!(names(&found.json()), one.names(), "{}", found.text());
            let text = found.text();
            assert!(text.contains(&one.tenant), "the attribute is not there: {text}");
            assert!(!text.contains(&other.tenant) && !text.contains(SPOOFED), "{text}");
        }
        let strangers = self.get(path, Some(SPOOFED)).await;
        assert!(strangers.status == 200 && names(&strangers.json()).is_empty(), "{}", strangers.text());
        let nobodys = self.get(path, None).await;
        assert_eq!(nobodys.status, 401, "it takes requests without a tenant: {}", nobodys.text());
    }

    /// Asserts that a tenant finds these and nothing else.
    pub async fn assert_only(
        &self,
        rival: &Rival,
        path: &str,
        names: fn(&Value) -> BTreeSet<String>,
        expected: &[&str],
    ) {
        let found = self.settled(path, &rival.tenant, names, expected.len()).await;
        let expected = expected.iter().map(ToString::to_string).collect();
        assert_eq!(names(&found.json()), expected, "{}", found.text());
    }

    /// An answer to a tenant with as many names in it as were acknowledged, or the last one when time was up.
    async fn settled(
        &self,
        path: &str,
        tenant: &str,
        names: fn(&Value) -> BTreeSet<String>,
        count: usize,
    ) -> rest::Answer {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path, Some(tenant)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            if names(&answer.json()).len() >= count || Instant::now() >= end {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn becomes_ready(&mut self) {
        let end = Instant::now() + PATIENCE;
        while !rest::get(&self.address, "/ready").await.is_ok_and(|answer| answer.status == 200) {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "it does not become ready: {}", self.log());
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            println!("--- the store's log ---\n{}", self.log());
        }
    }
}
