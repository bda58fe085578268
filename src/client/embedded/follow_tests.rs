use super::*;
use crate::client::{Address, Client};
use crate::domain::changes::Change;
use crate::domain::keys::samples::user_key;
use crate::domain::members::{MemberState, Role};
use crate::domain::tenants::TenantState;
use crate::domain::users::UserState;
use crate::domain::{Moment, TenantId, Timestamp, UserId};
use crate::protocol::times::from_duration;
use crate::secret::Profile;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const USER: UserId = UserId::from_bytes([2; 16]);

/// A follower without a server: the test says what comes.
struct Scene {
    follower: Follower,
    sender: mpsc::Sender<pb::WatchRevocationsRequest>,
    sent: mpsc::Receiver<pb::WatchRevocationsRequest>,
}

impl Scene {
    fn new() -> Self {
        let shared = Arc::new(Shared::new(Client::lazy(&Address::parse("127.0.0.1:9").unwrap())));
        let (sender, sent) = mpsc::channel(BACKLOG);
        Self { follower: Follower::new(shared), sender, sent }
    }

    /// One that has loaded a snapshot of revision 5.
    fn loaded() -> Self {
        let mut scene = Self::new();
        scene.take(terms(Profile::defaults())).unwrap();
        scene.snapshot(5);
        scene
    }

    fn take(&mut self, event: Event) -> Result<bool, End> {
        self.follower.take(event, &self.sender)
    }

    fn snapshot(&mut self, revision: u64) {
        self.take(Event::SnapshotBegin(pb::WatchSnapshotBegin {})).unwrap();
        self.take(Event::SnapshotItems(pb::WatchSnapshotItems { states: states() })).unwrap();
        let end = pb::WatchSnapshotEnd { revision: format!("r{revision}") };
        assert!(self.take(Event::SnapshotEnd(end)).unwrap(), "it is time to ask for a lease");
    }

    /// Grants what was asked for at `sent`.
    fn grant(&mut self, sent: u64, revision: u64, remaining: Duration) {
        self.follower.number += 1;
        let number = self.follower.number;
        self.follower.renewals.push_back((number, sent));
        self.take(lease(number, revision, remaining)).unwrap();
    }

    fn mirror(&self) -> Arc<Mirror> {
        self.follower.shared.current.load_full().unwrap()
    }

    fn acknowledged(&mut self) -> Vec<String> {
        let mut revisions = Vec::new();
        while let Ok(request) = self.sent.try_recv() {
            if let Some(Action::Acknowledge(it)) = request.action {
                revisions.push(it.revision);
            }
        }
        revisions
    }
}

fn terms(profiles: Vec<Profile>) -> Event {
    Event::Terms(pb::WatchTerms {
        era: "e/*".into(),
        profiles: profiles::from_forms(&Forms::new(profiles)),
        default_per_minute: 0,
        renew_interval: Some(from_duration(Duration::from_millis(500))),
    })
}

fn states() -> Vec<pb::WatchedState> {
    let (email, slug) = ("ada@example.com".parse().unwrap(), "acme".parse().unwrap());
    [
        Change::Tenant(TenantState::new(TENANT, slug)),
        Change::User(UserState { id: USER, email, operator: false, disabled: false }),
        Change::Member(MemberState { tenant: TENANT, user: USER, role: Some(Role::Member.into()) }),
        Change::Key(Box::new(user_key(7, TENANT, USER))),
    ]
    .iter()
    .filter_map(states::from_change)
    .collect()
}

fn revoked() -> Vec<pb::WatchedState> {
    let mut key = user_key(7, TENANT, USER);
    key.revoked = true;
    Vec::from_iter(states::from_change(&Change::Key(Box::new(key))))
}

fn change(revision: u64, states: Vec<pb::WatchedState>) -> Event {
    Event::Change(pb::WatchChange { revision: format!("r{revision}"), states })
}

fn lease(number: u64, revision: u64, remaining: Duration) -> Event {
    let remaining = Some(from_duration(remaining));
    Event::Lease(pb::WatchLease { number, revision: format!("r{revision}"), remaining })
}

fn at(monotonic: u64) -> Moment {
    Moment { wall: Timestamp::from_micros(1), monotonic }
}

// EdgeFullLease, ExpiryFromReceive
#[tokio::test]
async fn a_lease_lasts_as_granted_from_when_it_was_asked_for() {
    let mut scene = Scene::loaded();
    assert!(!scene.mirror().holds(at(0)), "nothing is granted at first");
    scene.grant(1_000, 5, Duration::from_micros(500));
    assert!(scene.mirror().holds(at(1_499)) && !scene.mirror().holds(at(1_500)));
    assert_eq!(*scene.follower.shared.renewed.borrow(), 1_000);
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_grants_nothing() {
    let mut scene = Scene::loaded();
    scene.take(lease(9, 5, Duration::from_secs(9))).unwrap();
    assert!(!scene.mirror().holds(at(0)));
    // An answer to an earlier renewal, after that to a later one.
    scene.follower.renewals.extend([(10, 1_000), (11, 2_000)]);
    scene.take(lease(11, 5, Duration::from_micros(500))).unwrap();
    scene.take(lease(10, 5, Duration::from_secs(9))).unwrap();
    assert!(scene.mirror().holds(at(2_499)) && !scene.mirror().holds(at(2_500)));
}

#[tokio::test]
async fn a_change_is_in_effect_before_it_is_acknowledged() {
    let mut scene = Scene::loaded();
    scene.grant(1_000, 5, Duration::from_secs(1));
    let mirror = scene.mirror();
    let digest = user_key(7, TENANT, USER).digest;
    assert!(mirror.view.key(digest).is_some());
    scene.take(change(8, revoked())).unwrap();
    assert!(mirror.view.key(digest).is_none());
    assert_eq!(mirror.view.applied(), Revision::from_number(8));
    assert_eq!(scene.acknowledged(), ["r5", "r8"]);
    // Revisions that do not concern it are told by the next lease alone.
    scene.grant(2_000, 11, Duration::from_secs(1));
    assert_eq!(mirror.view.applied(), Revision::from_number(11));
    assert_eq!(scene.follower.opening().revision, "r11");
}

// EdgeNotCounted: what is learnt anew begins without a lease, and what the old copy opened ends.
#[tokio::test]
async fn a_new_snapshot_takes_the_old_lease_and_its_streams_with_it() {
    let mut scene = Scene::loaded();
    scene.grant(1_000, 5, Duration::from_secs(1));
    let old = scene.mirror();
    let found = old.view.key(user_key(7, TENANT, USER).digest).unwrap();
    let terms = crate::view::Terms {
        digest: user_key(7, TENANT, USER).digest,
        credential: found.id,
        one_factor: false,
        token_expire: Timestamp::NEVER,
        home: TENANT,
        tenant: TENANT,
        user: Some(USER),
        peer: None,
        required: crate::domain::Permissions::NONE,
        expire: Timestamp::NEVER,
    };
    let held = old.view.register(terms).unwrap();
    scene.snapshot(9);
    assert!(held.is_cut().is_some_and(|told| told.reason == Reason::BackendUnavailable));
    let new = scene.mirror();
    assert!(!old.holds(at(1_001)) && !new.holds(at(1_001)) && !Arc::ptr_eq(&old, &new));
    scene.grant(2_000, 9, Duration::from_secs(1));
    assert!(new.holds(at(2_001)) && !old.holds(at(2_001)), "a lease on one copy is none on another");
}

#[tokio::test]
async fn other_forms_go_with_the_same_copy() {
    let mut scene = Scene::loaded();
    scene.grant(1_000, 5, Duration::from_secs(1));
    let old = scene.mirror();
    scene.take(terms(Profile::defaults())).unwrap();
    assert!(Arc::ptr_eq(&old, &scene.mirror()), "the same forms make no other mirror");
    let mut profiles = Profile::defaults();
    profiles.truncate(1);
    scene.take(terms(profiles)).unwrap();
    let new = scene.mirror();
    assert!(new.holds(at(1_001)) && !old.holds(at(1_001)) && Arc::ptr_eq(&old.view, &new.view));
}

#[tokio::test]
async fn what_cannot_be_read_or_comes_out_of_order_ends_the_stream() {
    for event in [
        change(6, Vec::new()),
        lease(1, 5, Duration::from_secs(1)),
        Event::SnapshotBegin(pb::WatchSnapshotBegin {}),
        Event::SnapshotEnd(pb::WatchSnapshotEnd { revision: "r5".into() }),
        Event::SnapshotItems(pb::WatchSnapshotItems { states: states() }),
    ] {
        assert!(matches!(Scene::new().take(event), Err(End::Disorder)), "before the terms");
    }
    let unknown = pb::WatchedState { state: None };
    assert!(matches!(Scene::loaded().take(change(6, vec![unknown])), Err(End::Unreadable(_))));
    let nonsense = Event::Change(pb::WatchChange { revision: "6".into(), states: Vec::new() });
    assert!(matches!(Scene::loaded().take(nonsense), Err(End::Unreadable(_))));
    assert!(matches!(Scene::loaded().take(Event::Reset(pb::WatchReset {})), Err(End::Reset)));
}

#[tokio::test]
async fn whoever_stops_following_stops_answering() {
    let mut scene = Scene::loaded();
    scene.grant(1_000, 5, Duration::from_secs(9));
    let mirror = scene.mirror();
    drop(scene);
    assert!(!mirror.holds(at(1_001)));
}

#[test]
fn pauses_grow_to_a_bound() {
    assert!(pause(1) <= PAUSES.0 && pause(1) >= PAUSES.0 / 2);
    for failures in [7, 40, u32::MAX] {
        assert!(pause(failures) <= PAUSES.1 && pause(failures) >= PAUSES.1 / 2);
    }
}
