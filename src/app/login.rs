//! Logging in: by password, then by a second factor where there is one.

use super::App;
use super::mfa::subjects_of;
use super::passkey_login::Signed;
use super::people::{Visitor, sealed_at};
use crate::domain::audit::Action;
use crate::domain::letters::SignedIn;
use crate::domain::sessions::{MAX_LIFE, MAX_SESSIONS, Method, Methods, Session, SessionState, device_name};
use crate::domain::throttle::{Device, Network, Subject};
use crate::domain::users::Email;
use crate::domain::{Digest, Failure, Fault, Reason, Refusal, SessionId, TenantId, Timestamp, UserId};
use crate::secret::token::SignedToken;
use crate::secret::webauthn::Purpose;
use crate::secret::{BackupCode, Bearer, Class, Password, TotpSecret};
use crate::store::passkeys::{self, Enrolled};
use crate::store::people::{self as rows, Challenge, Person};
use crate::store::roles::role_title;
use crate::store::{Across, Error, Tx, factors, sessions, tenants};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a login waits for its second factor.
const CHALLENGE_FOR: Duration = Duration::from_mins(5);

/// What somebody brings who logs in.
#[derive(Debug)]
pub struct LoginAttempt {
    /// The address, as typed.
    pub email: String,
    /// The password, as typed.
    pub password: String,
    /// The tenant, by id or short name.
    pub tenant: Option<String>,
    /// A code of the authenticator.
    pub totp: Option<String>,
    /// What an earlier login gave the device.
    pub device_token: Option<String>,
    /// What the device calls itself.
    pub device_name: Option<String>,
}

/// A second factor, as typed.
#[derive(Debug)]
pub enum Factor {
    /// A code of the authenticator.
    Totp(String),
    /// A backup code.
    BackupCode(String),
    /// `AuthenticationResponseJSON` of a passkey.
    Passkey(String),
}

/// What a login came to.
#[derive(Debug)]
pub enum Outcome {
    /// It is complete.
    Complete(Box<Tokens>),
    /// It waits for its second factor.
    Waiting(Waiting),
}

/// A login that waits.
#[derive(Debug)]
pub struct Waiting {
    /// Names it.
    pub challenge: Bearer,
    /// Until when it waits.
    pub expire: Timestamp,
    /// What it waits for, by name.
    pub methods: Vec<&'static str>,
    /// What the browser is asked, where a passkey is among them.
    pub passkey_options: Option<String>,
}

/// What a person gets who has logged in.
#[derive(Debug)]
pub struct Tokens {
    /// For calls.
    pub access: SignedToken,
    /// For how long.
    pub access_life: Duration,
    /// For the next access token.
    pub refresh: Bearer,
    /// What makes the device known at the next login; none where it was known.
    pub device: Option<Bearer>,
    /// The session.
    pub session: Session,
    /// Who.
    pub email: Email,
    /// As what, by name.
    pub role: String,
}

/// A factor that was right, to be taken in the transaction that uses it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Taken {
    /// The code of this step.
    Totp(i64),
    /// The backup code of this digest.
    BackupCode(Digest),
    /// A passkey.
    Passkey(Signed),
}

impl Taken {
    const fn method(self) -> Method {
        match self {
            Self::Totp(_) => Method::Totp,
            Self::BackupCode(_) => Method::BackupCode,
            Self::Passkey(_) => Method::Passkey,
        }
    }

    /// Takes it; only one who comes with it can.
    pub(super) async fn take(self, tx: &mut Tx, user: UserId) -> Result<(), Error> {
        let first = match self {
            Self::Totp(step) => factors::totp_accept(tx, user, step).await?,
            Self::BackupCode(code) => factors::backup_code_take(tx, user, code).await?,
            Self::Passkey(signed) => signed.take(tx, user).await?,
        };
        if first { Ok(()) } else { Err(wrong_factor().into()) }
    }
}

/// Where somebody logs in.
pub(super) struct Place {
    pub tenant: TenantId,
    /// How long a session there lives at most.
    pub life: Duration,
    /// As what, by name.
    pub role: String,
}

/// Who has proven themselves by now, and where to.
pub(super) struct Arrival {
    pub person: Person,
    pub tenant: TenantId,
    /// How long a session there lives at most.
    pub life: Duration,
    pub role: String,
    pub known: Option<Digest>,
    pub device: String,
    /// Whether the password was given, and not a passkey in its place.
    pub by_password: bool,
}

impl App {
    /// Logs somebody in, or asks for their second factor.
    ///
    /// # Errors
    /// `INVALID_LOGIN` for an unknown address as for a wrong password, after
    /// the same work.
    pub async fn login(&self, visitor: &Visitor, attempt: LoginAttempt) -> Result<Outcome, Failure> {
        let now = self.clock.now();
        // Too long or empty: wrong, but not to be hashed.
        let typed = Zeroizing::new(attempt.password);
        let Ok(password) = Password::presented(typed.to_string()) else {
            return Err(wrong_login().into());
        };
        let email: Email =
            attempt.email.trim().parse().map_err(|_bad: crate::domain::users::BadEmail| wrong_login())?;
        let person = rows::person_by_email(&mut self.store.read(Across::People).await?, &email).await?;
        let known = self.known_device(person.as_ref(), attempt.device_token.as_deref()).await?;
        let account = self.account(&email, person.as_ref());
        let subjects = Subject::of_password(account, known.map(Device), visitor.address.map(Network::of));
        self.count_try(&subjects, now).await?;
        let verdict = self.fits(password, person.as_ref()).await?;
        let Some(person) = person.filter(|person| verdict.fits && !person.disabled) else {
            return Err(self.absent(wrong_login()));
        };
        let Place { tenant, life, role } = self.tenant_of(person.id, attempt.tenant.as_deref()).await?;
        let device = device_name(attempt.device_name.as_deref().unwrap_or(&visitor.agent));
        let arrival = Arrival { person, tenant, life, role, known, device, by_password: true };
        let enrolled =
            passkeys::enrolled(&mut self.store.read(Across::People).await?, arrival.person.id).await?;
        let outcome = match (enrolled.is_some(), attempt.totp) {
            (true, None) => {
                self.store.throttle_change(&subjects, Subject::taken_back).await?;
                let waiting = self.wait_for_factor(&arrival, &enrolled, now).await?;
                return Ok(Outcome::Waiting(waiting));
            }
            (true, Some(code)) => {
                let counted = Subject::of_factor(arrival.person.id, None, known.map(Device));
                self.count_try(&counted, now).await?;
                let taken = self.factor(arrival.person.id, &Factor::Totp(code), None, now).await?;
                let tokens = self.open_session(visitor, &arrival, Some(taken), None, now).await?;
                self.count_success(&counted).await?;
                tokens
            }
            (false, _) => self.open_session(visitor, &arrival, None, None, now).await?,
        };
        self.count_success(&subjects).await?;
        if known.is_some() {
            let elsewhere = [Subject::Elsewhere(account), Subject::Factor(outcome.session.state.user)];
            self.store.throttle_change(&elsewhere, Subject::eased).await?;
        }
        if verdict.needs_rehash {
            self.rehash(visitor, &outcome.session, &typed, now).await?;
        }
        Ok(Outcome::Complete(Box::new(outcome)))
    }

    /// Completes a login with its second factor.
    ///
    /// # Errors
    /// `INVALID_LOGIN` if the factor is wrong or the login no longer waits.
    pub async fn complete_login(
        &self,
        visitor: &Visitor,
        challenge: &str,
        factor: Factor,
    ) -> Result<Tokens, Failure> {
        let now = self.clock.now();
        let over = || Refusal::new(Reason::InvalidLogin, "the login no longer waits; begin it again");
        let Ok(challenge) = Bearer::parse(Class::Challenge, challenge) else { return Err(over().into()) };
        let digest = challenge.digest();
        let found = rows::challenge_by_digest(&mut self.store.read(Across::People).await?, digest).await?;
        let waiting = found.filter(|waiting| waiting.expire > now).ok_or_else(|| self.absent(over()))?;
        let subjects = subjects_of(&factor, waiting.user, Some(digest), waiting.device.map(Device));
        self.count_try(&subjects, now).await?;
        let purpose = Purpose::SecondFactor(digest);
        let taken = self.factor(waiting.user, &factor, Some(&purpose), now).await?;
        let found = rows::person_by_id(&mut self.store.read(Across::People).await?, waiting.user).await?;
        let person = found.filter(|person| !person.disabled).ok_or_else(over)?;
        let wanted = waiting.tenant.to_string();
        let Place { tenant, life, role } = self.tenant_of(waiting.user, Some(&wanted)).await?;
        let device = device_name(&visitor.agent);
        let known = waiting.device;
        let arrival = Arrival { person, tenant, life, role, known, device, by_password: true };
        let tokens = self.open_session(visitor, &arrival, Some(taken), Some(digest), now).await?;
        self.count_success(&subjects).await?;
        Ok(tokens)
    }

    /// Keeps a password that was right under the parameters of today.
    async fn rehash(
        &self,
        visitor: &Visitor,
        session: &Session,
        typed: &str,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let (tenant, user) = (session.state.tenant, session.state.user);
        let before = rows::person_by_id(&mut self.store.read(Across::People).await?, user).await?;
        let before = before.and_then(|person| person.password_hash);
        let Ok(password) = Password::presented(typed.to_owned()) else { return Ok(()) };
        let hash = self.people.hashing.hash(password).await?;
        let event = self.event(tenant, Action::PasswordRehashed, user, now);
        let (store, actor) = (self.store.clone(), visitor.actor(user));
        let writing = async move {
            store
                .write_across(Across::People, &actor, event, async move |tx| {
                    rows::password_replace(tx, user, before.as_deref(), hash.as_str()).await
                })
                .await
        };
        self.store.detached(writing).await?;
        Ok(())
    }

    /// The person's device, if the token makes it one that they have used.
    pub(super) async fn known_device(
        &self,
        person: Option<&Person>,
        token: Option<&str>,
    ) -> Result<Option<Digest>, Failure> {
        let token = token.map(|token| Bearer::parse(Class::Device, token));
        let (Some(person), Some(Ok(device))) = (person, token) else { return Ok(None) };
        let digest = device.digest();
        let is_known =
            rows::device_is_known(&mut self.store.read(Across::People).await?, person.id, digest).await?;
        if !is_known {
            return Ok(None);
        }
        // One that was guessed from too often counts as unknown.
        let subject = Subject::Device(Device(digest));
        let tally = self.store.throttle_tally(&subject).await?;
        let spent = subject.verdict(tally, self.clock.now()) == crate::domain::throttle::Verdict::Spent;
        Ok((!spent).then_some(digest))
    }

    /// The tenant to log in to: the one that is named, or the first that the
    /// person joined.
    pub(super) async fn tenant_of(&self, user: UserId, named: Option<&str>) -> Result<Place, Failure> {
        // From the database: what this replica knows may be a moment old.
        let conn = &mut self.store.read(Across::People).await?;
        let named = named.filter(|named| !named.is_empty());
        let found = match named.map(str::parse::<TenantId>) {
            None => {
                let first = rows::memberships(conn, user, 1).await?.first().map(|(tenant, _)| *tenant);
                match first {
                    Some(first) => tenants::tenant_by_id(conn, first).await?,
                    None => None,
                }
            }
            Some(Ok(id)) => tenants::tenant_by_id(conn, id).await?,
            Some(Err(_)) => match named.unwrap_or_default().parse() {
                Ok(slug) => tenants::tenant_by_slug(conn, &slug).await?,
                Err(_) => None,
            },
        };
        let role = match &found {
            Some(tenant) => rows::membership(conn, tenant.state.id, user).await?,
            None => None,
        };
        let found = found.filter(|tenant| !tenant.state.deleted);
        let (Some(tenant), Some(role)) = (found, role) else {
            let message = "the person is not a member of that tenant, or of none";
            return Err(self.absent(Refusal::new(Reason::TenantMismatch, message)));
        };
        if tenant.state.suspended {
            return Err(Refusal::tenant_suspended().into());
        }
        let life = match tenant.session_ttl {
            0 => MAX_LIFE,
            seconds => Duration::from_secs(seconds.into()).min(MAX_LIFE),
        };
        let role = role_title(conn, tenant.state.id, role).await?;
        Ok(Place { tenant: tenant.state.id, life, role })
    }

    async fn wait_for_factor(
        &self,
        arrival: &Arrival,
        enrolled: &Enrolled,
        now: Timestamp,
    ) -> Result<Waiting, Failure> {
        let challenge = Bearer::mint(Class::Challenge, &*self.entropy);
        let expire = now.plus(CHALLENGE_FOR);
        let waiting =
            Challenge { user: arrival.person.id, tenant: arrival.tenant, device: arrival.known, expire };
        let passkey_options = self.second_factor_options(enrolled, challenge.digest(), now)?;
        self.store.challenge_insert(challenge.digest(), waiting, now).await?;
        let there = [
            (enrolled.totp, "totp"),
            (passkey_options.is_some(), "passkey"),
            (enrolled.backup_codes, "backup_code"),
        ];
        let methods = there.into_iter().filter_map(|(is_there, name)| is_there.then_some(name)).collect();
        Ok(Waiting { challenge, expire, methods, passkey_options })
    }

    /// Looks at a second factor. That it is used once is seen to by the
    /// transaction that takes it. `purpose` is what a passkey has to be shown
    /// for; without one it cannot be shown.
    pub(super) async fn factor(
        &self,
        user: UserId,
        factor: &Factor,
        purpose: Option<&Purpose>,
        now: Timestamp,
    ) -> Result<Taken, Failure> {
        match factor {
            Factor::Totp(code) => {
                let found = factors::totp(&mut self.store.read(Across::People).await?, user).await?;
                let found = found.filter(|found| found.confirmed).ok_or_else(wrong_factor)?;
                let secret = self.totp_secret(user, &found.secret)?;
                Ok(Taken::Totp(secret.check(code, now, found.last_step).ok_or_else(wrong_factor)?))
            }
            Factor::BackupCode(code) => match BackupCode::typed(code) {
                Ok(code) => Ok(Taken::BackupCode(code.digest())),
                Err(_) => Err(wrong_factor().into()),
            },
            Factor::Passkey(answer) => {
                self.passkey_factor(user, answer, purpose.ok_or_else(wrong_factor)?, now).await
            }
        }
    }

    pub(super) fn totp_secret(&self, user: UserId, sealed: &[u8]) -> Result<TotpSecret, Failure> {
        let bytes = self.people.sealer.open(&sealed_at(&user), sealed).map_err(Fault::new)?;
        TotpSecret::from_bytes(&bytes)
            .ok_or_else(|| Fault::new("an authenticator's secret is malformed").into())
    }

    pub(super) async fn open_session(
        &self,
        visitor: &Visitor,
        arrival: &Arrival,
        taken: Option<Taken>,
        challenge: Option<Digest>,
        now: Timestamp,
    ) -> Result<Tokens, Failure> {
        let user = arrival.person.id;
        let first = arrival.by_password.then_some(Method::Password);
        let methods: Vec<Method> = first.into_iter().chain(taken.map(Taken::method)).collect();
        let session = Session {
            state: SessionState {
                id: SessionId::new(now, &*self.entropy),
                tenant: arrival.tenant,
                user,
                expire: now.plus(arrival.life),
                revoked: false,
            },
            methods: Methods::of(&methods),
            device: arrival.device.clone(),
            address: visitor.address,
            create_time: now,
            last_seen: now,
        };
        let refresh = Bearer::mint(Class::Refresh, &*self.entropy);
        let device = arrival.known.is_none().then(|| Bearer::mint(Class::Device, &*self.entropy));
        let seen = device.as_ref().map(Bearer::digest).or(arrival.known);
        let event = self.event(arrival.tenant, Action::SessionOpened, user, now);
        let (store, actor) = (self.store.clone(), visitor.actor(user));
        let (opened, first) = (session.clone(), refresh.digest());
        let proven = arrival.by_password.then(|| arrival.person.password_hash.clone());
        let writing = async move {
            store
                .write_across(Across::People, &actor, event, async move |tx| {
                    tx.fact("session", opened.state.id);
                    still_good(tx, user, opened.state.tenant, proven.as_ref()).await?;
                    if let Some(taken) = taken {
                        taken.take(tx, user).await?;
                    }
                    if let Some(challenge) = challenge
                        && !rows::challenge_delete(tx, challenge).await?
                    {
                        return Err(wrong_factor().into());
                    }
                    end_quietest(tx, user, opened.state.tenant).await?;
                    sessions::session_insert(tx, &opened, first).await?;
                    if let Some(seen) = seen {
                        rows::device_seen(tx, user, seen).await?;
                    }
                    Ok::<_, Error>(())
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        self.replica.wait_for(written.revision, super::SETTLE).await?;
        if device.is_some() {
            let signed_in = SignedIn { at: now, address: visitor.address, device: &arrival.device };
            self.people.post(|letters| letters.new_device(arrival.person.email.clone(), signed_in));
        }
        self.tokens_for(session, arrival.person.email.clone(), arrival.role.clone(), refresh, device, now)
            .await
    }

    /// The tokens of a session.
    pub(super) async fn tokens_for(
        &self,
        session: Session,
        email: Email,
        role: String,
        refresh: Bearer,
        device: Option<Bearer>,
        now: Timestamp,
    ) -> Result<Tokens, Failure> {
        let tenant =
            tenants::tenant_by_id(&mut self.store.read(Across::People).await?, session.state.tenant).await?;
        let ttl = tenant.map_or(0, |tenant| tenant.access_ttl);
        let id = crate::domain::AuditId::new(now, &*self.entropy).to_string();
        let (access, access_life) = self.people.tokens.issue(&session, ttl, id, now)?;
        Ok(Tokens { access, access_life, refresh, device, session, email, role })
    }
}

/// Whether what somebody proved still opens a session: the password may have been
/// changed since it was looked at, and all sessions ended with it. One that is
/// opened after that would be a survivor.
async fn still_good(
    tx: &mut Tx,
    user: UserId,
    tenant: TenantId,
    proven: Option<&Option<String>>,
) -> Result<(), Error> {
    let person = rows::person_held(tx, user).await?.filter(|person| !person.disabled);
    let person = person.ok_or_else(wrong_login)?;
    if proven.is_some_and(|hash| *hash != person.password_hash) {
        let message = "the password was changed meanwhile; log in again";
        return Err(Refusal::new(Reason::EtagMismatch, message).into());
    }
    if !rows::is_member(tx, tenant, user).await? {
        return Err(Refusal::new(Reason::TenantMismatch, "the membership has ended").into());
    }
    Ok(())
}

/// Makes room for one more session of a person.
async fn end_quietest(tx: &mut Tx, user: UserId, tenant: TenantId) -> Result<(), Error> {
    let live = sessions::sessions_live(tx, user, Some(tenant)).await?;
    for quiet in live.iter().take((live.len() + 1).saturating_sub(MAX_SESSIONS)) {
        sessions::session_revoke(tx, &quiet.state).await?;
    }
    Ok(())
}

pub(super) fn wrong_login() -> Refusal {
    Refusal::new(Reason::InvalidLogin, "the e-mail address or the password is wrong")
}

pub(super) fn wrong_factor() -> Refusal {
    Refusal::new(Reason::InvalidLogin, "the code is wrong, or was used before")
}
