//! All that a view begins with, as of one moment.

use super::tx::Own;
use super::{
    Across, Result, Store, break_glass, changes, keys, members, roles, sessions, signing_keys, tenants, users,
};
use crate::domain::changes::{Change, Revision};
use crate::domain::members::MemberState;
use crate::domain::users::UserState;
use crate::domain::{KeyId, RoleId, SessionId, TenantId, UserId};

/// Rows read at once.
pub(super) const BATCH: i64 = 10_000;

/// Everything that is, or all that concerns one tenant (itself, its keys, its
/// members and their persons), as of one moment. Read by and by; until it is
/// dropped its transaction is open.
pub struct Snapshot {
    own: Own,
    only: Option<TenantId>,
    revision: Revision,
    next: Next,
}

/// What is read next, and after which one.
enum Next {
    Tenants(Option<TenantId>),
    Users(Option<UserId>),
    Roles(Option<RoleId>),
    Members(Option<(TenantId, UserId)>),
    Keys(Option<KeyId>),
    Sessions(Option<SessionId>),
    SigningKeys,
    Grants,
    Nothing,
}

impl Snapshot {
    /// The revision that it is of. Data and revision are of one transaction:
    /// nothing falls in between.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// More of it, as changes; `None` at the end.
    pub async fn more(&mut self) -> Result<Option<Vec<Change>>> {
        while !matches!(self.next, Next::Nothing) {
            let changes = self.page().await?;
            if !changes.is_empty() {
                return Ok(Some(changes));
            }
        }
        Ok(None)
    }

    /// The next page; an empty one where one noun ends and the next begins.
    async fn page(&mut self) -> Result<Vec<Change>> {
        let (conn, only) = (self.own.get()?, self.only);
        match self.next {
            Next::Tenants(after) => {
                let page = tenants::page(conn, only, after).await?;
                self.next = page.last().map_or(Next::Roles(None), |last| Next::Tenants(Some(last.id)));
                Ok(page.into_iter().map(Change::Tenant).collect())
            }
            Next::Roles(after) => {
                let page = roles::page(conn, only, after).await?;
                self.next = page.last().map_or(Next::Users(None), |last| Next::Roles(Some(last.id)));
                Ok(page.into_iter().map(Change::Role).collect())
            }
            Next::Users(after) => {
                let page = users::page(conn, only, after).await?;
                self.next = page.last().map_or(Next::Members(None), |last| Next::Users(Some(last.id)));
                Ok(page.into_iter().map(Change::User).collect())
            }
            Next::Members(after) => {
                let page = members::page(conn, only, after).await?;
                let place = |last: &MemberState| Next::Members(Some((last.tenant, last.user)));
                self.next = page.last().map_or(Next::Keys(None), place);
                Ok(page.into_iter().map(Change::Member).collect())
            }
            Next::Keys(after) => {
                let page = keys::page_live(conn, only, after).await?;
                self.next = page.last().map_or(Next::Sessions(None), |last| Next::Keys(Some(last.id)));
                Ok(page.into_iter().map(|key| Change::Key(Box::new(key))).collect())
            }
            Next::Sessions(after) => {
                let page = sessions::page_live(conn, only, after).await?;
                self.next = page.last().map_or(Next::SigningKeys, |last| Next::Sessions(Some(last.id)));
                Ok(page.into_iter().map(Change::Session).collect())
            }
            Next::SigningKeys => {
                self.next = Next::Grants;
                Ok(signing_keys::all(conn).await?.into_iter().map(Change::SigningKey).collect())
            }
            Next::Grants => {
                self.next = Next::Nothing;
                Ok(break_glass::open(conn, only).await?.into_iter().map(Change::Grant).collect())
            }
            Next::Nothing => Ok(Vec::new()),
        }
    }
}

impl Store {
    /// How many keys and memberships there are, to make room for them.
    pub async fn counts(&self) -> Result<(u64, u64)> {
        let conn = &mut self.read(Across::Views).await?;
        Ok((keys::count_live(conn).await?, members::count(conn).await?))
    }

    /// Gives everything that is, as changes, and the revision that it is of.
    pub async fn snapshot(&self, mut each: impl FnMut(Change) + Send) -> Result<Revision> {
        let mut snapshot = self.snapshot_of(None).await?;
        while let Some(changes) = snapshot.more().await? {
            changes.into_iter().for_each(&mut each);
        }
        Ok(snapshot.revision())
    }

    /// Begins a snapshot of everything, or of what concerns one tenant.
    pub async fn snapshot_of(&self, only: Option<TenantId>) -> Result<Snapshot> {
        let mut own = Own::new(self.read(Across::Views).await?);
        // The session is closed in the end, and the transaction with it.
        let begin =
            if self.is_embedded() { "BEGIN" } else { "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" };
        own.run(begin).await?;
        let revision = Revision::from_number(changes::head(own.get()?).await?);
        Ok(Snapshot { own, only, revision, next: Next::Tenants(None) })
    }

    /// The changes after a revision, at most `most`, in order. `None` if the
    /// log no longer has all of them, or has never had that revision.
    pub async fn changes_after(
        &self,
        revision: Revision,
        most: usize,
    ) -> Result<Option<Vec<(Revision, Change)>>> {
        let conn = &mut self.read(Across::Views).await?;
        let found = changes::after(conn, revision.number(), most).await?;
        let is_next = found.iter().zip(revision.number() + 1..).all(|((seq, _), wanted)| *seq == wanted);
        if !is_next || (found.is_empty() && changes::head(conn).await? < revision.number()) {
            return Ok(None);
        }
        let numbered = found.into_iter().map(|(seq, change)| (Revision::from_number(seq), change));
        Ok(Some(numbered.collect()))
    }

    /// The members of a tenant now.
    pub async fn people_of(&self, tenant: TenantId) -> Result<Vec<UserId>> {
        let conn = &mut self.read(tenant).await?;
        let mut people: Vec<UserId> = Vec::new();
        loop {
            let after = people.last().map(|last| (tenant, *last));
            let page = members::page(conn, Some(tenant), after).await?;
            if page.is_empty() {
                return Ok(people);
            }
            people.extend(page.iter().map(|member| member.user));
        }
    }

    /// A person now.
    pub async fn person(&self, user: UserId) -> Result<Option<UserState>> {
        users::by_id(&mut self.read(Across::Views).await?, user).await
    }
}
