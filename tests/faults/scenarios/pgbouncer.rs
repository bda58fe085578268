//! The random faults with pgbouncer in between, which keeps sessions as it has to.
use super::campaign;
use super::random::trouble;
use crate::cluster::Cluster;
use crate::harness::database::DATABASE_PASSWORD;
use crate::harness::ports;
use crate::harness::postgres::Postgres;
use crate::options::Options;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// Plays it; without pgbouncer it says so.
pub async fn play(options: Options) -> ExitCode {
    if Command::new("pgbouncer").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: pgbouncer is not installed (Debian's package `pgbouncer`)");
        return ExitCode::SUCCESS;
    }
    let postgres = Arc::new(tokio::task::spawn_blocking(Postgres::start).await.unwrap());
    let directory = tempfile::tempdir().unwrap();
    let pooler = Pooler::start(directory.path(), postgres.port());
    let cluster = Cluster::start(postgres, pooler.port, &options).await;
    campaign(cluster, options, trouble).await
}

/// A running pgbouncer; ended when dropped.
struct Pooler {
    child: Child,
    port: u16,
}

impl Pooler {
    fn start(directory: &Path, database: u16) -> Self {
        let port = ports::free();
        let users = directory.join("users");
        std::fs::write(&users, format!("\"doorward\" \"{DATABASE_PASSWORD}\"\n")).unwrap();
        let configuration = directory.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={database}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = session\nmax_client_conn = 500\ndefault_pool_size = 90\n\
             ignore_startup_parameters = extra_float_digits,options\n",
            users.display()
        );
        std::fs::write(&configuration, text).unwrap();
        // It refuses to run as root, and another user has to read these.
        for (path, mode) in [(directory, 0o755), (&users, 0o644), (&configuration, 0o644)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut command = Command::new("pgbouncer");
        if is_root() {
            command.args(["-u", "nobody"]);
        }
        let child = command.arg("-q").arg(&configuration).stderr(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "pgbouncer does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this process may do everything.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}
