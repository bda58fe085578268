//! One run of a client verb: the connection and what it may use of the process.

use crate::cli::Global;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::client::{self, Address, Client, Options, Presented, Repeat};
use jiff::Timestamp;
use std::ffi::OsString;
use std::future::Future;
use std::io::Read;
use std::time::Duration;
use tonic::{Response, Status};

/// How long a call may last before a line says what is being waited for.
const QUIET_FOR: Duration = Duration::from_secs(2);

/// Looks up a variable of the environment.
pub type Environment = dyn Fn(&str) -> Option<OsString> + Send;

/// What a verb uses of the process, so that tests can put their own in its place.
pub struct World {
    /// Where answers go.
    pub output: Output,
    /// The environment.
    pub environment: Box<Environment>,
    /// Standard input.
    pub input: Box<dyn Read + Send>,
    /// The present.
    pub now: Timestamp,
}

/// A connection with the caller's credential, and the world around it.
pub struct Session<'a> {
    /// The connection.
    pub client: Client,
    /// The world around it.
    pub world: &'a mut World,
    address: Address,
}

impl<'a> Session<'a> {
    /// Connects as the options and the environment say.
    pub async fn open(global: &Global, world: &'a mut World) -> Result<Self, Failure> {
        let address = Address::parse(&global.address)?;
        let credential = Presented::from_environment(&*world.environment)?;
        if address.is_exposed() {
            world
                .output
                .note(&format!("warning: {address} is not encrypted; your key can be read on the way"))?;
        }
        let options =
            Options { deadline: global.timeout, tenant: global.tenant.clone(), ..Options::default() };
        let waiting = format!("connecting to {address} …");
        let connection = Client::connect(&address, Some(&credential), &options);
        let client = patiently(connection, &waiting, &mut world.output).await??;
        Ok(Self { client, world, address })
    }

    /// Makes a call, repeated as [`client::call`] says.
    pub async fn call<T, F, A>(&mut self, repeat: Repeat, attempt: F) -> Result<T, Failure>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<Response<T>, Status>>,
    {
        let waiting = format!("waiting for {} …", self.address);
        let call = client::call(self.client.deadline(), repeat, attempt);
        Ok(patiently(call, &waiting, &mut self.world.output).await??)
    }
}

/// Awaits `work`, and says `waiting` on standard error once it takes long.
async fn patiently<T>(
    work: impl Future<Output = T>,
    waiting: &str,
    output: &mut Output,
) -> Result<T, Failure> {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = tokio::time::timeout(QUIET_FOR, work.as_mut()).await {
        return Ok(done);
    }
    output.note(waiting)?;
    Ok(work.await)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Format;
    use crate::cli::tests::Captured;

    #[tokio::test]
    async fn a_line_is_written_only_for_what_takes_long() {
        for (takes, said) in [(Duration::ZERO, ""), (QUIET_FOR + Duration::from_millis(50), "waiting\n")] {
            let err = Captured::default();
            let mut output = Output::new(Box::new(std::io::sink()), Box::new(err.clone()), Format::Table);
            patiently(tokio::time::sleep(takes), "waiting", &mut output).await.unwrap();
            assert_eq!(err.text(), said, "{takes:?}");
        }
    }
}
