//! Refused credentials and refused logins, as one entry for each tenant and
//! minute at most: whoever guesses cannot make us write a row a guess.
//!
//! What is counted here is lost with the process, a minute of it at most; while
//! the database does not answer it waits. What
//! belongs to no tenant, such as a key that nobody ever made, is in the
//! metrics alone.

use super::{App, NewEvent};
use crate::app::login::{Factor, LoginAttempt, Outcome, Tokens};
use crate::app::people::Visitor;
use crate::domain::audit::Action;
use crate::domain::users::Email;
use crate::domain::{Digest, Failure, Reason, Refusal, TenantId, Timestamp, UserId};
use crate::secret::{Bearer, Class};
use crate::store::Across;
use crate::store::people::{challenge_by_digest, memberships, person_by_email};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Tenants, and people, that are counted apart within a minute; those that
/// come later are counted in one number that is logged.
const MOST: usize = 1000;

/// Entries that wait at most while the database does not answer; after that
/// the oldest are logged as a number and dropped.
const MOST_PENDING: usize = 10_000;

/// Tenants of a person that hear of refused logins of theirs.
const TENANTS: i64 = 10;

/// People that an entry names.
const NAMED: usize = 10;

/// Counts by reason.
type Counts = BTreeMap<&'static str, u64>;

/// What was refused since it was last written down.
#[derive(Default)]
pub struct Refusals {
    credentials: Mutex<Tally<TenantId>>,
    logins: Mutex<Tally<Who>>,
    /// Entries that are not written down yet, the oldest first.
    pending: tokio::sync::Mutex<VecDeque<NewEvent>>,
}

/// Whose login it would have been.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    /// Whoever has this address.
    Email(String),
    /// Whoever's login waited for its second factor.
    Challenge([u8; 32]),
}

struct Tally<K> {
    counts: HashMap<K, Counts>,
    /// Refusals for which there was no room.
    over: u64,
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { counts: HashMap::new(), over: 0 }
    }
}

impl<K: Hash + Eq> Tally<K> {
    fn count(&mut self, key: K, reason: &'static str, many: u64) {
        if self.counts.len() >= MOST && !self.counts.contains_key(&key) {
            self.over = self.over.saturating_add(many);
            return;
        }
        let count = self.counts.entry(key).or_default().entry(reason).or_default();
        *count = count.saturating_add(many);
    }
}

impl Refusals {
    /// Counts a credential of that tenant that was refused.
    #[cold]
    pub fn credential(&self, tenant: TenantId, reason: Reason) {
        let mut tally = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        tally.count(tenant, reason.told().name, 1);
    }

    fn login(&self, who: Who, refusal: &Refusal) {
        let mut tally = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        tally.count(who, refusal.reason.told().name, 1);
    }

    fn put_back(&self, logins: Tally<Who>) {
        let mut tally = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        for (who, reasons) in logins.counts {
            for (reason, many) in reasons {
                tally.count(who.clone(), reason, many);
            }
        }
    }

    fn take(&self) -> (Tally<TenantId>, Tally<Who>) {
        let credentials =
            std::mem::take(&mut *self.credentials.lock().unwrap_or_else(PoisonError::into_inner));
        let logins = std::mem::take(&mut *self.logins.lock().unwrap_or_else(PoisonError::into_inner));
        (credentials, logins)
    }
}

/// Refused logins of one tenant.
#[derive(Default)]
struct OfTenant {
    reasons: Counts,
    people: BTreeMap<UserId, u64>,
}

impl App {
    /// [`App::login`], with refusals counted for the audit log. All of them are
    /// counted alike, whether the address is anybody's or not.
    pub async fn login_counted(&self, visitor: &Visitor, attempt: LoginAttempt) -> Result<Outcome, Failure> {
        let email = attempt.email.trim().parse::<Email>();
        let outcome = self.login(visitor, attempt).await;
        if let (Err(Failure::Refused(refusal)), Ok(email)) = (&outcome, email) {
            self.verifier.refusals().login(Who::Email(email.as_str().to_owned()), refusal);
        }
        outcome
    }

    /// [`App::complete_login`], with refusals counted for the audit log.
    pub async fn complete_login_counted(
        &self,
        visitor: &Visitor,
        challenge: &str,
        factor: Factor,
    ) -> Result<Tokens, Failure> {
        let outcome = self.complete_login(visitor, challenge, factor).await;
        if let (Err(Failure::Refused(refusal)), Ok(challenge)) =
            (&outcome, Bearer::parse(Class::Challenge, challenge))
        {
            self.verifier.refusals().login(Who::Challenge(challenge.digest().to_bytes()), refusal);
        }
        outcome
    }

    /// Writes down what was refused since the last time. To be called once a minute.
    ///
    /// # Errors
    /// The database fails; what is not written down waits for the next time.
    pub async fn audit_refusals(&self, now: Timestamp) -> Result<(), Failure> {
        let refusals = self.verifier.refusals();
        let mut pending = refusals.pending.lock().await;
        let (credentials, logins) = refusals.take();
        let over = credentials.over + logins.over;
        if over > 0 {
            tracing::warn!(refusals = over, "refusals of more tenants or people than are counted apart");
        }
        pending.extend(credentials.counts.into_iter().map(|(tenant, reasons)| {
            let facts = facts(&reasons);
            NewEvent { tenant, action: Action::CredentialsRefused, time: now, facts }
        }));
        match self.by_tenant(&logins).await {
            Ok(found) => pending.extend(found.into_iter().map(|(tenant, refused)| {
                let mut facts = facts(&refused.reasons);
                facts.push(("people", people(&refused.people)));
                NewEvent { tenant, action: Action::LoginsRefused, time: now, facts }
            })),
            Err(failure) => {
                refusals.put_back(logins);
                drop_oldest(&mut pending);
                return Err(failure);
            }
        }
        drop_oldest(&mut pending);
        while let Some(event) = pending.front() {
            if let Err(failure) = self.audit_write(event).await {
                // Next time the others come first, should it be this one's own fault.
                pending.rotate_left(1);
                return Err(failure);
            }
            pending.pop_front();
        }
        Ok(())
    }

    async fn by_tenant(&self, logins: &Tally<Who>) -> Result<HashMap<TenantId, OfTenant>, Failure> {
        let mut found: HashMap<TenantId, OfTenant> = HashMap::new();
        for (who, reasons) in &logins.counts {
            let conn = &mut self.store.read(Across::People).await?;
            let user = match who {
                Who::Email(email) => {
                    let Ok(email) = email.parse::<Email>() else { continue };
                    person_by_email(conn, &email).await?.map(|person| person.id)
                }
                Who::Challenge(digest) => {
                    challenge_by_digest(conn, Digest::from_bytes(digest)).await?.map(|waiting| waiting.user)
                }
            };
            let Some(user) = user else { continue };
            for (tenant, _) in memberships(conn, user, TENANTS).await? {
                let of_tenant = found.entry(tenant).or_default();
                for (reason, many) in reasons {
                    *of_tenant.reasons.entry(reason).or_default() += many;
                    *of_tenant.people.entry(user).or_default() += many;
                }
            }
        }
        Ok(found)
    }
}

fn drop_oldest(pending: &mut VecDeque<NewEvent>) {
    let over = pending.len().saturating_sub(MOST_PENDING);
    if over > 0 {
        tracing::warn!(entries = over, "too many entries of refusals wait; the oldest are dropped");
        pending.drain(..over);
    }
}

fn facts(reasons: &Counts) -> Vec<(&'static str, String)> {
    reasons.iter().map(|(reason, many)| (*reason, many.to_string())).collect()
}

/// Those with the most refusals first.
fn people(people: &BTreeMap<UserId, u64>) -> String {
    let mut sorted: Vec<_> = people.iter().collect();
    sorted.sort_by_key(|(_, many)| std::cmp::Reverse(**many));
    let named: Vec<String> = sorted.iter().take(NAMED).map(|(user, many)| format!("{user}:{many}")).collect();
    named.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_refused_takes_bounded_room() {
        let refusals = Refusals::default();
        for number in 0..5_000_u32 {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            refusals.credential(TenantId::from_bytes(id), Reason::ApiKeyExpired);
            refusals.credential(TenantId::from_bytes([0; 16]), Reason::IpNotAllowed);
        }
        let (credentials, _) = refusals.take();
        assert_eq!((credentials.counts.len(), credentials.over), (MOST, 4_000));
        let first = &credentials.counts[&TenantId::from_bytes([0; 16])];
        assert_eq!(first, &Counts::from([("API_KEY_EXPIRED", 1), ("IP_NOT_ALLOWED", 5_000)]));
        assert!(refusals.take().0.counts.is_empty(), "it is counted twice");
    }
}
