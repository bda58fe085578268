//! Invitations: made, mailed again, taken back, accepted.

use super::people::Visitor;
use super::roles::{givable, permissions_of};
use super::{App, Caller};
use crate::domain::audit::{Action, Event};
use crate::domain::invitations::{Invitation, MOST_INVITATIONS, MOST_MEMBERS};
use crate::domain::letters::{INVITATION_FOR, Invited};
use crate::domain::paging::Page;
use crate::domain::throttle::Subject;
use crate::domain::users::{Email, UserState};
use crate::domain::{Failure, InvitationId, Permission, Reason, Refusal, TenantId, Timestamp, UserId};
use crate::secret::{Bearer, Class, Known, Password, PasswordHash};
use crate::store::invitations as rows;
use crate::store::members::{Member, member_by_id, member_count, member_get, member_insert};
use crate::store::people::{self, Person};
use crate::store::tenants::{tenant_by_id, tenant_for_update};
use crate::store::users::{user_by_email, user_insert};
use crate::store::{Across, Error, Tx, Written, keys};

/// An invitation that somebody wants.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Whom.
    pub email: Email,
    /// As what: a role's name or id.
    pub role: String,
    /// Makes a retry safe.
    pub request_id: Option<String>,
}

/// An invitation with its role's name.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The invitation.
    pub invitation: Invitation,
    /// The role's name.
    pub role_name: String,
}

/// A membership that began.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The tenant.
    pub tenant: TenantId,
    /// Its short name.
    pub slug: String,
    /// Who joined.
    pub member: Member,
}

impl App {
    /// Invites whoever reads mail at an address.
    pub async fn invitation_create(
        &self,
        caller: &Caller,
        wanted: NewInvitation,
    ) -> Result<Written<Waiting>, Failure> {
        caller.must(Permission::ADMIN_USERS)?;
        self.must_mail()?;
        let (now, tenant, may) = (self.clock.now(), caller.tenant(), caller.verified.permissions);
        let id = InvitationId::new(now, &*self.entropy);
        let token = Bearer::mint(Class::Invitation, &*self.entropy);
        let NewInvitation { email, role, request_id } = wanted;
        let counted = self.count_letter(&email, now).await?;
        let event = Event::new(tenant, Action::InvitationCreated, id, now, &*self.entropy);
        let (store, actor, digest) = (self.store.clone(), caller.actor(), token.digest());
        let writing = async move {
            let by = actor.id.clone();
            store
                .write(&actor, event, async move |tx| {
                    if let Some(request) = request_id
                        && let Some(done) =
                            keys::request_once(tx, tenant, &by, &request, &id.to_string()).await?
                    {
                        let refusal = Refusal::new(Reason::AlreadyExists, "this request_id was used");
                        return Err(refusal.with("id", done).into());
                    }
                    tenant_for_update(tx, tenant).await?.ok_or_else(|| Refusal::not_found("tenant"))?;
                    if rows::invitation_count(tx, tenant).await? >= MOST_INVITATIONS {
                        let message = "too many invitations wait; take some back first";
                        return Err(Refusal::new(Reason::QuotaExceeded, message).into());
                    }
                    if let Some(user) = user_by_email(tx, &email).await?
                        && member_by_id(tx.reading()?, tenant, user.id).await?.is_some()
                    {
                        return Err(Refusal::already_exists("a member of that address").into());
                    }
                    let (role, role_name) = givable(tx, tenant, may, &role).await?;
                    tx.detail("email", email.as_str());
                    tx.fact("role", role);
                    let expire_time = now.plus(INVITATION_FOR);
                    let (invited_by, create_time) = (by, now);
                    let invitation = Invitation {
                        id,
                        tenant,
                        email,
                        role,
                        token: digest,
                        invited_by,
                        create_time,
                        expire_time,
                    };
                    rows::invitation_insert(tx, &invitation).await.map_err(taken)?;
                    Ok(Waiting { invitation, role_name })
                })
                .await
        };
        let written = self.sent(self.store.detached(writing).await, counted).await?;
        self.mail_invitation(caller, &written.value.invitation, &token).await?;
        Ok(self.settled(caller, written, false).await?.0)
    }

    /// A page of the invitations that wait, and whether there is more.
    pub async fn invitation_list(
        &self,
        caller: &Caller,
        page: Page,
    ) -> Result<(Vec<Waiting>, bool), Failure> {
        caller.must(Permission::ADMIN_USERS)?;
        let tenant = caller.tenant();
        let conn = &mut self.store.read(tenant).await?;
        let mut found = rows::invitation_page(conn, tenant, page).await?;
        let more = found.len() > usize::from(page.size);
        found.truncate(usize::from(page.size));
        let roles = crate::store::roles::roles_of(conn, tenant).await?;
        let named = |invitation: Invitation| {
            let custom = roles.iter().find(|role| role.state.id.to_string() == invitation.role.to_string());
            let role_name = custom.map(|role| role.state.name.to_string());
            Waiting { role_name: role_name.unwrap_or_else(|| invitation.role.to_string()), invitation }
        };
        Ok((found.into_iter().map(named).collect(), more))
    }

    /// Mails an invitation again; the link before ends.
    pub async fn invitation_resend(
        &self,
        caller: &Caller,
        id: InvitationId,
    ) -> Result<Written<Waiting>, Failure> {
        caller.must(Permission::ADMIN_USERS)?;
        self.must_mail()?;
        let (now, tenant, may) = (self.clock.now(), caller.tenant(), caller.verified.permissions);
        let found = rows::invitation_by_id(&mut self.store.read(tenant).await?, tenant, id).await?;
        let email = found.ok_or_else(|| self.absent(no_invitation()))?.email;
        let counted = self.count_letter(&email, now).await?;
        let token = Bearer::mint(Class::Invitation, &*self.entropy);
        let event = Event::new(tenant, Action::InvitationResent, id, now, &*self.entropy);
        let (store, actor, digest) = (self.store.clone(), caller.actor(), token.digest());
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    let found = rows::invitation_by_id(tx.reading()?, tenant, id).await?;
                    let before = found.ok_or_else(no_invitation)?;
                    let role = before.role.to_string();
                    let (_, role_name) = givable(tx, tenant, may, &role).await?;
                    let expire_time = now.plus(INVITATION_FOR);
                    let invitation = Invitation { token: digest, expire_time, ..before };
                    if rows::invitation_renew(tx, &invitation).await? {
                        Ok(Waiting { invitation, role_name })
                    } else {
                        Err(no_invitation().into())
                    }
                })
                .await
        };
        let written = self.sent(self.store.detached(writing).await, counted).await?;
        self.mail_invitation(caller, &written.value.invitation, &token).await?;
        Ok(self.settled(caller, written, false).await?.0)
    }

    /// Takes an invitation back. Whoever comes with its link from now on comes too late.
    pub async fn invitation_revoke(&self, caller: &Caller, id: InvitationId) -> Result<Written<()>, Failure> {
        caller.must(Permission::ADMIN_USERS)?;
        let (now, tenant) = (self.clock.now(), caller.tenant());
        let event = Event::new(tenant, Action::InvitationRevoked, id, now, &*self.entropy);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    if rows::invitation_delete(tx, tenant, id).await? {
                        Ok(())
                    } else {
                        Err(no_invitation().into())
                    }
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        Ok(self.settled(caller, written, false).await?.0)
    }

    /// Accepts an invitation. The token shows that its bearer reads mail at the
    /// address; whoever has an account of that address comes with its session,
    /// others set the password of a new one.
    ///
    /// # Errors
    /// `INVALID_TOKEN` if the invitation is gone or over.
    pub async fn invitation_accept(
        &self,
        caller: Option<&Caller>,
        visitor: &Visitor,
        token: &str,
        password: String,
    ) -> Result<Written<Joined>, Failure> {
        let now = self.clock.now();
        let Ok(token) = Bearer::parse(Class::Invitation, token) else { return Err(over().into()) };
        let conn = &mut self.store.read(Across::People).await?;
        let found = rows::invitation_by_token(conn, token.digest()).await?;
        let invitation = found.filter(|it| it.expire_time > now).ok_or_else(|| self.absent(over()))?;
        let person = people::person_by_email(conn, &invitation.email).await?;
        let newcomer = self.newcomer(caller, &invitation, person, password, now).await?;
        let user = newcomer.user();
        let event =
            Event::new(invitation.tenant, Action::InvitationAccepted, invitation.id, now, &*self.entropy);
        let actor = caller.map_or_else(|| visitor.actor(user), Caller::actor);
        let store = self.store.clone();
        let writing = async move {
            store
                .write_across(Across::People, &actor, event, async move |tx| {
                    join(tx, &invitation, newcomer).await
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        Ok(self.settled_by(written, false, visitor.deadline).await?.0)
    }

    /// Who accepts: whoever's session it is, or whoever sets the first password
    /// of the address.
    async fn newcomer(
        &self,
        caller: Option<&Caller>,
        invitation: &Invitation,
        person: Option<Person>,
        password: String,
        now: Timestamp,
    ) -> Result<Newcomer, Failure> {
        if let Some(caller) = caller {
            let user = caller.person()?;
            return match person.filter(|person| person.id == user) {
                Some(person) => Ok(Newcomer::Known(person.id)),
                None => Err(not_theirs().into()),
            };
        }
        if person.as_ref().is_some_and(|person| person.disabled) {
            return Err(over().into());
        }
        let has_password = person.as_ref().is_some_and(|person| person.password_hash.is_some());
        if has_password {
            let message = "there is an account of this address: log in, and accept with its session";
            return Err(Refusal { message: message.into(), ..Refusal::credentials_missing() }.into());
        }
        let password = Password::presented(password).map_err(|bad| bad.refusal("password"))?;
        let known = Known::of([invitation.email.as_str(), self.people.name.as_str()]);
        let hash = self.people.hashing.set("password", password, known).await?;
        Ok(match person {
            Some(person) => Newcomer::FirstPassword(person.id, hash),
            None => Newcomer::New(UserId::new(now, &*self.entropy), hash),
        })
    }

    /// A letter to this address is one of those that are counted.
    async fn count_letter(&self, email: &Email, now: Timestamp) -> Result<Subject, Failure> {
        let person = people::person_by_email(&mut self.store.read(Across::People).await?, email).await?;
        let counted = Subject::Letters(self.account(email, person.as_ref()));
        self.count_try(&[counted], now).await?;
        Ok(counted)
    }

    /// What was written; if nothing was, there is no letter to be counted.
    async fn sent<T>(&self, written: Result<T, Error>, counted: Subject) -> Result<T, Failure> {
        if written.is_err() {
            self.store.throttle_change(&[counted], Subject::taken_back).await?;
        }
        Ok(written?)
    }

    fn must_mail(&self) -> Result<(), Refusal> {
        if self.people.letters.is_some() {
            return Ok(());
        }
        let message =
            "invitations are mailed, and this server sends no mail (mail.transport, mail.link_base)";
        Err(Refusal::new(Reason::FailedPrecondition, message))
    }

    async fn mail_invitation(
        &self,
        caller: &Caller,
        invitation: &Invitation,
        token: &Bearer,
    ) -> Result<(), Failure> {
        let found = tenant_by_id(&mut self.store.read(invitation.tenant).await?, invitation.tenant).await?;
        let tenant = found.map(|tenant| tenant.display_name.as_str().to_owned()).unwrap_or_default();
        let by = caller.verified.principal.email.clone();
        self.people.post(|letters| {
            let by = by.as_ref().unwrap_or(&invitation.email);
            letters.invitation(invitation.email.clone(), token.reveal(), Invited { tenant: &tenant, by })
        });
        Ok(())
    }
}

/// Who accepts an invitation.
enum Newcomer {
    /// They have an account, and came with its session.
    Known(UserId),
    /// Their account has no password yet.
    FirstPassword(UserId, PasswordHash),
    /// They have no account.
    New(UserId, PasswordHash),
}

impl Newcomer {
    const fn user(&self) -> UserId {
        match self {
            Self::Known(user) | Self::FirstPassword(user, _) | Self::New(user, _) => *user,
        }
    }
}

async fn join(tx: &mut Tx, invitation: &Invitation, newcomer: Newcomer) -> Result<Joined, Error> {
    let (tenant, email, user) = (invitation.tenant, &invitation.email, newcomer.user());
    let found = tenant_for_update(tx, tenant).await?.filter(|tenant| !tenant.state.deleted);
    let found = found.ok_or_else(over)?;
    if found.state.suspended {
        return Err(Refusal::tenant_suspended().into());
    }
    // Of two who come with the same one, one takes it.
    if !rows::invitation_delete(tx, tenant, invitation.id).await? {
        return Err(over().into());
    }
    // A role that is gone, or was made to allow nothing, gives nothing to join for.
    if permissions_of(tx, tenant, invitation.role).await?.is_empty() {
        let message = "the role of this invitation is gone; ask for another invitation";
        return Err(Refusal::new(Reason::FailedPrecondition, message).into());
    }
    if member_count(tx, tenant).await? >= MOST_MEMBERS {
        return Err(Refusal::new(Reason::QuotaExceeded, "the tenant has as many members as can be").into());
    }
    match newcomer {
        Newcomer::Known(_) => {}
        Newcomer::FirstPassword(user, hash) => {
            if people::person_by_id(tx.reading()?, user).await?.is_none_or(|it| it.password_hash.is_some())
                || !people::password_replace(tx, user, None, hash.as_str()).await?
            {
                return Err(over().into());
            }
        }
        Newcomer::New(id, hash) => {
            let state = UserState { id, email: email.clone(), operator: false, disabled: false };
            user_insert(tx, &state, Some(hash.as_str())).await.map_err(taken)?;
        }
    }
    people::email_verified(tx, user, email).await?;
    // Nothing from an earlier membership comes to life again.
    keys::keys_revoke_of(tx, tenant, user).await?;
    member_insert(tx, tenant, user, invitation.role).await.map_err(taken)?;
    tx.fact("user", user);
    tx.fact("role", invitation.role);
    let member = member_get(tx.reading()?, tenant, user).await?.ok_or_else(over)?;
    Ok(Joined { tenant, slug: found.state.slug.to_string(), member })
}

fn taken(error: Error) -> Error {
    match error {
        Error::Conflict => Refusal::already_exists("an invitation or a member of that address").into(),
        other @ (Error::Dangling | Error::Refused(_) | Error::Unavailable(_)) => other,
    }
}

fn no_invitation() -> Refusal {
    Refusal::not_found("invitation")
}

fn over() -> Refusal {
    Refusal::new(Reason::InvalidToken, "the invitation is not good any more; ask for another")
}

fn not_theirs() -> Refusal {
    let message = "the invitation is for another address; log in as the one that it was mailed to";
    Refusal::new(Reason::InsufficientPermissions, message)
}
