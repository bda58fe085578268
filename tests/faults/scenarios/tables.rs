//! Reads what the judge wants to know of the database.
use crate::cluster::{Cluster, connect};
use crate::judge::Tables;

const AUDIT: &str = "SELECT action, target, count(*) FROM audit_entries GROUP BY action, target";
const CHANGES: &str =
    "SELECT (SELECT seq FROM change_head), coalesce(min(seq), 1), coalesce(max(seq), 0), count(*)
    FROM changes";

/// The tables at the end, straight from the primary.
pub async fn read(cluster: &Cluster) -> Option<Tables> {
    let client = connect(cluster.primary().port(), &cluster.name).await?;
    let rows = client.query(AUDIT, &[]).await.unwrap();
    let audit = rows.iter().map(|row| {
        let count: i64 = row.get(2);
        ((row.get(0), row.get(1)), u64::try_from(count).unwrap())
    });
    let changes = client.query_one(CHANGES, &[]).await.unwrap();
    Some(Tables {
        audit: audit.collect(),
        head: changes.get(0),
        first: changes.get(1),
        last: changes.get(2),
        count: changes.get(3),
    })
}
