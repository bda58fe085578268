//! The real binary as a process: started, watched, read and ended.
use super::{Database, ports, rest};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_doorward");
/// How long the server may take to be ready: a debug binary on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Environment settings of one server, `("otlp.backend", "sink")` being `DOORWARD_OTLP__BACKEND=sink`.
#[derive(Clone, Default)]
pub struct Settings(Vec<(String, String)>);

impl Settings {
    /// Sets `section.key`, or a variable by its whole name in capitals.
    pub fn set(mut self, key: &str, value: impl Into<String>) -> Self {
        let name = match key.split_once('.') {
            Some((section, key)) => format!("DOORWARD_{section}__{key}").to_uppercase(),
            None => key.to_owned(),
        };
        self.0.push((name, value.into()));
        self
    }
}

/// A command line of the binary with nothing of the tester's own environment.
pub fn doorward() -> Command {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if ["DOORWARD_", "OTEL_", "RUST_LOG", "PG"].iter().any(|own| name.starts_with(own)) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// What a command line printed, as text.
pub struct Printed {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Printed {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Printed {
    /// The standard output as JSON; the command must have succeeded.
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

/// Runs the binary to its end.
pub async fn run(mut command: Command) -> Printed {
    tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
}

/// Where a server listens; kept by whoever wants the next process in the same place.
#[derive(Clone, Copy)]
pub struct Ports {
    api: u16,
    ops: u16,
    otlp_grpc: u16,
    otlp_http: u16,
}

impl Ports {
    /// Ports that nobody has.
    pub fn free() -> Self {
        let [api, ops, otlp_grpc, otlp_http] = [(); 4].map(|()| ports::free());
        Self { api, ops, otlp_grpc, otlp_http }
    }

    /// `host:port` of the API.
    pub fn api(self) -> String {
        local(self.api)
    }
}

/// A running server. Killed when dropped.
pub struct Server {
    child: Child,
    log: Arc<Mutex<Vec<u8>>>,
    ports: Ports,
}

impl Server {
    /// Starts `doorward serve` on free ports and waits until it is ready.
    pub async fn serve(database: &Database, settings: &Settings) -> Self {
        for _ in 0..3 {
            let mut command = doorward();
            command.arg("serve").env("DOORWARD_DATABASE_URL", database.url());
            match Self::start(command, settings).await {
                Ok(server) => return server,
                // Somebody else took the port between its choice and its use.
                Err(log) if log.to_lowercase().contains("in use") => {}
                Err(log) => panic!("the server does not become ready:\n{log}"),
            }
        }
        panic!("no port was free in three tries");
    }

    /// Starts any command that serves; gives back what it printed if it does not become ready.
    pub async fn start(command: Command, settings: &Settings) -> Result<Self, String> {
        let mut server = Self::spawn(command, settings, Ports::free());
        if server.becomes_ready().await { Ok(server) } else { Err(server.log()) }
    }

    /// Starts any command that serves at these ports, and does not wait for it.
    pub fn spawn(mut command: Command, settings: &Settings, ports: Ports) -> Self {
        let listen = [("API", "LISTEN", ports.api), ("OPS", "LISTEN", ports.ops)]
            .into_iter()
            .chain([("OTLP", "GRPC_LISTEN", ports.otlp_grpc), ("OTLP", "HTTP_LISTEN", ports.otlp_http)]);
        for (section, key, port) in listen {
            command.env(format!("DOORWARD_{section}__{key}"), local(port));
        }
        command.envs(settings.0.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::default();
        collect(child.stdout.take().unwrap(), &log);
        collect(child.stderr.take().unwrap(), &log);
        Self { child, log, ports }
    }

    /// `host:port` of the API.
    pub fn api(&self) -> String {
        self.ports.api()
    }

    /// `host:port` of health, readiness and metrics.
    pub fn ops(&self) -> String {
        local(self.ports.ops)
    }

    /// `host:port` of OTLP over gRPC.
    pub fn otlp_grpc(&self) -> String {
        local(self.ports.otlp_grpc)
    }

    /// `host:port` of OTLP over HTTP.
    pub fn otlp_http(&self) -> String {
        local(self.ports.otlp_http)
    }

    /// Everything that it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to end, as a supervisor would.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let order = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &order]).status().unwrap().success());
    }

    /// Waits for its end.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let end = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the server does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks it to end and waits until it has.
    pub async fn stop(mut self) -> String {
        self.terminate();
        let status = self.ended(PATIENCE).await;
        assert_eq!(status.code(), Some(0), "{}", self.log());
        self.log()
    }

    /// Ends it at once, as a crash would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it is ready; `false` if it ended or took too long.
    pub async fn becomes_ready(&mut self) -> bool {
        let ready = self.says_ready().await;
        if ready {
            self.listens_everywhere().await;
        }
        ready
    }

    /// Waits until it says that it is ready; `false` if it ended or took too long.
    pub async fn says_ready(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && self.is_alive() {
            if rest::get(&self.ops(), "/ready").await.is_ok_and(|answer| answer.status == 200) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // What it printed last may still be on its way.
        tokio::time::sleep(Duration::from_millis(100)).await;
        false
    }

    /// Whoever is ready takes connections, at every port.
    async fn listens_everywhere(&self) {
        for address in [self.api(), self.ops(), self.otlp_grpc(), self.otlp_http()] {
            let connected = tokio::net::TcpStream::connect(&address).await;
            assert!(connected.is_ok(), "it says that it is ready and does not listen on {address}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.char_indices().rev().nth(6_000).map_or(0, |(at, _)| at);
            println!("--- the end of the server's log ---\n{}", &log[tail..]);
        }
    }
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn collect(mut from: impl Read + Send + 'static, to: &Arc<Mutex<Vec<u8>>>) {
    let to = to.clone();
    std::thread::spawn(move || {
        let mut part = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut part) {
            to.lock().unwrap().extend_from_slice(&part[..length]);
        }
    });
}
