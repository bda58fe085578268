//! A38: what is another tenant's, named in every field that can name anything.
//!
//! Somebody from elsewhere gets the answer that they would get for what does not exist, hears nothing of what
//! does, and changes nothing.
use super::call::{Door, Got};
use super::fields::naming_fields;
use super::people::Caller;
use super::state::fingerprint;
use super::town::{HERE, Town};
use super::{LACKS, MISMATCH, NOT_FOUND, Outcome};
use crate::harness::{Database, on_both};
use Outcome::{Done, Refused};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tonic::Code;

/// A field with something foreign in it, and what that comes to.
struct Foreign {
    /// `Service/Method field`.
    field: &'static str,
    /// The request; `{their_…}` is the other tenant's, everything else the caller's own.
    body: &'static str,
    then: Outcome,
}

const fn foreign(field: &'static str, body: &'static str, then: Outcome) -> Foreign {
    Foreign { field, body, then }
}

const BAD_LOGIN: Outcome = Refused(Code::Unauthenticated, "INVALID_LOGIN");

/// For the owner of another tenant. `Done` is for what is their own in spite of the foreign name: a list of
/// theirs, a denial, a key of theirs under a request id that somebody else used too.
#[rustfmt::skip]
const FIELDS: &[Foreign] = &[
    foreign("AuthnService/Login tenant_id", r#"{"email": "{email}", "password": "{password}", "tenant_id": "{their_tenant}"}"#, MISMATCH),
    foreign("AuthnService/Login tenant_id", r#"{"email": "{email}", "password": "{password}", "tenant_id": "{their_slug}"}"#, MISMATCH),
    foreign("AuthnService/FinishPasskeyLogin tenant_id", r#"{"credential_json": "{}", "tenant_id": "{their_tenant}"}"#, BAD_LOGIN),
    foreign("AuthnService/ListSessions page_token", r#"{"page_token": "{their_sessions_page}"}"#, Done),
    foreign("AuthnService/RevokeSession id", r#"{"id": "{their_session}"}"#, NOT_FOUND),
    // Whose passkey it is is not looked at before the caller has shown a factor of their own.
    foreign("AuthnService/RemovePasskey id", r#"{"id": "{no_passkey}", "totp_code": "000000"}"#, BAD_LOGIN),
    foreign("AuthnService/VerifyCredential tenant_id", r#"{"credential": "{credential}", "tenant_id": "{their_tenant}"}"#, Done),
    foreign("AuthnService/VerifyCredential tenant_id", r#"{"credential": "{their_credential}"}"#, Done),
    foreign("AuthnService/VerifyCredential tenant_id", r#"{"credential": "{their_credential}", "tenant_id": "{their_tenant}"}"#, Done),
    foreign("AuthnService/BatchVerifyCredentials requests.tenant_id", r#"{"requests": [{"credential": "{their_credential}", "tenant_id": "{their_tenant}"}]}"#, Done),
    foreign("AuthnService/StreamVerifyCredentials request.tenant_id", r#"{"tag": 7, "request": {"credential": "{their_credential}", "tenant_id": "{their_tenant}"}}"#, Done),
    foreign("KeysService/CreateApiKey user_id", r#"{"display_name": "x", "user_id": "{their_user}"}"#, NOT_FOUND),
    foreign("KeysService/CreateApiKey request_id", r#"{"display_name": "x", "request_id": "{their_request}"}"#, Done),
    foreign("KeysService/GetApiKey id", r#"{"id": "{their_key}"}"#, NOT_FOUND),
    foreign("KeysService/ListApiKeys page_token", r#"{"page_token": "{their_keys_page}"}"#, Done),
    foreign("KeysService/ListApiKeys user_id", r#"{"user_id": "{their_user}"}"#, Done),
    foreign("KeysService/UpdateApiKey id", r#"{"id": "{their_key}", "update_mask": "displayName", "display_name": "stolen"}"#, NOT_FOUND),
    foreign("KeysService/RotateApiKey id", r#"{"id": "{their_key}"}"#, NOT_FOUND),
    foreign("KeysService/RotateApiKey request_id", r#"{"id": "{their_key}", "request_id": "{their_request}"}"#, NOT_FOUND),
    foreign("KeysService/GetApiKeyUsage id", r#"{"id": "{their_key}"}"#, NOT_FOUND),
    foreign("KeysService/RevokeApiKey id", r#"{"id": "{their_key}"}"#, NOT_FOUND),
    foreign("KeysService/ImportApiKey user_id", r#"{"sha256": "{digest}", "profile": "legacy", "display_name": "x", "expire_time": "{tomorrow}", "user_id": "{their_user}"}"#, NOT_FOUND),
    foreign("KeysService/ImportApiKey request_id", r#"{"sha256": "{digest}", "profile": "legacy", "display_name": "x", "expire_time": "{tomorrow}", "user_id": "{their_user}", "request_id": "{their_request}"}"#, NOT_FOUND),
    foreign("AuditService/ListEvents page_token", r#"{"page_token": "{their_events_page}"}"#, Done),
    foreign("AuditService/ListEvents actor", r#"{"actor": "{their_user}"}"#, Done),
    foreign("AuditService/ListEvents target", r#"{"target": "{their_key}"}"#, Done),
    foreign("AuditService/EraseAuditFields user_id", r#"{"user_id": "{their_user}"}"#, NOT_FOUND),
    foreign("KeysService/ListProviderKeys page_token", r#"{"page_token": "{their_provider_keys_page}"}"#, Done),
    foreign("TenancyService/CreateTenant request_id", r#"{"slug": "{unique}", "owner_email": "{unique}@nowhere.test", "request_id": "{their_request}"}"#, LACKS),
    foreign("TenancyService/GetTenant id", r#"{"id": "{their_tenant}"}"#, NOT_FOUND),
    foreign("TenancyService/GetTenant id", r#"{"id": "{their_slug}"}"#, NOT_FOUND),
    foreign("TenancyService/ListTenants page_token", r#"{"page_token": "{their_keys_page}"}"#, BAD_PAGE),
    foreign("TenancyService/UpdateTenant id", r#"{"id": "{their_tenant}", "update_mask": "displayName", "display_name": "stolen"}"#, NOT_FOUND),
    foreign("TenancyService/DeleteTenant id", r#"{"id": "{their_tenant}"}"#, NOT_FOUND),
    foreign("TenancyService/UpdateMemberRole user_id", r#"{"user_id": "{their_user}", "role": "viewer"}"#, NOT_FOUND),
    foreign("TenancyService/UpdateMemberRole role", r#"{"user_id": "{colleague}", "role": "{their_role}"}"#, BAD_ROLE),
    foreign("TenancyService/UpdateMemberRole role", r#"{"user_id": "{colleague}", "role": "{their_role_name}"}"#, BAD_ROLE),
    foreign("TenancyService/RemoveMember user_id", r#"{"user_id": "{their_user}"}"#, NOT_FOUND),
    foreign("TenancyService/TransferOwnership user_id", r#"{"user_id": "{their_user}"}"#, NOT_FOUND),
    // By now it is the request id of a key of the caller's own.
    foreign("TenancyService/CreateInvitation request_id", r#"{"email": "{unique}@nowhere.test", "role": "viewer", "request_id": "{their_request}"}"#, USED),
    foreign("TenancyService/CreateInvitation role", r#"{"email": "{unique}@nowhere.test", "role": "{their_role}"}"#, BAD_ROLE),
    foreign("TenancyService/CreateInvitation role", r#"{"email": "{unique}@nowhere.test", "role": "{their_role_name}"}"#, BAD_ROLE),
    foreign("TenancyService/ListInvitations page_token", r#"{"page_token": "{their_invitations_page}"}"#, Done),
    foreign("TenancyService/ResendInvitation id", r#"{"id": "{their_invitation}"}"#, NOT_FOUND),
    foreign("TenancyService/RevokeInvitation id", r#"{"id": "{their_invitation}"}"#, NOT_FOUND),
    foreign("TenancyService/CreateRole request_id", r#"{"name": "{unique}-role", "permissions": ["keys.read"], "request_id": "{second_request}"}"#, Done),
    foreign("TenancyService/UpdateRole id", r#"{"id": "{their_role}", "update_mask": "description", "description": "stolen"}"#, NOT_FOUND),
    foreign("TenancyService/DeleteRole id", r#"{"id": "{their_role}"}"#, NOT_FOUND),
    foreign("TenancyService/SuspendTenant id", r#"{"id": "{their_tenant}", "reason": "x"}"#, LACKS),
    foreign("TenancyService/ResumeTenant id", r#"{"id": "{their_tenant}"}"#, LACKS),
    foreign("TenancyService/ListMembers page_token", r#"{"page_token": "{their_members_page}"}"#, Done),
];

/// A role that is none of the caller's tenant.
const BAD_ROLE: Outcome = Refused(Code::InvalidArgument, "INVALID_ARGUMENT");

/// A page's token of another list.
const BAD_PAGE: Outcome = Refused(Code::InvalidArgument, "INVALID_ARGUMENT");

/// A request id that the caller used before.
const USED: Outcome = Refused(Code::AlreadyExists, "ALREADY_EXISTS");

/// Ids that nobody has, in the place of theirs.
const NOBODYS: &[(&str, &str)] = &[
    ("{their_tenant}", "tenant_01h455vb4pex5vsknk084sn02q"),
    ("{their_slug}", "nowhere"),
    ("{their_session}", "session_01h455vb4pex5vsknk084sn02q"),
    ("{their_user}", "user_01h455vb4pex5vsknk084sn02q"),
    ("{their_role}", "role_01h455vb4pex5vsknk084sn02q"),
    ("{their_role_name}", "of-nobody"),
    ("{their_invitation}", "invitation_01h455vb4pex5vsknk084sn02q"),
    ("{their_key}", "key_01h455vb4pex5vsknk084sn02q"),
];

/// What the other tenant has, by the names that [`FIELDS`] gives it.
struct Theirs(Vec<(&'static str, String)>);

impl Theirs {
    async fn of(town: &Town, door: &Door) -> Self {
        let owner = &town.callers[0];
        let ask = async |method: &str, body: Value| {
            door.call(&format!("/doorward.v1.{method}"), &body, &owner.metadata).await.json()
        };
        let page = async |method: &str| {
            let told = ask(method, json!({"page_size": 1})).await;
            told["next_page_token"].as_str().filter(|token| !token.is_empty()).unwrap().to_owned()
        };
        // A second session, so that there is a second page.
        let again = town.body(r#"{"email": "{email}", "password": "{password}"}"#, owner).await;
        ask("AuthnService/Login", again).await;
        let request = "01890a5d-ac96-774b-bcce-b302099a8057";
        ask("KeysService/CreateApiKey", json!({"display_name": "theirs", "request_id": request})).await;
        for email in ["one@nowhere.test", "two@nowhere.test"] {
            ask("TenancyService/CreateInvitation", json!({"email": email, "role": "viewer"})).await;
        }
        let invitations = ask("TenancyService/ListInvitations", json!({})).await;
        let role = json!({"name": "their-own", "permissions": ["keys.read"]});
        let role = ask("TenancyService/CreateRole", role).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        for provider in ["openai", "mistral"] {
            let secret = format!("sk-{provider}-0123456789");
            ask("KeysService/SetProviderKey", json!({"provider": provider, "secret": secret})).await;
        }
        let sessions = ask("AuthnService/ListSessions", json!({})).await;
        Self(vec![
            ("{their_events_page}", page("AuditService/ListEvents").await),
            ("{their_provider_keys_page}", page("KeysService/ListProviderKeys").await),
            ("{their_tenant}", town.tenant_id.clone()),
            ("{their_slug}", HERE.to_owned()),
            ("{their_user}", town.other_user.clone()),
            ("{their_key}", town.other_key.clone()),
            ("{their_credential}", town.callers[1].credential.clone()),
            ("{their_session}", sessions["sessions"][0]["id"].as_str().unwrap().to_owned()),
            ("{their_request}", request.to_owned()),
            ("{second_request}", "01890a5d-ac96-774b-bcce-b302099a8058".to_owned()),
            ("{colleague}", town.colleague.clone()),
            ("{their_role}", text(&role["role"]["id"])),
            ("{their_role_name}", "their-own".to_owned()),
            ("{their_invitation}", text(&invitations["invitations"][0]["id"])),
            ("{their_invitations_page}", page("TenancyService/ListInvitations").await),
            ("{their_sessions_page}", page("AuthnService/ListSessions").await),
            ("{their_keys_page}", page("KeysService/ListApiKeys").await),
            ("{their_members_page}", page("TenancyService/ListMembers").await),
        ])
    }

    fn put_into(&self, body: &str) -> String {
        self.0.iter().fold(body.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// What must be in no answer.
    fn marks(&self, town: &Town) -> Vec<String> {
        let ids = [
            "{their_role}",
            "{their_role_name}",
            "{their_invitation}",
            "{their_tenant}",
            "{their_user}",
            "{their_key}",
            "{their_session}",
        ];
        let named = self.0.iter().filter(|(name, _)| ids.contains(name)).map(|(_, value)| value.clone());
        let people = town.callers.iter().filter(|caller| caller.is_person());
        named.chain([format!("@{HERE}.test")]).chain(people.map(|caller| caller.own_key.clone())).collect()
    }
}

/// Every id that a request can name has been thought about.
#[test]
fn every_field_that_names_something_has_a_decision() {
    let told: BTreeSet<String> = FIELDS.iter().map(|foreign| foreign.field.to_owned()).collect();
    let fields = naming_fields();
    let undecided: Vec<_> = fields.difference(&told).collect();
    assert!(undecided.is_empty(), "add to FIELDS in tests/it/matrix/foreign.rs: {undecided:?}");
    let gone: Vec<_> = told.difference(&fields).collect();
    assert!(gone.is_empty(), "there are no such fields: {gone:?}");
}

/// What a stranger gets, and what they get for something that nobody has.
async fn tried(town: &Town, door: &Door, theirs: &Theirs, foreign: &Foreign, caller: &Caller) -> (Got, Got) {
    let (method, _) = foreign.field.split_once(' ').unwrap();
    let path = format!("/doorward.v1.{method}");
    let existing = town.body(&theirs.put_into(foreign.body), caller).await;
    let nobodys =
        NOBODYS.iter().fold(foreign.body.to_owned(), |text, (name, value)| text.replace(name, value));
    let missing = town.body(&theirs.put_into(&nobodys), caller).await;
    (door.call(&path, &existing, &caller.metadata).await, door.call(&path, &missing, &caller.metadata).await)
}

on_both! {
    // R6, R40, A38
    async fn what_is_another_tenants_does_not_exist(database: Database) {
        let town = Town::build(database).await;
        let door = Door::of(&town.server.api());
        let theirs = Theirs::of(&town, &door).await;
        let marks = theirs.marks(&town);
        let before = fingerprint(&town.database, &town.tenant_id).await;
        let stranger = &town.strangers[0];
        for foreign in FIELDS {
            let (existing, missing) = tried(&town, &door, &theirs, foreign, stranger).await;
            let told = format!("{} {}: {existing:?}", foreign.field, foreign.body);
            assert_eq!(existing.outcome(), Some(foreign.then), "{told}");
            for mark in &marks {
                assert!(!existing.text.contains(mark), "{mark} is told: {told}");
            }
            if let (Err(existing), Err(missing)) = (&existing.message, &missing.message) {
                // No sign that it exists.
                assert_eq!((existing.code(), existing.message()), (missing.code(), missing.message()), "{told}");
            }
        }
        assert_eq!(fingerprint(&town.database, &town.tenant_id).await, before);
    }
}
