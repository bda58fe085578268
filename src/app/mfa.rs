//! Second factors: enrolled, confirmed, removed.

use super::login::{Factor, Taken, wrong_factor};
use super::people::sealed_at;
use super::{App, Caller};
use crate::domain::audit::Action;
use crate::domain::throttle::{Device, Subject};
use crate::domain::{Digest, Failure, Fault, Reason, Refusal, UserId};
use crate::secret::{BackupCode, Password, TotpSecret};
use crate::store::{Across, Error, Written, factors as rows, passkeys, people};
use zeroize::Zeroizing;

/// What an authenticator needs to begin.
#[derive(Debug)]
pub struct Enrolment {
    /// The secret in Base32.
    pub secret: Zeroizing<String>,
    /// The same as a URI.
    pub uri: Zeroizing<String>,
    /// The URI as a QR code.
    pub qr_svg: Zeroizing<String>,
}

impl App {
    /// Begins the enrolment of an authenticator.
    pub async fn totp_enroll(&self, caller: &Caller, password: String) -> Result<Enrolment, Failure> {
        let (user, now) = (caller.person()?, self.clock.now());
        let found = people::person_by_id(&mut self.store.read(Across::People).await?, user).await?;
        let person = found.ok_or_else(|| Refusal::not_found("person"))?;
        if !caller.is_recent(now) || !password.is_empty() {
            self.prove(caller, user, password).await?;
        }
        let secret = TotpSecret::generate(&*self.entropy);
        let sealed = self.people.sealer.seal(&sealed_at(&user), secret.reveal(), &*self.entropy);
        let sealed = sealed.map_err(Fault::new)?;
        let event = self.event(caller.tenant(), Action::TotpEnrolled, user, now);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            store
                .write_across(Across::People, &actor, event, async move |tx| {
                    rows::totp_enroll(tx, user, &sealed).await
                })
                .await
        };
        if !self.store.detached(writing).await?.value {
            let message = "there is an authenticator already; remove it first";
            return Err(Refusal::new(Reason::FailedPrecondition, message).with("state", "enrolled").into());
        }
        let (issuer, account) = (self.people.name.as_str(), person.email.as_str());
        let qr = secret.qr(issuer, account).map_err(Fault::new)?;
        Ok(Enrolment { secret: secret.base32(), uri: secret.uri(issuer, account), qr_svg: qr.svg() })
    }

    /// Confirms it by a code; gives the backup codes.
    pub async fn totp_confirm(
        &self,
        caller: &Caller,
        code: &str,
    ) -> Result<Written<Vec<BackupCode>>, Failure> {
        let (user, now) = (caller.person()?, self.clock.now());
        let found = rows::totp(&mut self.store.read(Across::People).await?, user).await?;
        let found = found.filter(|found| !found.confirmed).ok_or_else(|| {
            let message = "no enrolment waits for its confirmation";
            Refusal::new(Reason::FailedPrecondition, message).with("state", "not_enrolling")
        })?;
        let subjects = Subject::of_factor(user, None, None);
        self.count_try(&subjects, now).await?;
        let secret = self.totp_secret(user, &found.secret)?;
        let step = secret.check(code, now, found.last_step).ok_or_else(wrong_factor)?;
        let codes = BackupCode::set(&*self.entropy);
        let digests: Vec<_> = codes.iter().map(BackupCode::digest).collect();
        let event = self.event(caller.tenant(), Action::TotpConfirmed, user, now);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            store
                .write_across(Across::People, &actor, event, async move |tx| {
                    Taken::Totp(step).take(tx, user).await?;
                    if !rows::totp_confirm(tx, user).await? {
                        return Err(wrong_factor().into());
                    }
                    rows::backup_codes_replace(tx, user, &digests).await
                })
                .await
        };
        let Written { value: (), revision } = self.store.detached(writing).await?;
        self.count_success(&subjects).await?;
        self.tell_of_factors(user).await?;
        Ok(Written { value: codes.into(), revision })
    }

    /// Removes the authenticator by a fresh factor, and the backup codes unless
    /// there are passkeys that they stand in for.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` while the tenant demands a second factor.
    pub async fn totp_disable(&self, caller: &Caller, factor: Factor) -> Result<Written<()>, Failure> {
        let (user, now) = (caller.person()?, self.clock.now());
        if caller.verified.principal.demands_mfa() {
            let message = "the tenant demands a second factor";
            return Err(Refusal::new(Reason::FailedPrecondition, message)
                .with("state", "mfa_required")
                .into());
        }
        let (taken, subjects) = self.fresh_factor(caller, user, &factor, now).await?;
        let event = self.event(caller.tenant(), Action::TotpDisabled, user, now);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            store
                .write_across(Across::People, &actor, event, async move |tx| {
                    let enrolled = passkeys::enrolled_for_update(tx, user).await?;
                    taken.take(tx, user).await?;
                    rows::totp_delete(tx, user).await?;
                    // Codes stand in for passkeys too.
                    if enrolled.passkeys.is_empty() {
                        rows::backup_codes_replace(tx, user, &[]).await?;
                    }
                    Ok::<_, Error>(())
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        self.count_success(&subjects).await?;
        self.tell_of_factors(user).await?;
        Ok(written)
    }

    /// Puts new backup codes in the place of all others.
    pub async fn backup_codes_regenerate(
        &self,
        caller: &Caller,
        factor: Factor,
    ) -> Result<Written<Vec<BackupCode>>, Failure> {
        let (user, now) = (caller.person()?, self.clock.now());
        let (taken, subjects) = self.fresh_factor(caller, user, &factor, now).await?;
        let codes = BackupCode::set(&*self.entropy);
        let digests: Vec<_> = codes.iter().map(BackupCode::digest).collect();
        let event = self.event(caller.tenant(), Action::BackupCodesRegenerated, user, now);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            store
                .write_across(Across::People, &actor, event, async move |tx| {
                    taken.take(tx, user).await?;
                    rows::backup_codes_replace(tx, user, &digests).await
                })
                .await
        };
        let Written { value: (), revision } = self.store.detached(writing).await?;
        self.count_success(&subjects).await?;
        self.tell_of_factors(user).await?;
        Ok(Written { value: codes.into(), revision })
    }

    /// Makes sure that it is the person who is there, not their device alone.
    pub(super) async fn prove(&self, caller: &Caller, user: UserId, password: String) -> Result<(), Failure> {
        let now = self.clock.now();
        let found = people::person_by_id(&mut self.store.read(Across::People).await?, user).await?;
        let person = found.ok_or_else(|| Refusal::not_found("person"))?;
        let Ok(password) = Password::presented(password) else {
            return Err(super::login::wrong_login().into());
        };
        let account = self.account(&person.email, Some(&person));
        let network = caller.address.map(crate::domain::throttle::Network::of);
        let subjects = Subject::of_password(account, None, network);
        self.count_try(&subjects, now).await?;
        if !self.fits(password, Some(&person)).await?.fits {
            return Err(super::login::wrong_login().into());
        }
        self.store.throttle_change(&subjects, Subject::taken_back).await?;
        Ok(())
    }

    pub(super) async fn tell_of_factors(&self, user: UserId) -> Result<(), Failure> {
        let person = people::person_by_id(&mut self.store.read(Across::People).await?, user).await?;
        let now = self.clock.now();
        if let Some(person) = person {
            self.people.post(|letters| letters.factor_changed(person.email.clone(), now));
        }
        Ok(())
    }
}

/// What a factor is counted on. A passkey cannot be guessed: it waits for no
/// guesses at codes, and only what one login asks for is bounded.
pub(super) fn subjects_of(
    factor: &Factor,
    user: UserId,
    challenge: Option<Digest>,
    known: Option<Device>,
) -> Vec<Subject> {
    match factor {
        Factor::Passkey(_) => challenge.map(Subject::Challenge).into_iter().collect(),
        Factor::Totp(_) | Factor::BackupCode(_) => Subject::of_factor(user, challenge, known),
    }
}
