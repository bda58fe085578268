//! Several replicas on one PostgreSQL: what one says, all say, from the moment that the call returned.
use crate::harness::client::{self, Metadata, assert_refused};
use crate::harness::server::{doorward, run};
use crate::harness::world::{bootstrap, named};
use crate::harness::{Database, Server, Settings};
use doorward::pb::v1::verify_credential_response::Outcome;
use doorward::pb::v1::{
    RevocationReceipt, RevokeApiKeyRequest, RotateApiKeyRequest, UpdateApiKeyRequest,
    VerifyCredentialRequest, WhoAmIRequest,
};
use std::time::{Duration, Instant};
use tonic::{Code, Status};

const LEASE: Duration = Duration::from_secs(1);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(1);

struct Replicas {
    servers: Vec<Server>,
    owner: String,
    database: Database,
}

fn settings() -> Settings {
    Settings::default().set("otlp.backend", "sink").set("coherence.lease_ms", LEASE.as_millis().to_string())
}

impl Replicas {
    async fn start(many: usize) -> Self {
        let database = Database::postgres().await;
        let owner = bootstrap(&database).await["api_key"].as_str().unwrap().to_owned();
        let mut servers = Vec::new();
        for _ in 0..many {
            servers.push(Server::serve(&database, &settings()).await);
        }
        Self { servers, owner, database }
    }

    async fn create(&self, at: usize) -> (String, String) {
        let mut keys = client::keys(&self.servers[at].api(), Metadata::bearer(&self.owner));
        let answer = keys.create_api_key(named("k")).await.unwrap().into_inner();
        (answer.api_key.unwrap().id, answer.secret)
    }

    async fn revoke(&self, at: usize, id: &str) -> Result<RevocationReceipt, Status> {
        let mut keys = client::keys(&self.servers[at].api(), Metadata::bearer(&self.owner));
        let request = RevokeApiKeyRequest { id: id.to_owned() };
        Ok(keys.revoke_api_key(request).await?.into_inner().receipt.unwrap())
    }

    /// Whether a replica accepts the key, asked both ways: as a caller's and as one asked about.
    async fn accepts(&self, at: usize, secret: &str) -> bool {
        let caller = client::authn(&self.servers[at].api(), Metadata::bearer(secret));
        let direct = caller.clone().who_am_i(WhoAmIRequest {}).await;
        if let Err(status) = &direct {
            assert_eq!(status.code(), Code::Unauthenticated, "{status}");
        }
        let mut asker = client::authn(&self.servers[at].api(), Metadata::bearer(&self.owner));
        let question = VerifyCredentialRequest { credential: secret.to_owned(), ..Default::default() };
        let answer = asker.verify_credential(question).await.unwrap().into_inner();
        let asked = matches!(answer.outcome, Some(Outcome::Principal(_)));
        assert_eq!(direct.is_ok(), asked, "the two ways disagree");
        asked
    }
}

// R15, P1, P3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_did_holds_for_all_when_it_returns() {
    let replicas = Replicas::start(3).await;
    for round in 0..20 {
        let (id, secret) = replicas.create(round % 3).await;
        for at in 0..3 {
            assert!(replicas.accepts(at, &secret).await, "round {round}: a new key is unknown to {at}");
        }
        let receipt = replicas.revoke((round + 1) % 3, &id).await.unwrap();
        for at in 0..3 {
            assert!(!replicas.accepts(at, &secret).await, "round {round}: {at} still accepts");
        }
        assert_eq!((receipt.replicas_acknowledged, receipt.leases_expired), (3, 0), "{receipt:?}");
    }
}

// R15, R16
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_and_a_narrowing_hold_everywhere_when_they_return() {
    let replicas = Replicas::start(2).await;
    for round in 0..10 {
        let (id, secret) = replicas.create(0).await;
        let mut keys = client::keys(&replicas.servers[0].api(), Metadata::bearer(&replicas.owner));
        let rotate = RotateApiKeyRequest { id: id.clone(), ..Default::default() };
        let rotated = keys.rotate_api_key(rotate).await.unwrap().into_inner();
        assert!(!replicas.accepts(1, &secret).await, "round {round}: the old secret lives on");
        assert!(replicas.accepts(1, &rotated.secret).await, "round {round}: the new secret is unknown");
        let narrow = UpdateApiKeyRequest {
            id,
            scopes: vec!["tenant.read".into()],
            update_mask: Some(prost_types::FieldMask { paths: vec!["scopes".into()] }),
            ..Default::default()
        };
        keys.update_api_key(narrow).await.unwrap();
        let mut narrowed = client::keys(&replicas.servers[1].api(), Metadata::bearer(&rotated.secret));
        let refused = narrowed.create_api_key(named("more")).await;
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied, "round {round}");
    }
}

// P2: whatever a replica does, a revocation takes one lease at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_replica_costs_one_lease_and_accepts_nothing_when_it_thaws() {
    let replicas = Replicas::start(3).await;
    let (id, secret) = replicas.create(0).await;
    assert!(replicas.accepts(2, &secret).await);
    replicas.servers[2].signal("STOP");
    let start = Instant::now();
    let receipt = replicas.revoke(0, &id).await.unwrap();
    let took = start.elapsed();
    assert!(took < LEASE + SLACK, "{took:?}");
    assert_eq!((receipt.replicas_acknowledged, receipt.leases_expired), (2, 1), "{receipt:?}");
    replicas.servers[2].signal("CONT");
    let end = Instant::now() + 4 * LEASE;
    let mut asked = client::authn(&replicas.servers[2].api(), Metadata::bearer(&secret));
    let mut definite = false;
    while Instant::now() < end {
        let status = asked.who_am_i(WhoAmIRequest {}).await.expect_err("a revoked key was accepted");
        definite |= status.code() == Code::Unauthenticated;
        assert!(matches!(status.code(), Code::Unavailable | Code::Unauthenticated), "{status}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(definite, "it never came back:\n{}", replicas.servers[2].log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replica_is_forgotten_and_a_stopped_one_is_not_waited_for() {
    let mut replicas = Replicas::start(3).await;
    replicas.servers.pop().unwrap().kill();
    let end = Instant::now() + 8 * LEASE + SLACK;
    loop {
        let (id, _) = replicas.create(0).await;
        let start = Instant::now();
        let receipt = replicas.revoke(1, &id).await.unwrap();
        assert!(start.elapsed() < LEASE + SLACK, "{:?}", start.elapsed());
        if (receipt.replicas_acknowledged, receipt.leases_expired) == (2, 0) {
            break;
        }
        assert!(Instant::now() < end, "it is never forgotten");
    }
    let stopped = replicas.servers.pop().unwrap();
    stopped.stop().await;
    let (id, _) = replicas.create(0).await;
    let receipt = replicas.revoke(0, &id).await.unwrap();
    assert_eq!((receipt.replicas_acknowledged, receipt.leases_expired), (1, 0), "{receipt:?}");
}

// The caller's deadline comes before the lease of a silent replica is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_waits_no_longer_hears_that_it_is_committed() {
    let replicas = Replicas::start(2).await;
    let (id, secret) = replicas.create(0).await;
    replicas.servers[1].signal("STOP");
    let mut keys = client::patient_keys(&replicas.servers[0].api(), Metadata::bearer(&replicas.owner));
    let mut request = tonic::Request::new(RevokeApiKeyRequest { id: id.clone() });
    request.set_timeout(Duration::from_millis(500));
    let told =
        assert_refused(keys.revoke_api_key(request).await, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(told["committed"], "true", "{told:?}");
    assert!(told.contains_key("revision"), "{told:?}");
    assert!(!replicas.accepts(0, &secret).await);
    // A retry is answered when it holds everywhere.
    replicas.revoke(0, &id).await.unwrap();
    replicas.servers[1].signal("CONT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_with_another_lease_is_not_let_in_and_doctor_says_why() {
    let replicas = Replicas::start(1).await;
    let verb = async |verb: &str| {
        let mut command = doorward();
        command.arg(verb).env("DOORWARD_DATABASE_URL", replicas.database.url());
        command.env("DOORWARD_COHERENCE__LEASE_MS", "3000");
        run(command).await
    };
    let refused = verb("serve").await;
    assert_ne!(refused.code, Some(0));
    assert!(refused.err.contains("lease_ms = 1000"), "{}{}", refused.out, refused.err);
    let doctor = verb("doctor").await;
    assert_eq!(doctor.code, Some(1), "{}{}", doctor.out, doctor.err);
    assert!(doctor.out.contains("BAD   coherence.lease_ms") && doctor.out.contains("1000"), "{}", doctor.out);
}

// All replicas died at once, and the lease was changed before they came back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_dead_replicas_with_another_lease_are_outlasted() {
    let mut replicas = Replicas::start(2).await;
    replicas.servers.drain(..).for_each(Server::kill);
    let begun = Instant::now();
    let server = Server::serve(&replicas.database, &settings().set("coherence.lease_ms", "700")).await;
    assert!(
        begun.elapsed() >= 2 * LEASE,
        "what the dead had promised was over before: {:?}",
        begun.elapsed()
    );
    replicas.servers.push(server);
    let (id, secret) = replicas.create(0).await;
    assert!(replicas.accepts(0, &secret).await);
    let receipt = replicas.revoke(0, &id).await.unwrap();
    assert_eq!((receipt.replicas_acknowledged, receipt.leases_expired), (1, 0), "{receipt:?}");
}

// A narrowing whose outcome its caller never heard, repeated at another replica:
// that it changes nothing there does not mean that it holds everywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrowing_that_is_repeated_waits_for_all_like_the_first() {
    let replicas = Replicas::start(3).await;
    let (id, secret) = replicas.create(0).await;
    replicas.servers[1].signal("STOP");
    let narrow = async |at: usize, patience: Duration| {
        let mut keys = client::keys(&replicas.servers[at].api(), Metadata::bearer(&replicas.owner));
        let mut request = tonic::Request::new(UpdateApiKeyRequest {
            id: id.clone(),
            scopes: vec!["keys.read".into()],
            update_mask: Some(prost_types::FieldMask { paths: vec!["scopes".into()] }),
            ..Default::default()
        });
        request.set_timeout(patience);
        keys.update_api_key(request).await
    };
    let unheard = narrow(0, Duration::from_millis(300)).await;
    assert_eq!(unheard.unwrap_err().code(), Code::DeadlineExceeded);
    let begun = Instant::now();
    narrow(2, Duration::from_secs(10)).await.unwrap();
    assert!(begun.elapsed() >= LEASE / 4, "it returned while a replica could still know the old scopes");
    replicas.servers[1].signal("CONT");
    let mut asker = client::authn(&replicas.servers[1].api(), Metadata::bearer(&secret));
    let wide = VerifyCredentialRequest {
        credential: secret.clone(),
        required_permission: "keys.write".into(),
        ..Default::default()
    };
    match asker.verify_credential(wide).await {
        Ok(answer) => assert!(!matches!(answer.into_inner().outcome, Some(Outcome::Principal(_)))),
        Err(status) => {
            assert!(matches!(status.code(), Code::Unavailable | Code::PermissionDenied), "{status}");
        }
    }
}

// Rule 10: a database that was set back is not answered from until somebody says that this is meant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_stops_answers_until_a_new_era_begins() {
    let replicas = Replicas::start(2).await;
    let (_, kept) = replicas.create(0).await;
    let (lost_id, lost) = replicas.create(0).await;
    let url = replicas.database.url();
    let name = url.rsplit_once('/').unwrap().1;
    let admin = crate::harness::postgres::Postgres::shared().connect(name).await;
    // What a restored backup looks like: the last key and its change are not there.
    let uuid = lost_id.parse::<doorward::domain::KeyId>().unwrap();
    let bytes: Vec<u8> = uuid.as_bytes().to_vec();
    admin.execute("DELETE FROM api_keys WHERE id = $1", &[&bytes]).await.unwrap();
    let back = "DELETE FROM changes WHERE seq = (SELECT seq FROM change_head); \
                UPDATE change_head SET seq = seq - 1";
    admin.batch_execute(back).await.unwrap();
    let end = Instant::now() + 2 * LEASE + SLACK;
    let unavailable = async |at: usize, key: &str| {
        let mut authn = client::authn(&replicas.servers[at].api(), Metadata::bearer(key));
        authn.who_am_i(WhoAmIRequest {}).await.err().map(|status| status.code())
    };
    for at in 0..2 {
        while unavailable(at, &kept).await != Some(Code::Unavailable) {
            assert!(Instant::now() < end, "{at} still answers");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let mut command = doorward();
    command.arg("new-era").env("DOORWARD_DATABASE_URL", &url);
    assert_eq!(run(command).await.code, Some(0));
    let end = Instant::now() + 2 * LEASE + SLACK;
    for at in 0..2 {
        while unavailable(at, &kept).await.is_some() {
            assert!(Instant::now() < end, "{at} does not come back:\n{}", replicas.servers[at].log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!replicas.accepts(at, &lost).await);
    }
}
