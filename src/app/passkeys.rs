//! Passkeys: registered, listed, removed.

use super::login::{Factor, Taken};
use super::mfa::subjects_of;
use super::{App, Caller};
use crate::domain::audit::Action;
use crate::domain::passkeys::{MAX_PASSKEYS, Passkey};
use crate::domain::sessions::device_name;
use crate::domain::throttle::Subject;
use crate::domain::{Failure, Fault, PasskeyId, Reason, Refusal, SessionId, Timestamp, UserId};
use crate::secret::BackupCode;
use crate::secret::webauthn::{
    Attestation, Ceremonies, Challenge, NewCredential, Purpose, Rejected, RelyingParty, creation_options,
    request_options,
};
use crate::store::passkeys::{self as rows, Credential, Enrolled};
use crate::store::{Across, Error, Written, factors, people};

/// What the browser is asked.
#[derive(Debug)]
pub struct Asked {
    /// The standard's JSON.
    pub options: String,
    /// Until when it can be answered.
    pub expire: Timestamp,
}

/// A passkey that was registered.
#[derive(Debug)]
pub struct Registered {
    /// The passkey.
    pub passkey: Passkey,
    /// Codes that stand in for it, if it is the person's first factor.
    pub codes: Vec<BackupCode>,
}

impl App {
    /// Begins the registration of a passkey.
    ///
    /// # Errors
    /// `MFA_REQUIRED` if the person has a second factor, and neither gives it
    /// nor gave it a moment ago.
    pub async fn passkey_begin_registration(
        &self,
        caller: &Caller,
        password: String,
        factor: Option<Factor>,
    ) -> Result<Asked, Failure> {
        let party = self.relying_party()?;
        let (user, session) = of_session(caller)?;
        let now = self.clock.now();
        let found = people::person_by_id(&mut self.store.read(Across::People).await?, user).await?;
        let person = found.ok_or_else(|| Refusal::not_found("person"))?;
        let enrolled = rows::enrolled(&mut self.store.read(Across::People).await?, user).await?;
        if rows::is_full(&enrolled) {
            return Err(too_many().into());
        }
        let given = self.presence(caller, &enrolled, password, factor, now).await?;
        let (taken, subjects) = given.map_or((None, Vec::new()), |(taken, counted)| (Some(taken), counted));
        let event = self.event(caller.tenant(), Action::PasskeyRegistrationBegun, user, now);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            store
                .write_across(Across::People, &actor, event, async move |tx| match taken {
                    Some(taken) => taken.take(tx, user).await,
                    None => Ok(()),
                })
                .await
        };
        self.store.detached(writing).await?;
        self.count_success(&subjects).await?;
        let challenge = self.ask(&Purpose::Registration(user, session), now)?;
        let options =
            creation_options(party, &challenge, user.as_bytes(), person.email.as_str(), &enrolled.passkeys);
        Ok(Asked { options, expire: challenge.expire })
    }

    /// Registers the passkey that the browser made. With a person's first
    /// factor come backup codes.
    pub async fn passkey_finish_registration(
        &self,
        caller: &Caller,
        answer: &str,
        name: &str,
    ) -> Result<Written<Registered>, Failure> {
        let party = self.relying_party()?;
        let (user, session) = of_session(caller)?;
        let now = self.clock.now();
        let purpose = Purpose::Registration(user, session);
        let made = Attestation::read(answer)
            .and_then(|read| read.verify(party, &self.ceremonies(), &purpose, now))
            .map_err(|rejected| Refusal::invalid("credential_json", rejected.to_string()))?;
        let passkey = PasskeyId::new(now, &*self.entropy);
        let codes = BackupCode::set(&*self.entropy);
        let digests: Vec<_> = codes.iter().map(BackupCode::digest).collect();
        let named = device_name(if name.trim().is_empty() { "Passkey" } else { name });
        let (used, backed_up) = (made.used, made.backed_up);
        let credential = credential(passkey, user, made);
        let event = self.event(caller.tenant(), Action::PasskeyRegistered, user, now);
        let (store, actor, title) = (self.store.clone(), caller.actor(), named.clone());
        let writing = async move {
            store
                .write_across(Across::People, &actor, event, async move |tx| {
                    tx.fact("passkey", passkey);
                    let enrolled = rows::enrolled_for_update(tx, user).await?;
                    if !rows::challenge_use(tx, used.digest, used.expire).await? {
                        let message = Rejected::Challenge.to_string();
                        return Err(Refusal::invalid("credential_json", message).into());
                    }
                    if rows::is_full(&enrolled) {
                        return Err(too_many().into());
                    }
                    rows::passkey_insert(tx, &credential, &title).await.map_err(taken_already)?;
                    if !enrolled.is_some() {
                        factors::backup_codes_replace(tx, user, &digests).await?;
                    }
                    Ok(!enrolled.is_some())
                })
                .await
        };
        let Written { value: is_first, revision } = self.store.detached(writing).await?;
        self.tell_of_factors(user).await?;
        let passkey = Passkey { id: passkey, name: named, backed_up, create_time: now, last_used: None };
        let codes = if is_first { codes.into() } else { Vec::new() };
        Ok(Written { value: Registered { passkey, codes }, revision })
    }

    /// The caller's passkeys, the oldest first.
    pub async fn passkey_list(&self, caller: &Caller) -> Result<Vec<Passkey>, Failure> {
        let user = caller.person()?;
        Ok(rows::passkeys_of(&mut self.store.read(Across::People).await?, user).await?)
    }

    /// Asks the caller to show one of their passkeys, for what needs a fresh factor.
    pub async fn passkey_begin_assertion(&self, caller: &Caller) -> Result<Asked, Failure> {
        let party = self.relying_party()?;
        let (user, session) = of_session(caller)?;
        let enrolled = rows::enrolled(&mut self.store.read(Across::People).await?, user).await?;
        if enrolled.passkeys.is_empty() {
            let message = "there is no passkey; register one first";
            return Err(Refusal::new(Reason::FailedPrecondition, message).with("state", "no_passkey").into());
        }
        let challenge = self.ask(&Purpose::Presence(user, session), self.clock.now())?;
        let options = request_options(party, &challenge, &enrolled.passkeys);
        Ok(Asked { options, expire: challenge.expire })
    }

    /// Removes one of the caller's passkeys, by a fresh factor. With the last
    /// factor go the backup codes.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` if it is the last one, and the tenant demands one.
    pub async fn passkey_remove(
        &self,
        caller: &Caller,
        passkey: PasskeyId,
        factor: Factor,
    ) -> Result<Written<()>, Failure> {
        let (user, now) = (caller.person()?, self.clock.now());
        let (taken, subjects) = self.fresh_factor(caller, user, &factor, now).await?;
        let is_demanded = caller.verified.principal.demands_mfa();
        let event = self.event(caller.tenant(), Action::PasskeyRemoved, user, now);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            store
                .write_across(Across::People, &actor, event, async move |tx| {
                    // Before any row of a passkey: so two who remove wait for each other here alone.
                    let enrolled = rows::enrolled_for_update(tx, user).await?;
                    taken.take(tx, user).await?;
                    tx.fact("removed", passkey);
                    if !rows::passkey_delete(tx, passkey, user).await? {
                        return Err(Refusal::not_found("passkey").into());
                    }
                    if !enrolled.totp && enrolled.passkeys.len() == 1 {
                        if is_demanded {
                            return Err(last_factor().into());
                        }
                        factors::backup_codes_replace(tx, user, &[]).await?;
                    }
                    Ok(())
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        self.count_success(&subjects).await?;
        self.tell_of_factors(user).await?;
        Ok(written)
    }

    /// A factor that a caller gives for what a session alone may not do.
    pub(super) async fn fresh_factor(
        &self,
        caller: &Caller,
        user: UserId,
        factor: &Factor,
        now: Timestamp,
    ) -> Result<(Taken, Vec<Subject>), Failure> {
        let subjects = subjects_of(factor, user, None, None);
        self.count_try(&subjects, now).await?;
        let (_, session) = of_session(caller)?;
        let taken = self.factor(user, factor, Some(&Purpose::Presence(user, session)), now).await?;
        Ok((taken, subjects))
    }

    /// Makes sure that the person is there, by as much as their next login
    /// would need: else a session from before a factor was enrolled, or one
    /// that somebody left open, could add a way round that factor.
    async fn presence(
        &self,
        caller: &Caller,
        enrolled: &Enrolled,
        password: String,
        factor: Option<Factor>,
        now: Timestamp,
    ) -> Result<Option<(Taken, Vec<Subject>)>, Failure> {
        let user = caller.person()?;
        if let Some(factor) = factor {
            return Ok(Some(self.fresh_factor(caller, user, &factor, now).await?));
        }
        let is_strong = caller.verified.login.is_some_and(|login| login.methods.has_second_factor());
        if enrolled.is_some() && !(is_strong && caller.is_recent(now)) {
            let message = "give a second factor: a code, or one of the passkeys that are there";
            return Err(Refusal::new(Reason::MfaRequired, message).into());
        }
        if !caller.is_recent(now) || !password.is_empty() {
            self.prove(caller, user, password).await?;
        }
        Ok(None)
    }

    pub(super) fn relying_party(&self) -> Result<&RelyingParty, Refusal> {
        self.people.passkeys.as_ref().ok_or_else(|| {
            let message = "passkeys are off here: people.rp_id and people.origins are not set";
            Refusal::new(Reason::FailedPrecondition, message).with("state", "passkeys_off")
        })
    }

    pub(super) fn ceremonies(&self) -> Ceremonies<'_> {
        Ceremonies::new(&self.pepper)
    }

    pub(super) fn ask(&self, purpose: &Purpose, now: Timestamp) -> Result<Challenge, Failure> {
        let asked = self.ceremonies().ask(purpose, now, &*self.entropy);
        asked.ok_or_else(|| Fault::new("challenges cannot be sealed").into())
    }
}

/// The person and the session of a caller.
fn of_session(caller: &Caller) -> Result<(UserId, SessionId), Refusal> {
    let user = caller.person()?;
    let session = caller.verified.credential.session();
    Ok((user, session.ok_or_else(Refusal::credentials_missing)?))
}

fn credential(passkey: PasskeyId, user: UserId, made: NewCredential) -> Credential {
    Credential {
        passkey,
        user,
        credential_id: made.id,
        public_key: made.key.as_bytes().to_vec(),
        counter: made.counter,
        backup_eligible: made.backup_eligible,
        backed_up: made.backed_up,
    }
}

fn taken_already(error: Error) -> Error {
    match error {
        Error::Conflict => Refusal::new(Reason::AlreadyExists, "this passkey is registered already").into(),
        other @ (Error::Dangling | Error::Refused(_) | Error::Unavailable(_)) => other,
    }
}

fn too_many() -> Refusal {
    let message = format!("there are {MAX_PASSKEYS} passkeys already; remove one first");
    Refusal::new(Reason::FailedPrecondition, message).with("state", "too_many")
}

fn last_factor() -> Refusal {
    let message = "the tenant demands a second factor, and this is the last one";
    Refusal::new(Reason::FailedPrecondition, message).with("state", "mfa_required")
}
