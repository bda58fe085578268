//! A server over a database of so many tenants, and what is asked of it.

use crate::{cpu, town};
use anyhow::{Context as _, Result, ensure};
use doorward::boot::Server;
use doorward::config::load;
use doorward::pb::v1::authn_service_client::AuthnServiceClient;
use doorward::pb::v1::keys_service_client::KeysServiceClient;
use doorward::pb::v1::verify_credential_response::Outcome;
use doorward::pb::v1::{ListApiKeysRequest, VerifyCredentialRequest};
use doorward::secret::Minted;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::Request;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};

/// Tells a child process that it is to serve over this database.
pub const DATABASE: &str = "DOORWARD_SCALE_DATABASE";

/// Callers that wait for their answers at the same time, and questions of each in a turn.
const CALLERS: usize = 16;
const CHECKS: usize = 2_000;
const LISTS: usize = 60;
/// Keys that are asked about.
const HOT: usize = 1_000;

/// What is asked.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Whether a key is good.
    Check,
    /// The first page of a tenant's keys, by the tenant's owner.
    List,
}

/// A running server.
pub struct House {
    process: Child,
    channel: Channel,
    secrets: Vec<Minted>,
    /// The numbers of the keys that are asked about.
    hot: Vec<usize>,
    turn: usize,
    /// From the start of the process until it answered.
    pub start: Duration,
    _directory: TempDir,
}

impl House {
    /// Seeds a database with as many tenants and starts a server over it.
    pub async fn open(tenants: u64) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("doorward.db");
        let secrets = town::secrets(tenants * town::KEYS_OF_TENANT)?;
        town::seed::seed(&path, &secrets).await?;
        let begin = Instant::now();
        let mut command = Command::new(std::env::current_exe()?);
        let mut process =
            command.env(DATABASE, &path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        BufReader::new(process.stdout.take().context("no output")?).read_line(&mut address)?;
        let start = begin.elapsed();
        let channel = Endpoint::from_shared(format!("http://{}", address.trim()))?.connect().await?;
        let hot = town::scattered(u64::try_from(secrets.len())?).take(HOT).map(usize::try_from);
        let hot = hot.collect::<Result<_, _>>()?;
        Ok(Self { process, channel, secrets, hot, turn: 0, start, _directory: directory })
    }

    /// How many keys there are.
    pub fn keys(&self) -> f64 {
        f64::from(u32::try_from(self.secrets.len()).unwrap_or(u32::MAX))
    }

    /// CPU time of the server for each answer of one turn, in µs.
    pub async fn ask(&mut self, kind: Kind) -> Result<f64> {
        let before = cpu::cpu_time(self.process.id())?;
        let each = match kind {
            Kind::Check => CHECKS,
            Kind::List => LISTS,
        };
        let mut asking = JoinSet::new();
        for caller in 0..CALLERS {
            self.turn += 1;
            let keys = (0..each).map(|at| self.key(kind, self.turn * 101 + at * CALLERS + caller));
            let keys = keys.collect::<Result<Vec<_>>>()?;
            let owner = self.secrets.first().context("no keys")?.reveal().to_owned();
            asking.spawn(ask_all(self.channel.clone(), kind, owner, keys));
        }
        while let Some(asked) = asking.join_next().await {
            asked??;
        }
        let cost = cpu::cpu_time(self.process.id())?.saturating_sub(before);
        Ok(cost.as_secs_f64() * 1e6 / f64::from(u32::try_from(each * CALLERS)?))
    }

    /// One of the keys that are asked about, of all tenants; for lists that of a tenant's owner.
    fn key(&self, kind: Kind, at: usize) -> Result<String> {
        let number = match kind {
            Kind::Check => *self.hot.get(at % self.hot.len()).context("there are no keys")?,
            Kind::List => {
                let a_tenant = usize::try_from(town::KEYS_OF_TENANT)?;
                at * 7 % (self.secrets.len() / a_tenant) * a_tenant
            }
        };
        Ok(self.secrets.get(number).context("there is no such key")?.reveal().to_owned())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if self.process.kill().is_ok() {
            drop(self.process.wait());
        }
    }
}

async fn ask_all(channel: Channel, kind: Kind, caller: String, keys: Vec<String>) -> Result<()> {
    for key in keys {
        match kind {
            Kind::Check => check(&channel, &caller, key).await?,
            Kind::List => list(&channel, &key).await?,
        }
    }
    Ok(())
}

async fn check(channel: &Channel, caller: &str, key: String) -> Result<()> {
    let mut client = AuthnServiceClient::new(channel.clone());
    let question = VerifyCredentialRequest { credential: key, ..Default::default() };
    let answer = client.verify_credential(with_bearer(question, caller)?).await?.into_inner();
    ensure!(matches!(answer.outcome, Some(Outcome::Principal(_))), "a good key is refused");
    Ok(())
}

async fn list(channel: &Channel, owner: &str) -> Result<()> {
    let mut client = KeysServiceClient::new(channel.clone());
    let question = ListApiKeysRequest { page_size: 50, ..Default::default() };
    let answer = client.list_api_keys(with_bearer(question, owner)?).await?.into_inner();
    ensure!(answer.api_keys.len() == 50, "a page has {} keys", answer.api_keys.len());
    Ok(())
}

fn with_bearer<T>(message: T, key: &str) -> Result<Request<T>> {
    let mut request = Request::new(message);
    let bearer: MetadataValue<_> = format!("Bearer {key}").parse()?;
    request.metadata_mut().insert("authorization", bearer);
    Ok(request)
}

/// Serves over a database until the parent goes away.
pub fn serve(database: &Path) -> Result<()> {
    let url = format!("sqlite://{}", database.to_str().context("the path is not text")?);
    let variables = [
        ("DOORWARD_DATABASE_URL", url.as_str()),
        ("DOORWARD_API__LISTEN", "127.0.0.1:0"),
        ("DOORWARD_OPS__LISTEN", "127.0.0.1:0"),
        ("DOORWARD_OTLP__GRPC_LISTEN", ""),
        ("DOORWARD_OTLP__HTTP_LISTEN", ""),
    ];
    let settings =
        load(None, variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let server = Server::start(settings).await?;
        let mut out = std::io::stdout();
        writeln!(out, "{}", server.addresses().api)?;
        out.flush()?;
        let (tell, gone) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
            drop(tell);
        });
        drop(gone.await);
        Ok(())
    })
}
