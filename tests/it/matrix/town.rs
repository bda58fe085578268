//! A tenant with people in every role and a key of every kind, another beside it, and a server over both.
use super::people::{self, Caller, Standing};
use crate::harness::client::{self, Metadata};
use crate::harness::mint::unknown_key;
use crate::harness::world::{bootstrap, named};
use crate::harness::{Database, Server, Settings};
use doorward::boot::{OsEntropy, SystemClock};
use doorward::domain::audit::{Action, Actor, Event};
use doorward::domain::members::Role;
use doorward::domain::tenants::{Tenant, TenantState};
use doorward::domain::users::UserState;
use doorward::domain::{Clock, TenantId, Timestamp, UserId};
use doorward::pb::v1::{ApiKeyKind, CreateApiKeyRequest, LoginRequest, RevokeApiKeyRequest};
use doorward::secret::Password;
use doorward::store::members::member_insert;
use doorward::store::tenants::tenant_insert;
use doorward::store::users::user_insert;
use doorward::store::{Across, Options, Store, Url};
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

/// The tenant that everything happens in.
pub const HERE: &str = "umbrella";
/// The other one.
pub const THERE: &str = "globex";
/// What everybody logs in with.
const PASSWORD: &str = "long-fjord-kettle-97";
const ROLES: [(&str, Role, bool); 6] = [
    ("owner", Role::Owner, false),
    ("admin", Role::Admin, false),
    ("member", Role::Member, false),
    ("viewer", Role::Viewer, false),
    ("operator", Role::Member, true),
    ("bystander", Role::Viewer, false),
];

/// The whole scene.
pub struct Town {
    pub server: Server,
    pub database: Database,
    pub tenant_id: String,
    /// Everybody who calls in this tenant.
    pub callers: Vec<Caller>,
    /// The owner of the other tenant: their session, their key, and a service of theirs.
    pub strangers: Vec<Caller>,
    /// Somebody who calls nothing, and a key of theirs.
    pub other_user: String,
    pub other_key: String,
    /// Somebody else of the other tenant.
    pub colleague: String,
    spare: String,
    made: AtomicU32,
    _profiles: NamedTempFile,
}

/// A tenant as it was put into the database.
struct Settled {
    tenant: TenantId,
    people: Vec<(&'static str, UserId)>,
}

impl Town {
    /// Builds it. People are put into the database before the server starts.
    pub async fn build(database: Database) -> Self {
        let spare = bootstrap(&database).await["tenant_id"].as_str().unwrap().to_owned();
        let (here, there) = settle(&database).await;
        let (settings, profiles) = settings();
        let server = Server::serve(&database, &settings).await;
        let mut town = Self {
            server,
            database,
            tenant_id: here.tenant.to_string(),
            callers: Vec::new(),
            strangers: Vec::new(),
            other_user: here.user("bystander"),
            other_key: String::new(),
            colleague: there.user("admin"),
            spare,
            made: AtomicU32::new(0),
            _profiles: profiles,
        };
        town.people(&here).await;
        town.machines().await;
        town.refused().await;
        town.other_key = town.fresh(&town.other_user).await;
        town.strangers = town.strangers_of(&there).await;
        town
    }

    /// The request of a row, with what it names put in.
    pub async fn body(&self, template: &str, caller: &Caller) -> Value {
        let mut text = template.to_owned();
        let own = if caller.own_key.is_empty() { &self.other_key } else { &caller.own_key };
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let tomorrow = Timestamp::from_micros(now().micros() + 86_400_000_000);
        for (name, value) in [
            ("{unique}", format!("u{number}")),
            ("{digest}", format!("{number:064x}")),
            ("{tomorrow}", tomorrow.to_string()),
            ("{password}", PASSWORD.to_owned()),
            ("{email}", caller.email.clone()),
            ("{credential}", caller.credential.clone()),
            ("{no_session}", "session_01h455vb4pex5vsknk084sn02q".to_owned()),
            ("{no_passkey}", "passkey_01h455vb4pex5vsknk084sn02q".to_owned()),
            ("{no_user}", "user_01h455vb4pex5vsknk084sn02q".to_owned()),
            ("{no_role}", "role_01h455vb4pex5vsknk084sn02q".to_owned()),
            ("{no_invitation}", "invitation_01h455vb4pex5vsknk084sn02q".to_owned()),
            ("{own}", own.clone()),
            ("{other}", self.other_key.clone()),
            ("{other_user}", self.other_user.clone()),
            ("{spare}", self.spare.clone()),
        ] {
            text = text.replace(name, &value);
        }
        if text.contains("{own_fresh}") {
            let user = caller.user.as_ref().unwrap_or(&self.other_user);
            text = text.replace("{own_fresh}", &self.fresh(user).await);
        }
        if text.contains("{other_fresh}") {
            text = text.replace("{other_fresh}", &self.fresh(&self.other_user).await);
        }
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The same for a call that shall be refused whatever it names: nothing is made for it.
    pub async fn harmless(&self, template: &str, caller: &Caller) -> Value {
        self.body(&template.replace("_fresh}", "}"), caller).await
    }

    /// A key of a person, that may little.
    async fn fresh(&self, user: &str) -> String {
        let narrow =
            CreateApiKeyRequest { user_id: user.into(), scopes: vec!["keys.read".into()], ..named("fresh") };
        self.key(&self.callers[0].metadata, narrow).await.0
    }

    async fn key(&self, by: &Metadata, request: CreateApiKeyRequest) -> (String, String) {
        let answer = client::keys(&self.server.api(), by.clone()).create_api_key(request).await.unwrap();
        let answer = answer.into_inner();
        (answer.api_key.unwrap().id, answer.secret)
    }

    async fn log_in(&self, email: &str) -> String {
        let request =
            LoginRequest { email: email.into(), password: PASSWORD.into(), ..LoginRequest::default() };
        let told = client::authn(&self.server.api(), Metadata::none()).login(request).await.unwrap();
        told.into_inner().access_token
    }

    /// Everybody by session, then by key; the owner's session is the first.
    async fn people(&mut self, here: &Settled) {
        for (session, key, name, permissions) in [
            ("owner's session", "owner's key", "owner", people::OWNER),
            ("admin's session", "admin's key", "admin", people::ADMIN),
            ("member's session", "member's key", "member", people::MEMBER),
            ("viewer's session", "viewer's key", "viewer", people::VIEWER),
            ("operator's session", "operator's key", "operator", people::OPERATOR),
        ] {
            let email = address(name, HERE);
            let mut caller = Caller::with(session, &self.log_in(&email).await, permissions);
            caller.is_session = true;
            let user = here.user(name);
            // Who may not make a key has one from the owner.
            let (by, user_id) = if caller.may("keys.write") {
                (caller.metadata.clone(), String::new())
            } else {
                (self.callers[0].metadata.clone(), user.clone())
            };
            let (id, secret) = self.key(&by, CreateApiKeyRequest { user_id, ..named(name) }).await;
            let mut by_key = Caller::with(key, &secret, permissions);
            for caller in [&mut caller, &mut by_key] {
                caller.user = Some(user.clone());
                caller.own_key.clone_from(&id);
                caller.email.clone_from(&email);
            }
            self.callers.extend([caller, by_key]);
        }
    }

    async fn machines(&mut self) {
        let wide: Vec<String> = people::OWNER.iter().map(|name| (*name).to_owned()).collect();
        for (name, kind, scopes, permissions) in [
            ("service's key", ApiKeyKind::Service, Vec::new(), people::SERVICE),
            ("service's wide key", ApiKeyKind::Service, wide, people::OWNER),
            ("tenant's key", ApiKeyKind::Tenant, Vec::new(), people::TENANT),
            ("ingest key", ApiKeyKind::Ingest, Vec::new(), people::INGEST),
        ] {
            let request = CreateApiKeyRequest { kind: kind.into(), scopes, ..named(name) };
            let (id, secret) = self.key(&self.callers[0].metadata, request).await;
            self.callers.push(Caller { own_key: id, ..Caller::with(name, &secret, permissions) });
        }
    }

    /// Whoever is refused before anybody looks at what they want.
    async fn refused(&mut self) {
        let by = self.callers[0].metadata.clone();
        let end = SystemTime::now() + Duration::from_secs(2);
        let (_, expired) =
            self.key(&by, CreateApiKeyRequest { expire_time: Some(end.into()), ..named("short") }).await;
        let (id, revoked) = self.key(&by, named("revoked")).await;
        let revoke = RevokeApiKeyRequest { id };
        client::keys(&self.server.api(), by).revoke_api_key(revoke).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2100)).await;
        self.callers.extend([
            Caller::without("nobody", Standing::Nobody, ""),
            Caller::without("garbage", Standing::Bad("INVALID_API_KEY"), "garbage-that-is-no-key"),
            Caller::without("unknown key", Standing::Bad("INVALID_API_KEY"), &unknown_key("dw_live_")),
            Caller::without("revoked key", Standing::Bad("INVALID_API_KEY"), &revoked),
            Caller::without("expired key", Standing::Bad("API_KEY_EXPIRED"), &expired),
        ]);
    }

    async fn strangers_of(&self, there: &Settled) -> Vec<Caller> {
        let email = address("owner", THERE);
        let mut session = Caller::with("stranger's session", &self.log_in(&email).await, people::OWNER);
        session.is_session = true;
        let (id, secret) = self.key(&session.metadata, named("stranger")).await;
        let mut key = Caller::with("stranger's key", &secret, people::OWNER);
        let scopes = people::OWNER.iter().map(|name| (*name).to_owned()).collect();
        let kind = ApiKeyKind::Service.into();
        let request = CreateApiKeyRequest { kind, scopes, ..named("stranger") };
        let (machine, secret) = self.key(&session.metadata, request).await;
        let service =
            Caller { own_key: machine, ..Caller::with("stranger's service", &secret, people::OWNER) };
        for caller in [&mut session, &mut key] {
            caller.user = Some(there.user("owner"));
            caller.own_key.clone_from(&id);
            caller.email.clone_from(&email);
        }
        vec![session, key, service]
    }
}

/// Passkeys on, letters into the log, and nobody sent away because a busy machine hashes slowly.
fn settings() -> (Settings, NamedTempFile) {
    let file = NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(file.path(), profiles()).unwrap();
    let settings = Settings::default()
        .set("DOORWARD_CONFIG", file.path().display().to_string())
        .set("otlp.backend", "sink")
        .set("hashing.max_wait_ms", "60000")
        .set("mail.transport", "log")
        .set("people.link_base", "https://console.example.com")
        .set("people.rp_id", "example.com")
        .set("people.origins", "https://login.example.com");
    (settings, file)
}

/// Keys of every kind, and of one other system.
fn profiles() -> String {
    let own = [("user", ""), ("service", "svc_"), ("tenant", "ten_"), ("ingest", "ing_")];
    let own = own.map(|(kind, letters)| {
        format!(
            "[[keys.profiles]]\nname = \"{kind}\"\nprefix = \"dw_{letters}live_\"\nkind = \"{kind}\"\n\
             environment = \"live\"\n"
        )
    });
    let legacy = "[[keys.profiles]]\nname = \"legacy\"\nprefix = \"old_\"\nalphabet = \"hex\"\nrandom = 32\n\
                  check = 0\nkind = \"user\"\nenvironment = \"live\"\n";
    own.concat() + legacy
}

impl Settled {
    fn user(&self, name: &str) -> String {
        let user = self.people.iter().find(|(known, _)| *known == name);
        user.unwrap_or_else(|| panic!("no {name}")).1.to_string()
    }
}

fn address(name: &str, tenant: &str) -> String {
    format!("{name}@{tenant}.test")
}

fn now() -> Timestamp {
    SystemClock::default().now()
}

/// Puts both tenants with their people into the database, which no server has open yet.
async fn settle(database: &Database) -> (Settled, Settled) {
    let store = Store::new(&Options { url: Url::new(database.url()), ..Options::default() }).unwrap();
    let hash = tokio::task::spawn_blocking(|| {
        Password::presented(PASSWORD.into()).unwrap().hash(&OsEntropy).unwrap().as_str().to_owned()
    });
    let hash = hash.await.unwrap();
    let here = tenant(&store, HERE, &ROLES, &hash).await;
    let there = tenant(&store, THERE, &ROLES[..2], &hash).await;
    store.close().await;
    (here, there)
}

async fn tenant(store: &Store, slug: &str, roles: &[(&'static str, Role, bool)], hash: &str) -> Settled {
    let id = TenantId::new(now(), &OsEntropy);
    let state = TenantState::new(id, slug.parse().unwrap());
    let row = Tenant::new(state, slug.parse().unwrap(), now());
    let people: Vec<_> = roles.iter().map(|(name, ..)| (*name, UserId::new(now(), &OsEntropy))).collect();
    let event = Event::new(id, Action::TenantCreated, id, now(), &OsEntropy);
    let written = store
        .write_across(Across::Instance, &Actor::system("matrix"), event, async |tx| {
            tenant_insert(tx, &row).await?;
            for ((name, role, operator), (_, user)) in roles.iter().zip(&people) {
                let email = address(name, slug).parse().unwrap();
                let state = UserState { id: *user, email, operator: *operator, disabled: false };
                user_insert(tx, &state, Some(hash)).await?;
                member_insert(tx, id, *user, *role).await?;
            }
            Ok(())
        })
        .await;
    written.unwrap();
    Settled { tenant: id, people }
}
