//! The one verifier: every credential on every surface is checked here, from
//! memory, without waiting for anything.

use super::audit::Refusals;
use super::tokens::Tokens;
use crate::domain::keys::{Environment, KeyKind};
use crate::domain::{Digest, Failure, Fault, GrantId, Moment, Refusal, Timestamp};
use crate::replica::Replica;
use crate::secret::{Forms, NotAKey, Pepper, sha256};
use crate::view::{Demand, Found, Held, Judge, Presented, Terms, Verified};
use std::net::IpAddr;
use std::sync::Arc;

/// Checks credentials.
pub struct Verifier {
    replica: Arc<Replica>,
    forms: Arc<Forms>,
    pepper: Pepper,
    tokens: Arc<Tokens>,
    default_per_minute: u32,
    refusals: Refusals,
}

impl Verifier {
    /// A verifier over this view. `default_per_minute` is the limit of keys
    /// whose tenant says nothing; 0 is none.
    pub fn new(
        replica: Arc<Replica>,
        forms: Arc<Forms>,
        pepper: Pepper,
        tokens: Arc<Tokens>,
        default_per_minute: u32,
    ) -> Self {
        Self { replica, forms, pepper, tokens, default_per_minute, refusals: Refusals::default() }
    }

    /// Checks a credential as presented, without its scheme. `at` must have
    /// been read after it came.
    ///
    /// # Errors
    /// [`Failure::Fault`] while the view may not answer: an outage is never
    /// told as a bad credential.
    pub fn check(&self, presented: &str, demand: &Demand<'_>, at: Moment) -> Result<Verified, Failure> {
        let form = self.forms.recognise(presented);
        let Ok(form) = form else { return self.check_token(presented, demand, at) };
        self.fresh(at)?;
        let profile = form.profile;
        let (digest, found) =
            self.find(presented, profile.check == 0).ok_or_else(Refusal::invalid_api_key)?;
        let presented =
            Presented { digest, kind: profile.kind, environment: profile.environment, login: None };
        self.verify(&presented, &found, demand, at)
    }

    /// Checks a break-glass grant that was entered by the master key.
    ///
    /// # Errors
    /// As for [`Verifier::check`].
    pub fn check_grant(&self, grant: GrantId, demand: &Demand<'_>, at: Moment) -> Result<Verified, Failure> {
        self.fresh(at)?;
        let digest = Digest::of_grant(grant);
        let found = self.replica.view.key(digest).ok_or_else(Refusal::grant_over)?;
        let (kind, environment) = (KeyKind::BreakGlass, Environment::Live);
        let presented = Presented { digest, kind, environment, login: None };
        Ok(self.judge().verify(&presented, &found, demand, at.wall)?)
    }

    /// Checks what has the form of no key: it may be an access token.
    fn check_token(&self, presented: &str, demand: &Demand<'_>, at: Moment) -> Result<Verified, Failure> {
        if !Tokens::is_one(presented) {
            return Err(Refusal::invalid_api_key().into());
        }
        self.fresh(at)?;
        let view = &self.replica.view;
        let says = self.tokens.read(view, presented, at.wall)?;
        let digest = Digest::of_session(says.session);
        let found = view.key(digest).ok_or_else(Refusal::session_revoked)?;
        let environment = Environment::Live;
        let presented = Presented { digest, kind: KeyKind::User, environment, login: Some(says.login) };
        let verified = self.verify(&presented, &found, demand, at)?;
        let principal = &verified.principal;
        if principal.tenant() != says.tenant || principal.user != Some(says.user) {
            return Err(super::tokens::invalid().into());
        }
        Ok(verified)
    }

    /// Whether a text that was refused could be a key that was made elsewhere a
    /// moment ago: it has the form of one and is not known here.
    pub fn may_be_new(&self, presented: &str, now: Timestamp) -> bool {
        let Ok(form) = self.forms.recognise(presented) else {
            // A session that was opened elsewhere.
            let view = &self.replica.view;
            return Tokens::is_one(presented)
                && match self.tokens.read(view, presented, now) {
                    Ok(says) => view.key(Digest::of_session(says.session)).is_none(),
                    Err(_) => self.tokens.is_of_unknown_key(view, presented, now),
                };
        };
        self.find(presented, form.profile.check == 0).is_none()
    }

    /// Waits until everything that was committed before the call is known here.
    /// What is unknown then does not exist.
    ///
    /// # Errors
    /// That cannot be known now.
    pub async fn catch_up(&self) -> Result<(), Fault> {
        self.replica.catch_up(super::SETTLE).await
    }

    /// Whether what was begun under these terms may go on: for what lasts
    /// longer than its check, such as a stream.
    ///
    /// # Errors
    /// It may not; [`Failure::Fault`] while the view may not answer.
    pub fn still_good(&self, terms: &Terms, at: Moment) -> Result<(), Failure> {
        self.fresh(at)?;
        Ok(self.judge().still_good(terms, at.wall)?)
    }

    /// Registers what shall go on for as long as these terms hold. It must be
    /// judged once more afterwards. `None` if too much is registered.
    pub fn register(&self, terms: Terms) -> Option<Held> {
        self.replica.view.register(terms)
    }

    /// The same caller acting for another tenant, if they may (R6).
    pub fn act_for(
        &self,
        verified: Verified,
        tenant: &str,
        peer: Option<IpAddr>,
        enrolling: bool,
    ) -> Result<Verified, Refusal> {
        self.judge().act_for(verified, tenant, peer, enrolling)
    }

    /// What was refused, for the audit log.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    #[inline]
    fn verify(
        &self,
        presented: &Presented,
        found: &Found,
        demand: &Demand<'_>,
        at: Moment,
    ) -> Result<Verified, Failure> {
        match self.judge().verify(presented, found, demand, at.wall) {
            Ok(verified) => Ok(verified),
            Err(refusal) => Err(self.refused(found, refusal).into()),
        }
    }

    /// Counts a refusal of what is somebody's.
    #[cold]
    fn refused(&self, found: &Found, refusal: Refusal) -> Refusal {
        if let Some(principal) = self.replica.view.principal(found) {
            self.refusals.credential(principal.tenant(), refusal.reason);
        }
        refusal
    }

    #[inline]
    fn judge(&self) -> Judge<'_> {
        Judge { view: &self.replica.view, default_per_minute: self.default_per_minute }
    }

    #[inline]
    fn fresh(&self, at: Moment) -> Result<(), Fault> {
        if self.is_ready(at) { Ok(()) } else { Err(Fault::new("the lease on the view has lapsed")) }
    }

    fn find(&self, presented: &str, may_be_imported: bool) -> Option<(Digest, Found)> {
        let digest = sha256(presented.as_bytes());
        let view = &self.replica.view;
        let own = view.key(digest).filter(|found| !found.imported).map(|found| (digest, found));
        if own.is_some() || !may_be_imported {
            return own;
        }
        let sealed = self.pepper.seal(digest)?;
        view.key(sealed).filter(|found| found.imported).map(|found| (sealed, found))
    }

    /// The kind of key that a text has the form of.
    pub fn kind(&self, presented: &str) -> Option<KeyKind> {
        match self.forms.recognise(presented) {
            Ok(form) => Some(form.profile.kind),
            Err(NotAKey) => None,
        }
    }

    /// Whether checks can be answered at this moment.
    #[inline]
    pub fn is_ready(&self, at: Moment) -> bool {
        self.replica.is_fresh(at.monotonic)
    }

    /// Requests a minute of keys whose tenant says nothing; 0 is no limit.
    pub fn default_per_minute(&self) -> u32 {
        self.default_per_minute
    }

    /// The last change that answers take into account.
    pub fn revision(&self) -> crate::domain::changes::Revision {
        self.replica.view.applied()
    }
}
