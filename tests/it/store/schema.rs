//! The schema: made by one replica of many, and undone again.
use super::*;
use crate::harness::on_both;
use crate::harness::postgres::Postgres;
use std::path::{Path, PathBuf};

on_both! {
    async fn migrating_twice_is_migrating_once(database: Database) {
        let store = unmigrated(&database);
        assert!(store.migrate().await.unwrap() > 0);
        assert_eq!(store.migrate().await.unwrap(), 0);
        assert_eq!(open(&database).await.counts().await.unwrap().0, 0);
    }

    async fn a_value_of_the_instance_is_made_once(database: Database) {
        let store = open(&database).await;
        let value = doorward::store::instance::instance_value;
        assert_eq!(value(&store, "pepper", b"first").await.unwrap(), b"first");
        assert_eq!(value(&store, "pepper", b"second").await.unwrap(), b"first");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_replicas_that_start_together_one_migrates() {
    let database = Database::postgres().await;
    let starting = (0..6).map(|_| {
        let store = unmigrated(&database);
        tokio::spawn(async move { store.migrate().await.unwrap() })
    });
    let mut steps = 0;
    for start in starting.collect::<Vec<_>>() {
        steps += start.await.unwrap();
    }
    assert_eq!(steps, all_steps().len(), "each step is run once, by one of them");
}

/// The steps of PostgreSQL, in their order.
fn all_steps() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let steps = |directory: &str| {
        let all = std::fs::read_dir(root.join(directory)).unwrap();
        let mut steps: Vec<_> = all.map(|entry| entry.unwrap().path()).collect();
        steps.sort();
        steps
    };
    [steps("migrations"), steps("migrations-postgres")].concat()
}

// Down and up again on PostgreSQL leaves what up alone leaves.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_migration_does_it_undoes() {
    let database = Database::postgres().await;
    open(&database).await;
    let url = database.url();
    let admin = Postgres::shared().connect(url.rsplit_once('/').unwrap().1).await;
    let columns = async || {
        let query = "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable \
                     FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1";
        let rows = admin.query(query, &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()
    };
    let before = columns().await;
    let steps = all_steps();
    for step in steps.iter().rev() {
        admin.batch_execute(&std::fs::read_to_string(step.join("down.sql")).unwrap()).await.unwrap();
    }
    let left = columns().await;
    assert!(left.iter().all(|column| column.starts_with("__diesel")), "{left:?}");
    for step in &steps {
        admin.batch_execute(&std::fs::read_to_string(step.join("up.sql")).unwrap()).await.unwrap();
    }
    assert_eq!(columns().await, before);
}
