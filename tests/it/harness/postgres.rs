//! PostgreSQL from the installed binaries: own data directory, own port, never as root.
//!
//! Doorward's role is as plain as it should be anywhere: no superuser, so that row-level security
//! holds in every test. Tests look at databases themselves as `admin`, for whom it does not.
use super::ports;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio_postgres::NoTls;

/// The oldest major version that Doorward supports.
const OLDEST: u32 = 15;
/// How long a server may take to accept its first connection.
const PATIENCE: Duration = Duration::from_secs(90);

/// Starts and stops the server on orders from standard input. When the test process ends, however it
/// ends, its side of the pipe closes: then the server is stopped and its directory emptied.
const GUARD: &str = r#"
trap '' INT
if [ -n "$4" ]; then
    "$1/pg_basebackup" -h 127.0.0.1 -p "$4" -U admin -D "$2/data" -R -X stream -c fast --no-sync || exit 1
    echo "primary_conninfo = 'host=127.0.0.1 port=$4 user=admin application_name=standby'" \
        >> "$2/data/postgresql.auto.conf"
else
    "$1/initdb" -D "$2/data" -U admin -A trust -E UTF8 --locale=C --no-sync --wal-segsize="$5" || exit 1
    echo "CREATE ROLE doorward LOGIN NOSUPERUSER NOBYPASSRLS" \
        | "$1/postgres" --single -D "$2/data" postgres || exit 1
fi
start() {
    "$1/postgres" -D "$2/data" -c listen_addresses=127.0.0.1 -c port="$3" \
        -c unix_socket_directories= -c max_connections=300 -c fsync=on &
    server=$!
}
everyone() {
    echo "$server"
    grep -ls "^PPid:[[:space:]]*$server\$" /proc/[0-9]*/status | tr -dc '0-9\n'
}
# Again and again: a server that has only just begun does not hear it yet.
stop() {
    while kill -QUIT "$server" 2>/dev/null; do sleep 0.05; done
}
crash() {
    kill -STOP "$server"
    all=$(everyone)
    kill -KILL $all 2>/dev/null
    wait "$server"
    for one in $all; do
        while kill -0 "$one" 2>/dev/null; do sleep 0.01; done
    done
}
start "$@"
while read -r order; do
    case $order in
        stop) stop ;;
        crash) crash ;;
        start) start "$@" ;;
        freeze) kill -STOP "$server"; kill -STOP $(everyone) ;;
        thaw) kill -CONT $(everyone) ;;
    esac
done
kill -CONT $(everyone)
stop
rm -rf "$2"/* "$2"
"#;

/// Megabytes of one file of the write-ahead log.
const WAL_SEGMENT: u16 = 16;

/// A running server. Stopped when dropped, or at the latest when the test process ends.
pub struct Postgres {
    port: u16,
    directory: PathBuf,
    guard: Mutex<Child>,
}

impl Postgres {
    /// The server that all tests of this process share.
    pub fn shared() -> &'static Postgres {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Postgres::start)
    }

    /// A server of one's own, which may be stopped and started again.
    pub fn start() -> Postgres {
        let directory = tempfile::Builder::new().prefix("doorward-pg-").tempdir().unwrap().keep();
        Self::launch(directory, "", WAL_SEGMENT)
    }

    /// A server whose data is in this directory, which is emptied in the end.
    pub fn small_in(directory: PathBuf) -> Postgres {
        Self::launch(directory, "", 1)
    }

    /// A server that streams from another one, as its standby `standby`.
    pub fn standby_of(primary: &Postgres) -> Postgres {
        let directory = tempfile::Builder::new().prefix("doorward-pg-").tempdir().unwrap().keep();
        Self::launch(directory, &primary.port.to_string(), WAL_SEGMENT)
    }

    fn launch(directory: PathBuf, primary: &str, wal_segment: u16) -> Postgres {
        let binaries = find_binaries();
        let port = ports::free();
        let log = std::fs::File::create(directory.join("log")).unwrap();
        let mut guard = unprivileged(&directory)
            .args(["sh", "-c", GUARD, "guard"])
            .args([&binaries, &directory])
            .args([port.to_string(), primary.to_owned(), wal_segment.to_string()])
            .current_dir(&directory)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        wait_for_port(port, &mut guard, &directory);
        Postgres { port, directory, guard: Mutex::new(guard) }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it without a farewell, as a crash would.
    pub fn stop(&self) {
        self.order("stop");
        self.is_gone();
    }

    fn is_gone(&self) {
        let end = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            assert!(Instant::now() < end, "PostgreSQL does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills every process of it at once; it is gone when this returns.
    pub fn crash(&self) {
        self.order("crash");
        self.is_gone();
    }

    /// Stops every process of it in its tracks; connections stay open.
    pub fn freeze(&self) {
        self.order("freeze");
    }

    /// Lets it run again.
    pub fn thaw(&self) {
        self.order("thaw");
    }

    /// Starts it again on the same port with the same data.
    pub fn start_again(&self) {
        self.order("start");
        wait_for_port(self.port, &mut self.guard.lock().unwrap(), &self.directory);
    }

    /// Makes an empty database and names it.
    pub async fn fresh_database(&self) -> String {
        let name = format!("t_{}", uuid::Uuid::now_v7().simple());
        let client = self.connect("postgres").await;
        client.batch_execute(&format!("CREATE DATABASE {name} OWNER doorward")).await.unwrap();
        name
    }

    /// A connection of the test's own to a database of this server, as its superuser.
    pub async fn connect(&self, database: &str) -> tokio_postgres::Client {
        self.connect_as("admin", database).await
    }

    /// The same as somebody else: `doorward`, say.
    pub async fn connect_as(&self, user: &str, database: &str) -> tokio_postgres::Client {
        let parameters = format!("host=127.0.0.1 port={} user={user} dbname={database}", self.port);
        let end = Instant::now() + PATIENCE;
        loop {
            match tokio_postgres::connect(&parameters, NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(error) => assert!(Instant::now() < end, "PostgreSQL refuses: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn order(&self, order: &str) {
        let mut guard = self.guard.lock().unwrap();
        writeln!(guard.stdin.as_mut().unwrap(), "{order}").unwrap();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut guard = self.guard.lock().unwrap();
        drop(guard.stdin.take());
        guard.wait().unwrap();
    }
}

/// The directory of the newest PostgreSQL that is new enough.
fn find_binaries() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let installed = debian.map(|entry| entry.unwrap().path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = installed
        .chain(std::env::split_paths(&path))
        .filter(|bin| ["initdb", "postgres", "pg_basebackup"].iter().all(|name| bin.join(name).exists()))
        .filter_map(|bin| Some((major_version(&bin)?, bin)))
        .max();
    match found {
        Some((version, bin)) if version >= OLDEST => bin,
        Some((version, bin)) => panic!(
            "PostgreSQL {OLDEST} or newer is needed, {} has {version}; install the package `postgresql`",
            bin.display()
        ),
        None => panic!(
            "PostgreSQL is needed for these tests and is not installed: run `tools/setup.sh`, \
             or `apt-get install postgresql`"
        ),
    }
}

/// The major version of the server in `bin`, from `postgres (PostgreSQL) 15.18 (…)`.
fn major_version(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok())
}

/// A command line that what is appended to runs as an ordinary user, who owns `directory`.
fn unprivileged(directory: &Path) -> Command {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Command::new("env");
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = ["postgres:", "nobody:"]
        .iter()
        .find_map(|name| users.lines().find(|line| line.starts_with(name)))
        .expect("a user `postgres` or `nobody`, because PostgreSQL does not run as root");
    let fields: Vec<&str> = line.split(':').collect();
    let (uid, gid) = (fields[2], fields[3]);
    chown(directory, Some(uid.parse().unwrap()), Some(gid.parse().unwrap())).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", uid, "--regid", gid, "--clear-groups"]);
    command
}

fn wait_for_port(port: u16, guard: &mut Child, directory: &Path) {
    let end = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let over = guard.try_wait().unwrap().is_some() || Instant::now() > end;
        let log = || std::fs::read_to_string(directory.join("log")).unwrap_or_default();
        assert!(!over, "PostgreSQL does not start:\n{}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The harness's own proof.
mod tests {
    use super::Postgres;
    use std::time::Duration;

    const WRITE: &str = "CREATE TABLE IF NOT EXISTS t (n int); INSERT INTO t VALUES (7)";

    async fn has_the_row(server: &Postgres, name: &str) -> bool {
        let row = server.connect(name).await.query_one("SELECT n FROM t LIMIT 1", &[]).await.unwrap();
        row.get::<_, i32>(0) == 7
    }

    #[tokio::test]
    async fn a_server_keeps_its_data_over_a_crash() {
        for crash in [Postgres::stop, Postgres::crash] {
            let server = Postgres::start();
            let name = server.fresh_database().await;
            let client = server.connect(&name).await;
            client.batch_execute(WRITE).await.unwrap();
            crash(&server);
            assert!(client.batch_execute("SELECT 1").await.is_err());
            server.start_again();
            assert!(has_the_row(&server, &name).await);
            let directory = server.directory.clone();
            drop(server);
            assert!(!directory.exists());
        }
    }

    #[tokio::test]
    async fn a_frozen_server_answers_when_it_goes_on() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("database");
        std::fs::create_dir(&directory).unwrap();
        std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let server = Postgres::small_in(directory);
        let name = server.fresh_database().await;
        let client = server.connect(&name).await;
        client.batch_execute(WRITE).await.unwrap();
        server.freeze();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let asked = client.batch_execute("SELECT 1");
        tokio::pin!(asked);
        assert!(tokio::time::timeout(Duration::from_millis(300), &mut asked).await.is_err());
        server.thaw();
        asked.await.unwrap();
    }

    #[tokio::test]
    async fn a_standby_takes_over() {
        let primary = Postgres::start();
        let name = primary.fresh_database().await;
        primary.connect(&name).await.batch_execute(WRITE).await.unwrap();
        let standby = Postgres::standby_of(&primary);
        primary.crash();
        let client = standby.connect(&name).await;
        client.batch_execute("SELECT pg_promote()").await.unwrap();
        client.batch_execute(WRITE).await.unwrap();
        assert!(has_the_row(&standby, &name).await);
    }
}
