//! The rows of the report: each a server, a plan and the samples taken.

use crate::child::{Cores, Server, on_cores};
use crate::drive::{self, Sample, Window};
use crate::options::{Options, Scenario};
use crate::payload::{self, Coding};
use crate::plan::Plan;
use crate::servants::COUNT;
use crate::town;
use anyhow::{Context as _, Result, ensure};
use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use tempfile::TempDir;

/// One line of the report.
pub struct Row {
    pub name: &'static str,
    pub plan: Rc<Plan>,
    /// One for each round.
    pub samples: Vec<Sample>,
    server: Rc<Server>,
    address: SocketAddr,
    /// The server that the exports have to arrive at.
    backend: Option<SocketAddr>,
}

/// All rows of a run, and what they need.
pub struct Bench {
    pub rows: Vec<Row>,
    key: String,
    export: Vec<u8>,
    spans: u64,
    /// Kept until the end: the database, and servers that no row measures.
    directory: TempDir,
    backend: Option<Rc<Server>>,
}

impl Bench {
    /// Starts the servers of the chosen scenarios.
    pub async fn start(options: &Options) -> Result<Self> {
        let secrets = town::secrets(town::KEYS_OF_TENANT)?;
        let directory = tempfile::tempdir()?;
        town::seed::seed(&directory.path().join("sink.db"), &secrets).await?;
        town::seed::seed(&directory.path().join("forward.db"), &secrets).await?;
        let mut bench = Self {
            rows: Vec::new(),
            key: secrets.first().context("there are no keys")?.reveal().to_owned(),
            export: payload::batch(options.spans),
            spans: u64::try_from(options.spans)?,
            directory,
            backend: None,
        };
        if [Scenario::Sink, Scenario::Http, Scenario::Coded].iter().any(|scenario| options.wants(*scenario)) {
            bench.add_sinks(options)?;
        }
        if [Scenario::Forward, Scenario::Coded].iter().any(|scenario| options.wants(*scenario)) {
            bench.add_forwarding(options)?;
        }
        Ok(bench)
    }

    /// Bytes of an export, not compressed.
    pub fn plain(&self) -> usize {
        self.export.len()
    }

    /// Measures every row once, beginning with another one in each round.
    pub async fn round(&mut self, round: usize, options: &Options) -> Result<()> {
        let window = Window {
            connections: options.connections,
            warm_up: Duration::try_from_secs_f64(options.warm_up)?,
            length: Duration::try_from_secs_f64(options.seconds)?,
        };
        let count = self.rows.len();
        for at in 0..count {
            let Some(row) = self.rows.get_mut((at + round) % count) else { continue };
            row.measure(window).await.with_context(|| format!("{} fails", row.name))?;
        }
        Ok(())
    }

    fn add_sinks(&mut self, options: &Options) -> Result<()> {
        let receive = Rc::new(Server::start("receive", Cores::First, &[])?);
        let doorward = self.doorward("sink.db", &["OTLP__BACKEND=sink".to_owned()])?;
        if options.wants(Scenario::Sink) {
            let prost = Rc::new(Server::start("prost", Cores::First, &[])?);
            let bare = self.grpc(None, Coding::Identity)?;
            self.add("receive", &receive, 0, &bare)?;
            self.add("sink", &doorward, 0, &self.grpc(Some(&self.key), Coding::Identity)?)?;
            self.add("prost", &prost, 0, &bare)?;
        }
        if options.wants(Scenario::Http) {
            let plan = Rc::new(Plan::http(&self.key, &self.export, self.spans));
            self.add("receive http", &receive, 0, &plan)?;
            self.add("sink http", &doorward, 1, &plan)?;
        }
        if options.wants(Scenario::Coded) {
            self.add("sink gzip", &doorward, 0, &self.grpc(Some(&self.key), Coding::Gzip)?)?;
            self.add("sink zstd", &doorward, 0, &self.grpc(Some(&self.key), Coding::Zstd)?)?;
        }
        Ok(())
    }

    fn add_forwarding(&mut self, options: &Options) -> Result<()> {
        let backend = Rc::new(Server::start("receive", Cores::Others, &[])?);
        let url = format!("http://{}", backend.address(0)?);
        self.backend = Some(Rc::clone(&backend));
        let settings = [format!("OTLP__BACKEND={url}"), "OTLP__BACKEND_PROTOCOL=grpc".to_owned()];
        let doorward = self.doorward("forward.db", &settings)?;
        let path = options.collector.as_deref();
        let collector = path.map(|path| self.collector(path, backend.address(0)?)).transpose()?;
        if options.wants(Scenario::Forward) {
            let pass =
                Rc::new(Server::start("pass", Cores::First, &[OsStr::new("--upstream"), OsStr::new(&url)])?);
            self.add("pass", &pass, 0, &self.grpc(None, Coding::Identity)?)?;
            self.add_compared(["forward", "collector"], &doorward, collector.as_ref(), Coding::Identity)?;
        }
        if options.wants(Scenario::Coded) {
            let names = [
                (["forward gzip", "collector gzip"], Coding::Gzip),
                (["forward zstd", "collector zstd"], Coding::Zstd),
            ];
            for (names, coding) in names {
                self.add_compared(names, &doorward, collector.as_ref(), coding)?;
            }
        }
        Ok(())
    }

    fn add_compared(
        &mut self,
        [forward, compared]: [&'static str; 2],
        doorward: &Rc<Server>,
        collector: Option<&Rc<Server>>,
        coding: Coding,
    ) -> Result<()> {
        let plan = self.grpc(Some(&self.key), coding)?;
        self.add(forward, doorward, 0, &plan)?;
        collector.map_or(Ok(()), |collector| self.add(compared, collector, 0, &plan))
    }

    fn doorward(&self, database: &str, settings: &[String]) -> Result<Rc<Server>> {
        Server::doorward(&self.directory.path().join(database), Cores::First, settings).map(Rc::new)
    }

    /// A Collector that takes the same key.
    fn collector(&self, program: &Path, backend: SocketAddr) -> Result<Rc<Server>> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let configuration =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gateway/collector/config.yaml");
        let mut command = on_cores(program.as_os_str(), Cores::First);
        command.arg("--config").arg(configuration);
        command.env("OTLP_GRPC", address.to_string()).env("BACKEND", backend.to_string());
        command.env("TOKEN", &self.key);
        Server::program(command, address).context("the Collector").map(Rc::new)
    }

    fn grpc(&self, key: Option<&str>, coding: Coding) -> Result<Rc<Plan>> {
        Plan::grpc(key, &self.export, self.spans, coding).map(Rc::new)
    }

    fn add(&mut self, name: &'static str, server: &Rc<Server>, port: usize, plan: &Rc<Plan>) -> Result<()> {
        let (server, address, plan) = (Rc::clone(server), server.address(port)?, Rc::clone(plan));
        let backend = self.backend.as_ref().map(|backend| backend.address(0)).transpose()?;
        self.rows.push(Row { name, plan, samples: Vec::new(), server, address, backend });
        Ok(())
    }
}

impl Row {
    /// Takes one sample, and sees to it that what was acknowledged has arrived.
    async fn measure(&mut self, window: Window) -> Result<()> {
        let before = self.backend.map(arrived).transpose()?;
        let sample = drive::measure(self.address, self.server.id(), Rc::clone(&self.plan), window).await?;
        if let Some((backend, before)) = self.backend.zip(before) {
            let arrived = arrived(backend)?.saturating_sub(before);
            ensure!(arrived >= sample.answers, "{arrived} of {} exports arrived", sample.answers);
        }
        self.samples.push(sample);
        Ok(())
    }
}

/// How many exports the back end has taken.
fn arrived(backend: SocketAddr) -> Result<u64> {
    let mut socket = TcpStream::connect(backend)?;
    write!(socket, "GET {COUNT} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let count = answer.lines().last().and_then(|line| line.split(' ').next());
    count.context("no count")?.parse().context("no count")
}
