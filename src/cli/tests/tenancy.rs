//! `doorward member`, `invitation`, `role`, `permission` and `tenant delete`.

use super::fake::Fake;
use super::logins::{Person, done, without_secrets};
use super::*;
use serde_json::Value;

const TOKEN: &str = "planted-invitation-token";
const NEW: &str = "planted new pass word";

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap()
}

#[tokio::test]
async fn members_are_listed_and_found_by_address_or_id() {
    let fake = Fake::default();
    let ran = good(&fake, "member list --all --output json").await;
    assert_eq!(json(&ran)["members"][1]["user_id"], "user_2");
    for (named, pages) in [("user_2", 0), ("o@acme.example", 1), ("Ada@Example.com", 2)] {
        let fake = Fake::default();
        let ran = good(&fake, &format!("member role {named} viewer")).await;
        assert!(ran.out.contains("ada@example.com"), "{}", ran.out);
        let methods = fake.methods();
        assert_eq!((methods.len(), *methods.last().unwrap()), (pages + 1, "UpdateMemberRole"), "{named}");
        let body = fake.asked.lock().unwrap().last().unwrap().body.clone();
        let request = <UpdateMemberRoleRequest as prost::Message>::decode(body.as_slice()).unwrap();
        assert_eq!(request.user_id, if pages == 1 { "user_1" } else { "user_2" });
        assert_eq!(request.role, "viewer");
    }
    let fake = Fake::default();
    let ran = against(&fake, "member remove nobody@example.com --yes").await;
    assert_eq!((ran.code, fake.methods()), (1, vec!["ListMembers", "ListMembers"]));
    assert!(ran.err.contains("nobody@example.com is no member"), "{}", ran.err);
}

#[tokio::test]
async fn what_cannot_be_undone_is_asked_about() {
    for (line, method, said) in [
        ("member remove user_2", "RemoveMember", "user_2 leaves the tenant"),
        ("member leave", "RemoveMember", "leave acme"),
        ("member transfer-ownership user_2", "TransferOwnership", "you become an admin"),
        ("tenant delete acme", "DeleteTenant", "Every key and session of acme"),
    ] {
        let word = if method == "DeleteTenant" { "acme" } else { "yes" };
        let person = Person::logged_in(Fake::default(), 900).await;
        let ran = done(person.types(line, &[word]).await);
        assert!(ran.err.contains(said) && ran.err.contains(&format!("Type {word}")), "{}", ran.err);
        assert_eq!(person.fake.methods().last(), Some(&method), "{line}");

        for other in ["no", "y", "Yes!"] {
            let person = Person::logged_in(Fake::default(), 900).await;
            let ran = person.types(line, &[other]).await;
            assert_eq!(ran.code, 1, "{line} {other}: {}", ran.err);
            assert!(ran.err.contains("nothing was changed"), "{}", ran.err);
            assert!(!person.fake.methods().contains(&method), "{line} {other}");
        }
        // Where nobody can be asked it is not done, unless that was said.
        let person = Person::logged_in(Fake::default(), 900).await;
        let ran = person.pipes(line, "yes\n").await;
        assert!(ran.code == 2 && ran.err.contains("--yes"), "{line}: {}", ran.err);
        assert!(!person.fake.methods().contains(&method), "{line}");
        done(person.pipes(&format!("{line} --yes"), "").await);
        assert_eq!(person.fake.methods().last(), Some(&method), "{line}");
    }
}

#[tokio::test]
async fn who_leaves_is_logged_out_here_too() {
    let person = Person::logged_in(Fake::default(), 900).await;
    let ran = done(person.pipes("member leave --yes", "").await);
    assert!(ran.err.contains("you have left acme; keys ended: 2, sessions ended: 1"), "{}", ran.err);
    let request: RemoveMemberRequest = person.asked(1, "RemoveMember");
    assert_eq!(request.user_id, "user_1");
    assert!(person.kept().get("access_token").is_none());

    let person = Person::logged_in(Fake::default(), 900).await;
    done(person.pipes("member remove user_2 --yes", "").await);
    assert!(person.kept().get("access_token").is_some());
}

#[tokio::test]
async fn what_could_only_be_done_once_is_tried_once() {
    for line in [
        "member remove user_2 --yes",
        "member leave --yes",
        "member transfer-ownership user_2 --yes",
        "invitation resend invitation_1",
        "invitation revoke invitation_1",
        "role delete role_1",
        "tenant delete acme --yes",
    ] {
        let fake = Fake::default();
        let before = usize::from(line.starts_with("member leave"));
        fake.refuse_after(u32::try_from(before).unwrap(), [Status::unavailable("lease")]);
        assert_eq!(against(&fake, line).await.code, 1, "{line}");
        assert_eq!(fake.methods().len(), before + 1, "{line}");
    }
}

#[tokio::test]
async fn invitations_are_made_listed_sent_again_and_taken_back() {
    let fake = Fake::default();
    let ran = good(&fake, "invitation create ada@example.com --role billing").await;
    assert!(ran.out.contains("invitation_1"), "{}", ran.out);
    let request: CreateInvitationRequest = fake.only("CreateInvitation");
    assert_eq!((request.email.as_str(), request.role.as_str()), ("ada@example.com", "billing"));
    assert_eq!(request.request_id.len(), 36);
    let ran = good(&fake, "invitation list").await;
    assert!(ran.out.contains("invitation_1") && ran.out.contains("ada@example.com"), "{}", ran.out);
    let ran = good(&fake, "invitation resend invitation_1 --output json").await;
    assert_eq!(json(&ran)["invitation"]["id"], "invitation_1");
    good(&fake, "invitation revoke invitation_1").await;
    let expected = ["CreateInvitation", "ListInvitations", "ResendInvitation", "RevokeInvitation"];
    assert_eq!(fake.methods(), expected);
}

#[tokio::test]
async fn whoever_has_no_login_sets_a_password_twice() {
    let person = Person::of(Fake::default()).await;
    let ran = done(without_secrets(person.types("invitation accept", &[TOKEN, NEW, NEW]).await));
    assert!(ran.err.contains("member of acme") && ran.err.contains("doorward login"), "{}", ran.err);
    let request: AcceptInvitationRequest = person.asked(0, "AcceptInvitation");
    assert_eq!((request.token.as_str(), request.password.as_str()), (TOKEN, NEW));
    assert_eq!(person.authorization(0), None);

    let ran = person.types("invitation accept", &[TOKEN, NEW, "another"]).await;
    assert!(ran.code == 2 && ran.err.contains("differ"), "{}", ran.err);
    assert_eq!(person.fake.methods().len(), 1, "nothing is sent");
}

#[tokio::test]
async fn whoever_is_logged_in_accepts_with_that_login() {
    let person = Person::logged_in(Fake::default(), 900).await;
    let ran = done(without_secrets(person.types("invitation accept", &[TOKEN]).await));
    assert!(ran.err.contains("accepting as o@acme.example"), "{}", ran.err);
    let request: AcceptInvitationRequest = person.asked(0, "AcceptInvitation");
    assert_eq!((request.token.as_str(), request.password.as_str()), (TOKEN, ""));
    assert_eq!(person.authorization(0).unwrap(), "Bearer planted-access-0");

    let line = "invitation accept --new-account --token-stdin";
    let ran = done(person.pipes(line, &format!("{TOKEN}\n{NEW}\n")).await);
    assert!(!ran.err.contains("accepting as"), "{}", ran.err);
    let request: AcceptInvitationRequest = person.asked(1, "AcceptInvitation");
    assert_eq!((request.password.as_str(), person.authorization(1)), (NEW, None));
}

#[tokio::test]
async fn a_token_is_read_only_where_that_was_said_and_a_key_is_not_sent() {
    let person = Person::of(Fake::default()).await;
    let ran = person.pipes("invitation accept", &format!("{TOKEN}\n{NEW}\n")).await;
    assert!(ran.code == 2 && ran.err.contains("--token-stdin"), "{}", ran.err);
    assert!(person.fake.methods().is_empty());
    assert!(Cli::try_parse_from(["doorward", "invitation", "accept", TOKEN]).is_err());

    let fake = Fake::default();
    let input = format!("{TOKEN}\n{NEW}\n");
    let line = "invitation accept --token-stdin";
    let ran = run_with(line, &fake.serve().await, &[(KEY_VARIABLE, KEY)], &input).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(fake.asked.lock().unwrap()[0].metadata.get("authorization").is_none());
}

#[tokio::test]
async fn roles_are_shown_made_changed_and_deleted() {
    let fake = Fake::default();
    let ran = good(&fake, "role list").await;
    assert!(ran.out.contains("billing") && ran.out.contains("role_1"), "{}", ran.out);
    for named in ["billing", "role_1"] {
        let ran = good(&fake, &format!("role show {named} --output json")).await;
        assert_eq!(json(&ran)["permissions"][0], "keys.read");
    }
    let ran = against(&fake, "role show nothing").await;
    assert!(ran.code == 1 && ran.err.contains("no role nothing"), "{}", ran.err);

    let fake = Fake::default();
    let line = "role create billing --permission usage.read --permission members.read --description Bills.";
    good(&fake, line).await;
    let request: CreateRoleRequest = fake.only("CreateRole");
    assert_eq!(request.permissions, ["usage.read", "members.read"]);
    assert_eq!((request.description.as_str(), request.request_id.len()), ("Bills.", 36));

    let fake = Fake::default();
    good(&fake, "role update role_7 --permission keys.read --description=").await;
    let request: UpdateRoleRequest = fake.only("UpdateRole");
    assert_eq!(request.update_mask.unwrap().paths, ["description", "permissions"]);
    assert_eq!((request.id.as_str(), request.name.as_str()), ("role_7", ""));
}

#[tokio::test]
async fn a_role_of_ones_own_may_be_named_and_others_stay() {
    let fake = Fake::default();
    let ran = good(&fake, "role delete billing").await;
    assert!(ran.err.contains("the role billing is gone"), "{}", ran.err);
    assert_eq!(fake.methods(), ["ListRoles", "DeleteRole"]);
    let body = fake.asked.lock().unwrap()[1].body.clone();
    let request = <DeleteRoleRequest as prost::Message>::decode(body.as_slice()).unwrap();
    assert_eq!(request.id, "role_1");
    for line in ["role delete admin", "role update admin --name boss"] {
        let fake = Fake::default();
        let ran = against(&fake, line).await;
        assert!(ran.code == 1 && ran.err.contains("comes with Doorward"), "{}", ran.err);
        assert_eq!(fake.methods(), ["ListRoles"]);
    }
}

#[tokio::test]
async fn permissions_are_listed() {
    let ran = good(&Fake::default(), "permission list").await;
    assert!(ran.out.contains("keys.read") && ran.out.contains("See keys."), "{}", ran.out);
}

#[tokio::test]
async fn a_tenant_is_deleted_by_the_name_that_was_typed() {
    let person = Person::logged_in(Fake::default(), 900).await;
    done(person.types("tenant delete acme --etag e1", &["acme"]).await);
    let request: DeleteTenantRequest = person.asked(1, "DeleteTenant");
    assert_eq!((request.id.as_str(), request.etag.as_str()), ("tenant_1", "e1"));
}

#[test]
fn wrong_usage_is_found_before_any_call() {
    for line in [
        "member role user_1",
        "member remove",
        "member transfer-ownership",
        "invitation create ada@example.com",
        "invitation resend",
        "role create billing",
        "role update billing",
        "role show",
        "permission",
    ] {
        let words = ["doorward"].into_iter().chain(line.split_whitespace());
        assert_eq!(Cli::try_parse_from(words).map(|_| ()).unwrap_err().exit_code(), 2, "{line}");
    }
}
