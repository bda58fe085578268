use super::*;
use crate::domain::Reason;
use crate::domain::keys::KeyState;
use crate::protocol::testing::{House, START, key};

fn reason(failure: &Failure) -> Reason {
    match failure {
        Failure::Refused(refusal) => refusal.reason,
        Failure::Fault(fault) => fault.told().reason,
    }
}

/// What must happen soon, so that a failure is no endless wait.
async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), event).await.expect("it goes on")
}

// R15
#[tokio::test]
async fn a_change_ends_what_it_concerns_and_is_counted_once() {
    let house = House::new();
    let leash = house.leash().unwrap();
    leash.pass().unwrap();
    let ((), told) = tokio::join!(async { house.revoke() }, soon(leash.end_of(Side::Answer)));
    assert_eq!(reason(&told), Reason::InvalidApiKey);
    assert_eq!(reason(&leash.pass().unwrap_err()), Reason::InvalidApiKey);
    assert_eq!(house.ended(), 1);
}

// R15: the change that came between the first judgement and the registration.
#[test]
fn what_has_ended_before_it_was_tied_is_not_let_through() {
    let house = House::new();
    house.put(KeyState { revoked: true, ..key() });
    let Err(failure) = house.leash() else { panic!("tied to a revoked key") };
    assert_eq!(reason(&failure), Reason::InvalidApiKey);
}

// P4
#[test]
fn without_a_lease_nothing_passes_and_the_credential_is_not_blamed() {
    let house = House::new();
    let leash = house.leash().unwrap();
    house.ready.store(false, Ordering::Relaxed);
    assert_eq!(reason(&leash.pass().unwrap_err()), Reason::BackendUnavailable);
    house.ready.store(true, Ordering::Relaxed);
    leash.pass().unwrap();
    assert_eq!(house.ended(), 0);
}

// R15: the clock is moved with the time that sleepers see.
#[tokio::test(start_paused = true)]
async fn an_expiry_is_noticed_when_it_comes_and_not_before() {
    let house = House::new();
    house.put(KeyState { expire: Some(START.plus(Duration::from_secs(90))), ..key() });
    let leash = Arc::new(house.leash().unwrap());
    // What was registered is as of the presentation; a change tells the rest.
    house.put(KeyState { expire: Some(START.plus(Duration::from_mins(1))), ..key() });
    let waiting = tokio::spawn({
        let leash = Arc::clone(&leash);
        async move { leash.end_of(Side::Answer).await }
    });
    for second in 0..60 {
        house.wall.store(START.plus(Duration::from_secs(second)).micros(), Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        leash.pass().unwrap();
        assert!(!waiting.is_finished());
    }
    house.wall.store(START.plus(Duration::from_mins(1)).micros(), Ordering::Relaxed);
    assert_eq!(reason(&leash.pass().unwrap_err()), Reason::ApiKeyExpired);
    assert_eq!(reason(&soon(waiting).await.unwrap()), Reason::ApiKeyExpired);
    assert_eq!(house.ended(), 1);
}

// R15: an expiry that is brought forward, and one that is put off.
#[tokio::test(start_paused = true)]
async fn a_new_expiry_sets_the_alarm_anew() {
    let house = House::new();
    let leash = Arc::new(house.leash().unwrap());
    let waiting = tokio::spawn({
        let leash = Arc::clone(&leash);
        async move { leash.end_of(Side::Answer).await }
    });
    let hour = START.plus(Duration::from_hours(1));
    for expire in [Some(hour), None, Some(hour)] {
        house.put(KeyState { expire, ..key() });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
    }
    house.put(KeyState { expire: Some(START), ..key() });
    assert_eq!(reason(&soon(waiting).await.unwrap()), Reason::ApiKeyExpired);
}
