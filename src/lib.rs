//! Doorward answers one question on every call: who is this, for which tenant,
//! and may they?
//!
//! The crate is a house of rooms; a room imports only rooms below it, and a
//! test keeps it so (`tests/layering.rs`).
//!
//! | room | what lives there |
//! |---|---|
//! | [`domain`] | nouns and pure decisions; no I/O |
//! | [`secret`] | the form of keys, digests, passwords |
//! | [`view`] | all that a check needs, in memory |
//! | [`protocol`] | what both ends of a connection agree on |
//! | [`client`] | what other programs link to call a Doorward |
//! | `store` | SQLite and PostgreSQL |
//! | `mail` | letters to people, by SMTP or into a folder |
//! | `replica` | keeps the view in step with the database |
//! | `app` | use cases; the one verifier |
//! | `guard` | what stands between the network and every handler |
//! | `grpc`, `http`, `otlp` | the surfaces |
//! | `jobs` | what is done now and then, and what it clears away |
//! | `config`, `boot`, `cli` | settings, the composition root, the command line |
//!
//! Feature `client` has the first rows alone: no database, no password hashing.

#[cfg(feature = "server")]
pub mod app;
#[cfg(feature = "server")]
pub mod boot;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod config;
pub mod domain;
#[cfg(feature = "server")]
pub mod grpc;
#[cfg(feature = "server")]
pub mod guard;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod jobs;
#[cfg(feature = "server")]
pub mod mail;
#[cfg(feature = "server")]
pub mod otlp;
pub mod pb;
#[cfg(feature = "client")]
pub mod protocol;
#[cfg(feature = "server")]
pub mod replica;
pub mod secret;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod telemetry;
pub mod view;
