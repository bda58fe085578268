//! A made-up population of tenants, people and keys, the same in every run.

pub mod seed;

use anyhow::{Context as _, Result};
use doorward::domain::address::Networks;
use doorward::domain::keys::{Environment, KeyKind, KeyState};
use doorward::domain::limits::Limit;
use doorward::domain::members::{MemberState, Role};
use doorward::domain::tenants::TenantState;
use doorward::domain::users::UserState;
use doorward::domain::{Digest, Entropy, KeyId, Permissions, TenantId, UserId};
use doorward::secret::{Forms, Minted, Profile};
use std::sync::atomic::{AtomicU64, Ordering};

/// Keys of each person, and of each tenant.
pub const KEYS_OF_USER: u64 = 4;
pub const KEYS_OF_TENANT: u64 = 100;

/// The forms that all keys of the town have.
pub fn forms() -> Forms {
    Forms::new(Profile::defaults())
}

/// The secrets of `count` keys, in the order of the keys' numbers.
pub fn secrets(count: u64) -> Result<Vec<Minted>> {
    let forms = forms();
    let profile =
        forms.for_new(KeyKind::User, Environment::Live).context("there is no form for user keys")?;
    let entropy = Mixed(AtomicU64::new(1));
    Ok((0..count).map(|_| Minted::new(profile, &entropy)).collect())
}

/// The tenant of that number.
pub fn tenant(number: u64) -> Result<TenantState> {
    let slug = format!("tenant-{number}").parse()?;
    Ok(TenantState { per_minute: Limit::MAX, ..TenantState::new(TenantId::from_bytes(id(number, 1)), slug) })
}

/// The person of that number; the first one runs the platform.
pub fn user(number: u64) -> Result<UserState> {
    Ok(UserState {
        id: UserId::from_bytes(id(number, 2)),
        email: format!("person-{number}@example.com").parse()?,
        operator: number == 0,
        disabled: false,
    })
}

/// That person's membership: the first person of a tenant owns it.
pub fn member(number: u64) -> MemberState {
    let users = KEYS_OF_TENANT / KEYS_OF_USER;
    MemberState {
        tenant: TenantId::from_bytes(id(number / users, 1)),
        user: UserId::from_bytes(id(number, 2)),
        role: Some(if number.is_multiple_of(users) { Role::Owner.into() } else { Role::Member.into() }),
    }
}

/// The key of that number: a live key of a person, with a limit that no bench reaches.
pub fn key(number: u64, digest: Digest) -> KeyState {
    KeyState {
        id: KeyId::from_bytes(id(number, 3)),
        tenant: TenantId::from_bytes(id(number / KEYS_OF_TENANT, 1)),
        kind: KeyKind::User,
        user: Some(UserId::from_bytes(id(number / KEYS_OF_USER, 2))),
        environment: Environment::Live,
        scopes: Permissions::ALL,
        digest,
        imported: false,
        previous: None,
        networks: Networks::default(),
        per_minute: Limit::MAX,
        expire: None,
        revoked: false,
    }
}

/// Numbers below `count` in an order without pattern, each once if `count` is no multiple of the step.
pub fn scattered(count: u64) -> impl Iterator<Item = u64> {
    const STEP: u64 = 7_368_787;
    (0..count).map(move |at| (at * STEP) % count)
}

/// Rising in its first half, random in its second, as with version 7 of UUID.
fn id(number: u64, noun: u64) -> [u8; 16] {
    let random = mix(number << 2 | noun);
    (u128::from(number) << 64 | u128::from(random)).to_be_bytes()
}

/// Bytes that look random and are the same in every run.
struct Mixed(AtomicU64);

impl Entropy for Mixed {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let drawn = mix(self.0.fetch_add(1, Ordering::Relaxed)).to_le_bytes();
            chunk.copy_from_slice(drawn.get(..chunk.len()).unwrap_or_default());
        }
    }
}

/// The finalizer of `SplitMix64`: every bit of the input reaches every bit of the output.
fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
