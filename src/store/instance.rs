//! What an instance of Doorward makes for itself once.

use super::query::RunQueryDsl;
use super::schema::instance;
use super::{Across, Conn, Result, Store};
use diesel::prelude::*;

/// A value that the instance keeps under this name: the one that is there, or
/// `fresh` if there is none yet. Of several that start together all get the same.
pub async fn instance_value(store: &Store, name: &str, fresh: &[u8]) -> Result<Vec<u8>> {
    let row = (instance::name.eq(name), instance::value.eq(fresh));
    let making = async |conn: &mut Conn| {
        diesel::insert_into(instance::table).values(row).on_conflict_do_nothing().execute(conn).await?;
        Ok(instance::table.find(name).select(instance::value).first(conn).await?)
    };
    store.in_bulk(Across::Instance, making).await
}
