//! The emergency key: off unless it is on, good for one tenant and some minutes, and never in silence.
mod closing;
mod conditions;
mod grants;
mod keys;
mod limits;

use crate::harness::client::{self, Metadata};
use crate::harness::world::OWNER;
use crate::harness::{Database, Settings, World};
use crate::people::person::Mailbox;
use doorward::pb::v1::{Principal, WhoAmIRequest};
use doorward::secret::MasterKey;
use doorward::store::Across;
use doorward::store::{Options, Store, Url};
use tonic::{Response, Status};

/// A master key as `openssl rand -hex 24` makes them.
const KEY: &str = "4f1b2b0b822cd15d6c15b0f00a089f86d081884c7d659a2f";
/// Why.
const WHY: &str = "INC-4711: the owner is locked out";

/// A world with the emergency key, and where its letters go.
struct Glass {
    world: World,
    letters: Mailbox,
}

/// Settings with the key on.
fn settings(letters: &Mailbox) -> Settings {
    letters.settings().set("break_glass.enabled", "true").set("break_glass.master_key", KEY)
}

/// The headers of an emergency in this tenant.
fn emergency(tenant: &str) -> Metadata {
    Metadata::none().and("x-master-key", KEY).and("x-break-glass-reason", WHY).and("x-tenant-id", tenant)
}

/// Asks who is calling with these headers.
async fn who(address: &str, metadata: Metadata) -> Result<Response<Principal>, Status> {
    let told = client::authn(address, metadata).who_am_i(WhoAmIRequest {}).await?;
    Ok(told.map(|told| told.principal.unwrap()))
}

impl Glass {
    async fn start(database: Database) -> Self {
        Self::with(database, |settings| settings).await
    }

    /// With more settings.
    async fn with(database: Database, more: impl FnOnce(Settings) -> Settings) -> Self {
        let letters = Mailbox::new();
        let world = World::with(database, more(settings(&letters))).await;
        Self { world, letters }
    }

    fn address(&self) -> String {
        self.world.server.api()
    }

    /// The headers of an emergency in the world's tenant.
    fn here(&self) -> Metadata {
        emergency(&self.world.tenant_id)
    }

    /// How many entries of that action the audit log has.
    async fn audited(&self, action: &str) -> i64 {
        let conn = &mut self.store().read(Across::Instance).await.unwrap();
        doorward::store::audit::event_count(conn, action).await.unwrap()
    }

    fn store(&self) -> Store {
        store(&self.world.database)
    }
}

fn store(database: &Database) -> Store {
    Store::new(&Options { url: Url::new(database.url()), ..Options::default() }).unwrap()
}

/// What the key is known by, once it was used.
fn key_id() -> [u8; 16] {
    MasterKey::new(KEY.as_bytes()).unwrap().id()
}

/// Waits for what is done after an answer.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{what}: it does not come");
}

/// Whether the owner got the letter.
fn owner_was_told(glass: &Glass) -> bool {
    glass.letters.letters().iter().any(|(_, letter)| {
        letter.contains("emergency key") && letter.contains("INC-4711") && letter.contains(OWNER)
    })
}
