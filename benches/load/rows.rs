//! The rows of the report: each a server, a plan and the samples taken.

use crate::child::{Cores, Server};
use crate::drive::{self, Sample, Window};
use crate::options::{Options, Scenario};
use crate::session::{Plan, Shape};
use crate::verify::{self, Keys};
use crate::{echo, town};
use anyhow::{Context as _, Result, ensure};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tempfile::TempDir;

/// One line of the report.
pub struct Row {
    pub name: &'static str,
    /// One for each round.
    pub samples: Vec<Sample>,
    server: Rc<Server>,
    address: SocketAddr,
    plan: Rc<Plan>,
}

/// All rows of a run, and what they need.
#[derive(Default)]
pub struct Bench {
    pub rows: Vec<Row>,
    /// Starts of a server over many keys.
    pub starts: Vec<Duration>,
    keys: Option<Keys>,
    api: Option<SocketAddr>,
    directory: Option<TempDir>,
}

impl Bench {
    /// Starts the servers of the chosen scenarios.
    pub async fn start(options: &Options) -> Result<Self> {
        let mut bench = Self::default();
        if options.wants(Scenario::Stock) {
            let plan = Rc::new(echo::plan(options));
            bench.add("stock", &Rc::new(Server::start("stock", Cores::One, None)?), 0, &plan)?;
            bench.add("stock, all cores", &Rc::new(Server::start("stock", Cores::All, None)?), 0, &plan)?;
        }
        if [Scenario::Empty, Scenario::Verify, Scenario::Stream]
            .iter()
            .any(|scenario| options.wants(*scenario))
        {
            bench.add_doorward(options).await?;
        }
        Ok(bench)
    }

    /// Asks every server with an ordinary client, so that the figures are of servers that do their work.
    pub async fn check_answers(&self) -> Result<()> {
        for row in self.rows.iter().filter(|row| row.plan.is_echo()) {
            echo::call(row.address).await.with_context(|| format!("{} does not answer", row.name))?;
        }
        match (self.api, &self.keys) {
            (Some(api), Some(keys)) => verify::check(api, keys).await,
            _ => Ok(()),
        }
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
            let plan = Rc::clone(&row.plan);
            let sample = drive::measure(row.address, row.server.id(), plan, window).await;
            row.samples.push(sample.with_context(|| format!("{} fails", row.name))?);
        }
        Ok(())
    }

    /// Starts a server over many keys several times.
    pub async fn measure_starts(&mut self, options: &Options) -> Result<()> {
        const STARTS: usize = 3;
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("doorward.db");
        town::seed::seed(&path, &town::secrets(options.start_keys)?).await?;
        for _ in 0..STARTS {
            self.starts.push(Server::start("doorward", Cores::All, Some(&path))?.start);
        }
        Ok(())
    }

    async fn add_doorward(&mut self, options: &Options) -> Result<()> {
        let secrets = town::secrets(options.keys)?;
        let hot =
            town::scattered(options.keys).filter_map(|number| secrets.get(usize::try_from(number).ok()?));
        let reveal = |secret: &doorward::secret::Minted| secret.reveal().to_owned();
        let caller = secrets.first().map(reveal).context("there are no keys")?;
        let keys = Keys { caller, hot: hot.take(options.hot).map(reveal).collect() };
        ensure!(!keys.hot.is_empty(), "there are no keys to ask about");
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("doorward.db");
        town::seed::seed(&path, &secrets).await?;
        let server = Rc::new(Server::start("doorward", Cores::One, Some(&path))?);
        if options.wants(Scenario::Empty) {
            self.add("empty", &server, 1, &Rc::new(echo::plan(options)))?;
            self.add("health", &server, 0, &Rc::new(verify::health(options)))?;
        }
        if options.wants(Scenario::Verify) {
            self.add("verify", &server, 0, &Rc::new(verify::unary(&keys, options)?))?;
            self.add("callers", &server, 0, &Rc::new(verify::callers(&keys, options)))?;
        }
        if options.wants(Scenario::Stream) {
            self.add("stream-16", &server, 0, &Rc::new(verify::stream(&keys, 16, Shape::Stream)?))?;
            self.add(
                "stream-16-apart",
                &server,
                0,
                &Rc::new(verify::stream(&keys, 16, Shape::StreamApart)?),
            )?;
            self.add("stream-256", &server, 0, &Rc::new(verify::stream(&keys, 256, Shape::Stream)?))?;
        }
        self.api = Some(server.address(0)?);
        self.keys = Some(keys);
        self.directory = Some(directory);
        Ok(())
    }

    fn add(&mut self, name: &'static str, server: &Rc<Server>, port: usize, plan: &Rc<Plan>) -> Result<()> {
        let (server, address, plan) = (Rc::clone(server), server.address(port)?, Rc::clone(plan));
        self.rows.push(Row { name, samples: Vec::new(), server, address, plan });
        Ok(())
    }
}
