//! The servers under load, each a process of its own so that its CPU time is its own.

use crate::options::{Child, Options};
use crate::{doorward_server, stock};
use anyhow::{Context as _, Result};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{self, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// A running server.
pub struct Server {
    process: process::Child,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// From the start of the process until it was ready to answer.
    pub start: Duration,
}

/// What of the machine a server may use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// One thread of the runtime, on the first core if `taskset` is there.
    One,
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
    /// Starts `child` and waits until it is ready.
    pub fn start(child: &str, cores: Cores, database: Option<&Path>) -> Result<Self> {
        let begin = Instant::now();
        let mut command = server_command(cores)?;
        command.args(["--child", child]).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(path) = database {
            command.args([OsStr::new("--database"), path.as_os_str()]);
        }
        let mut process = command.spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("the child has no output")?).read_line(&mut line)?;
        let start = begin.elapsed();
        let addresses = line.split_whitespace().map(str::parse).collect::<Result<Vec<_>, _>>()?;
        let server = Self { process, addresses, start };
        server.address(0).with_context(|| format!("the {child} server did not start"))?;
        Ok(server)
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

/// Is `child`, until the parent goes away.
pub fn serve(child: Child, options: &Options) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match child {
        Child::Stock => runtime.block_on(stock::serve())?,
        Child::Doorward => {
            let path = options.database.as_deref().context("a Doorward needs a database")?;
            runtime.block_on(doorward_server::serve(path))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells the parent where this process is ready.
pub fn announce(addresses: &[SocketAddr]) -> Result<()> {
    let mut out = std::io::stdout();
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    writeln!(out, "{}", texts.join(" "))?;
    out.flush()?;
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

fn server_command(cores: Cores) -> Result<Command> {
    let executable = std::env::current_exe()?;
    let has_taskset = taskset().arg("--version").output().is_ok_and(|output| output.status.success());
    let mut command = if has_taskset { taskset() } else { Command::new(&executable) };
    if has_taskset {
        command.args(["-c", if cores == Cores::One { FIRST } else { EVERY }]).arg(&executable);
    }
    if cores == Cores::One {
        command.env("TOKIO_WORKER_THREADS", "1");
    }
    Ok(command)
}

fn taskset() -> Command {
    Command::new("taskset")
}
