//! Invitations: by letter, for one address, for one use.
use super::house::{House, PAGE, PASSWORD};
use crate::harness::client::{self, Metadata, assert_refused};
use crate::harness::{Database, World, on_both};
use crate::people::person::{Login, log_in, settings, visitor};
use doorward::pb::v1::{
    AcceptInvitationRequest, CreateInvitationRequest, ListInvitationsRequest, LoginRequest,
    ResendInvitationRequest, RevokeInvitationRequest,
};
use tonic::{Code, Status};

async fn accept_as(house: &House, session: &str, token: &str) -> Result<String, Status> {
    let request = AcceptInvitationRequest { token: token.into(), ..Default::default() };
    Ok(house.as_of(session).accept_invitation(request).await?.into_inner().tenant_slug)
}

fn wanted(email: &str, role: &str) -> CreateInvitationRequest {
    CreateInvitationRequest { email: email.into(), role: role.into(), ..Default::default() }
}

on_both! {
    // R37, A32
    async fn an_invitation_is_good_once_and_for_its_address(database: Database) {
        let house = House::start(database).await;
        let (invitation, token) = house.invite("ada@acme.test", "member").await;
        assert_eq!((invitation.email.as_str(), invitation.role.as_str()), ("ada@acme.test", "member"));
        let listed = house.tenancy().list_invitations(ListInvitationsRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.invitations, [invitation]);
        // One and the same link is no second invitation, and not for somebody else's session.
        let again = house.tenancy().create_invitation(wanted("Ada@acme.test", "viewer")).await;
        assert_refused(again, Code::AlreadyExists, "ALREADY_EXISTS");
        let other = accept_as(&house, &house.owner.access, &token).await;
        assert_refused(other, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        // A password that does not do leaves the link as it is.
        let weak = AcceptInvitationRequest { token: token.clone(), password: "password".into() };
        let weak = client::tenancy(&house.world.server.api(), Metadata::none()).accept_invitation(weak).await;
        assert_refused(weak, Code::InvalidArgument, "INVALID_ARGUMENT");
        let calls: Vec<_> = (0..6)
            .map(|_| {
                let request = AcceptInvitationRequest { token: token.clone(), password: PASSWORD.into() };
                let mut tenancy = client::tenancy(&house.world.server.api(), Metadata::none());
                tokio::spawn(async move { tenancy.accept_invitation(request).await.map(drop) })
            })
            .collect();
        let mut joined = 0;
        for call in calls {
            match call.await.unwrap() {
                Ok(()) => joined += 1,
                Err(status) => assert!([Code::Unauthenticated, Code::AlreadyExists].contains(&status.code()), "{status:?}"),
            }
        }
        assert_eq!(joined, 1);
        assert_refused(house.accept(&token).await, Code::Unauthenticated, "INVALID_TOKEN");
        assert_eq!(house.who(&house.log_in("ada@acme.test").await.access).await.role, "member");
        let again = house.tenancy().create_invitation(wanted("ada@acme.test", "viewer")).await;
        assert_refused(again, Code::AlreadyExists, "ALREADY_EXISTS");
    }

    // R37
    async fn a_link_ends_when_it_is_sent_again_or_taken_back(database: Database) {
        let house = House::start(database).await;
        let (invitation, first) = house.invite("ada@acme.test", "viewer").await;
        let request = ResendInvitationRequest { id: invitation.id.clone() };
        house.tenancy().resend_invitation(request).await.unwrap();
        let second = house.mailbox.token(PAGE).await;
        assert_ne!(first, second);
        assert_refused(house.accept(&first).await, Code::Unauthenticated, "INVALID_TOKEN");
        let request = RevokeInvitationRequest { id: invitation.id.clone() };
        house.tenancy().revoke_invitation(request.clone()).await.unwrap();
        assert_refused(house.accept(&second).await, Code::Unauthenticated, "INVALID_TOKEN");
        assert_refused(house.tenancy().revoke_invitation(request).await, Code::NotFound, "NOT_FOUND");
        let request = ResendInvitationRequest { id: invitation.id };
        assert_refused(house.tenancy().resend_invitation(request).await, Code::NotFound, "NOT_FOUND");
        for garbage in ["", "x", "dwi_", &first.to_uppercase(), &format!("{second}x")] {
            assert_refused(house.accept(garbage).await, Code::Unauthenticated, "INVALID_TOKEN");
        }
    }

    // R37, R40: whoever has an account joins with its session, and belongs to both then.
    async fn a_person_of_another_tenant_joins_with_their_session(database: Database) {
        let house = House::start(database).await;
        let ada = house.join("ada@acme.test", "member").await;
        let other = house.world.stranger().await;
        let mut theirs = client::tenancy(&house.world.server.api(), Metadata::bearer(&other.secret));
        theirs.create_invitation(wanted(&ada.email, "viewer")).await.unwrap();
        let token = house.mailbox.token(PAGE).await;
        assert_refused(house.accept(&token).await, Code::Unauthenticated, "CREDENTIALS_MISSING");
        assert_eq!(accept_as(&house, &ada.token, &token).await.unwrap(), "umbrella");
        // A session is of one tenant: this one stays where it was.
        assert_eq!(house.who(&ada.token).await.tenant_slug, "acme");
        let request = LoginRequest { email: ada.email.clone(), password: PASSWORD.into(), tenant_id: "umbrella".into(), ..Default::default() };
        let there = Login::of(visitor(&house.world).login(request).await.unwrap());
        let who = house.who(&there.access).await;
        assert_eq!((who.tenant_slug.as_str(), who.role.as_str()), ("umbrella", "viewer"));
    }

    // R37
    async fn what_cannot_be_sent_is_not_promised(database: Database) {
        let world = World::with(database, settings().set("mail.transport", "none")).await;
        let owner = log_in(&world).await;
        let mut tenancy = client::tenancy(&world.server.api(), Metadata::bearer(&owner.access));
        let told = tenancy.create_invitation(wanted("ada@acme.test", "viewer")).await;
        assert_refused(told, Code::FailedPrecondition, "FAILED_PRECONDITION");
        let listed = tenancy.list_invitations(ListInvitationsRequest::default()).await.unwrap().into_inner();
        assert!(listed.invitations.is_empty());
    }

    // R37, R41
    async fn bad_invitations_are_refused_and_leave_nothing(database: Database) {
        let house = House::start(database).await;
        for (email, role) in [("", "viewer"), ("nobody", "viewer"), ("a@b.test", ""), ("a@b.test", "owner"), ("a@b.test", "emperor"), ("a@b.test", &"x".repeat(99))] {
            let told = house.tenancy().create_invitation(wanted(email, role)).await;
            assert_refused(told, Code::InvalidArgument, "INVALID_ARGUMENT");
        }
        let listed = house.tenancy().list_invitations(ListInvitationsRequest::default()).await.unwrap().into_inner();
        let letters = house.mailbox.letters();
        assert!(listed.invitations.is_empty() && !letters.iter().any(|(_, text)| text.contains(PAGE)));
    }
}
