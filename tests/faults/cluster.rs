//! The replicas, each behind a proxy of its own, and their database.
use crate::harness::client::{Authn, Keys, Metadata};
use crate::harness::database::Database;
use crate::harness::postgres::Postgres;
use crate::harness::proxy::Proxy;
use crate::harness::server::{Ports, Server, Settings, doorward};
use crate::harness::world;
use crate::options::Options;
use doorward::pb::v1::authn_service_client::AuthnServiceClient;
use doorward::pb::v1::keys_service_client::KeysServiceClient;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// How long a connection to a replica may take to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// Letters of a replica's log that are worth showing.
const LOG_TAIL: usize = 3_000;

/// The whole installation.
pub struct Cluster {
    pub replicas: Vec<Arc<Replica>>,
    /// The owner's key.
    pub owner: String,
    /// The database's name.
    pub name: String,
    /// The PostgreSQL that is the primary now.
    primary: Mutex<Arc<Postgres>>,
}

impl Cluster {
    /// Bootstraps `postgres` and starts replicas that reach it through `port`: its own, or somebody in between.
    pub async fn start(postgres: Arc<Postgres>, port: u16, options: &Options) -> Self {
        let name = postgres.fresh_database().await;
        let block = world::bootstrap(&Database::at_port(postgres.port(), &name)).await;
        let owner = block["api_key"].as_str().unwrap().to_owned();
        let mut replicas = Vec::new();
        for index in 0..options.replicas {
            let replica = Replica::new(index, port, &name, settings(options)).await;
            let started = replica.start(&CancellationToken::new()).await;
            assert!(started, "replica {index} does not start:\n{}", replica.log_tail().await);
            replicas.push(Arc::new(replica));
        }
        Self { replicas, owner, name, primary: Mutex::new(postgres) }
    }

    /// The PostgreSQL that is the primary now.
    pub fn primary(&self) -> Arc<Postgres> {
        self.primary.lock().unwrap().clone()
    }

    /// Sends all replicas to another PostgreSQL.
    pub fn promote(&self, postgres: Arc<Postgres>) {
        for replica in &self.replicas {
            replica.proxy.point_at(postgres.port());
        }
        *self.primary.lock().unwrap() = postgres;
    }

    /// Runs statements at the database directly, again and again until it works or `stop`.
    pub async fn sql(&self, statements: &str, stop: &CancellationToken) -> Option<tokio_postgres::Client> {
        loop {
            let client = tokio::select! {
                client = connect(self.primary().port(), &self.name) => client,
                () = stop.cancelled() => return None,
            };
            if let Some(client) = client
                && client.batch_execute(statements).await.is_ok()
            {
                return Some(client);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A connection of the campaign's own, if it can be had at once.
pub async fn connect(port: u16, name: &str) -> Option<tokio_postgres::Client> {
    let parameters = format!("host=127.0.0.1 port={port} user=admin dbname={name} connect_timeout=2");
    let (client, connection) = tokio_postgres::connect(&parameters, tokio_postgres::NoTls).await.ok()?;
    tokio::spawn(connection);
    Some(client)
}

/// One place where a `doorward serve` runs, process after process.
pub struct Replica {
    pub index: u8,
    pub proxy: Proxy,
    pub channel: Channel,
    /// Held by whoever does something to it.
    pub struck: AsyncMutex<()>,
    server: AsyncMutex<Option<Server>>,
    living: AtomicBool,
    ports: Ports,
    database: Database,
    settings: Settings,
}

impl Replica {
    async fn new(index: u8, port: u16, name: &str, settings: Settings) -> Self {
        let proxy = Proxy::start(port).await;
        let ports = Ports::free();
        let endpoint = Endpoint::from_shared(format!("http://{}", ports.api())).unwrap();
        Self {
            index,
            database: Database::at_port(proxy.port(), name),
            proxy,
            channel: endpoint.connect_timeout(CONNECT).connect_lazy(),
            struck: AsyncMutex::new(()),
            server: AsyncMutex::new(None),
            living: AtomicBool::new(false),
            ports,
            settings,
        }
    }

    /// A client for keys with this credential.
    pub fn keys(&self, credential: &str) -> Keys {
        KeysServiceClient::with_interceptor(self.channel.clone(), Metadata::bearer(credential))
    }

    /// A client for checks with this credential.
    pub fn authn(&self, credential: &str) -> Authn {
        AuthnServiceClient::with_interceptor(self.channel.clone(), Metadata::bearer(credential))
    }

    /// Whether it runs, and is not stopped in its tracks.
    pub fn lives(&self) -> bool {
        self.living.load(Ordering::Relaxed)
    }

    /// Starts a process and waits until it is ready. A process that ends because there is no database is started
    /// again, as a supervisor would; gives up when `stop` says so.
    pub async fn start(&self, stop: &CancellationToken) -> bool {
        let mut server = self.server.lock().await;
        let end = Instant::now() + Duration::from_secs(30);
        while !stop.is_cancelled() || Instant::now() < end {
            let mut command = doorward();
            command.arg("serve").env("DOORWARD_DATABASE_URL", self.database.url());
            let next = server.insert(Server::spawn(command, &self.settings, self.ports));
            if next.becomes_ready().await {
                self.living.store(true, Ordering::Relaxed);
                return true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }

    /// Ends the process at once.
    pub async fn kill(&self) {
        self.living.store(false, Ordering::Relaxed);
        if let Some(server) = self.server.lock().await.take() {
            server.kill();
        }
    }

    /// Ends the process in order; at once if that takes longer than `patience`.
    pub async fn leave(&self, patience: Duration) {
        self.living.store(false, Ordering::Relaxed);
        let Some(mut server) = self.server.lock().await.take() else { return };
        server.terminate();
        let end = Instant::now() + patience;
        while server.is_alive() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops the process in its tracks, or lets it go on.
    pub async fn freeze(&self, frozen: bool) {
        if let Some(server) = &*self.server.lock().await {
            server.signal(if frozen { "STOP" } else { "CONT" });
            self.living.store(!frozen, Ordering::Relaxed);
        }
    }

    /// Whether the process has ended by itself; `false` while somebody does something to it.
    pub fn has_died(&self) -> bool {
        let (Ok(_struck), Ok(mut server)) = (self.struck.try_lock(), self.server.try_lock()) else {
            return false;
        };
        server.as_mut().is_some_and(|server| !server.is_alive())
    }

    /// The end of what the process has printed.
    pub async fn log_tail(&self) -> String {
        let log = self.server.lock().await.as_ref().map(Server::log).unwrap_or_default();
        let tail = log.char_indices().rev().nth(LOG_TAIL).map_or(0, |(at, _)| at);
        log[tail..].to_owned()
    }
}

fn settings(options: &Options) -> Settings {
    let settings = Settings::default()
        .set("otlp.backend", "sink")
        // An outage is not news here, and would fill memory.
        .set("log.filter", "warn,doorward::guard::status=off")
        .set("limits.default_per_minute", "0")
        .set("api.drain_ms", "1000")
        .set("coherence.lease_ms", options.lease_ms.to_string());
    let settings =
        options.settings.iter().fold(settings, |settings, (name, value)| settings.set(name, value));
    match &options.sabotage {
        Some(name) => settings.set("DOORWARD_SABOTAGE", name),
        None => settings,
    }
}
