//! Python programs of `tests/python`, in an environment with pinned packages and stubs from our protos.
use serde_json::Value;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// The longest that one order may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running program that takes an order as a line of JSON and answers with another.
pub struct Python {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
}

impl Python {
    /// Starts `tests/python/<program>`.
    pub async fn start(program: &'static str) -> Self {
        tokio::task::spawn_blocking(move || Self::spawn(program)).await.unwrap()
    }

    /// Gives an order and waits for the answer.
    pub fn ask(&mut self, order: &Value) -> Value {
        writeln!(self.orders, "{order}").unwrap();
        let answer = tokio::task::block_in_place(|| self.answers.recv_timeout(PATIENCE));
        let answer = answer.unwrap_or_else(|error| panic!("{error}: no answer to {order}"));
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    fn spawn(program: &str) -> Self {
        let home = environment();
        let mut child = Command::new(home.join("venv/bin/python"))
            .arg("-u")
            .arg(source(&format!("tests/python/{program}")))
            .env("PYTHONPATH", home.join("stubs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = lines(child.stdout.take().unwrap());
        Self { orders: child.stdin.take().unwrap(), answers, child }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
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

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn succeed(command: &mut Command, hint: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{hint} ({error})"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{hint}\n{command:?}\n{out}{err}");
}
