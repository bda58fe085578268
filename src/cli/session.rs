//! One run of a client verb: the connection and what it may use of the process.

use crate::cli::Global;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::prompt::Terminal;
use crate::client::login::{self, LoginError, Logins, Tokens, Who};
use crate::client::{self, Address, Client, CredentialError, Options, Presented, Refusal, Repeat};
use crate::domain::Timestamp;
use crate::pb::v1::ErrorReason;
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
    /// Whoever can be asked, if standard input is a terminal.
    pub terminal: Option<Box<dyn Terminal>>,
    /// The present.
    pub now: jiff::Timestamp,
}

/// A connection with the caller's credential, and the world around it.
pub struct Session<'a> {
    /// The connection.
    pub client: Client,
    /// The world around it.
    pub world: &'a mut World,
    address: Address,
    login: Option<Held>,
}

/// The kept login that a session stands on.
struct Held {
    logins: Logins,
    tokens: Tokens,
}

/// What a session stands on.
enum Credential {
    Key(Presented),
    Login(Held),
}

impl<'a> Session<'a> {
    /// Connects as the options and the environment say: with the key of the
    /// environment if there is one, else with the login that is kept for the server.
    pub async fn open(global: &Global, world: &'a mut World) -> Result<Self, Failure> {
        let address = Address::parse(&global.address)?;
        match credential(&address, world)? {
            Credential::Key(key) => {
                Self::connect(address, Some(&key), global.tenant.clone(), global, world).await
            }
            Credential::Login(held) => Self::with_login(address, held, global, world).await,
        }
    }

    /// Connects with the login that is kept for the server if there is one, and
    /// else without a credential: for calls to which a key is of no use.
    pub async fn of_person(global: &Global, world: &'a mut World) -> Result<Self, Failure> {
        let address = Address::parse(&global.address)?;
        match kept(&address, world)? {
            Some(held) => Self::with_login(address, held, global, world).await,
            None => Self::anonymous(global, world).await,
        }
    }

    /// Connects without a credential, for calls that need none.
    pub async fn anonymous(global: &Global, world: &'a mut World) -> Result<Self, Failure> {
        let address = Address::parse(&global.address)?;
        Self::connect(address, None, None, global, world).await
    }

    /// Who is logged in, if the session stands on a login.
    pub fn person(&self) -> Option<&Who> {
        self.login.as_ref().map(|held| &held.tokens.user)
    }

    /// The server.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The present, as a login reckons it: the beginning of the command, so
    /// that a token is at its end rather too early than too late.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.world.now.as_microsecond())
    }

    /// Makes a call, repeated as [`client::call`] says. A kept login whose token
    /// is refused as expired is refreshed, and the call made once more.
    pub async fn call<T, F, A>(&mut self, repeat: Repeat, mut attempt: F) -> Result<T, Failure>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<Response<T>, Status>>,
    {
        let refusal = match self.once(repeat, &mut attempt).await? {
            Ok(answer) => return Ok(answer),
            Err(status) => Refusal::from(status),
        };
        if self.login.is_some() && refusal.is(ErrorReason::TokenExpired) {
            self.renew().await?;
            return Ok(self.once(repeat, &mut attempt).await??);
        }
        if refusal.is(ErrorReason::SessionRevoked) {
            self.leave().await?;
        }
        Err(Failure::Refused(Box::new(refusal)))
    }

    /// Forgets the login that this session stands on, for it is over.
    pub async fn leave(&mut self) -> Result<(), Failure> {
        match self.login.take() {
            Some(held) => Ok(held.logins.leave(&held.tokens, self.client.deadline()).await?),
            None => Ok(()),
        }
    }

    async fn with_login(
        address: Address,
        held: Held,
        global: &Global,
        world: &'a mut World,
    ) -> Result<Self, Failure> {
        let mut session = Self::connect(address, None, global.tenant.clone(), global, world).await?;
        session.client.present(&held.tokens.access)?;
        let is_stale = held.tokens.is_stale(session.now());
        session.login = Some(held);
        if is_stale {
            session.renew().await?;
        }
        Ok(session)
    }

    async fn connect(
        address: Address,
        key: Option<&Presented>,
        tenant: Option<String>,
        global: &Global,
        world: &'a mut World,
    ) -> Result<Self, Failure> {
        if address.is_exposed() {
            world
                .output
                .note(&format!("warning: {address} is not encrypted; your secrets can be read on the way"))?;
        }
        let options = Options { deadline: global.timeout, tenant, ..Options::default() };
        let waiting = format!("connecting to {address} …");
        let connection = Client::connect(&address, key, &options);
        let client = patiently(connection, &waiting, &mut world.output).await??;
        Ok(Self { client, world, address, login: None })
    }

    async fn once<T, F, A>(&mut self, repeat: Repeat, attempt: &mut F) -> Result<Result<T, Status>, Failure>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<Response<T>, Status>>,
    {
        let waiting = format!("waiting for {} …", self.address);
        let call = client::call(self.client.deadline(), repeat, attempt);
        patiently(call, &waiting, &mut self.world.output).await
    }

    async fn renew(&mut self) -> Result<(), Failure> {
        let now = self.now();
        let Some(held) = &mut self.login else { return Ok(()) };
        let waiting = format!("waiting for {} …", self.address);
        let fresh = login::fresh(&held.logins, &self.client, &held.tokens, now);
        held.tokens = patiently(fresh, &waiting, &mut self.world.output).await??;
        Ok(self.client.present(&held.tokens.access)?)
    }
}

fn credential(address: &Address, world: &World) -> Result<Credential, Failure> {
    let missing = match Presented::from_environment(&*world.environment) {
        Ok(key) => return Ok(Credential::Key(key)),
        Err(CredentialError::Missing) => CredentialError::Missing,
        Err(wrong) => return Err(wrong.into()),
    };
    Ok(Credential::Login(kept(address, world)?.ok_or(missing)?))
}

fn kept(address: &Address, world: &World) -> Result<Option<Held>, LoginError> {
    let logins = match Logins::locate(address, &*world.environment) {
        Ok(logins) => logins,
        Err(LoginError::NoPlace) => return Ok(None),
        Err(wrong) => return Err(wrong),
    };
    let tokens = logins.read()?.and_then(|login| login.tokens);
    Ok(tokens.map(|tokens| Held { logins, tokens }))
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
