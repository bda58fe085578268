//! The tenant closes the access, and it is closed.
use super::*;
use crate::harness::Server;
use crate::harness::client::assert_refused;
use crate::harness::on_both;
use doorward::pb::v1::{CloseBreakGlassRequest, StreamVerifyCredentialsRequest, VerifyCredentialRequest};
use futures_util::StreamExt;
use tonic::Code;

const CLOSED: &str = "FAILED_PRECONDITION";

on_both! {
    // R15, R44: what it began ends with it.
    async fn the_owner_closes_it(database: Database) {
        let glass = Glass::with(database, |it| it.set("break_glass.permissions", "tenant.read,credentials.verify")).await;
        let grant = who(&glass.address(), glass.here()).await.unwrap().into_inner().id;
        let request = Some(VerifyCredentialRequest { credential: "x".into(), ..Default::default() });
        let asked = futures_util::stream::iter([StreamVerifyCredentialsRequest { tag: 1, request }]);
        let open = asked.chain(futures_util::stream::pending());
        let mut authn = client::authn(&glass.address(), glass.here());
        let mut stream = authn.stream_verify_credentials(open).await.unwrap().into_inner();
        assert_eq!(stream.message().await.unwrap().unwrap().tag, 1);
        let told = glass.world.tenancy().close_break_glass(CloseBreakGlassRequest {}).await.unwrap().into_inner();
        assert_eq!(told.grant_ids, [grant]);
        let cut = stream.message().await.unwrap_err();
        assert_eq!(cut.code(), Code::Unauthenticated, "{cut:?}");
        let told = assert_refused(who(&glass.address(), glass.here()).await, Code::FailedPrecondition, CLOSED);
        assert_eq!(told["state"], "closed");
        // Once more changes nothing.
        let told = glass.world.tenancy().close_break_glass(CloseBreakGlassRequest {}).await.unwrap().into_inner();
        assert!(told.grant_ids.is_empty());
        assert_eq!(glass.audited("break_glass.opened").await, 1);
        // Elsewhere the key is as good as before.
        let stranger = glass.world.stranger().await;
        who(&glass.address(), emergency(&stranger.tenant_id)).await.unwrap();
    }

    // A restart forgets nothing of it.
    async fn it_stays_closed(database: Database) {
        let glass = Glass::start(database).await;
        who(&glass.address(), glass.here()).await.unwrap();
        glass.world.tenancy().close_break_glass(CloseBreakGlassRequest {}).await.unwrap();
        let Glass { world, letters } = glass;
        let glass = Glass { world: world.restarted().await, letters };
        let told = assert_refused(who(&glass.address(), glass.here()).await, Code::FailedPrecondition, CLOSED);
        assert_eq!(told["state"], "closed");
        assert!(glass.world.server.log().contains("its master key was used"));
    }

    // An open one outlives the process that opened it.
    async fn it_stays_open(database: Database) {
        let glass = Glass::start(database).await;
        let grant = who(&glass.address(), glass.here()).await.unwrap().into_inner().id;
        let Glass { world, letters } = glass;
        let glass = Glass { world: world.restarted().await, letters };
        assert_eq!(who(&glass.address(), glass.here()).await.unwrap().into_inner().id, grant);
    }
}

// R15, R44: one grant for all replicas, closed on all at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_every_replica() {
    let glass = Glass::start(Database::postgres().await).await;
    let second = Server::serve(&glass.world.database, &glass.world.settings).await;
    let [one, other] = [glass.address(), second.api()];
    let both = tokio::join!(who(&one, glass.here()), who(&other, glass.here()));
    let (first, same) = (both.0.unwrap().into_inner().id, both.1.unwrap().into_inner().id);
    assert_eq!(first, same);
    assert_eq!(glass.audited("break_glass.opened").await, 1);
    let owner = Metadata::bearer(&glass.world.owner);
    client::tenancy(&other, owner).close_break_glass(CloseBreakGlassRequest {}).await.unwrap();
    for address in [&one, &other] {
        assert_refused(who(address, glass.here()).await, Code::FailedPrecondition, CLOSED);
    }
}
