//! A tenant with people who joined it by invitation.
use crate::harness::client::{self, Authn, Metadata, Tenancy};
use crate::harness::{Database, World};
use crate::people::person::{Login, Mailbox, log_in, visitor};
use doorward::pb::v1::{
    AcceptInvitationRequest, AcceptInvitationResponse, CreateInvitationRequest, Invitation,
    ListMembersRequest, LoginRequest, Member, Principal, WhoAmIRequest,
};
use tonic::Status;

/// What everybody's password is.
pub const PASSWORD: &str = "a quiet hedgehog under leaves";
/// The page that invitations link to.
pub const PAGE: &str = "accept-invitation";

/// A server, its letters, and its owner's session.
pub struct House {
    pub world: World,
    pub mailbox: Mailbox,
    pub owner: Login,
}

/// Somebody who joined.
#[derive(Clone)]
pub struct Person {
    pub id: String,
    pub email: String,
    pub token: String,
}

impl House {
    pub async fn start(database: Database) -> Self {
        let mailbox = Mailbox::new();
        let world = World::with(database, mailbox.settings()).await;
        let owner = log_in(&world).await;
        Self { world, mailbox, owner }
    }

    /// A client for the tenant with this credential.
    pub fn as_of(&self, credential: &str) -> Tenancy {
        client::tenancy(&self.world.server.api(), Metadata::bearer(credential))
    }

    /// The owner's client, with a session.
    pub fn tenancy(&self) -> Tenancy {
        self.as_of(&self.owner.access)
    }

    /// Invites somebody; gives the invitation and the token of the letter.
    pub async fn invite(&self, email: &str, role: &str) -> (Invitation, String) {
        let request =
            CreateInvitationRequest { email: email.into(), role: role.into(), ..Default::default() };
        let made = self.tenancy().create_invitation(request).await.unwrap().into_inner();
        (made.invitation.unwrap(), self.mailbox.token(PAGE).await)
    }

    /// Accepts as somebody without an account.
    pub async fn accept(&self, token: &str) -> Result<AcceptInvitationResponse, Status> {
        let request = AcceptInvitationRequest { token: token.into(), password: PASSWORD.into() };
        let mut tenancy = client::tenancy(&self.world.server.api(), Metadata::none());
        Ok(tenancy.accept_invitation(request).await?.into_inner())
    }

    /// Invites somebody who joins and logs in.
    pub async fn join(&self, email: &str, role: &str) -> Person {
        let (_, token) = self.invite(email, role).await;
        let joined = self.accept(&token).await.unwrap();
        assert_eq!(joined.tenant_id, self.world.tenant_id);
        let member = joined.member.unwrap();
        assert_eq!((member.email.as_str(), member.role.as_str()), (email, role));
        let token = self.log_in(email).await.access;
        Person { id: member.user_id, email: email.into(), token }
    }

    /// Logs somebody in.
    pub async fn log_in(&self, email: &str) -> Login {
        let request = LoginRequest { email: email.into(), password: PASSWORD.into(), ..Default::default() };
        Login::of(visitor(&self.world).login(request).await.unwrap())
    }

    /// Who a credential is, as the server sees it now.
    pub async fn who(&self, credential: &str) -> Principal {
        let mut authn: Authn = self.world.authn_as(credential);
        authn.who_am_i(WhoAmIRequest {}).await.unwrap().into_inner().principal.unwrap()
    }

    /// Everybody in the tenant.
    pub async fn members(&self) -> Vec<Member> {
        let mut tenancy = client::tenancy(&self.world.server.api(), Metadata::bearer(&self.world.owner));
        let request = ListMembersRequest { page_size: 100, ..Default::default() };
        tenancy.list_members(request).await.unwrap().into_inner().members
    }
}
