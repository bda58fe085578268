use super::*;
use crate::domain::keys::{Previous, samples};
use crate::domain::limits::Limit;
use crate::domain::members::{MemberState, Role};
use crate::domain::principal::Standing;
use crate::domain::tenants::TenantState;
use crate::domain::users::UserState;
use crate::domain::{CredentialId, Digest, Timestamp};
use crate::domain::{TenantId, UserId};
use crate::view::Found;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const USER: UserId = UserId::from_bytes([2; 16]);

fn tenant(suspended: bool) -> Change {
    Change::Tenant(TenantState { suspended, ..TenantState::new(TENANT, "acme".parse().unwrap()) })
}

fn member(role: Option<Role>) -> Change {
    Change::Member(MemberState { tenant: TENANT, user: USER, role: role.map(Role::into) })
}

fn user(disabled: bool) -> Change {
    Change::User(UserState { id: USER, email: "ada@example.com".parse().unwrap(), operator: false, disabled })
}

fn filled() -> (Arc<View>, Writer) {
    let (view, mut writer) = View::with_room_for(10, 0);
    for change in [tenant(false), user(false), member(Some(Role::Owner))] {
        writer.apply(change);
    }
    (view, writer)
}

fn key(seed: u8) -> KeyState {
    samples::user_key(seed, TENANT, USER)
}

fn put(writer: &mut Writer, key: &KeyState) {
    writer.apply(Change::Key(Box::new(key.clone())));
}

fn standing(view: &View, found: &Found) -> Standing {
    view.principal(found).unwrap().standing
}

// R5, R15
#[test]
fn a_key_lives_from_its_creation_to_its_revocation() {
    let (view, mut writer) = filled();
    assert!(view.key(key(7).digest).is_none());
    put(&mut writer, &key(7));
    let found = view.key(key(7).digest).unwrap();
    assert_eq!(
        (found.id, standing(&view, &found), view.len()),
        (CredentialId::Key(key(7).id), Standing::Good, 1)
    );
    put(&mut writer, &KeyState { revoked: true, ..key(7) });
    assert!(view.key(key(7).digest).is_none() && view.is_empty());
    put(&mut writer, &KeyState { revoked: true, ..key(7) });
    assert_eq!(view.len(), 0, "twice is once");
}

// R16
#[test]
fn after_a_rotation_both_secrets_lead_to_one_limit() {
    let (view, mut writer) = filled();
    put(&mut writer, &key(7));
    let digest = Digest::from_bytes(&[77; 32]);
    let until = Timestamp::from_micros(99);
    let previous = Some(Previous { digest: key(7).digest, until });
    put(&mut writer, &KeyState { digest, previous, ..key(7) });
    let (new, old) = (view.key(digest).unwrap(), view.key(key(7).digest).unwrap());
    assert_eq!((new.cell, new.previous, old.previous, old.expire), (old.cell, false, true, until));
    let limit = Limit::per_minute(2).unwrap();
    let take = |found| view.counter(found).unwrap().take(limit, 1, 1);
    assert!(take(&new).retry_after.is_zero());
    assert!(take(&old).retry_after.is_zero());
    assert!(!take(&new).retry_after.is_zero());
    put(&mut writer, &KeyState { digest: Digest::from_bytes(&[78; 32]), ..key(7) });
    assert!(view.key(digest).is_none() && view.key(key(7).digest).is_none());
    assert!(view.key(Digest::from_bytes(&[78; 32])).is_some());
}

// R43
#[test]
fn what_happens_to_tenant_person_or_membership_holds_for_their_keys() {
    let (view, mut writer) = filled();
    put(&mut writer, &key(7));
    let found = view.key(key(7).digest).unwrap();
    for (change, expected) in [
        (tenant(true), Standing::TenantSuspended),
        (tenant(false), Standing::Good),
        (user(true), Standing::Gone),
        (user(false), Standing::Good),
        (member(None), Standing::Gone),
        (member(Some(Role::Viewer)), Standing::Good),
    ] {
        writer.apply(change);
        assert_eq!(standing(&view, &found), expected);
    }
    assert_eq!(view.principal(&found).unwrap().role_name(), "viewer");
    assert_eq!(view.member(TENANT, USER).unwrap().role_name(), "viewer");
    assert_eq!(view.tenant_named("acme"), Some(TENANT));
}

#[test]
fn a_key_of_an_unknown_tenant_opens_nothing() {
    let (view, mut writer) = View::with_room_for(1, 0);
    put(&mut writer, &key(7));
    assert_eq!(standing(&view, &view.key(key(7).digest).unwrap()), Standing::Gone);
}

#[test]
fn it_grows_and_uses_what_became_free() {
    let (view, mut writer) = filled();
    let many = |n: u32| {
        let mut bytes = [0; 32];
        for (at, word) in bytes.chunks_mut(4).enumerate() {
            word.copy_from_slice(
                &n.wrapping_add(1)
                    .wrapping_mul(0x9e37_79b9 + 2 * u32::try_from(at).unwrap())
                    .rotate_left(11)
                    .to_be_bytes(),
            );
        }
        let id = KeyId::from_bytes(
            (u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes(),
        );
        KeyState { id, digest: Digest::from_bytes(&bytes), ..key(0) }
    };
    for round in 0..3 {
        for n in 0..5000 {
            put(&mut writer, &many(n));
        }
        assert_eq!(view.len(), 5000);
        for n in 0..5000 {
            assert_eq!(view.key(many(n).digest).unwrap().id, CredentialId::Key(many(n).id), "round {round}");
        }
        for n in 0..5000 {
            put(&mut writer, &KeyState { revoked: true, ..many(n) });
        }
        assert!(view.is_empty() && (0..5000).all(|n| view.key(many(n).digest).is_none()));
    }
    assert_eq!(writer.next, 5000);
}

// The seqlock: a reader sees one state or the other, never a mixture, and a
// record that was reused never answers for the key before.
#[test]
fn readers_see_whole_states_while_the_writer_changes_them() {
    let (view, mut writer) = filled();
    let state = |n: u8| KeyState {
        per_minute: u32::from(n),
        expire: Some(Timestamp::from_micros(i64::from(n))),
        ..key(7)
    };
    put(&mut writer, &state(1));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                let mut seen = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    if let Some(found) = view.key(key(7).digest) {
                        assert_eq!(i64::from(found.per_minute), found.expire.micros());
                        assert_eq!(found.id, CredentialId::Key(key(7).id));
                        seen += 1;
                    }
                }
                assert!(seen > 0);
            });
        }
        for n in (1..=250).cycle().take(100_000) {
            put(&mut writer, &state(n));
            if n % 50 == 0 {
                put(&mut writer, &KeyState { revoked: true, ..key(7) });
                put(&mut writer, &KeyState { id: KeyId::from_bytes([8; 16]), ..key(8) });
                put(&mut writer, &KeyState { revoked: true, ..key(8) });
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}
