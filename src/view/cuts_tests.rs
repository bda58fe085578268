use super::*;
use crate::domain::changes::Revision;
use crate::domain::keys::{Environment, KeyKind, KeyState, samples};
use crate::domain::members::{MemberState, Role};
use crate::domain::tenants::TenantState;
use crate::domain::users::UserState;
use crate::domain::{CredentialId, Digest, KeyId, Permission, Permissions, Reason};
use crate::view::{Demand, Kept, Presented, Writer};
use futures_util::FutureExt;
use std::sync::atomic::AtomicBool;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const OTHER: TenantId = TenantId::from_bytes([3; 16]);
const USER: UserId = UserId::from_bytes([2; 16]);
/// The longest that a test waits for what shall happen at once.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn tenant(id: TenantId, suspended: bool) -> Change {
    let slug = if id == TENANT { "acme" } else { "umbrella" };
    Change::Tenant(TenantState { suspended, ..TenantState::new(id, slug.parse().unwrap()) })
}

fn user(disabled: bool) -> Change {
    let email = "ada@example.com".parse().unwrap();
    Change::User(UserState { id: USER, email, operator: false, disabled })
}

fn member(tenant: TenantId, role: Role) -> Change {
    Change::Member(MemberState { tenant, user: USER, role: Some(role.into()) })
}

fn key(seed: u8) -> KeyState {
    samples::user_key(seed, TENANT, USER)
}

fn put(key: KeyState) -> Change {
    Change::Key(Box::new(key))
}

fn revoked(seed: u8) -> Change {
    put(KeyState { revoked: true, ..key(seed) })
}

/// Two tenants, a person who owns both, and keys 7 and 8 of theirs.
fn filled() -> (Arc<View>, Writer) {
    let (view, mut writer) = View::with_room_for(10, 10);
    let members = [member(TENANT, Role::Owner), member(OTHER, Role::Owner)];
    for change in [tenant(TENANT, false), tenant(OTHER, false), user(false)].into_iter().chain(members) {
        assert_eq!(writer.apply(change), 0);
    }
    for seed in [7, 8] {
        assert_eq!(writer.apply(put(key(seed))), 0);
    }
    (view, writer)
}

fn terms(view: &View, seed: u8, required: Permission) -> Terms {
    let presented = Presented {
        digest: key(seed).digest,
        kind: KeyKind::User,
        environment: Environment::Live,
        login: None,
    };
    let found = view.key(presented.digest).unwrap();
    let judge = Judge { view, default_per_minute: 0 };
    let verified = judge.verify(&presented, &found, &Demand::default(), NOW).unwrap();
    Terms::of(&verified, None, Permissions::of(&[required]))
}

fn held(view: &Arc<View>, seed: u8) -> Held {
    view.register(terms(view, seed, Permission::KEYS_READ)).unwrap()
}

fn reason(held: &Held) -> Option<Reason> {
    held.is_cut().map(|told| told.reason)
}

// R15
#[test]
fn a_revocation_cuts_what_its_key_opened_and_nothing_else() {
    let (view, mut writer) = filled();
    let (one, two, other) = (held(&view, 7), held(&view, 7), held(&view, 8));
    assert_eq!(writer.apply(revoked(7)), 2);
    assert_eq!(
        [&one, &two, &other].map(reason),
        [Some(Reason::InvalidApiKey), Some(Reason::InvalidApiKey), None]
    );
    assert_eq!(writer.apply(revoked(7)), 0, "what was cut is not cut again");
    drop((one, two));
    assert_eq!(view.registered(), 1);
    drop(other);
    assert_eq!(view.registered(), 0);
    assert!(view.cuts.shards.iter().all(|shard| lock(shard).is_empty()));
}

// R15
#[test]
fn every_kind_of_change_finds_what_it_ends() {
    for (change, expected) in [
        (tenant(TENANT, true), Some(Reason::TenantSuspended)),
        (tenant(OTHER, true), None),
        (user(true), Some(Reason::InvalidApiKey)),
        (member(TENANT, Role::Viewer), None),
        (Change::Member(MemberState { tenant: TENANT, user: USER, role: None }), Some(Reason::InvalidApiKey)),
        (put(KeyState { scopes: Permissions::of(&[Permission::KEYS_READ]), ..key(7) }), None),
        (
            put(KeyState { scopes: Permissions::of(&[Permission::KEYS_WRITE]), ..key(7) }),
            Some(Reason::InsufficientPermissions),
        ),
    ] {
        let (view, mut writer) = filled();
        let held = held(&view, 7);
        assert_eq!(writer.apply(change.clone()), u32::from(expected.is_some()), "{change:?}");
        assert_eq!(reason(&held), expected, "{change:?}");
    }
}

// R6, R15: who acts in another tenant is found by changes of either.
#[test]
fn a_change_of_the_tenant_that_is_acted_for_cuts_too() {
    let (view, mut writer) = filled();
    let home = terms(&view, 7, Permission::KEYS_READ);
    let held = view.register(Terms { tenant: OTHER, ..home }).unwrap();
    assert_eq!(writer.apply(tenant(OTHER, true)), 1);
    assert_eq!(reason(&held), Some(Reason::TenantSuspended));
}

// R15: the expiry is the holder's to watch, so they hear of a new one.
#[test]
fn a_new_expiry_is_told() {
    let (view, mut writer) = filled();
    let held = held(&view, 7);
    assert_eq!(held.expire(), Timestamp::NEVER);
    assert_eq!(writer.apply(put(KeyState { expire: Some(NOW), ..key(7) })), 0);
    assert_eq!((held.expire(), reason(&held)), (NOW, None));
}

#[tokio::test]
async fn both_sides_are_woken() {
    let (view, mut writer) = filled();
    let held = Arc::new(held(&view, 7));
    let waiting = [Side::Request, Side::Answer].map(|side| {
        let held = Arc::clone(&held);
        tokio::spawn(poll_fn(move |cx| held.poll_cut(side, cx)))
    });
    tokio::task::yield_now().await;
    assert!(held.cut().now_or_never().is_none());
    // The test's own wait took the place of the second task's; it comes again by itself.
    let [request, _] = waiting;
    writer.apply(revoked(7));
    let told = tokio::time::timeout(PATIENCE, request).await.expect("it was not woken").unwrap();
    assert_eq!(told.reason, Reason::InvalidApiKey);
    assert_eq!(held.cut().now_or_never().unwrap().reason, Reason::InvalidApiKey);
}

// R15: what the database no longer has after a restore opens nothing either.
#[test]
fn loading_anew_cuts_what_is_gone() {
    let (view, mut writer) = filled();
    let (gone, stays) = (held(&view, 7), held(&view, 8));
    let mut kept = Kept::default();
    for change in [member(TENANT, Role::Owner), put(key(8))] {
        kept.note(&change);
    }
    assert_eq!(writer.retain(&kept), 1);
    assert_eq!((reason(&gone), reason(&stays)), (Some(Reason::InvalidApiKey), None));
}

#[test]
fn all_can_be_cut_at_once() {
    let (view, _writer) = filled();
    let all = [held(&view, 7), held(&view, 8)];
    assert_eq!(view.cut_all(&Refusal::new(Reason::BackendUnavailable, "fenced")), 2);
    assert!(all.iter().all(|held| reason(held) == Some(Reason::BackendUnavailable)));
}

// What can be registered is bounded, and what is let go of makes room.
#[test]
fn no_more_can_be_registered_than_there_is_room_for() {
    let (view, _writer) = filled();
    let terms = terms(&view, 7, Permission::KEYS_READ);
    let mut all: Vec<_> = (0..MOST).map(|_| view.register(terms).unwrap()).collect();
    assert!(view.register(terms).is_none());
    all.pop();
    assert!(view.register(terms).is_some());
}

// R15: streams open while their key is revoked. Whatever the order, one that
// passed its second judgement has been cut when the revocation is in effect.
#[test]
fn nobody_slips_through_between_judgement_and_registration() {
    let (view, mut writer) = filled();
    let (done, opened) = (AtomicBool::new(false), AtomicU64::new(0));
    // Key `n` lives from change `2n` to change `2n + 1`.
    let open = || {
        let judge = Judge { view: &view, default_per_minute: 0 };
        while !done.load(Ordering::Relaxed) {
            let number = view.applied().number() / 2;
            let terms = terms_of(number);
            if judge.still_good(&terms, NOW).is_err() {
                continue;
            }
            std::thread::yield_now();
            let held = view.register(terms).unwrap();
            if judge.still_good(&terms, NOW).is_err() {
                continue;
            }
            while view.applied().number() == 2 * number {
                std::thread::yield_now();
            }
            assert!(held.is_cut().is_some(), "key {number} is gone, and its stream goes on");
            opened.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|threads| {
        let opening = [threads.spawn(open), threads.spawn(open)];
        for number in 1.. {
            writer.apply(put(numbered(number)));
            writer.advance(Revision::from_number(2 * number));
            for _ in 0..number % 16 {
                std::thread::yield_now();
            }
            writer.apply(put(KeyState { revoked: true, ..numbered(number) }));
            writer.advance(Revision::from_number(2 * number + 1));
            let failed = opening.iter().any(std::thread::ScopedJoinHandle::is_finished);
            if failed || opened.load(Ordering::Relaxed) >= 2_000 {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(view.registered(), 0);
}

fn numbered(number: u64) -> KeyState {
    let word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (id, digest) = (KeyId::from_halves([1, word]), Digest::from_words([word; 4]));
    KeyState { id, digest, ..key(7) }
}

fn terms_of(number: u64) -> Terms {
    let key = numbered(number);
    Terms {
        digest: key.digest,
        credential: CredentialId::Key(key.id),
        one_factor: false,
        token_expire: Timestamp::NEVER,
        home: TENANT,
        tenant: TENANT,
        user: Some(USER),
        peer: None,
        required: Permissions::NONE,
        expire: Timestamp::NEVER,
    }
}
