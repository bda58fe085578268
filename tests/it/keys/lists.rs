//! Lists of keys: pages, filters, and whose keys are in them.
use crate::harness::client::assert_refused;
use crate::harness::world::named;
use crate::harness::{Database, World, on_both};
use doorward::pb::v1::{ApiKey, ApiKeyKind, CreateApiKeyRequest, ListApiKeysRequest, RevokeApiKeyRequest};
use tonic::Code;

/// Follows the pages to the end.
async fn all_pages(world: &World, mut request: ListApiKeysRequest) -> Vec<ApiKey> {
    let mut found = Vec::new();
    loop {
        let page = world.keys().list_api_keys(request.clone()).await.unwrap().into_inner();
        assert!(page.api_keys.len() <= usize::try_from(request.page_size).unwrap());
        found.extend(page.api_keys);
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

on_both! {
    // R11
    async fn pages_hold_every_key_once_newest_first(database: Database) {
        let world = World::start(database).await;
        for number in 0..7 {
            world.create(named(&format!("page {number}"))).await;
        }
        let whole = world.listing().await;
        for page_size in [1, 3, 8, 100] {
            let paged = all_pages(&world, ListApiKeysRequest { page_size, ..Default::default() }).await;
            let ids = |keys: &[ApiKey]| keys.iter().map(|key| key.id.clone()).collect::<Vec<_>>();
            assert_eq!(ids(&paged), ids(&whole), "pages of {page_size}");
        }
        let names: Vec<_> = whole.iter().map(|key| key.display_name.as_str()).take(7).collect();
        assert_eq!(names, ["page 6", "page 5", "page 4", "page 3", "page 2", "page 1", "page 0"]);
    }

    async fn a_list_is_filtered_by_kind_and_shows_the_revoked_only_when_asked(database: Database) {
        let world = World::start(database).await;
        let (revoked, _) = world.create_ingest().await;
        let (kept, _) = world.create_ingest().await;
        world.keys().revoke_api_key(RevokeApiKeyRequest { id: revoked.id.clone() }).await.unwrap();
        let ids = async |show_revoked| {
            let request = ListApiKeysRequest { kind: ApiKeyKind::Ingest.into(), show_revoked, ..Default::default() };
            let keys = world.keys().list_api_keys(request).await.unwrap().into_inner().api_keys;
            assert!(keys.iter().all(|key| key.kind() == ApiKeyKind::Ingest));
            keys.into_iter().map(|key| key.id).collect::<Vec<_>>()
        };
        let (without, with) = (ids(false).await, ids(true).await);
        assert!(without.contains(&kept.id) && !without.contains(&revoked.id));
        assert!(with.contains(&kept.id) && with.contains(&revoked.id));
    }

    async fn a_page_that_cannot_be_is_refused(database: Database) {
        let world = World::start(database).await;
        for name in ["one", "two"] {
            world.create(named(name)).await;
        }
        let one = ListApiKeysRequest { page_size: 1, ..Default::default() };
        let token = world.keys().list_api_keys(one).await.unwrap().into_inner().next_page_token;
        for bad in [
            ListApiKeysRequest { page_size: -1, ..Default::default() },
            ListApiKeysRequest { page_token: "nonsense".into(), ..Default::default() },
            ListApiKeysRequest { page_token: format!("{token}A"), ..Default::default() },
            ListApiKeysRequest { page_token: token, kind: ApiKeyKind::Ingest.into(), ..Default::default() },
        ] {
            assert_refused(world.keys().list_api_keys(bad).await, Code::InvalidArgument, "INVALID_ARGUMENT");
        }
    }

    // R40
    async fn a_list_never_has_another_tenants_keys(database: Database) {
        let world = World::start(database).await;
        let stranger = world.stranger().await;
        let request = ListApiKeysRequest { show_revoked: true, ..Default::default() };
        let theirs = world.keys_as(&stranger.secret).list_api_keys(request.clone()).await.unwrap().into_inner();
        assert_eq!(theirs.api_keys.len(), 1);
        assert_eq!(theirs.api_keys[0].tenant_id, stranger.tenant_id);
        let ours = world.keys().list_api_keys(request).await.unwrap().into_inner().api_keys;
        assert!(ours.iter().all(|key| key.tenant_id == world.tenant_id) && !ours.is_empty());
        let by_user = ListApiKeysRequest { user_id: stranger.user_id, ..Default::default() };
        let found = world.keys().list_api_keys(by_user).await;
        assert!(found.is_err() || found.unwrap().into_inner().api_keys.is_empty());
    }

    // R14: without `keys.manage` one sees one's own.
    async fn a_plain_key_sees_its_owners_keys_alone(database: Database) {
        let world = World::start(database).await;
        world.create_ingest().await;
        let narrow = CreateApiKeyRequest { scopes: vec!["keys.read".into()], ..named("narrow") };
        let (narrow, secret) = world.create(narrow).await;
        let seen = world.keys_as(&secret).list_api_keys(ListApiKeysRequest::default()).await.unwrap().into_inner();
        assert!(seen.api_keys.iter().all(|key| key.user_id == narrow.user_id), "{seen:?}");
        assert!(seen.api_keys.iter().any(|key| key.id == narrow.id));
    }
}
