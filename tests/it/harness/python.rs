//! Python programs of `tests/python`, in an environment with pinned packages and stubs from our protos.
use super::program::{Program, source, succeed};
use serde_json::Value;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a Python program of this repository to its end.
pub async fn run_python(program: &'static str, arguments: Vec<String>) -> super::server::Printed {
    let running = move || command(program).args(arguments).output().unwrap().into();
    tokio::task::spawn_blocking(running).await.unwrap()
}

/// A command line that runs a Python program of this repository.
pub fn command(program: &str) -> Command {
    let mut python = Command::new(environment().join("venv/bin/python"));
    python.arg(source(program));
    python
}

/// A running Python program that takes orders.
pub struct Python(Program);

impl Python {
    /// Starts `tests/python/<program>`.
    pub async fn start(program: &'static str) -> Self {
        tokio::task::spawn_blocking(move || Self::spawn(program)).await.unwrap()
    }

    /// Gives an order and waits for the answer.
    pub fn ask(&mut self, order: &Value) -> Value {
        self.0.ask(order)
    }

    fn spawn(program: &str) -> Self {
        let home = environment();
        let mut python = Command::new(home.join("venv/bin/python"));
        python
            .arg("-u")
            .arg(source(&format!("tests/python/{program}")))
            .env("PYTHONPATH", home.join("stubs"));
        Self(Program::start(&mut python))
    }
}

/// The directory with `venv` and `stubs`, made once for each set of packages and protos.
fn environment() -> PathBuf {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let home = cache.join(format!("python-{:016x}", fingerprint()));
    let lock = File::create(cache.join("python.lock")).unwrap();
    lock.lock().unwrap();
    if !home.join("complete").exists() {
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(home.join("stubs")).unwrap();
        make_venv(&home);
        make_stubs(&home);
        fs::write(home.join("complete"), "").unwrap();
    }
    home
}

fn make_venv(home: &Path) {
    let venv = home.join("venv");
    let hint = "Python 3.11 or newer with `venv` is needed for these tests: run `tools/setup.sh`, \
                or `apt-get install python3-venv`";
    succeed(Command::new("python3").args(["-m", "venv"]).arg(&venv), hint);
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    succeed(pip.arg(source("tests/python/requirements.txt")), "the pinned packages are needed");
}

fn make_stubs(home: &Path) {
    let root = source("proto");
    let mut protoc = Command::new(home.join("venv/bin/python"));
    protoc.args(["-m", "grpc_tools.protoc"]).arg("-I").arg(&root);
    for kind in ["--python_out", "--grpc_python_out"] {
        protoc.arg(format!("{kind}={}", home.join("stubs").display()));
    }
    succeed(protoc.args(protos(&root.join("doorward"))), "the stubs are made from our protos");
}

/// A different value for each different set of packages and protos.
fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    fs::read(source("tests/python/requirements.txt")).unwrap().hash(&mut hasher);
    for file in protos(&source("proto")) {
        (&file, fs::read(&file).unwrap()).hash(&mut hasher);
    }
    hasher.finish()
}

fn protos(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(protos(&path));
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path);
        }
    }
    found.sort();
    found
}
