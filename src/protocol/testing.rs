//! A warden over a view of one key, whose clock and lease tests set.

use super::leash::{Leash, Warden};
use crate::domain::changes::Change;
use crate::domain::keys::{KeyState, samples};
use crate::domain::members::{MemberState, Role};
use crate::domain::tenants::TenantState;
use crate::domain::users::UserState;
use crate::domain::{Failure, Fault, Moment, Permissions, TenantId, Timestamp, UserId};
use crate::view::{Judge, Terms, View, Writer};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const USER: UserId = UserId::from_bytes([2; 16]);
/// When every test begins.
pub const START: Timestamp = Timestamp::from_micros(1_000_000);

pub struct House {
    view: Arc<View>,
    writer: Mutex<Writer>,
    pub wall: AtomicI64,
    pub ready: AtomicBool,
    pub ended: AtomicU32,
}

impl House {
    pub fn new() -> Arc<Self> {
        let (view, mut writer) = View::with_room_for(1, 1);
        let slug = "acme".parse().unwrap();
        writer.apply(Change::Tenant(TenantState::new(TENANT, slug)));
        let email = "ada@example.com".parse().unwrap();
        writer.apply(Change::User(UserState { id: USER, email, operator: false, disabled: false }));
        writer.apply(Change::Member(MemberState {
            tenant: TENANT,
            user: USER,
            role: Some(Role::Owner.into()),
        }));
        let house = Self {
            view,
            writer: Mutex::new(writer),
            wall: AtomicI64::new(START.micros()),
            ready: AtomicBool::new(true),
            ended: AtomicU32::new(0),
        };
        house.put(key());
        Arc::new(house)
    }

    pub fn put(&self, key: KeyState) -> u32 {
        self.writer.lock().unwrap().apply(Change::Key(Box::new(key)))
    }

    pub fn revoke(&self) {
        assert_eq!(self.put(KeyState { revoked: true, ..key() }), 1);
    }

    pub fn ended(&self) -> u32 {
        self.ended.load(Ordering::Relaxed)
    }

    pub fn leash(self: &Arc<Self>) -> Result<Leash, Failure> {
        let terms = Terms {
            digest: key().digest,
            credential: crate::domain::CredentialId::Key(key().id),
            one_factor: false,
            token_expire: crate::domain::Timestamp::NEVER,
            home: TENANT,
            tenant: TENANT,
            user: Some(USER),
            peer: None,
            required: Permissions::NONE,
            expire: Timestamp::NEVER,
        };
        Leash::new(Arc::clone(self) as _, self.view.register(terms).unwrap())
    }
}

pub fn key() -> KeyState {
    samples::user_key(7, TENANT, USER)
}

impl Warden for House {
    fn moment(&self) -> Moment {
        Moment { wall: Timestamp::from_micros(self.wall.load(Ordering::Relaxed)), monotonic: 0 }
    }

    fn is_ready(&self, _at: Moment) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    fn still_good(&self, terms: &Terms, at: Moment) -> Result<(), Failure> {
        if !self.is_ready(at) {
            return Err(Fault::new("the lease has lapsed").into());
        }
        Ok(Judge { view: &self.view, default_per_minute: 0 }.still_good(terms, at.wall)?)
    }

    fn ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}
