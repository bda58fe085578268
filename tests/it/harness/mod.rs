//! What the scenarios stand on: real databases, the real binary, real clients and a real back end.

pub mod backend;
pub mod client;
pub mod database;
pub mod mint;
pub mod node;
pub mod ports;
pub mod postgres;
pub mod program;
pub mod proxy;
pub mod python;
pub mod recorder;
pub mod rest;
pub mod server;
pub mod world;

pub use database::Database;
pub use server::{Server, Settings};
pub use world::World;

/// Makes of each `async fn name(database: Database)` two tests, `name::sqlite` and `name::postgres`.
macro_rules! on_both {
    ($($(#[$note:meta])* async fn $name:ident($database:ident: $kind:ty) $body:block)*) => {$(
        $(#[$note])*
        mod $name {
            use super::*;

            async fn check($database: $kind) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check($crate::harness::Database::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                check($crate::harness::Database::postgres().await).await;
            }
        }
    )*};
}
pub(crate) use on_both;
