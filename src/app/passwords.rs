//! Passwords: changed, set anew by a link; addresses, verified by a link.

use super::people::Visitor;
use super::sessions::end_everywhere;
use super::{App, Caller};
use crate::domain::audit::{Action, Actor};
use crate::domain::letters::{RESET_FOR, VERIFICATION_FOR};
use crate::domain::throttle::Subject;
use crate::domain::users::Email;
use crate::domain::{Failure, Reason, Refusal, SessionId, TenantId, Timestamp, UserId};
use crate::secret::{Bearer, Class, Known, Password, PasswordHash};
use crate::store::people::{self as rows, Purpose};
use crate::store::{Across, Error, Written};
use std::sync::Arc;

impl App {
    /// Changes the caller's password, and ends all their other sessions.
    pub async fn password_change(
        &self,
        caller: &Caller,
        current: String,
        new: String,
    ) -> Result<Written<()>, Failure> {
        let (user, now) = (caller.person()?, self.clock.now());
        self.prove(caller, user, current).await?;
        let found = rows::person_by_id(&mut self.store.read(Across::People).await?, user).await?;
        let person = found.ok_or_else(|| Refusal::not_found("person"))?;
        let hash = self.new_hash(new, &person.email).await?;
        let kept = caller.verified.credential.session();
        let (actor, tenant) = (caller.actor(), caller.tenant());
        let before = person.password_hash.as_deref();
        let set =
            self.set_password(actor, tenant, user, kept, before, hash, Action::PasswordChanged, now).await?;
        let told = self.settled_by(set, true, caller.deadline).await?.0;
        self.people.post(|letters| letters.password_changed(person.email.clone(), now));
        Ok(told)
    }

    /// Mails a link by which the password can be set anew, if there is such a
    /// person. Takes as long if there is not.
    pub async fn password_request_reset(
        self: &Arc<Self>,
        visitor: &Visitor,
        email: &str,
    ) -> Result<(), Failure> {
        let now = self.clock.now();
        let email: Email = email
            .trim()
            .parse()
            .map_err(|bad: crate::domain::users::BadEmail| Refusal::invalid("email", bad.to_string()))?;
        let person = rows::person_by_email(&mut self.store.read(Across::People).await?, &email).await?;
        let subjects = [Subject::Letters(self.account(&email, person.as_ref()))];
        self.count_try(&subjects, now).await?;
        // What there is to do for a person is done after the answer, which so
        // takes as long for everybody.
        let place = Arc::clone(&self.people.mailing).try_acquire_owned();
        if let Some(person) = person.filter(|person| !person.disabled) {
            let Ok(place) = place else {
                tracing::warn!("too many letters are being written; one was not");
                return Ok(());
            };
            let (app, actor) = (Arc::clone(self), visitor.actor(person.id));
            tokio::spawn(async move {
                let _place = place;
                if let Err(failure) = app.mail_reset(actor, person.id, email, now).await {
                    tracing::error!(%failure, "a link to set a password was not mailed");
                }
            });
        }
        Ok(())
    }

    async fn mail_reset(
        &self,
        actor: Actor,
        user: UserId,
        email: Email,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let token = Bearer::mint(Class::Reset, &*self.entropy);
        self.mailed(actor, &token, user, &email, Purpose::Reset, now).await?;
        self.people.post(|letters| letters.password_reset(email, token.reveal()));
        Ok(())
    }

    /// Sets a password by the token of such a link, and ends all sessions.
    pub async fn password_reset(
        &self,
        visitor: &Visitor,
        token: &str,
        new: String,
    ) -> Result<Written<()>, Failure> {
        let now = self.clock.now();
        let Ok(token) = Bearer::parse(Class::Reset, token) else { return Err(bad_link().into()) };
        let digest = token.digest();
        let conn = &mut self.store.read(Across::People).await?;
        let owner =
            rows::mailed_owner(conn, digest, Purpose::Reset).await?.ok_or_else(|| self.absent(bad_link()))?;
        let person = rows::person_by_id(conn, owner).await?.ok_or_else(bad_link)?;
        let tenant = first_tenant(&rows::memberships(conn, owner, 1).await?);
        // Before the token is taken: a password that is too weak does not use it up.
        let hash = self.new_hash(new, &person.email).await?;
        let event = self.event(tenant, Action::PasswordReset, owner, now);
        let (store, actor) = (self.store.clone(), visitor.actor(owner));
        let writing = async move {
            store
                .write_across(Across::People, &actor, event, async move |tx| {
                    let Some((user, email)) = rows::mailed_take(tx, digest, Purpose::Reset).await? else {
                        return Err(bad_link().into());
                    };
                    rows::password_replace(tx, user, None, hash.as_str()).await?;
                    // They read the letter, so the address is theirs. A letter to
                    // an address that they no longer have says nothing.
                    rows::email_verified(tx, user, &email).await?;
                    rows::challenges_forget(tx, user).await?;
                    rows::devices_forget(tx, user).await?;
                    end_everywhere(tx, user, None).await?;
                    Ok::<_, Error>(())
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        let told = self.settled_by(written, true, visitor.deadline).await?.0;
        let account = self.account(&person.email, Some(&person));
        self.count_success(&[Subject::Elsewhere(account)]).await?;
        self.store.throttle_change(&[Subject::Factor(owner)], Subject::eased).await?;
        self.people.post(|letters| letters.password_changed(person.email.clone(), now));
        Ok(told)
    }

    /// Mails a link by which the caller shows that the address is theirs.
    pub async fn email_request_verification(&self, caller: &Caller) -> Result<(), Failure> {
        let (user, now) = (caller.person()?, self.clock.now());
        let found = rows::person_by_id(&mut self.store.read(Across::People).await?, user).await?;
        let person = found.ok_or_else(|| Refusal::not_found("person"))?;
        let account = self.account(&person.email, Some(&person));
        self.count_try(&[Subject::Letters(account)], now).await?;
        let token = Bearer::mint(Class::Verification, &*self.entropy);
        self.mailed(caller.actor(), &token, user, &person.email, Purpose::Verification, now).await?;
        self.people.post(|letters| letters.email_verification(person.email, token.reveal()));
        Ok(())
    }

    /// Takes the token of such a link.
    pub async fn email_verify(&self, visitor: &Visitor, token: &str) -> Result<Written<()>, Failure> {
        let now = self.clock.now();
        let Ok(token) = Bearer::parse(Class::Verification, token) else { return Err(bad_link().into()) };
        let digest = token.digest();
        let conn = &mut self.store.read(Across::People).await?;
        let owner = rows::mailed_owner(conn, digest, Purpose::Verification)
            .await?
            .ok_or_else(|| self.absent(bad_link()))?;
        let tenant = first_tenant(&rows::memberships(conn, owner, 1).await?);
        let event = self.event(tenant, Action::EmailVerified, owner, now);
        let (store, actor) = (self.store.clone(), visitor.actor(owner));
        let writing = async move {
            store
                .write_across(Across::People, &actor, event, async move |tx| {
                    let Some((user, email)) = rows::mailed_take(tx, digest, Purpose::Verification).await?
                    else {
                        return Err(bad_link().into());
                    };
                    if rows::email_verified(tx, user, &email).await? {
                        Ok(())
                    } else {
                        Err(bad_link().into())
                    }
                })
                .await
        };
        Ok(self.store.detached(writing).await?)
    }

    async fn new_hash(&self, new: String, email: &Email) -> Result<PasswordHash, Failure> {
        let password = Password::presented(new).map_err(|bad| bad.refusal("new_password"))?;
        let known = Known::of([email.as_str(), self.people.name.as_str()]);
        self.people.hashing.set("new_password", password, known).await
    }

    #[expect(clippy::too_many_arguments, reason = "one write, with all that it says")]
    async fn set_password(
        &self,
        actor: Actor,
        tenant: TenantId,
        user: UserId,
        kept: Option<SessionId>,
        before: Option<&str>,
        hash: PasswordHash,
        action: Action,
        now: Timestamp,
    ) -> Result<Written<()>, Failure> {
        let event = self.event(tenant, action, user, now);
        let (store, before) = (self.store.clone(), before.map(str::to_owned));
        let writing = async move {
            store
                .write_across(Across::People, &actor, event, async move |tx| {
                    if !rows::password_replace(tx, user, before.as_deref(), hash.as_str()).await? {
                        let message = "the password was changed meanwhile";
                        return Err(Refusal::new(Reason::EtagMismatch, message).into());
                    }
                    rows::mailed_forget(tx, user, Purpose::Reset).await?;
                    rows::challenges_forget(tx, user).await?;
                    end_everywhere(tx, user, kept).await?;
                    Ok::<_, Error>(())
                })
                .await
        };
        Ok(self.store.detached(writing).await?)
    }

    async fn mailed(
        &self,
        actor: Actor,
        token: &Bearer,
        user: UserId,
        email: &Email,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let (action, life) = match purpose {
            Purpose::Reset => (Action::PasswordResetRequested, RESET_FOR),
            Purpose::Verification => (Action::EmailVerificationRequested, VERIFICATION_FOR),
        };
        let tenant =
            first_tenant(&rows::memberships(&mut self.store.read(Across::People).await?, user, 1).await?);
        let event = self.event(tenant, action, user, now);
        let (store, digest, email) = (self.store.clone(), token.digest(), email.clone());
        let writing = async move {
            store
                .write_across(Across::People, &actor, event, async move |tx| {
                    rows::mailed_insert(tx, digest, user, purpose, &email, now.plus(life)).await
                })
                .await
        };
        self.store.detached(writing).await?;
        Ok(())
    }
}

/// Where what a person does outside of any tenant is written down.
fn first_tenant(memberships: &[(TenantId, crate::domain::roles::Assigned)]) -> TenantId {
    memberships.first().map_or(TenantId::from_bytes([0; 16]), |(tenant, _)| *tenant)
}

fn bad_link() -> Refusal {
    Refusal::new(Reason::InvalidToken, "the link is not good any more; ask for another")
}
