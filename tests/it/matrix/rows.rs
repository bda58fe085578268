//! Who may call each method, written down by hand: a row for each, and more where the right to what is named
//! in the request matters too.
use super::people::Caller;
use super::{LACKS, NOT_FOUND, Outcome};
use doorward::domain::permission::Permission as P;
use doorward::guard::Need::{self, Credential, Either, Permission, Visitor};
use tonic::Code;

/// A method, a request, and what it comes to.
pub struct Row {
    /// `Service/Method`.
    pub method: &'static str,
    /// What the policy asks of every caller.
    pub need: Need,
    /// The request in JSON; what stands in it in braces is put in by [`super::town::Town::body`].
    pub body: &'static str,
    /// What the handler asks besides, for this request.
    pub asks: &'static [Ask],
    /// What it comes to for whoever may.
    pub then: Outcome,
}

/// What a handler asks: how it refuses this caller, if it does.
pub type Ask = fn(&Caller) -> Option<Outcome>;

impl Row {
    /// The method as gRPC names it.
    pub fn path(&self) -> String {
        format!("/doorward.v1.{}", self.method)
    }
}

const fn row(
    method: &'static str,
    need: Need,
    body: &'static str,
    asks: &'static [Ask],
    then: Outcome,
) -> Row {
    Row { method, need, body, asks, then }
}

use Outcome::{Done, Refused};
const BAD_LOGIN: Outcome = Refused(Code::Unauthenticated, "INVALID_LOGIN");
const BAD_TOKEN: Outcome = Refused(Code::Unauthenticated, "INVALID_TOKEN");
const BAD: Outcome = Refused(Code::InvalidArgument, "INVALID_ARGUMENT");
const STALE: Outcome = Refused(Code::Aborted, "ETAG_MISMATCH");
const TOO_EARLY: Outcome = Refused(Code::FailedPrecondition, "FAILED_PRECONDITION");

/// Only people who have logged in.
const A_SESSION: Ask = |caller| (!caller.is_session).then_some(LACKS);
const KEYS_MANAGE: Ask = |caller| caller.lacks("keys.manage", LACKS);
/// Who may not know of somebody else's key is told that there is none.
const SEES_ALL_KEYS: Ask = |caller| caller.lacks("keys.manage", NOT_FOUND);
/// How a key is used: those who may see all of it may do without seeing keys.
const READS_USAGE: Ask =
    |caller| if caller.may("usage.read") { None } else { caller.lacks("keys.read", LACKS) };
const SEES_ALL_USAGE: Ask = |caller| if caller.may("usage.read") { None } else { SEES_ALL_KEYS(caller) };
/// Keys of one's own; a machine has none but itself, which it cannot change.
const OWN_KEYS: Ask =
    |caller| caller.lacks(if caller.is_person() { "keys.write" } else { "keys.manage" }, LACKS);
/// Who is no person has to say whose key it shall be.
const A_PERSON: Ask = |caller| (!caller.is_person()).then_some(BAD);
/// A machine sees nobody's keys unless it manages all.
const A_PERSONS_LIST: Ask = |caller| if caller.is_person() { None } else { KEYS_MANAGE(caller) };
/// A key of theirs that was just made; for a machine, one of somebody else.
const OWN_FRESH: Ask = |caller| if caller.is_person() { OWN_KEYS(caller) } else { SEES_ALL_KEYS(caller) };
const TENANT_READ: Ask = |caller| caller.lacks("tenant.read", LACKS);
const TENANT_UPDATE: Ask = |caller| caller.lacks("tenant.update", LACKS);
const TENANT_DELETE: Ask = |caller| caller.lacks("tenant.delete", LACKS);
/// A service, whatever a person may.
const A_SERVICE: Ask = |caller| (caller.name != "service's wide key").then_some(LACKS);
const ADMIN_USERS: Ask = |caller| caller.lacks("admin.users", LACKS);
/// Another tenant exists for operators alone.
const AN_OPERATOR: Ask = |caller| caller.lacks("platform.tenants", NOT_FOUND);

const PROVIDER_KEYS: Need = Permission(P::PROVIDER_KEYS_MANAGE);
const AUDITORS: Need = Permission(P::AUDIT_READ);
const AUDIT_ADMINS: Need = Permission(P::AUDIT_MANAGE);
const VERIFY: Need = Permission(P::CREDENTIALS_VERIFY);
const READS_KEYS: Need = Permission(P::KEYS_READ);
const ADMINS_USERS: Need = Permission(P::ADMIN_USERS);
const MANAGES_ROLES: Need = Permission(P::ROLES_MANAGE);
const PLATFORM: Need = Permission(P::PLATFORM_TENANTS);
const READS_MEMBERS: Need = Permission(P::MEMBERS_READ);

/// In this order: what a row leaves behind, the next one finds.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    // Logging in. What is sent is never right, so whoever is let in is told so.
    row("AuthnService/Login", Visitor, r#"{"email": "nobody@nowhere.test", "password": ""}"#, &[], BAD_LOGIN),
    row("AuthnService/CompleteLogin", Visitor, r#"{"challenge": "x", "totp_code": "000000"}"#, &[], BAD_LOGIN),
    row("AuthnService/RefreshSession", Visitor, r#"{"refresh_token": "x"}"#, &[], BAD_TOKEN),
    row("AuthnService/BeginPasskeyLogin", Visitor, "{}", &[], Done),
    row("AuthnService/FinishPasskeyLogin", Visitor, r#"{"credential_json": "{}"}"#, &[], BAD_LOGIN),
    row("AuthnService/RequestPasswordReset", Visitor, r#"{"email": "{unique}@nowhere.test"}"#, &[], Done),
    row("AuthnService/ResetPassword", Visitor, r#"{"token": "x", "new_password": "long-fjord-kettle-97"}"#, &[], BAD_TOKEN),
    row("AuthnService/VerifyEmail", Visitor, r#"{"token": "x"}"#, &[], BAD_TOKEN),
    row("AuthnService/Logout", Either, r#"{"refresh_token": "x"}"#, &[], BAD_TOKEN),
    // One's own account.
    row("AuthnService/WhoAmI", Credential, "{}", &[], Done),
    row("AuthnService/ListSessions", Credential, "{}", &[A_SESSION], Done),
    row("AuthnService/RevokeSession", Credential, r#"{"id": "{no_session}"}"#, &[A_SESSION], NOT_FOUND),
    row("AuthnService/RevokeAllSessions", Credential, r#"{"keep_current": true}"#, &[A_SESSION], Done),
    row("AuthnService/ConfirmTotp", Credential, r#"{"code": "000000"}"#, &[A_SESSION], TOO_EARLY),
    row("AuthnService/EnrollTotp", Credential, r#"{"password": "{password}"}"#, &[A_SESSION], Done),
    row("AuthnService/DisableTotp", Credential, r#"{"totp_code": "000000"}"#, &[A_SESSION], BAD_LOGIN),
    row("AuthnService/RegenerateBackupCodes", Credential, r#"{"totp_code": "000000"}"#, &[A_SESSION], BAD_LOGIN),
    row("AuthnService/BeginPasskeyRegistration", Credential, r#"{"password": "{password}"}"#, &[A_SESSION], Done),
    row("AuthnService/FinishPasskeyRegistration", Credential, r#"{"credential_json": "{}"}"#, &[A_SESSION], BAD),
    row("AuthnService/ListPasskeys", Credential, "{}", &[A_SESSION], Done),
    row("AuthnService/BeginPasskeyAssertion", Credential, "{}", &[A_SESSION], TOO_EARLY),
    row("AuthnService/RemovePasskey", Credential, r#"{"id": "{no_passkey}", "totp_code": "000000"}"#, &[A_SESSION], BAD_LOGIN),
    row("AuthnService/ChangePassword", Credential, r#"{"current_password": "", "new_password": "long-fjord-kettle-97"}"#, &[A_SESSION], BAD_LOGIN),
    row("AuthnService/RequestEmailVerification", Credential, "{}", &[A_SESSION], Done),
    // Checks for others.
    row("AuthnService/VerifyCredential", VERIFY, r#"{"credential": "x"}"#, &[], Done),
    row("AuthnService/BatchVerifyCredentials", VERIFY, r#"{"requests": [{"credential": "x"}]}"#, &[], Done),
    row("AuthnService/StreamVerifyCredentials", VERIFY, r#"{"tag": 1, "request": {"credential": "x"}}"#, &[], Done),
    row("AuthnService/WatchRevocations", VERIFY, r#"{"open": {}}"#, &[], Done),
    // Keys.
    row("KeysService/CreateApiKey", Credential, r#"{"display_name": "own"}"#, &[A_PERSON, OWN_KEYS], Done),
    row("KeysService/CreateApiKey", Credential, r#"{"display_name": "theirs", "user_id": "{other_user}"}"#, &[KEYS_MANAGE], Done),
    row("KeysService/CreateApiKey", Credential, r#"{"display_name": "a machine's", "kind": "API_KEY_KIND_SERVICE", "scopes": ["keys.read"]}"#, &[KEYS_MANAGE], Done),
    row("KeysService/GetApiKey", READS_KEYS, r#"{"id": "{own}"}"#, &[], Done),
    row("KeysService/GetApiKey", READS_KEYS, r#"{"id": "{other}"}"#, &[SEES_ALL_KEYS], Done),
    row("KeysService/ListApiKeys", READS_KEYS, "{}", &[A_PERSONS_LIST], Done),
    row("KeysService/ListApiKeys", READS_KEYS, r#"{"user_id": "{other_user}"}"#, &[KEYS_MANAGE], Done),
    row("KeysService/UpdateApiKey", READS_KEYS, r#"{"id": "{own}", "update_mask": "displayName", "display_name": "mine"}"#, &[OWN_KEYS], Done),
    row("KeysService/UpdateApiKey", READS_KEYS, r#"{"id": "{other}", "update_mask": "displayName", "display_name": "theirs"}"#, &[SEES_ALL_KEYS], Done),
    row("KeysService/RotateApiKey", READS_KEYS, r#"{"id": "{own_fresh}"}"#, &[OWN_FRESH], Done),
    row("KeysService/RotateApiKey", READS_KEYS, r#"{"id": "{other_fresh}"}"#, &[SEES_ALL_KEYS], Done),
    row("KeysService/GetApiKeyUsage", Credential, r#"{"id": "{own}"}"#, &[READS_USAGE], Done),
    row("KeysService/GetApiKeyUsage", Credential, r#"{"id": "{other}"}"#, &[READS_USAGE, SEES_ALL_USAGE], Done),
    row("KeysService/RevokeApiKey", READS_KEYS, r#"{"id": "{own_fresh}"}"#, &[OWN_FRESH], Done),
    row("KeysService/RevokeApiKey", READS_KEYS, r#"{"id": "{other_fresh}"}"#, &[SEES_ALL_KEYS], Done),
    row("KeysService/ImportApiKey", Permission(P::KEYS_MANAGE), r#"{"sha256": "{digest}", "profile": "legacy", "display_name": "old", "expire_time": "{tomorrow}", "user_id": "{other_user}"}"#, &[], Done),
    row("KeysService/SetProviderKey", PROVIDER_KEYS, r#"{"provider": "openai", "secret": "sk-matrix-0123456789"}"#, &[], Done),
    row("KeysService/ListProviderKeys", PROVIDER_KEYS, "{}", &[], Done),
    row("KeysService/FetchProviderKey", Permission(P::PROVIDER_KEYS_FETCH), r#"{"provider": "openai"}"#, &[A_SERVICE], Done),
    row("KeysService/DeleteProviderKey", PROVIDER_KEYS, r#"{"provider": "mistral"}"#, &[], NOT_FOUND),
    // The audit log.
    row("AuditService/ListEvents", AUDITORS, "{}", &[], Done),
    row("AuditService/ExportEvents", AUDITORS, "{}", &[], Done),
    row("AuditService/GetCheckpoint", AUDITORS, "{}", &[], Done),
    row("AuditService/EraseAuditFields", AUDIT_ADMINS, r#"{"user_id": "{other_user}"}"#, &[], Done),
    row("AuditService/SetLegalHold", AUDIT_ADMINS, r#"{"held": false, "reason": "over"}"#, &[], Done),
    // Tenants.
    row("TenancyService/CreateTenant", PLATFORM, r#"{"slug": "t-{unique}", "owner_email": "{unique}@nowhere.test"}"#, &[], Done),
    row("TenancyService/GetTenant", Credential, "{}", &[TENANT_READ], Done),
    row("TenancyService/GetTenant", Credential, r#"{"id": "{spare}"}"#, &[AN_OPERATOR], Done),
    row("TenancyService/ListTenants", Credential, "{}", &[TENANT_READ], Done),
    row("TenancyService/UpdateTenant", Credential, r#"{"update_mask": "displayName", "display_name": "Umbrella"}"#, &[TENANT_UPDATE], Done),
    row("TenancyService/UpdateTenant", Credential, r#"{"id": "{spare}", "update_mask": "displayName", "display_name": "Spare"}"#, &[AN_OPERATOR], Done),
    row("TenancyService/SuspendTenant", PLATFORM, r#"{"id": "{spare}", "reason": "unpaid"}"#, &[], Done),
    row("TenancyService/ResumeTenant", PLATFORM, r#"{"id": "{spare}"}"#, &[], Done),
    row("TenancyService/SetIpAllowlist", Permission(P::TENANT_UPDATE), r#"{"networks": []}"#, &[], Done),
    row("TenancyService/CloseBreakGlass", Permission(P::ADMIN_SETTINGS), "{}", &[], Done),
    row("TenancyService/DeleteTenant", Credential, r#"{"id": "umbrella", "etag": "\"0\""}"#, &[TENANT_DELETE, A_SESSION], STALE),
    row("TenancyService/DeleteTenant", Credential, r#"{"id": "{spare}", "etag": "\"0\""}"#, &[AN_OPERATOR], STALE),
    // People. Whoever is named is nobody, or has the role already.
    row("TenancyService/UpdateMemberRole", ADMINS_USERS, r#"{"user_id": "{other_user}", "role": "viewer"}"#, &[], Done),
    row("TenancyService/UpdateMemberRole", ADMINS_USERS, r#"{"user_id": "{other_user}", "role": "owner"}"#, &[], BAD),
    row("TenancyService/RemoveMember", Credential, r#"{"user_id": "{no_user}"}"#, &[ADMIN_USERS], NOT_FOUND),
    row("TenancyService/TransferOwnership", Credential, r#"{"user_id": "{no_user}"}"#, &[A_SESSION, TENANT_DELETE], NOT_FOUND),
    row("TenancyService/CreateInvitation", ADMINS_USERS, r#"{"email": "{unique}@nowhere.test", "role": "viewer"}"#, &[], Done),
    row("TenancyService/ListInvitations", ADMINS_USERS, "{}", &[], Done),
    row("TenancyService/ResendInvitation", ADMINS_USERS, r#"{"id": "{no_invitation}"}"#, &[], NOT_FOUND),
    row("TenancyService/RevokeInvitation", ADMINS_USERS, r#"{"id": "{no_invitation}"}"#, &[], NOT_FOUND),
    row("TenancyService/AcceptInvitation", Either, r#"{"token": "x"}"#, &[], BAD_TOKEN),
    row("TenancyService/CreateRole", MANAGES_ROLES, r#"{"name": "{unique}-own", "permissions": ["keys.read"]}"#, &[], Done),
    // Nobody gives what they lack.
    row("TenancyService/CreateRole", MANAGES_ROLES, r#"{"name": "{unique}-wide", "permissions": ["tenant.delete"]}"#, &[TENANT_DELETE], Done),
    row("TenancyService/UpdateRole", MANAGES_ROLES, r#"{"id": "{no_role}", "update_mask": "description", "description": "x"}"#, &[], NOT_FOUND),
    row("TenancyService/DeleteRole", MANAGES_ROLES, r#"{"id": "{no_role}"}"#, &[], NOT_FOUND),
    row("TenancyService/ListMembers", READS_MEMBERS, "{}", &[], Done),
    row("TenancyService/ListRoles", READS_MEMBERS, "{}", &[], Done),
    row("TenancyService/ListPermissions", Credential, "{}", &[], Done),
];
