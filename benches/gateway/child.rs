//! The servers under load, each a process of its own so that its CPU time is its own.

use crate::options::{Child, Options};
use crate::{doorward_server, servants};
use anyhow::{Context as _, Result};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{self, Command, ExitCode, Stdio};

/// A running server.
pub struct Server {
    process: process::Child,
    addresses: Vec<SocketAddr>,
}

/// What of the machine a server may use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// One thread of the runtime, on the first core if `taskset` is there: who is measured.
    First,
    /// One thread of the runtime, on the other cores: who stands behind.
    Others,
    /// As many threads as there are cores, anywhere.
    All,
}

/// Moves this process, and whatever it does itself, off the first core. Without `taskset` it stays where it is.
pub fn leave_first_core() {
    let pinned = taskset().args(["-c", "-p", OTHERS, &process::id().to_string()]).output();
    if !pinned.is_ok_and(|output| output.status.success()) {
        println!("not pinned to cores: `taskset` is missing or there is only one core");
    }
}

const FIRST: &str = "0";
const OTHERS: &str = "1-1023";
const EVERY: &str = "0-1023";

impl Server {
    /// Starts `child` with these arguments and waits until it is ready.
    pub fn start(child: &str, cores: Cores, arguments: &[&OsStr]) -> Result<Self> {
        let mut command = on_cores(std::env::current_exe()?.as_os_str(), cores);
        command.args(["--child", child]).args(arguments);
        // A sink writes a line for each export to its standard output.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let mut told = BufReader::new(process.stderr.take().context("the child has no output")?);
        let mut line = String::new();
        told.read_line(&mut line)?;
        std::thread::spawn(move || drop(std::io::copy(&mut told, &mut std::io::stderr())));
        let addresses = line.split_whitespace().map(str::parse).collect::<Result<Vec<_>, _>>();
        let addresses = addresses.with_context(|| format!("the {child} server did not start: {line}"))?;
        let server = Self { process, addresses };
        server.address(0).with_context(|| format!("the {child} server did not start"))?;
        Ok(server)
    }

    /// Starts a Doorward over the database at `path`, with these settings.
    pub fn doorward(path: &Path, cores: Cores, settings: &[String]) -> Result<Self> {
        let mut arguments = vec![OsStr::new("--database"), path.as_os_str()];
        for setting in settings {
            arguments.extend([OsStr::new("--set"), OsStr::new(setting)]);
        }
        Self::start("doorward", cores, &arguments)
    }

    /// Starts another program and waits until it listens at `address`.
    pub fn program(mut command: Command, address: SocketAddr) -> Result<Self> {
        const TRIES: usize = 500;
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let server = Self { process, addresses: vec![address] };
        for _ in 0..TRIES {
            if std::net::TcpStream::connect(address).is_ok() {
                return Ok(server);
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        anyhow::bail!("it does not listen at {address}")
    }

    /// One of the addresses that the child announced.
    pub fn address(&self, at: usize) -> Result<SocketAddr> {
        self.addresses.get(at).copied().context("the server has no such port")
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Closing its input would end it too, but not at once; it has nothing to save.
        if self.process.kill().is_ok() {
            drop(self.process.wait());
        }
    }
}

/// A command that runs `program` on some cores.
pub fn on_cores(program: &OsStr, cores: Cores) -> Command {
    let list = match cores {
        Cores::First => Some(FIRST),
        // This process's own.
        Cores::Others => None,
        Cores::All => Some(EVERY),
    };
    let has_taskset = taskset().arg("--version").output().is_ok_and(|output| output.status.success());
    let mut command = Command::new(program);
    if let (true, Some(list)) = (has_taskset, list) {
        command = taskset();
        command.args(["-c", list]).arg(program);
    }
    if cores != Cores::All {
        command.env("TOKIO_WORKER_THREADS", "1").env("GOMAXPROCS", "1");
    }
    command
}

/// Is `child`, until the parent goes away.
pub fn serve(child: Child, options: &Options) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match child {
        Child::Doorward => runtime.block_on(doorward_server::serve(options))?,
        Child::Receive | Child::Prost | Child::Pass => runtime.block_on(servants::serve(child, options))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells the parent where this process is ready.
pub fn announce(addresses: &[SocketAddr]) -> Result<()> {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    writeln!(std::io::stderr(), "{}", texts.join(" "))?;
    Ok(())
}

/// Resolves when the parent has closed this process's input.
pub async fn parent_gone() {
    let (tell, gone) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        drop(tell);
    });
    drop(gone.await);
}

fn taskset() -> Command {
    Command::new("taskset")
}
