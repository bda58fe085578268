//! Access tokens: who signs them, and who they stand for.
//!
//! A token is verified in full once and then remembered by the digest of its
//! whole text. What it stands for is asked of the view each time.

use super::App;
use crate::domain::audit::{Action, Actor, Event};
use crate::domain::sessions::{Login, Session};
use crate::domain::signing::{self, Algorithm, Due, MAX_TOKEN_LIFE, SigningKeyState, SigningPolicy};
use crate::domain::{Failure, Fault, Reason, Refusal, SessionId, TenantId, Timestamp, UserId};
use crate::secret::Place;
use crate::secret::token::{
    AccessClaims, Digested, Expect, Keyset, Proven, SharedSecret, SignedToken, SigningKey, TokenFault,
};
use crate::store::{Across, Error, signing_keys as rows};
use crate::view::{SigningKeys, View, token_expired};
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Tokens that are remembered; about 200 bytes each.
const REMEMBERED: usize = 100_000;

/// How often at most they are looked through for those that have ended.
const SWEEP: Duration = Duration::from_secs(10);

/// How access tokens are made.
#[derive(Debug, Clone)]
pub struct TokenOptions {
    /// Who issues them: the claim `iss`.
    pub issuer: String,
    /// Whom they are for: the claim `aud`.
    pub audience: String,
    /// `RS256`, `ES256`, `EdDSA` or `HS256`.
    pub algorithm: Algorithm,
    /// How long they live, in seconds: 1 to 3600.
    pub access_ttl_seconds: u32,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            issuer: "doorward".into(),
            audience: "doorward".into(),
            algorithm: Algorithm::Rs256,
            access_ttl_seconds: 900,
        }
    }
}

impl TokenOptions {
    /// What is wrong with the options, if anything.
    pub fn fault(&self) -> Option<String> {
        let sound = |text: &str| (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
        if !sound(&self.issuer) || !sound(&self.audience) {
            return Some("tokens.issuer and tokens.audience must have 1 to 256 characters".into());
        }
        let bounded = (1..=MAX_TOKEN_LIFE.as_secs()).contains(&self.access_ttl_seconds.into());
        (!bounded).then(|| format!("tokens.access_ttl_seconds must be 1 to {}", MAX_TOKEN_LIFE.as_secs()))
    }

    fn policy(&self) -> SigningPolicy {
        // Tenants may have their tokens live for as long as that.
        let token_life = MAX_TOKEN_LIFE;
        SigningPolicy { algorithm: self.algorithm, token_life, ..SigningPolicy::default() }
    }
}

/// Signs tokens and reads them.
pub struct Tokens {
    options: TokenOptions,
    shared: Option<SharedSecret>,
    signer: ArcSwapOption<SigningKey>,
    known: ArcSwap<Known>,
    remembered: papaya::HashMap<[u8; 32], Remembered>,
    /// When they were last looked through (µs since 1970).
    swept: AtomicI64,
}

/// The keys to verify with, as of a version of the view's.
#[derive(Default)]
struct Known {
    version: u64,
    keys: Keyset,
}

/// What a token says that was verified.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    /// The version of the signing keys that it was verified under.
    version: u64,
    says: Says,
}

/// What a token says, all of it to be asked of the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Says {
    /// The session that it stands for.
    pub session: SessionId,
    /// The session's tenant.
    pub tenant: TenantId,
    /// The session's person.
    pub user: UserId,
    /// How they proved who they are.
    pub login: Login,
}

impl Tokens {
    /// Tokens of these options; `shared` is the secret of HS256.
    pub fn new(options: TokenOptions, shared: Option<SharedSecret>) -> Self {
        Self {
            options,
            shared,
            signer: ArcSwapOption::empty(),
            known: ArcSwap::default(),
            remembered: papaya::HashMap::new(),
            swept: AtomicI64::new(0),
        }
    }

    /// Whether a text has the form of a token, whatever it says: no key has dots.
    pub fn is_one(presented: &str) -> bool {
        presented.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// What a token says, if one of these keys signed it.
    ///
    /// # Errors
    /// It is not good, or over.
    pub fn read(&self, view: &View, token: &str, now: Timestamp) -> Result<Says, Refusal> {
        let keys = view.signing_keys();
        let token = Digested::of(token);
        let place = token.whole().to_bytes();
        if let Some(known) = self.remembered.pin().get(&place)
            && known.version == keys.version
        {
            return unexpired(known.says, now);
        }
        let says = self.verify(&keys, &token, now)?;
        self.remember(place, Remembered { version: keys.version, says }, now);
        Ok(says)
    }

    /// Whether a token may be one of a key that was made elsewhere a moment ago.
    pub fn is_of_unknown_key(&self, view: &View, token: &str, now: Timestamp) -> bool {
        let expect = Expect { issuer: &self.options.issuer, audience: &self.options.audience };
        let verified = self.known(&view.signing_keys()).keys.verify(token, &expect, now);
        matches!(verified, Err(TokenFault::UnknownKey))
    }

    /// The keys that others verify tokens with (RFC 7517).
    pub fn jwks(&self, view: &View, now: Timestamp) -> String {
        self.known(&view.signing_keys()).keys.jwks_json(now)
    }

    /// A fresh token of a session, and how long it lives.
    ///
    /// # Errors
    /// There is no key to sign with.
    pub(super) fn issue(
        &self,
        session: &Session,
        ttl: u32,
        id: String,
        now: Timestamp,
    ) -> Result<(SignedToken, Duration), Failure> {
        let signer = self.signer.load_full().ok_or_else(|| Fault::new("there is no signing key yet"))?;
        let seconds = if ttl == 0 { self.options.access_ttl_seconds } else { ttl };
        let left = session.state.expire.since(now);
        let life = Duration::from_secs(seconds.into()).min(MAX_TOKEN_LIFE).min(left);
        let claims = AccessClaims {
            issuer: self.options.issuer.clone(),
            audience: self.options.audience.clone(),
            user: session.state.user,
            tenant: session.state.tenant,
            session: session.state.id,
            client: "doorward".into(),
            id,
            issued: now,
            expires: now.plus(life),
            authenticated: session.create_time,
            methods: session.methods.names().map(str::to_owned).collect(),
        };
        Ok((signer.sign(&claims).map_err(Fault::new)?, life))
    }

    fn verify(&self, keys: &SigningKeys, token: &Digested<'_>, now: Timestamp) -> Result<Says, Refusal> {
        let expect = Expect { issuer: &self.options.issuer, audience: &self.options.audience };
        match self.known(keys).keys.prove(token, &expect, now) {
            Ok(Proven { session, tenant, user, methods, authenticated: time, expires: token_expire }) => {
                Ok(Says { session, tenant, user, login: Login { methods, time, token_expire } })
            }
            Err(TokenFault::Expired { at }) => Err(token_expired(at)),
            Err(TokenFault::Malformed | TokenFault::Invalid | TokenFault::UnknownKey) => Err(invalid()),
        }
    }

    /// The keys of that version, read once.
    fn known(&self, keys: &SigningKeys) -> Guard<Arc<Known>> {
        let known = self.known.load();
        if known.version == keys.version {
            return known;
        }
        let mut fresh = Keyset::default();
        let mut states: Vec<_> = keys.keys.iter().collect();
        // Those that retire last, should there be more than fit.
        states.sort_by_key(|state| std::cmp::Reverse(state.retire));
        for state in states.into_iter().take(Keyset::MAX) {
            if let Err(fault) = fresh.put(state.clone(), self.shared.as_ref()) {
                tracing::error!(kid = %state.kid, %fault, "a signing key cannot be used");
            }
        }
        let fresh = Arc::new(Known { version: keys.version, keys: fresh });
        self.known.store(Arc::clone(&fresh));
        Guard::from_inner(fresh)
    }

    /// Whether all that is remembered may be looked through: once in a while,
    /// however many tokens come.
    fn may_sweep(&self, now: Timestamp) -> bool {
        let last = self.swept.load(Ordering::Relaxed);
        let due = now.since(Timestamp::from_micros(last)) >= SWEEP || last > now.micros();
        due && self.swept.compare_exchange(last, now.micros(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Where there is no room, what has ended makes some; where that does not
    /// help the token is verified again next time.
    fn remember(&self, place: [u8; 32], what: Remembered, now: Timestamp) {
        let remembered = self.remembered.pin();
        if remembered.len() >= REMEMBERED && self.may_sweep(now) {
            remembered
                .retain(|_, known| known.version == what.version && known.says.login.token_expire > now);
        }
        if remembered.len() < REMEMBERED {
            remembered.insert(place, what);
        }
    }
}

fn unexpired(says: Says, now: Timestamp) -> Result<Says, Refusal> {
    let at = says.login.token_expire;
    if at > now { Ok(says) } else { Err(token_expired(at)) }
}

/// What every bad token is told, whatever is wrong with it.
pub(super) fn invalid() -> Refusal {
    Refusal::new(Reason::InvalidToken, "the token is not valid")
}

impl App {
    /// Makes signing keys that are due, and signs with the one whose turn it
    /// is. To be called at the start, and again and again.
    pub async fn tend_signing_keys(&self) -> Result<(), Failure> {
        let (now, tokens) = (self.clock.now(), &self.people.tokens);
        let due = self.due(now);
        if let Some(wanted) = due.create {
            let key = match (&tokens.shared, wanted.algorithm) {
                (Some(shared), Algorithm::Hs256) => SigningKey::from_shared(shared.clone()),
                (_, algorithm) => {
                    let entropy = Arc::clone(&self.entropy);
                    let making = move || SigningKey::generate(algorithm, &*entropy);
                    tokio::task::spawn_blocking(making).await.map_err(Fault::new)?
                }
            };
            let key = key.map_err(Fault::new)?;
            self.add_signing_key(key.state(&wanted), &key, now).await?;
        }
        match self.due(now).signer {
            Some(kid) => self.sign_with(&kid).await,
            None => Err(Fault::new("there is no signing key whose turn it is").into()),
        }
    }

    fn due(&self, now: Timestamp) -> Due {
        let states = &self.replica.view.signing_keys().keys;
        signing::due(states, now, &self.people.tokens.options.policy())
    }

    async fn add_signing_key(
        &self,
        state: SigningKeyState,
        key: &SigningKey,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let private = key.private_bytes().map_err(Fault::new)?;
        let sealed = self
            .people
            .sealer
            .seal(&place(state.kid.as_str()), &private, &*self.entropy)
            .map_err(Fault::new)?;
        let platform = TenantId::from_bytes([0; 16]);
        let event = Event::new(platform, Action::SigningKeyMade, &state.kid, now, &*self.entropy);
        let store = self.store.clone();
        let policy = self.people.tokens.options.policy();
        let writing = async move {
            let actor = Actor::system("signing-keys");
            store
                .write_across(Across::Instance, &actor, event, async move |tx| {
                    // Another replica may have made one a moment ago.
                    let there = rows::signing_keys_for_update(tx).await?;
                    if signing::due(&there, now, &policy).create.is_none() {
                        return Ok(());
                    }
                    // A shared secret stays the same key, whose time is extended.
                    match there.iter().find(|other| other.kid == state.kid) {
                        Some(before) => {
                            let extended = SigningKeyState { activate: before.activate, ..state };
                            rows::signing_key_replace(tx, &extended).await?;
                        }
                        None => rows::signing_key_insert(tx, &state, &sealed).await?,
                    }
                    Ok::<_, Error>(())
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        self.replica.wait_for(written.revision, super::SETTLE).await?;
        Ok(())
    }

    async fn sign_with(&self, kid: &signing::Kid) -> Result<(), Failure> {
        let tokens = &self.people.tokens;
        if tokens.signer.load().as_ref().is_some_and(|signer| signer.kid() == kid) {
            return Ok(());
        }
        let state = self.replica.view.signing_keys().keys.iter().find(|state| state.kid == *kid).cloned();
        let state = state.ok_or_else(|| Fault::new("the signing key is not known"))?;
        let key = match (&tokens.shared, state.algorithm) {
            (Some(shared), Algorithm::Hs256) => SigningKey::from_shared(shared.clone()),
            (_, algorithm) => {
                let sealed =
                    rows::signing_key_private(&mut self.store.read(Across::Instance).await?, kid).await?;
                let sealed = sealed.ok_or_else(|| Fault::new("the signing key is not there"))?;
                let private = self.people.sealer.open(&place(kid.as_str()), &sealed).map_err(Fault::new)?;
                SigningKey::from_private(kid, algorithm, &private)
            }
        };
        tokens.signer.store(Some(Arc::new(key.map_err(Fault::new)?)));
        Ok(())
    }
}

fn place(kid: &str) -> Place<'_> {
    Place { table: "signing_keys", column: "private", row: kid.as_bytes(), tenant: None }
}
