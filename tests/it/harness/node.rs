//! JavaScript programs of `tests/node`, beside pinned packages.
use super::program::{Program, source, succeed};
use serde_json::Value;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A running JavaScript program that takes orders.
pub struct Node(Program);

impl Node {
    /// Starts `tests/node/<program>`.
    pub async fn start(program: &'static str) -> Self {
        tokio::task::spawn_blocking(move || Self(Program::start(&mut command("tests/node", program))))
            .await
            .unwrap()
    }

    /// Gives an order and waits for the answer.
    pub fn ask(&mut self, order: &Value) -> Value {
        self.0.ask(order)
    }
}

/// A command line that runs a program beside the packages of its folder's `package.json`.
pub fn command(folder: &str, program: &str) -> Command {
    let mut node = Command::new("node");
    node.arg(environment(folder, program).join(program));
    node
}

/// The directory with the packages, made once for each set of them, and the program, which finds them
/// beside itself.
fn environment(folder: &str, program: &str) -> PathBuf {
    let packages = fs::read(source(folder).join("package.json")).unwrap();
    let mut hasher = DefaultHasher::new();
    packages.hash(&mut hasher);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let home = cache.join(format!("node-{:016x}", hasher.finish()));
    let lock = File::create(cache.join("node.lock")).unwrap();
    lock.lock().unwrap();
    if !home.join("complete").exists() {
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).unwrap();
        fs::write(home.join("package.json"), &packages).unwrap();
        let mut npm = Command::new("npm");
        npm.arg("--prefix").arg(&home).args(["install", "--no-audit", "--no-fund", "--ignore-scripts"]);
        succeed(&mut npm, "Node.js with npm is needed for these tests: run `tools/setup.sh`");
        fs::write(home.join("complete"), "").unwrap();
    }
    let text = fs::read(source(folder).join(program)).unwrap();
    // Nobody reads half of it: another test may be about to run it.
    if fs::read(home.join(program)).ok().as_ref() != Some(&text) {
        let new = home.join(format!("{program}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, home.join(program)).unwrap();
    }
    home
}
