//! Programs of `tests/exporters` that are compiled first, once for each state of their sources.
use crate::harness::program::{source, succeed};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

const HINT: &str = "run `tools/exporters.sh`, which installs what is missing";
/// The modules that are fetched may lie below `target`, which must be possible to delete.
const GOFLAGS: &str = "-buildvcs=false -modcacherw";
/// The version of the Collector and its builder; `builder.yaml` names the same.
const BUILDER: &str = "go.opentelemetry.io/collector/cmd/builder@v0.159.0";

/// The program of Go's exporters.
pub fn go() -> PathBuf {
    let home = built("go", |folder, home| {
        let mut go = Command::new("go");
        go.args(["build", "-mod=readonly", "-o"]).arg(home.join("export")).arg(".").env("GOFLAGS", GOFLAGS);
        succeed(go.current_dir(folder), HINT);
    });
    home.join("export")
}

/// A command line of Java's exporters.
pub fn java() -> Command {
    let home = built("java", |folder, home| {
        let mut maven = Command::new("mvn");
        maven.args(["--quiet", "--batch-mode", "compile", "dependency:copy-dependencies"]);
        maven.arg(format!("-Dout={}", home.display()));
        maven.arg(format!("-DoutputDirectory={}", home.join("dependency").display()));
        succeed(maven.current_dir(folder), HINT);
    });
    let mut java = Command::new("java");
    java.arg("-cp").arg(format!("{0}/classes:{0}/dependency/*", home.display())).arg("Export");
    java
}

/// The program of Rust's exporters; cargo itself sees whether there is anything to build.
pub fn rust() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("exporters-rust");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--target-dir"]).arg(&target);
    succeed(cargo.current_dir(source("tests/exporters/rust")), HINT);
    target.join("debug/doorward-exporters")
}

/// An OpenTelemetry Collector, put together from its modules by its own builder.
pub fn collector() -> PathBuf {
    let home = built("collector", |folder, home| {
        let mut builder = Command::new("go");
        builder.args(["run", BUILDER, "--config"]).arg(folder.join("builder.yaml"));
        builder.arg(format!("--output-path={}", home.display())).env("GOFLAGS", GOFLAGS);
        succeed(builder.current_dir(home), HINT);
    });
    home.join("otelcol")
}

/// The directory that a folder of `tests/exporters` was built into, made once for each state of the folder.
fn built(name: &str, build: impl FnOnce(&Path, &Path)) -> PathBuf {
    let folder = source("tests/exporters").join(name);
    let mut hasher = DefaultHasher::new();
    hash(&folder, &mut hasher);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let home = cache.join(format!("exporters-{name}-{:016x}", hasher.finish()));
    let lock = File::create(cache.join(format!("exporters-{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !home.join("complete").exists() {
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).unwrap();
        build(&folder, &home);
        fs::write(home.join("complete"), "").unwrap();
    }
    home
}

fn hash(folder: &Path, hasher: &mut DefaultHasher) {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            hash(&path, hasher);
        } else {
            (&path, fs::read(&path).unwrap()).hash(hasher);
        }
    }
}
