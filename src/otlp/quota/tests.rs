//! Quotas by the clock of the test.

use super::*;
use crate::domain::KeyId;

const NOON: Timestamp =
    Timestamp::from_micros(1_790_000_000_000_000 / 86_400_000_000 * 86_400_000_000 + 43_200_000_000);

fn later(millis: u64) -> Timestamp {
    NOON.plus(Duration::from_millis(millis))
}

fn who(tenant: u8, key: u8, signal: Signal) -> Who {
    let key = CredentialId::Key(KeyId::from_bytes([key; 16]));
    Who { tenant: TenantId::from_bytes([tenant; 16]), key, signal }
}

fn quotas(text: &str) -> Arc<Quotas> {
    Quotas::new(toml::from_str(text).unwrap())
}

/// What an export is told that comes then.
fn told(quotas: &Arc<Quotas>, who: Who, now: Timestamp) -> Result<(), (Reason, String, Option<u128>)> {
    quotas.enter(who, now).map(drop).map_err(|refusal| {
        let (_, name) = refusal.metadata.iter().find(|(name, _)| *name == "quota").unwrap();
        (refusal.reason, name.clone(), refusal.retry_after.map(|wait| wait.as_millis()))
    })
}

#[test]
fn without_quotas_nothing_is_counted() {
    let quotas = quotas("");
    assert!(quotas.enter(who(1, 1, Signal::Logs), NOON).unwrap().is_none());
    assert!(quotas.shard(TenantId::from_bytes([1; 16])).tenants.used.is_empty());
}

// R60
#[test]
fn requests_are_limited_by_tenant_key_and_signal() {
    for (text, other) in [
        ("tenant.requests_per_second = 2", who(2, 2, Signal::Traces)),
        ("key.requests_per_second = 2", who(1, 2, Signal::Traces)),
        ("traces.requests_per_second = 2", who(1, 1, Signal::Logs)),
    ] {
        let (quotas, one) = (quotas(text), who(1, 1, Signal::Traces));
        assert_eq!((told(&quotas, one, NOON), told(&quotas, one, NOON)), (Ok(()), Ok(())), "{text}");
        let name = text.split_once(" =").unwrap().0.to_owned();
        assert_eq!(told(&quotas, one, NOON), Err((Reason::RateLimitExceeded, name, Some(500))), "{text}");
        assert_eq!(told(&quotas, other, NOON), Ok(()), "{text}: another is none of its business");
        assert_eq!(told(&quotas, one, later(500)), Ok(()), "{text}: the wait was told truly");
    }
}

#[test]
fn what_was_refused_by_one_quota_is_not_taken_from_another() {
    let quotas = quotas("tenant.requests_per_day = 3\nkey.requests_per_second = 1");
    let one = who(1, 1, Signal::Traces);
    assert_eq!(told(&quotas, one, NOON), Ok(()));
    for _ in 0..10 {
        assert_eq!(told(&quotas, one, NOON).unwrap_err().0, Reason::RateLimitExceeded);
    }
    for key in 2..4 {
        assert_eq!(told(&quotas, who(1, key, Signal::Traces), NOON), Ok(()));
    }
    assert_eq!(told(&quotas, who(1, 4, Signal::Traces), NOON).unwrap_err().0, Reason::QuotaExceeded);
}

#[test]
fn bytes_and_items_are_counted_in_full_and_paid_off() {
    for (text, name) in [
        ("tenant.bytes_per_second = 1000", "tenant.bytes_per_second"),
        ("logs.items_per_second = 100", "logs.items_per_second"),
    ] {
        let (quotas, one) = (quotas(text), who(1, 1, Signal::Logs));
        let pass = quotas.enter(one, NOON).unwrap().unwrap();
        pass.charge(10_000, 1_000, NOON);
        drop(pass);
        let (reason, by, wait) = told(&quotas, one, NOON).unwrap_err();
        assert_eq!((reason, by.as_str()), (Reason::RateLimitExceeded, name));
        assert!((9_000..=9_011).contains(&wait.unwrap()), "{wait:?}");
        assert!(told(&quotas, one, later(8_990)).is_err());
        assert_eq!(told(&quotas, one, later(9_011)), Ok(()));
    }
}

#[test]
fn a_day_is_used_up_until_midnight_and_no_wait_is_told() {
    let (quotas, one) = (quotas("key.bytes_per_day = 500"), who(1, 1, Signal::Metrics));
    for _ in 0..2 {
        quotas.enter(one, NOON).unwrap().unwrap().charge(300, 1, NOON);
    }
    let expected = (Reason::QuotaExceeded, "key.bytes_per_day".to_owned(), None);
    assert_eq!(told(&quotas, one, later(12 * 3_600_000 - 1)), Err(expected));
    assert_eq!(told(&quotas, one, later(12 * 3_600_000)), Ok(()));
}

#[test]
fn as_many_as_are_allowed_are_under_way() {
    let (quotas, one) = (quotas("tenant.concurrent = 2"), who(1, 1, Signal::Traces));
    let first = quotas.enter(one, NOON).unwrap();
    let second = quotas.enter(who(1, 2, Signal::Logs), NOON).unwrap();
    let (reason, name, wait) = told(&quotas, one, NOON).unwrap_err();
    assert_eq!((reason, name.as_str(), wait), (Reason::RateLimitExceeded, "tenant.concurrent", Some(1_000)));
    assert_eq!(told(&quotas, who(2, 3, Signal::Traces), NOON), Ok(()));
    drop(first);
    assert_eq!(told(&quotas, one, NOON), Ok(()));
    drop(second);
}

#[test]
fn the_refusal_says_what_is_used_up() {
    let quotas = quotas("logs.requests_per_day = 1");
    let one = who(1, 1, Signal::Logs);
    drop(quotas.enter(one, NOON).unwrap());
    let refusal = quotas.enter(one, NOON).unwrap_err();
    let expected =
        "the tenant's quota for logs of 1 requests a day is used up; it begins anew at midnight UTC";
    assert_eq!(refusal.message, expected);
}

/// A tenant of the first shard.
fn tenant(number: usize) -> TenantId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    TenantId::from_bytes(bytes)
}

#[test]
fn memory_is_bounded_and_who_is_idle_makes_room() {
    let quotas = quotas("tenant.requests_per_second = 1");
    let of = |number| Who { tenant: tenant(number), ..who(0, 1, Signal::Logs) };
    for number in 0..MOST {
        assert!(quotas.enter(of(number), NOON).is_ok());
    }
    assert!(quotas.enter(of(MOST), NOON).is_err(), "nobody is idle");
    assert!(quotas.enter(of(MOST), later(999)).is_err());
    assert!(quotas.enter(of(MOST), later(1_001)).is_ok());
    assert_eq!(quotas.shard(tenant(0)).tenants.used.len(), 1, "all others were idle");
}

#[test]
fn keys_beyond_the_bound_are_counted_by_their_tenant_alone() {
    let quotas = quotas("key.requests_per_day = 1\ntenant.requests_per_day = 10000000");
    let of = |number| {
        let key = CredentialId::Key(KeyId::from_bytes(*tenant(number).as_bytes()));
        Who { key, ..who(0, 1, Signal::Logs) }
    };
    for number in 0..MOST + 5 {
        assert!(quotas.enter(of(number), NOON).is_ok());
    }
    assert_eq!(quotas.shard(TenantId::from_bytes([0; 16])).keys.used.len(), MOST);
    assert!(quotas.enter(of(0), NOON).is_err());
    assert!(quotas.enter(of(MOST + 1), NOON).is_ok());
}
