//! People: how they log in, what their tokens open, and what ends when they say so.
mod classes;
mod demanded;
mod everywhere;
mod factors;
mod forged;
mod hashing;
mod login;
mod passwords;
pub mod person;
mod racing;
mod refresh;
mod sessions;
mod throttling;
mod tokens;
