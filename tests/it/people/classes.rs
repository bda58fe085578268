//! Every secret opens its own door and no other.
use super::person::{Mailbox, begin, enrol, log_in, opens, owner, refresh, visitor};
use crate::harness::client::{self, Metadata, raw};
use crate::harness::world::OWNER;
use crate::harness::{Database, World, on_both, rest};
use bytes::Bytes;
use doorward::pb::v1::complete_login_request::Factor;
use doorward::pb::v1::verify_credential_response::Outcome;
use doorward::pb::v1::{
    CompleteLoginRequest, LogoutRequest, RequestEmailVerificationRequest, RequestPasswordResetRequest,
    ResetPasswordRequest, VerifyCredentialRequest, VerifyEmailRequest, WhoAmIRequest,
};
use http::Method;
use tonic::{Code, Status};

/// The doors, by the class whose they are.
const DOORS: [(&str, &str); 10] = [
    ("credential", "bearer"),
    ("credential", "x-api-key"),
    ("credential", "rest"),
    ("credential", "asked about"),
    ("credential", "otlp"),
    ("refresh", "refresh"),
    ("refresh", "logout"),
    ("challenge", "complete"),
    ("reset", "reset"),
    ("verification", "verify"),
];

async fn try_at(world: &World, door: &str, secret: &str, spare: &str) -> Result<(), Status> {
    let secret = secret.to_owned();
    let api = world.server.api();
    match door {
        "bearer" => world.authn_as(&secret).who_am_i(WhoAmIRequest {}).await.map(drop),
        "x-api-key" => {
            let metadata = Metadata::none().and("x-api-key", &secret);
            client::authn(&api, metadata).who_am_i(WhoAmIRequest {}).await.map(drop)
        }
        "rest" => {
            let bearer = format!("Bearer {secret}");
            let headers = [("authorization", bearer.as_str())];
            let request = rest::request(Method::GET, "/v1/auth/me", &headers, Bytes::new());
            match rest::send(&api, request).await.unwrap().status {
                200 => Ok(()),
                401 => Err(Status::unauthenticated("rest")),
                other => panic!("{other}"),
            }
        }
        "asked about" => {
            let question = VerifyCredentialRequest { credential: secret, ..Default::default() };
            match world.authn().verify_credential(question).await?.into_inner().outcome.unwrap() {
                Outcome::Principal(_) => Ok(()),
                Outcome::Denial(denial) => Err(Status::unauthenticated(denial.message)),
            }
        }
        "otlp" => {
            let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
            raw(&world.server.otlp_grpc(), &Metadata::bearer(&secret), path, Vec::new()).await.map(drop)
        }
        "refresh" => refresh(&api, &secret).await.map(drop),
        "logout" => visitor(world).logout(LogoutRequest { refresh_token: secret }).await.map(drop),
        "complete" => {
            let factor = Some(Factor::BackupCode(spare.to_owned()));
            visitor(world).complete_login(CompleteLoginRequest { challenge: secret, factor }).await.map(drop)
        }
        "reset" => {
            let request =
                ResetPasswordRequest { token: secret, new_password: "an elephant in the pantry".into() };
            visitor(world).reset_password(request).await.map(drop)
        }
        "verify" => visitor(world).verify_email(VerifyEmailRequest { token: secret }).await.map(drop),
        other => panic!("{other} is no door"),
    }
}

on_both! {
    // A09
    async fn a_secret_of_one_class_is_nothing_at_the_door_of_another(database: Database) {
        let mailbox = Mailbox::new();
        let world = World::with(database, mailbox.settings()).await;
        let login = log_in(&world).await;
        let mut authn = world.authn_as(&login.access);
        let request = RequestPasswordResetRequest { email: OWNER.into() };
        visitor(&world).request_password_reset(request).await.unwrap();
        let reset = mailbox.token("reset-password").await;
        authn.request_email_verification(RequestEmailVerificationRequest {}).await.unwrap();
        let verification = mailbox.token("verify-email").await;
        let (_, backup_codes) = enrol(&world, &login.access).await;
        let challenge = begin(&world, owner(&world)).await.challenge;
        let device = login.device.clone().unwrap();
        let secrets = [
            ("credential", "access", login.access.as_str()),
            ("credential", "key", world.owner.as_str()),
            ("refresh", "refresh", login.refresh.as_str()),
            ("challenge", "challenge", challenge.as_str()),
            ("reset", "reset", reset.as_str()),
            ("verification", "verification", verification.as_str()),
            ("device", "device", device.as_str()),
            ("backup", "backup code", backup_codes[1].as_str()),
            ("password", "password", world.password.as_str()),
        ];
        let mut cells = 0;
        for (class, name, secret) in secrets {
            for (own, door) in DOORS.into_iter().filter(|(own, _)| *own != class) {
                let answer = try_at(&world, door, secret, &backup_codes[0]).await;
                let status = answer.expect_err(&format!("{name} opens the door of {own}: {door}"));
                assert_eq!(status.code(), Code::Unauthenticated, "{name} at {door}: {status}");
                cells += 1;
            }
        }
        assert_eq!(cells, 2 * 5 + 8 + 3 * 9 + 3 * 10);
        // And none was used up by all that.
        opens(&world, &login.access).await;
        for (door, secret) in [
            ("refresh", &login.refresh),
            ("complete", &challenge),
            ("verify", &verification),
            ("reset", &reset),
        ] {
            let answer = try_at(&world, door, secret, &backup_codes[0]).await;
            answer.unwrap_or_else(|status| panic!("{door}: {status}"));
        }
    }
}
