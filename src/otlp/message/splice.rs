//! Rewrites an export without decoding it: denied attributes go, the tenant is stamped on every resource, all else is
//! copied as it came.
//!
//! The body is walked once along the [field table](super::fields), down to its items and through every resource. What
//! stays becomes ranges of the body in a plan, and the output is written from the plan in one go. A message in which
//! nothing changes costs no more than the walk: it is one range, joined to the one before it.
//!
//! Into the items (spans, log records, data points) the walk goes only where the bytes hold a word that is part of
//! every spelling of some denied key. An item without one cannot hold a denied key, whoever reads it, and is copied
//! unseen; whether it is well-formed is the back end's affair.
//!
//! Fields that the table does not list are dropped in every message that is walked, because nobody can say what a
//! back end of another version takes them for.
//!
//! # Invariants
//! Everything here is bounded by the size of the body and the caps below: recursion follows the table, whose depth is
//! fixed, and values to [`MAX_NESTING`]; the output exceeds the body by at most one stamp and a few lengths for each
//! resource.

mod entity;
mod lists;
mod plan;
mod walk;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use thiserror::Error;

use self::walk::Splicer;
use super::fields::Signal;

pub use super::policy::Policy;

/// Resources that one request may hold: each makes the output larger by a stamp.
pub const MAX_RESOURCES: usize = 10_000;
/// Instrumentation scopes that one request may hold, over all resources.
pub const MAX_SCOPES: usize = 100_000;
/// How deep arrays and maps may be nested in a value that is walked.
pub const MAX_NESTING: usize = 32;

/// An export that is fit to be forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// The request, encoded.
    pub body: Bytes,
    /// Spans, data points or log records in it.
    pub items: u64,
    /// Attributes that were removed.
    pub stripped: u64,
}

/// The same in pieces that share the memory of the body, for who can send it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scattered {
    /// The request, encoded; the pieces follow each other.
    pub pieces: Vec<Bytes>,
    /// Spans, data points or log records in it.
    pub items: u64,
    /// Attributes that were removed.
    pub stripped: u64,
}

/// Why a body is refused. The text says where, never what the client sent.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    /// A field reaches past the end of its message.
    #[error("the protobuf message is cut short")]
    Truncated,
    /// A varint of more than 64 bits.
    #[error("the protobuf message has a varint of more than 64 bits")]
    Varint,
    /// A tag with field number 0, or of more than 32 bits.
    #[error("the protobuf message has an invalid tag")]
    Tag,
    /// A group, or a wire type that does not exist.
    #[error("the protobuf message has a group or an unknown wire type")]
    Group,
    /// A known field in an encoding that is not its own.
    #[error("field `{field}` of `{message}` has the wrong wire type")]
    WireType {
        /// The message's name.
        message: &'static str,
        /// The field's name.
        field: &'static str,
    },
    /// More than [`MAX_RESOURCES`].
    #[error("more than {MAX_RESOURCES} resources in one request")]
    Resources,
    /// More than [`MAX_SCOPES`].
    #[error("more than {MAX_SCOPES} instrumentation scopes in one request")]
    Scopes,
    /// So many changes, so close together, that the plan would outgrow its bound.
    #[error("too many denied attributes or unknown fields in one request")]
    Fragments,
    /// A value nested deeper than [`MAX_NESTING`].
    #[error("a value is nested more than {MAX_NESTING} deep")]
    Nesting,
    /// The body is 4 GiB or larger.
    #[error("the protobuf message is too large")]
    TooLarge,
}

/// Removes from `body`, a request of that signal, what `policy` denies, and stamps `tenant` on each resource.
///
/// # Errors
/// The body is not an export request, or exceeds a cap.
pub fn splice(signal: Signal, body: &Bytes, policy: &Policy, tenant: &str) -> Result<Spliced, Malformed> {
    let stamp = policy.stamp(tenant);
    let Splicer { plan, items, stripped, .. } = Splicer::walk(signal, body, policy, &stamp)?;
    Ok(Spliced { body: plan.write(body, &stamp), items, stripped })
}

/// As [`splice`], without copying.
///
/// # Errors
/// As [`splice`].
pub fn scatter(signal: Signal, body: &Bytes, policy: &Policy, tenant: &str) -> Result<Scattered, Malformed> {
    let stamp = policy.stamp(tenant);
    let Splicer { plan, items, stripped, .. } = Splicer::walk(signal, body, policy, &stamp)?;
    Ok(Scattered { pieces: plan.scatter(body, &stamp), items, stripped })
}

/// As [`splice`], taking nothing for what it seems to be: what the short ways are compared with.
///
/// # Errors
/// As [`splice`].
#[cfg(any(test, fuzzing))]
pub fn splice_thoroughly(
    signal: Signal,
    body: &Bytes,
    policy: &Policy,
    tenant: &str,
) -> Result<Spliced, Malformed> {
    let stamp = policy.stamp(tenant);
    let Splicer { plan, items, stripped, .. } = Splicer::thoroughly(signal, body, policy, &stamp)?;
    Ok(Spliced { body: plan.write(body, &stamp), items, stripped })
}
