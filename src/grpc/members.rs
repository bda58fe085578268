//! Members and invitations as messages, and what is asked of them.

use super::shapes::{from_time, page, to_request_id};
use super::tenancy::Tenancy;
use crate::app::Caller;
use crate::app::invitations::{NewInvitation, Waiting};
use crate::app::members::Member;
use crate::app::people::Visitor;
use crate::domain::paging::Page;
use crate::domain::refusal::Faults;
use crate::domain::{Failure, InvitationId, Refusal, UserId};
use crate::pb::v1 as pb;

impl Tenancy {
    pub(super) async fn members(
        &self,
        caller: &Caller,
        wanted: pb::ListMembersRequest,
    ) -> Result<pb::ListMembersResponse, Failure> {
        self.app.at_least(&wanted.min_revision).await?;
        let page = page(wanted.page_size, &wanted.page_token, "members")?;
        let (members, more) = self.app.member_list(caller, page).await?;
        let last = members.last().filter(|_| more);
        let next_page_token =
            last.map(|last| Page::token(last.user.as_bytes(), "members")).unwrap_or_default();
        Ok(pb::ListMembersResponse { members: members.iter().map(member).collect(), next_page_token })
    }

    pub(super) async fn update_role_of(
        &self,
        caller: &Caller,
        wanted: pb::UpdateMemberRoleRequest,
    ) -> Result<pb::UpdateMemberRoleResponse, Failure> {
        let user = user_id(&wanted.user_id)?;
        let written = self.app.member_update_role(caller, user, role(wanted.role)?).await?;
        let (member, revision) = (Some(member(&written.value)), written.revision.to_string());
        Ok(pb::UpdateMemberRoleResponse { member, revision })
    }

    pub(super) async fn remove(
        &self,
        caller: &Caller,
        wanted: pb::RemoveMemberRequest,
    ) -> Result<pb::RemoveMemberResponse, Failure> {
        let written = self.app.member_remove(caller, user_id(&wanted.user_id)?).await?;
        let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(pb::RemoveMemberResponse {
            revision: written.revision.to_string(),
            keys_revoked: count(written.value.keys),
            sessions_revoked: count(written.value.sessions),
        })
    }

    pub(super) async fn transfer(
        &self,
        caller: &Caller,
        wanted: pb::TransferOwnershipRequest,
    ) -> Result<pb::TransferOwnershipResponse, Failure> {
        let written = self.app.ownership_transfer(caller, user_id(&wanted.user_id)?).await?;
        Ok(pb::TransferOwnershipResponse { revision: written.revision.to_string() })
    }

    pub(super) async fn invite(
        &self,
        caller: &Caller,
        wanted: pb::CreateInvitationRequest,
    ) -> Result<pb::CreateInvitationResponse, Failure> {
        let written = self.app.invitation_create(caller, new_invitation(wanted)?).await?;
        let (invitation, revision) = (Some(invitation(&written.value)), written.revision.to_string());
        Ok(pb::CreateInvitationResponse { invitation, revision })
    }

    pub(super) async fn invitations(
        &self,
        caller: &Caller,
        wanted: pb::ListInvitationsRequest,
    ) -> Result<pb::ListInvitationsResponse, Failure> {
        const LIST: &str = "invitations";
        self.app.at_least(&wanted.min_revision).await?;
        let page = page(wanted.page_size, &wanted.page_token, LIST)?;
        let (found, more) = self.app.invitation_list(caller, page).await?;
        let last = found.last().filter(|_| more);
        Ok(pb::ListInvitationsResponse {
            next_page_token: last
                .map(|last| Page::token(last.invitation.id.as_bytes(), LIST))
                .unwrap_or_default(),
            invitations: found.iter().map(invitation).collect(),
        })
    }

    pub(super) async fn resend(
        &self,
        caller: &Caller,
        wanted: pb::ResendInvitationRequest,
    ) -> Result<pb::ResendInvitationResponse, Failure> {
        let written = self.app.invitation_resend(caller, invitation_id(&wanted.id)?).await?;
        let (invitation, revision) = (Some(invitation(&written.value)), written.revision.to_string());
        Ok(pb::ResendInvitationResponse { invitation, revision })
    }

    pub(super) async fn uninvite(
        &self,
        caller: &Caller,
        wanted: pb::RevokeInvitationRequest,
    ) -> Result<pb::RevokeInvitationResponse, Failure> {
        let written = self.app.invitation_revoke(caller, invitation_id(&wanted.id)?).await?;
        Ok(pb::RevokeInvitationResponse { revision: written.revision.to_string() })
    }

    pub(super) async fn accept(
        &self,
        caller: Option<&Caller>,
        visitor: &Visitor,
        wanted: pb::AcceptInvitationRequest,
    ) -> Result<pb::AcceptInvitationResponse, Failure> {
        let written = self.app.invitation_accept(caller, visitor, &wanted.token, wanted.password).await?;
        Ok(pb::AcceptInvitationResponse {
            tenant_id: written.value.tenant.to_string(),
            tenant_slug: written.value.slug,
            member: Some(member(&written.value.member)),
            revision: written.revision.to_string(),
        })
    }
}

fn new_invitation(wanted: pb::CreateInvitationRequest) -> Result<NewInvitation, Refusal> {
    let mut faults = Faults::default();
    let email = faults.take("email", wanted.email.trim().parse());
    let request_id = to_request_id(&mut faults, &wanted.request_id);
    if wanted.role.is_empty() {
        faults.add("role", "is needed; ListRoles has them all");
    }
    faults.check()?;
    let email = email.ok_or_else(|| Refusal::invalid("email", "is needed"))?;
    Ok(NewInvitation { email, role: role(wanted.role)?, request_id })
}

/// No role has a name or an id that is longer.
fn role(text: String) -> Result<String, Refusal> {
    match text.len() {
        0 => Err(Refusal::invalid("role", "is needed; ListRoles has them all")),
        1..=64 => Ok(text),
        _ => Err(Refusal::invalid("role", "is no role of this tenant")),
    }
}

fn user_id(text: &str) -> Result<UserId, Refusal> {
    text.parse().map_err(|bad: crate::domain::ids::BadId| Refusal::invalid("user_id", bad.to_string()))
}

fn invitation_id(text: &str) -> Result<InvitationId, Refusal> {
    text.parse().map_err(|bad: crate::domain::ids::BadId| Refusal::invalid("id", bad.to_string()))
}

fn member(member: &Member) -> pb::Member {
    pb::Member {
        user_id: member.user.to_string(),
        email: member.email.as_str().to_owned(),
        role: member.role_name.clone(),
        create_time: Some(from_time(member.create_time)),
    }
}

fn invitation(waiting: &Waiting) -> pb::Invitation {
    let invitation = &waiting.invitation;
    pb::Invitation {
        id: invitation.id.to_string(),
        email: invitation.email.as_str().to_owned(),
        role: waiting.role_name.clone(),
        invited_by: invitation.invited_by.clone(),
        create_time: Some(from_time(invitation.create_time)),
        expire_time: Some(from_time(invitation.expire_time)),
    }
}
