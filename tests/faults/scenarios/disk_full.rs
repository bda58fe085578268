//! The database's disk is full for a while, again and again.
use super::campaign;
use super::pgbouncer::is_root;
use crate::cluster::Cluster;
use crate::harness::postgres::Postgres;
use crate::nemesis::database::{kill, order};
use crate::options::Options;
use crate::run::Run;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

/// The disk's size in megabytes: a fresh data directory and some room.
const DISK: u16 = 128;

/// Plays it; who may not mount a disk is told so.
pub async fn play(options: Options) -> ExitCode {
    if !is_root() {
        println!("skipped: only root may mount the small disk");
        return ExitCode::SUCCESS;
    }
    let Some(disk) = Disk::mount() else {
        println!("skipped: a tmpfs cannot be mounted here");
        return ExitCode::SUCCESS;
    };
    let directory = disk.0.join("database");
    std::fs::create_dir(&directory).unwrap();
    let postgres = tokio::task::spawn_blocking(|| Postgres::small_in(directory)).await.unwrap();
    let port = postgres.port();
    let cluster = Cluster::start(Arc::new(postgres), port, &options).await;
    let path = disk.0.clone();
    let code = campaign(cluster, options, move |run| trouble(run, path)).await;
    drop(disk);
    code
}

async fn trouble(run: Arc<Run>, disk: PathBuf) {
    let mut random = run.random(901);
    while !run.calm_down.is_cancelled() {
        tokio::time::sleep(random.millis(1_000..4_000)).await;
        let from = run.history.now();
        let filler = disk.join("filler");
        fill(&filler);
        tokio::time::sleep(random.millis(500..run.options.lease_ms * 4)).await;
        std::fs::remove_file(&filler).unwrap();
        mend(&run).await;
        run.history.add_strike("disk-full", "database".into(), from);
    }
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    let block = [0_u8; 4096];
    while file.write_all(&block).is_ok() {}
}

/// PostgreSQL may have given up; whoever runs it starts it again when there is room.
async fn mend(run: &Run) {
    let postgres = run.cluster.primary();
    if std::net::TcpStream::connect(("127.0.0.1", postgres.port())).is_err() {
        order(&postgres, Postgres::start_again).await;
    }
    let alive = tokio::time::timeout(Duration::from_secs(5), run.cluster.sql("SELECT 1", &run.stop)).await;
    if alive.is_err() {
        kill(run, Duration::ZERO).await;
    }
}

/// A small disk in memory; unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount() -> Option<Self> {
        let path = tempfile::Builder::new().prefix("doorward-disk-").tempdir().unwrap().keep();
        let size = format!("size={DISK}m,mode=0755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}
