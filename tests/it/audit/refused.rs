//! What is refused is counted, and written down as one entry for each tenant: never one a guess.
use crate::harness::world::{OWNER, named};
use crate::harness::{Database, World, client, on_both};
use doorward::pb::v1::{CreateApiKeyRequest, ListEventsRequest, LoginRequest};

/// Guesses of each kind.
const GUESSES: usize = 12;

on_both! {
    async fn guesses_are_one_entry_however_many(database: Database) {
        let world = World::start(database).await;
        let narrow = CreateApiKeyRequest { allowed_networks: vec!["192.0.2.0/24".into()], ..named("narrow") };
        let (_, secret) = world.create(narrow).await;
        let before = world.events(ListEventsRequest::default()).await.len();
        for _ in 0..GUESSES {
            let refused = world.authn_as(&secret).who_am_i(doorward::pb::v1::WhoAmIRequest {}).await;
            client::assert_refused(refused, tonic::Code::PermissionDenied, "IP_NOT_ALLOWED");
            // A key that nobody ever made is nobody's.
            let unknown = secret.replacen(&secret[10..14], "0000", 1);
            world.authn_as(&unknown).who_am_i(doorward::pb::v1::WhoAmIRequest {}).await.unwrap_err();
        }
        let mut visitor = client::authn(&world.server.api(), client::Metadata::none());
        for email in [OWNER, "nobody@nowhere.test", OWNER] {
            let guess = LoginRequest { email: email.into(), password: "a wrong guess".into(), ..Default::default() };
            visitor.login(guess).await.unwrap_err();
        }
        assert_eq!(world.events(ListEventsRequest::default()).await.len(), before, "there is an entry for each guess");
        // What is counted is written down each minute, and before the server ends.
        let world = world.restarted().await;
        let events = world.events_of("security.credentials_refused").await;
        let [credentials] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(credentials.facts["IP_NOT_ALLOWED"], GUESSES.to_string());
        assert_eq!((credentials.actor.as_str(), credentials.outcome()), ("system", doorward::pb::v1::AuditOutcome::Refused));
        let events = world.events_of("security.logins_refused").await;
        let [logins] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(logins.facts["INVALID_LOGIN"], "2");
        assert!(logins.facts["people"].starts_with("user_") && logins.facts["people"].ends_with(":2"), "{logins:?}");
        assert_eq!(world.events(ListEventsRequest::default()).await.len(), before + 2);
    }
}
