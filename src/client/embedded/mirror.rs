//! What checks are answered from, and until when they may be.

use crate::client::SystemClock;
use crate::domain::keys::KeyKind;
use crate::domain::{Clock, Failure, Fault, Moment, Reason, Refusal};
use crate::protocol::leash::Warden;
use crate::secret::{Forms, NotAKey, sha256};
use crate::view::{Demand, Judge, Presented, Terms, Verified, View};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A view and the lease on it. A view that was loaded anew is another mirror:
/// no lease on the one is ever taken for one on the other.
pub struct Mirror {
    /// What is known.
    pub view: Arc<View>,
    forms: Forms,
    default_per_minute: u32,
    clock: Arc<SystemClock>,
    /// The moment of the boot-time clock before which it may answer.
    until: AtomicU64,
}

/// Why a mirror gives no verified credential.
#[derive(Debug)]
pub enum Miss {
    /// A definite no.
    Refused(Refusal),
    /// Well-formed, and not known here; it may have been made a moment ago.
    Unknown,
    /// Of a form that only the server can look up: an imported key, whose digest
    /// is made with a secret, or an access token.
    Sealed,
    /// The lease is over.
    Lapsed,
}

impl Mirror {
    /// A mirror without a lease.
    pub fn new(view: Arc<View>, forms: Forms, default_per_minute: u32, clock: Arc<SystemClock>) -> Self {
        Self { view, forms, default_per_minute, clock, until: AtomicU64::new(0) }
    }

    /// It may answer before this moment; 0 is never.
    pub fn lend(&self, until: u64) {
        self.until.store(until, Ordering::Release);
    }

    /// Whether it may answer at this moment, read after the question came.
    #[inline]
    pub fn holds(&self, at: Moment) -> bool {
        at.monotonic < self.until.load(Ordering::Acquire)
    }

    /// Checks a credential. `at` must have been read after it came.
    #[inline]
    pub fn check(&self, presented: &str, demand: &Demand<'_>, at: Moment) -> Result<Verified, Miss> {
        let Ok(form) = self.forms.recognise(presented) else {
            return Err(not_a_key(presented));
        };
        if !self.holds(at) {
            return Err(Miss::Lapsed);
        }
        let digest = sha256(presented.as_bytes());
        let profile = form.profile;
        let Some(found) = self.view.key(digest).filter(|found| !found.imported) else {
            return Err(if profile.check == 0 { Miss::Sealed } else { Miss::Unknown });
        };
        let presented =
            Presented { digest, kind: profile.kind, environment: profile.environment, login: None };
        self.judge().verify(&presented, &found, demand, at.wall).map_err(Miss::Refused)
    }

    /// The kind of key that a text has the form of.
    pub fn kind(&self, presented: &str) -> Option<KeyKind> {
        match self.forms.recognise(presented) {
            Ok(form) => Some(form.profile.kind),
            Err(NotAKey) => None,
        }
    }

    fn judge(&self) -> Judge<'_> {
        Judge { view: &self.view, default_per_minute: self.default_per_minute }
    }
}

/// What a credential opened goes on for as long as it is good here, under the
/// lease on this very copy.
impl Warden for Mirror {
    fn moment(&self) -> Moment {
        self.clock.moment()
    }

    fn is_ready(&self, at: Moment) -> bool {
        self.holds(at)
    }

    fn still_good(&self, terms: &Terms, at: Moment) -> Result<(), Failure> {
        if !self.holds(at) {
            return Err(lapsed().into());
        }
        Ok(self.judge().still_good(terms, at.wall)?)
    }

    fn ended(&self) {
        tracing::debug!("something was ended with its credential");
    }
}

/// Nothing may be answered from memory.
pub fn lapsed() -> Fault {
    Fault::new("the lease on the view has lapsed")
}

/// What has the form of no key is an access token, which only the server can
/// read, or nothing.
fn not_a_key(presented: &str) -> Miss {
    if presented.bytes().filter(|byte| *byte == b'.').count() != 2 {
        return Miss::Refused(Refusal::invalid_api_key());
    }
    if presented.len() > MOST_TOKEN {
        return Miss::Refused(Refusal::new(Reason::InvalidToken, "the token is not valid"));
    }
    Miss::Sealed
}

/// Bytes that an access token may have.
const MOST_TOKEN: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::changes::Change;
    use crate::domain::clock::fixed::Counting;
    use crate::domain::members::{MemberState, Role};
    use crate::domain::tenants::TenantState;
    use crate::domain::users::UserState;
    use crate::domain::{TenantId, UserId};
    use crate::domain::{Timestamp, keys::samples::user_key};
    use crate::secret::{Alphabet, Minted, Profile};

    const TENANT: TenantId = TenantId::from_bytes([1; 16]);
    const USER: UserId = UserId::from_bytes([2; 16]);

    fn at(monotonic: u64) -> Moment {
        Moment { wall: Timestamp::from_micros(1_000), monotonic }
    }

    fn mirror(key: &Minted) -> (Mirror, crate::view::Writer) {
        let (view, mut writer) = View::with_room_for(1, 1);
        let email = "ada@example.com".parse().unwrap();
        let slug = "acme".parse().unwrap();
        let mut state = user_key(3, TENANT, USER);
        state.digest = key.digest();
        for change in [
            Change::Tenant(TenantState::new(TENANT, slug)),
            Change::User(UserState { id: USER, email, operator: false, disabled: false }),
            Change::Member(MemberState { tenant: TENANT, user: USER, role: Some(Role::Member.into()) }),
            Change::Key(Box::new(state)),
        ] {
            writer.apply(change);
        }
        let mut profiles = Profile::defaults();
        profiles.push(Profile {
            name: "legacy".into(),
            prefix: "old_".into(),
            alphabet: Alphabet::Hex,
            random: 32,
            check: 0,
            kind: KeyKind::User,
            environment: crate::domain::keys::Environment::Live,
        });
        (Mirror::new(view, Forms::new(profiles), 0, Arc::default()), writer)
    }

    fn minted(entropy: &Counting) -> Minted {
        Minted::new(&Profile::defaults()[0], entropy)
    }

    #[test]
    fn it_answers_under_a_lease_and_never_without() {
        let entropy = Counting::default();
        let (key, other) = (minted(&entropy), minted(&entropy));
        let (mirror, _writer) = mirror(&key);
        let check = |text: &str, now| mirror.check(text, &Demand::default(), at(now));
        assert!(matches!(check(key.reveal(), 5), Err(Miss::Lapsed)), "nothing is proven at first");
        mirror.lend(10);
        assert_eq!(check(key.reveal(), 9).unwrap().principal.tenant(), TENANT);
        assert!(matches!(check(key.reveal(), 10), Err(Miss::Lapsed)));
        assert!(matches!(check(other.reveal(), 9), Err(Miss::Unknown)));
        assert!(matches!(check(other.reveal(), 10), Err(Miss::Lapsed)), "an outage is no refusal");
        assert!(matches!(check("garbage", 9), Err(Miss::Refused(_))));
        assert!(matches!(check(&format!("old_{}", "a".repeat(32)), 9), Err(Miss::Sealed)));
    }

    #[test]
    fn what_was_begun_ends_with_the_key_or_the_lease() {
        let key = minted(&Counting::default());
        let (mirror, mut writer) = mirror(&key);
        mirror.lend(10);
        let verified = mirror.check(key.reveal(), &Demand::default(), at(1)).unwrap();
        let terms = Terms::of(&verified, None, verified.permissions);
        assert!(mirror.still_good(&terms, at(9)).is_ok());
        assert!(matches!(mirror.still_good(&terms, at(10)), Err(Failure::Fault(_))));
        let mut revoked = user_key(3, TENANT, USER);
        revoked.revoked = true;
        writer.apply(Change::Key(Box::new(revoked)));
        assert!(matches!(mirror.still_good(&terms, at(9)), Err(Failure::Refused(_))));
    }
}
