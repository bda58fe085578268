//! Exactly one owner, at every moment.
use super::house::House;
use crate::harness::client::assert_refused;
use crate::harness::{Database, on_both};
use crate::store::{open, write};
use doorward::domain::members::Role;
use doorward::pb::v1::{RemoveMemberRequest, TransferOwnershipRequest, UpdateMemberRoleRequest};
use doorward::store::Error;
use doorward::store::members::{member_delete, member_set_role, owner_of};
use tonic::{Code, Status};

async fn transfer(house: &House, by: &str, to: &str) -> Result<(), Status> {
    let request = TransferOwnershipRequest { user_id: to.into() };
    house.as_of(by).transfer_ownership(request).await.map(drop)
}

on_both! {
    // R41
    async fn ownership_is_handed_on_by_the_owner_in_person(database: Database) {
        let house = House::start(database).await;
        let ada = house.join("ada@acme.test", "admin").await;
        let told = transfer(&house, &ada.token, &ada.id).await;
        let told = assert_refused(told, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(told["required_role"], "owner");
        // Not by a key, whoever's it is.
        let told = transfer(&house, &house.world.owner, &ada.id).await;
        assert_refused(told, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        let owner = house.who(&house.owner.access).await.user_id;
        let told = transfer(&house, &house.owner.access, &owner).await;
        assert_refused(told, Code::InvalidArgument, "INVALID_ARGUMENT");
        let told = transfer(&house, &house.owner.access, "user_01h455vb4pex5vsknk084sn02q").await;
        assert_refused(told, Code::NotFound, "NOT_FOUND");
        transfer(&house, &house.owner.access, &ada.id).await.unwrap();
        assert_eq!(house.who(&ada.token).await.role, "owner");
        assert_eq!(house.who(&house.owner.access).await.role, "admin");
        // Who is owner no more hands nothing on.
        let told = transfer(&house, &house.owner.access, &ada.id).await;
        assert_refused(told, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
    }

    // R41: races of transfers, removals and changes of roles.
    async fn however_they_race_there_is_one_owner(database: Database) {
        let house = House::start(database).await;
        let mut people = Vec::new();
        for at in 0..4 {
            people.push(house.join(&format!("p{at}@acme.test"), "admin").await);
        }
        for round in 0..4 {
            let mut owner = house.owner.access.clone();
            for person in &people {
                if house.who(&person.token).await.role == "owner" {
                    owner.clone_from(&person.token);
                }
            }
            let mut races = Vec::new();
            for person in &people {
                let (mut one, mut two, mut three) = (house.as_of(&owner), house.as_of(&owner), house.as_of(&owner));
                let (a, b, c) = (person.id.clone(), person.id.clone(), person.id.clone());
                races.push(tokio::spawn(async move { one.transfer_ownership(TransferOwnershipRequest { user_id: a }).await.map(drop) }));
                races.push(tokio::spawn(async move {
                    let request = UpdateMemberRoleRequest { user_id: b, role: "member".into() };
                    two.update_member_role(request).await.map(drop)
                }));
                if round == 3 {
                    races.push(tokio::spawn(async move { three.remove_member(RemoveMemberRequest { user_id: c }).await.map(drop) }));
                }
            }
            for race in races {
                if let Err(status) = race.await.unwrap() {
                    let expected = [Code::Aborted, Code::PermissionDenied, Code::FailedPrecondition, Code::NotFound, Code::InvalidArgument, Code::Unauthenticated];
                    assert!(expected.contains(&status.code()), "{status:?}");
                }
            }
            let members = house.members().await;
            let owners: Vec<_> = members.iter().filter(|member| member.role == "owner").collect();
            assert_eq!(owners.len(), 1, "round {round}: {members:?}");
        }
    }

    // R41: not even a statement that forgets the rule gets round it.
    async fn the_database_itself_keeps_the_owner(database: Database) {
        let store = open(&database).await;
        let (tenant, owner) = crate::store::town(&store, "acme").await;
        let removed = write(&store, tenant, async |tx| member_delete(tx, tenant, owner).await).await;
        assert!(matches!(removed, Err(Error::Dangling)), "{removed:?}");
        let demoted = write(&store, tenant, async |tx| member_set_role(tx, tenant, owner, Role::Admin).await).await;
        assert!(matches!(demoted, Err(Error::Dangling)), "{demoted:?}");
        assert_eq!(owner_of(&mut store.read(tenant).await.unwrap(), tenant).await.unwrap(), Some(owner));
    }
}
