//! A change of the root key: afterwards the old one can be taken away.
use super::{SECRET, audited, by_the_test, fetch, service, set, store};
use crate::harness::server::{Printed, doorward, run};
use crate::harness::{Database, Server, Settings, World, on_both};
use crate::people::person::{self, Authenticator};
use doorward::domain::audit::Action;
use doorward::pb::v1::complete_login_request::Factor;
use doorward::pb::v1::{CompleteLoginRequest, ConfirmTotpRequest, EnrollTotpRequest};
use doorward::secret::{RootKey, Sealer};
use doorward::store::Across;
use doorward::store::vault::{SealedColumn, sealed_page, sealed_replace};

const OLD: &str = "8d1f6c0a7be24c59a3f10e6d92b7c4850f3e2d1c6b5a49788796a5b4c3d2e1f0";
const NEW: &str = "17c3a95e60f8d24b8e6a1b3c5d7f90214a6c8e0b2d4f61837295a4b6c8d0e2f3";

async fn vault(database: &Database, verb: &str, keys: &[(&str, &str)]) -> Printed {
    let mut command = doorward();
    command.args(["vault", verb]).env("DOORWARD_DATABASE_URL", database.url());
    for (name, key) in keys {
        command.env(format!("DOORWARD_PEOPLE__{name}"), key);
    }
    run(command).await
}

fn under(root_key: &str) -> Settings {
    person::settings().set("people.root_key", root_key)
}

/// The same data under a new process with these settings.
async fn restarted(world: World, settings: Settings) -> World {
    let World { server, database, tenant_id, owner, ingest, password, .. } = world;
    server.stop().await;
    let server = Server::serve(&database, &settings).await;
    World { server, database, settings, tenant_id, owner, ingest, password }
}

on_both! {
    // R46, R34, R35
    async fn after_a_rotation_nothing_needs_the_old_root_key(database: Database) {
        let world = World::with(database, under(OLD)).await;
        let service = service(&world).await;
        for provider in ["openai", "anthropic", "mistral"] {
            set(&world, provider, "", SECRET).await;
        }
        let login = person::log_in(&world).await;
        let mut authn = world.authn_as(&login.access);
        let enrolment = authn.enroll_totp(EnrollTotpRequest::default()).await.unwrap().into_inner();
        let mut authenticator = Authenticator::new(&enrolment.secret);
        let confirm = ConfirmTotpRequest { code: authenticator.next().await };
        authn.confirm_totp(confirm).await.unwrap();
        // The old key alone, and nothing to rotate to; then a key that opens nothing.
        let printed = vault(&world.database, "rotate", &[]).await;
        assert_eq!(printed.code, Some(1), "{}", printed.out);
        let printed = vault(&world.database, "rotate", &[("ROOT_KEY", NEW)]).await;
        assert!(printed.code == Some(1) && printed.out.contains("NOT DONE"), "{}{}", printed.out, printed.err);
        assert_eq!(audited(&world.database, Action::VaultRotated).await, 0);
        let before = names(&vault(&world.database, "status", &[("ROOT_KEY", OLD)]).await);
        // While the server runs.
        let both = [("ROOT_KEY", NEW), ("OLDER_ROOT_KEY", OLD)];
        let printed = vault(&world.database, "rotate", &both).await;
        assert!(printed.code == Some(0) && printed.out.contains("done: all 6 values"), "{}{}", printed.out, printed.err);
        assert_eq!(audited(&world.database, Action::VaultRotated).await, 4, "one for each table");
        let printed = vault(&world.database, "rotate", &both).await;
        assert!(printed.out.contains("provider_keys.secret: 0 moved, 3 there already"), "{}", printed.out);
        assert_eq!(audited(&world.database, Action::VaultRotated).await, 4, "nothing was done");
        let printed = vault(&world.database, "status", &[("ROOT_KEY", NEW)]).await;
        assert!(printed.out.contains("provider_keys.secret: 3 under "), "{}", printed.out);
        assert_ne!(names(&printed), before);
        for key in [OLD, NEW] {
            assert!(!printed.out.contains(&key[..16]) && !printed.err.contains(&key[..16]));
        }
        // The old key is gone for good, and everything still opens.
        let world = restarted(world, under(NEW)).await;
        assert_eq!(fetch(&world, &service, "openai", "").await.unwrap().secret, SECRET);
        person::opens(&world, &login.access).await;
        let challenge = person::begin(&world, person::owner(&world)).await.challenge;
        let factor = Some(Factor::TotpCode(authenticator.next().await));
        let whole = person::visitor(&world).complete_login(CompleteLoginRequest { challenge, factor }).await;
        person::opens(&world, &whole.unwrap().into_inner().access_token).await;
    }

    // What a run did that was broken off in the middle stays done, and the next one does the rest.
    async fn a_rotation_that_was_broken_off_goes_on_where_it_was(database: Database) {
        let world = World::with(database, under(OLD)).await;
        for provider in ["openai", "anthropic", "mistral"] {
            set(&world, provider, "", SECRET).await;
        }
        rewrap_one(&world.database).await;
        let printed = vault(&world.database, "rotate", &[("ROOT_KEY", NEW), ("OLDER_ROOT_KEY", OLD)]).await;
        assert!(printed.out.contains("provider_keys.secret: 2 moved, 1 there already"), "{}", printed.out);
        assert_eq!(printed.code, Some(0), "{}{}", printed.out, printed.err);
        let service = service(&world).await;
        let world = restarted(world, under(NEW)).await;
        for provider in ["openai", "anthropic", "mistral"] {
            assert_eq!(fetch(&world, &service, provider, "").await.unwrap().secret, SECRET);
        }
    }
}

/// Moves one provider key to the new root key, as a run does before it is broken off.
async fn rewrap_one(database: &Database) {
    let key = |text: &str| RootKey::from_text(text).unwrap();
    let sealer = Sealer::new(key(NEW), vec![key(OLD)]);
    let (store, (actor, event)) = (store(database), by_the_test());
    let column = SealedColumn::ProviderKeys;
    let value = sealed_page(&mut store.read(Across::Instance).await.unwrap(), column, &[], 1)
        .await
        .unwrap()
        .remove(0);
    let fresh = sealer.rewrap(&value.sealed, &doorward::boot::OsEntropy).unwrap().unwrap();
    let replacing = store.write_across(Across::Instance, &actor, event, async |tx| {
        sealed_replace(tx, column, &value, &fresh).await
    });
    assert!(replacing.await.unwrap().value);
}

/// The names of root keys in what `vault status` prints of the first table with any.
fn names(printed: &Printed) -> Vec<String> {
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    printed.out.split_whitespace().filter(|word| word.len() == 16).map(ToOwned::to_owned).collect()
}
