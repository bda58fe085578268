//! Sessions: refreshed, listed, ended.

use super::login::Tokens;
use super::people::Visitor;
use super::{App, Caller, tokens};
use crate::domain::audit::{Action, Actor};
use crate::domain::paging::Page;
use crate::domain::sessions::{REISSUE_FOR, Session};
use crate::domain::{Failure, Fault, Reason, Refusal, SessionId, Timestamp, UserId};
use crate::secret::{Bearer, Class, successor_open, successor_seal};
use crate::store::people as people_rows;
use crate::store::sessions::{self as rows, Successor};
use crate::store::{Across, Error, Tx, Written};

/// What a refresh token was found to be.
enum Spent {
    /// Spent now; the new one is on its way to its holder.
    Now,
    /// Spent a moment ago, and what it was spent for has not been used: the
    /// answer may have been lost, or two refreshed at the same time.
    Lately(Successor),
    /// Spent before. Whoever brings it is not who was given the successor, or
    /// the other way round.
    Before,
}

impl App {
    /// Changes a refresh token for fresh tokens.
    ///
    /// # Errors
    /// `INVALID_TOKEN` if there is no such token; `SESSION_REVOKED` if its
    /// session has ended, or ends because the token was spent before.
    pub async fn session_refresh(&self, visitor: &Visitor, token: &str) -> Result<Tokens, Failure> {
        let now = self.clock.now();
        let token = Bearer::parse(Class::Refresh, token)
            .map_err(|_malformed: crate::secret::NotABearer| tokens::invalid())?;
        let session = self.of_refresh(&token).await?;
        alive(&session, now)?;
        let user = session.state.user;
        // What they are now: nothing that was taken from them lives on in a token.
        let named = session.state.tenant.to_string();
        let place = match self.tenant_of(user, Some(&named)).await {
            Err(Failure::Refused(told)) if told.reason == Reason::TenantMismatch => {
                return Err(Refusal::session_revoked().into());
            }
            other => other?,
        };
        let person = people_rows::person_by_id(&mut self.store.read(Across::People).await?, user).await?;
        let person = person.filter(|person| !person.disabled).ok_or_else(Refusal::session_revoked)?;
        let next = Bearer::mint(Class::Refresh, &*self.entropy);
        let next = match self.spend(visitor, &token, &session, &next, now).await? {
            Spent::Now => next,
            Spent::Lately(successor) => successor_open(&token, &successor.sealed).map_err(Fault::new)?,
            Spent::Before => {
                let action = Action::RefreshTokenReused;
                self.end(&visitor.actor(user), &session, action, visitor.deadline).await?;
                self.people.post(|letters| letters.refresh_reused(person.email.clone(), now));
                return Err(Refusal::session_revoked().into());
            }
        };
        self.tokens_for(session, person.email, place.role, next, None, now).await
    }

    /// Ends the caller's session, or the one of a refresh token.
    pub async fn session_logout(
        &self,
        caller: Option<&Caller>,
        visitor: &Visitor,
        refresh: Option<&str>,
    ) -> Result<Written<()>, Failure> {
        if let Some(refresh) = refresh {
            let token = Bearer::parse(Class::Refresh, refresh)
                .map_err(|_malformed: crate::secret::NotABearer| tokens::invalid())?;
            let session = self.of_refresh(&token).await?;
            let actor = visitor.actor(session.state.user);
            return self.end(&actor, &session, Action::SessionRevoked, visitor.deadline).await;
        }
        let caller = caller.ok_or_else(Refusal::credentials_missing)?;
        let id = caller
            .verified
            .credential
            .session()
            .ok_or_else(|| Refusal::invalid("refresh_token", "is needed: a key has no session to end"))?;
        self.session_revoke(caller, id).await
    }

    /// A page of the caller's live sessions, and whether there is more.
    pub async fn session_list(&self, caller: &Caller, page: Page) -> Result<(Vec<Session>, bool), Failure> {
        let user = caller.person()?;
        let conn = &mut self.store.read(caller.tenant()).await?;
        let mut found = rows::session_page(conn, caller.tenant(), user, self.clock.now(), page).await?;
        let more = found.len() > usize::from(page.size);
        found.truncate(usize::from(page.size));
        Ok((found, more))
    }

    /// Ends one of the caller's sessions. Doing so again changes nothing.
    pub async fn session_revoke(&self, caller: &Caller, id: SessionId) -> Result<Written<()>, Failure> {
        let user = caller.person()?;
        let found = rows::session_by_id(&mut self.store.read(caller.tenant()).await?, id).await?;
        let session =
            found.filter(|session| session.state.user == user && session.state.tenant == caller.tenant());
        let session = session.ok_or_else(|| self.absent(Refusal::not_found("session")))?;
        let actor = caller.actor_without_credential();
        self.end(&actor, &session, Action::SessionRevoked, caller.deadline).await
    }

    /// Ends all sessions of the caller in this tenant; gives how many there were.
    pub async fn session_revoke_all(
        &self,
        caller: &Caller,
        keep_current: bool,
    ) -> Result<Written<usize>, Failure> {
        let user = caller.person()?;
        let kept = caller.verified.credential.session().filter(|_| keep_current);
        let event = self.event(caller.tenant(), Action::SessionsRevoked, user, self.clock.now());
        let (store, actor, tenant) = (self.store.clone(), caller.actor_without_credential(), caller.tenant());
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    let live = rows::sessions_live(tx, user, Some(tenant)).await?;
                    end_all(tx, live, kept).await
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        Ok(self.settled_by(written, true, caller.deadline).await?.0)
    }

    async fn of_refresh(&self, token: &Bearer) -> Result<Session, Failure> {
        let conn = &mut self.store.read(Across::People).await?;
        let found = rows::refresh_by_digest(conn, token.digest()).await?;
        let session = match found {
            Some(found) => rows::session_by_id(conn, found.session).await?,
            None => None,
        };
        session.ok_or_else(|| self.absent(tokens::invalid()))
    }

    /// Spends a refresh token for `next`, if nobody has before.
    async fn spend(
        &self,
        visitor: &Visitor,
        token: &Bearer,
        session: &Session,
        next: &Bearer,
        now: Timestamp,
    ) -> Result<Spent, Failure> {
        let sealed = successor_seal(token, next, &*self.entropy).map_err(Fault::new)?;
        let successor = Successor { digest: next.digest(), sealed };
        let (state, digest) = (session.state.clone(), token.digest());
        let event = self.event(state.tenant, Action::SessionRefreshed, state.user, now);
        let (store, actor) = (self.store.clone(), visitor.actor(state.user));
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    // Whoever ends the session waits, or has ended it.
                    let session = rows::session_for_update(tx, state.id).await?;
                    let session = session.ok_or_else(tokens::invalid)?;
                    alive(&session, now)?;
                    tx.fact("session", state.id);
                    if rows::refresh_spend(tx, digest, state.id, &successor).await? {
                        return Ok(Spent::Now);
                    }
                    lately(tx, digest, now).await
                })
                .await
        };
        Ok(self.store.detached(writing).await?.value)
    }

    /// Ends a session, and returns when it has ended everywhere.
    async fn end(
        &self,
        actor: &Actor,
        session: &Session,
        action: Action,
        deadline: Option<u64>,
    ) -> Result<Written<()>, Failure> {
        let state = session.state.clone();
        let event = self.event(state.tenant, action, state.user, self.clock.now());
        let (store, actor) = (self.store.clone(), actor.clone());
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    tx.fact("session", state.id);
                    rows::session_revoke(tx, &state).await?;
                    Ok::<_, Error>(())
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        Ok(self.settled_by(written, true, deadline).await?.0)
    }
}

/// Ends sessions of a person but one; gives how many.
pub(super) async fn end_all(
    tx: &mut Tx,
    live: Vec<Session>,
    kept: Option<SessionId>,
) -> Result<usize, Error> {
    let mut ended = 0;
    for session in live.iter().filter(|session| Some(session.state.id) != kept) {
        ended += usize::from(rows::session_revoke(tx, &session.state).await?);
    }
    Ok(ended)
}

/// Ends all sessions of a person in all tenants but one session.
pub(super) async fn end_everywhere(
    tx: &mut Tx,
    user: UserId,
    kept: Option<SessionId>,
) -> Result<usize, Error> {
    let live = rows::sessions_live(tx, user, None).await?;
    end_all(tx, live, kept).await
}

/// Whether a token that was spent may have been spent by its honest holder.
async fn lately(tx: &mut Tx, token: crate::domain::Digest, now: Timestamp) -> Result<Spent, Error> {
    let Some(found) = rows::refresh_for_update(tx, token).await? else { return Ok(Spent::Before) };
    let (Some(used), Some(next)) = (found.used, found.next) else { return Ok(Spent::Before) };
    let after = rows::refresh_for_update(tx, next.digest).await?;
    let unused = after.is_some_and(|after| after.used.is_none());
    Ok(if unused && now.since(used) <= REISSUE_FOR { Spent::Lately(next) } else { Spent::Before })
}

fn alive(session: &Session, now: Timestamp) -> Result<(), Refusal> {
    if session.state.revoked || session.state.expire <= now {
        Err(Refusal::session_revoked())
    } else {
        Ok(())
    }
}
