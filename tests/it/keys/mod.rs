//! Keys: made, seen, changed, rotated, revoked and taken over.

mod changes;
mod creation;
pub mod import;
mod lists;
mod rotation;
