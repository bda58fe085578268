//! What use cases of people share: how passwords are hashed, what is sealed,
//! how tokens are made, where letters go.

use super::hashing::HashingPool;
use super::tokens::Tokens;
use super::{App, Caller};
use crate::domain::audit::{Action, Actor, Event};
use crate::domain::letters::{Letter, Letters, Outbox};
use crate::domain::sessions::RECENT;
use crate::domain::throttle::{Account, Subject, Verdict};
use crate::domain::users::Email;
use crate::domain::{Correlation, Failure, Fault, Reason, Refusal, TenantId, Timestamp, UserId};
use crate::secret::webauthn::RelyingParty;
use crate::secret::{Password, PasswordHash, Place, Sealer, sha256};
use crate::store::people::Person;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Letters that are written at the same time, each with a transaction.
pub const MAILING: usize = 32;

/// What use cases of people need besides the rest of the app.
pub struct People {
    /// Hashes passwords.
    pub hashing: HashingPool,
    /// Seals what is kept readable.
    pub sealer: Sealer,
    /// Signs and reads access tokens.
    pub tokens: Arc<Tokens>,
    /// Writes letters; none where no base for their links is configured.
    pub letters: Option<Letters>,
    /// Places for letters that are written after their answer was given.
    pub mailing: Arc<Semaphore>,
    /// Takes letters.
    pub outbox: Arc<dyn Outbox>,
    /// What authenticators show as the issuer.
    pub name: String,
    /// Who asks for passkeys; none where they are off.
    pub passkeys: Option<RelyingParty>,
}

/// Somebody without a credential.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The request's correlation id.
    pub correlation: Correlation,
    /// The address that the request came from.
    pub address: Option<IpAddr>,
    /// When they stop waiting, on the boot-time clock (µs).
    pub deadline: Option<u64>,
    /// What their program calls itself.
    pub agent: String,
}

impl Visitor {
    /// The visitor as a person whose secret was right, for the audit log.
    pub(super) fn actor(&self, user: UserId) -> Actor {
        Actor {
            id: user.to_string(),
            credential: None,
            home: None,
            address: self.address,
            correlation: self.correlation.to_string(),
        }
    }
}

impl People {
    /// Leaves a letter to be carried. One that cannot be is counted by the mail
    /// room; nobody who asked for it may learn whether it went out.
    pub(super) fn post(&self, write: impl FnOnce(&Letters) -> Letter) {
        if let Some(letters) = &self.letters
            && let Err(full) = self.outbox.post(write(letters))
        {
            tracing::warn!(%full, "a letter is lost");
        }
    }
}

impl App {
    /// An event of a person in a tenant.
    pub(super) fn event(&self, tenant: TenantId, action: Action, user: UserId, now: Timestamp) -> Event {
        Event::new(tenant, action, user, now, &*self.entropy)
    }

    /// Whose password is guessed: a name without an account is counted as one
    /// that has one.
    pub(super) fn account(&self, email: &Email, person: Option<&Person>) -> Account {
        let digest = self.pepper.seal(sha256(email.as_str().as_bytes()));
        Account::of(person.map(|person| person.id), digest.unwrap_or_else(|| sha256(b"")))
    }

    /// A refusal for what the database does not have. While this replica has no
    /// lease its database may be one that others have left behind: then nobody
    /// knows.
    pub(super) fn absent(&self, refusal: Refusal) -> Failure {
        if self.verifier.is_ready(self.clock.moment()) {
            return refusal.into();
        }
        Fault::new("what is not in the database may be in another: there is no lease").into()
    }

    /// Counts a try before it is looked at.
    ///
    /// # Errors
    /// It may not be tried now; nothing was counted.
    pub(super) async fn count_try(&self, subjects: &[Subject], now: Timestamp) -> Result<(), Failure> {
        match self.store.throttle_try(subjects, now).await? {
            Verdict::Go => Ok(()),
            Verdict::Wait(wait) => Err(too_many(wait).into()),
            Verdict::Spent => {
                // A wait that no patience outlasts; what helps is another way in.
                let told = too_many(Duration::from_hours(1));
                let message = "too many failures: log in from a device that you have used before, \
                               or set a new password by letter";
                Err(Refusal { message: message.into(), ..told }.into())
            }
        }
    }

    /// The tries were right.
    pub(super) async fn count_success(&self, subjects: &[Subject]) -> Result<(), Failure> {
        Ok(self.store.throttle_change(subjects, Subject::after_success).await?)
    }

    /// A person's password, as it was sent: is it theirs? For nobody it never
    /// is, and takes as long.
    pub(super) async fn fits(
        &self,
        password: Password,
        person: Option<&Person>,
    ) -> Result<super::hashing::Verdict, Failure> {
        let stored = person.and_then(|person| person.password_hash.as_deref()).map(PasswordHash::stored);
        let stored = stored.transpose().map_err(Fault::new)?;
        self.people.hashing.verify(password, stored).await
    }
}

/// Where a person's sealed secret lives.
pub(super) fn sealed_at(user: &UserId) -> Place<'_> {
    Place { table: "totp_factors", column: "secret", row: user.as_bytes(), tenant: None }
}

impl Caller {
    /// The person of a session, for what keys may not do.
    ///
    /// # Errors
    /// It is a key.
    pub(super) fn person(&self) -> Result<UserId, Refusal> {
        let user = self.verified.login.and(self.user());
        user.ok_or_else(|| {
            let message = "this is for people who have logged in; a key cannot do it";
            Refusal::new(Reason::InsufficientPermissions, message)
        })
    }

    /// Whether the person proved who they are a moment ago.
    pub(super) fn is_recent(&self, now: Timestamp) -> bool {
        self.verified.login.is_some_and(|login| now.since(login.time) <= RECENT)
    }
}

fn too_many(wait: Duration) -> Refusal {
    let seconds = wait.as_secs_f64().ceil();
    let message = format!("too many tries; wait {seconds} s");
    let refusal = Refusal::new(Reason::RateLimitExceeded, message).with("retry_after", seconds);
    Refusal { retry_after: Some(wait), ..refusal }
}
