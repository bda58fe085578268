use super::*;
use crate::domain::KeyId;
use crate::domain::address::Networks;
use crate::domain::changes::Change;
use crate::domain::keys::{KeyState, Previous, samples};
use crate::domain::members::{MemberState, Role};
use crate::domain::tenants::TenantState;
use crate::domain::users::UserState;
use crate::view::Writer;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const OTHER: TenantId = TenantId::from_bytes([3; 16]);
const USER: UserId = UserId::from_bytes([2; 16]);
const NOW: Timestamp = Timestamp::from_micros(1_000_000);
const LATER: Timestamp = Timestamp::from_micros(2_000_000);

struct House {
    view: Arc<View>,
    writer: Writer,
}

impl House {
    /// Two tenants; a person who owns the first and is nobody in the second.
    fn new() -> Self {
        let (view, writer) = View::with_room_for(10, 10);
        let mut house = Self { view, writer };
        house.apply([tenant(TENANT), tenant(OTHER), user(false), member(TENANT, Some(Role::Owner))]);
        house.apply([put(key())]);
        house
    }

    fn apply(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.writer.apply(change);
        }
    }

    fn judge(&self) -> Judge<'_> {
        Judge { view: &self.view, default_per_minute: 0 }
    }

    fn ask(&self, demand: &Demand<'_>) -> Result<Verified, Refusal> {
        let digest = key().digest;
        let presented =
            Presented { digest, kind: KeyKind::User, environment: Environment::Live, login: None };
        let found = self.view.key(digest).ok_or_else(Refusal::invalid_api_key)?;
        self.judge().verify(&presented, &found, demand, NOW)
    }

    fn terms(&self) -> Terms {
        Terms::of(&self.ask(&Demand::default()).unwrap(), None, Permissions::of(&[Permission::KEYS_READ]))
    }

    fn goes_on(&self, terms: &Terms) -> Result<(), Reason> {
        self.judge().still_good(terms, NOW).map_err(|refusal| refusal.reason)
    }
}

fn key() -> KeyState {
    samples::user_key(7, TENANT, USER)
}

fn put(key: KeyState) -> Change {
    Change::Key(Box::new(key))
}

fn state(id: TenantId) -> TenantState {
    let slug = if id == TENANT { "acme" } else { "umbrella" };
    TenantState::new(id, slug.parse().unwrap())
}

fn tenant(id: TenantId) -> Change {
    Change::Tenant(state(id))
}

fn suspended(id: TenantId) -> Change {
    Change::Tenant(TenantState { suspended: true, ..state(id) })
}

fn user(operator: bool) -> Change {
    let email = "ada@example.com".parse().unwrap();
    Change::User(UserState { id: USER, email, operator, disabled: false })
}

fn member(tenant: TenantId, role: Option<Role>) -> Change {
    Change::Member(MemberState { tenant, user: USER, role: role.map(Role::into) })
}

fn elsewhere() -> Networks {
    Networks::parse(["192.0.2.0/24"]).unwrap()
}

// R3
#[test]
fn what_speaks_against_a_key_is_told_in_order() {
    let mut house = House::new();
    let demands = [
        (Demand { only: Some(OTHER), ..Demand::default() }, Reason::InvalidApiKey),
        (Demand { tenant: Some("umbrella"), ..Demand::default() }, Reason::TenantMismatch),
        (
            Demand { permission: Some(Permission::PLATFORM_TENANTS), ..Demand::default() },
            Reason::InsufficientPermissions,
        ),
        (Demand { feature: Some("gold"), ..Demand::default() }, Reason::FeatureNotLicensed),
        (Demand { mfa: true, ..Demand::default() }, Reason::MfaRequired),
    ];
    house.ask(&Demand { tenant: Some("acme"), ..Demand::default() }).unwrap();
    for (demand, reason) in demands {
        assert_eq!(house.ask(&demand).unwrap_err().reason, reason);
    }
    house.apply([put(KeyState { networks: elsewhere(), ..key() })]);
    assert_eq!(house.ask(&demands[1].0).unwrap_err().reason, Reason::IpNotAllowed);
    house.apply([suspended(TENANT)]);
    assert_eq!(house.ask(&demands[1].0).unwrap_err().reason, Reason::TenantSuspended);
    house.apply([put(KeyState { expire: Some(NOW), ..key() })]);
    assert_eq!(house.ask(&demands[1].0).unwrap_err().reason, Reason::ApiKeyExpired);
}

// R15
#[test]
fn what_was_begun_may_go_on_until_what_it_stands_on_is_taken_away() {
    let reader = || KeyState { scopes: Permissions::of(&[Permission::KEYS_READ]), ..key() };
    let rotated = |previous| KeyState { digest: Digest::from_bytes(&[8; 32]), previous, ..key() };
    let overlap = |until| Some(Previous { digest: key().digest, until });
    for (change, expected) in [
        (put(reader()), Ok(())),
        (put(KeyState { per_minute: 1, expire: Some(LATER), ..key() }), Ok(())),
        (member(TENANT, Some(Role::Viewer)), Ok(())),
        (suspended(OTHER), Ok(())),
        (put(rotated(overlap(LATER))), Ok(())),
        (put(rotated(overlap(NOW))), Err(Reason::InvalidApiKey)),
        (put(rotated(None)), Err(Reason::InvalidApiKey)),
        (put(KeyState { revoked: true, ..key() }), Err(Reason::InvalidApiKey)),
        (put(KeyState { expire: Some(NOW), ..key() }), Err(Reason::ApiKeyExpired)),
        (
            put(KeyState { scopes: Permissions::of(&[Permission::INGEST_WRITE]), ..key() }),
            Err(Reason::InsufficientPermissions),
        ),
        (put(KeyState { networks: elsewhere(), ..key() }), Err(Reason::IpNotAllowed)),
        (member(TENANT, None), Err(Reason::InvalidApiKey)),
        (suspended(TENANT), Err(Reason::TenantSuspended)),
        (Change::Tenant(TenantState { networks: elsewhere(), ..state(TENANT) }), Err(Reason::IpNotAllowed)),
    ] {
        let mut house = House::new();
        let terms = house.terms();
        assert_eq!(house.goes_on(&terms), Ok(()));
        house.apply([change.clone()]);
        assert_eq!(house.goes_on(&terms), expected, "{change:?}");
    }
}

// R6, R15: whoever acts in another tenant stands on both.
#[test]
fn who_acts_for_another_tenant_is_judged_in_both() {
    let mut house = House::new();
    let act = |house: &House| {
        let verified = house.ask(&Demand::default()).unwrap();
        house.judge().act_for(verified, "umbrella", None, false).map_err(|refusal| refusal.reason)
    };
    assert_eq!(act(&house).unwrap_err(), Reason::TenantMismatch);
    for (grant, withdrawal) in [
        (user(true), user(false)),
        (member(OTHER, Some(Role::Admin)), member(OTHER, None)),
        (member(OTHER, Some(Role::Admin)), member(TENANT, Some(Role::Viewer))),
    ] {
        house.apply([grant]);
        let verified = act(&house).unwrap();
        let terms = Terms::of(&verified, None, Permissions::of(&[Permission::KEYS_READ])).from_home(TENANT);
        assert_eq!((terms.home, terms.tenant, house.goes_on(&terms)), (TENANT, OTHER, Ok(())));
        house.apply([suspended(OTHER)]);
        assert_eq!(house.goes_on(&terms), Err(Reason::TenantSuspended));
        house.apply([tenant(OTHER), withdrawal]);
        assert_eq!(house.goes_on(&terms), Err(Reason::TenantMismatch));
        house.apply([member(TENANT, Some(Role::Owner)), member(OTHER, None)]);
    }
}

// A secret that came back as another key's does not carry on what was begun.
#[test]
fn another_key_of_the_same_secret_is_another_key() {
    let mut house = House::new();
    let terms = house.terms();
    let id = KeyId::from_bytes([9; 16]);
    house.apply([put(KeyState { revoked: true, ..key() }), put(KeyState { id, ..key() })]);
    assert!(house.ask(&Demand::default()).is_ok());
    assert_eq!(house.goes_on(&terms), Err(Reason::InvalidApiKey));
}
