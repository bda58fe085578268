//! What can go wrong with the database.

use crate::domain::{Failure, Fault, Reason, Refusal};
use diesel::result::{DatabaseErrorKind as Kind, Error as Diesel};

/// What PostgreSQL says of a transaction that it ended to free another (40P01).
const DEADLOCK: &str = "deadlock detected";

/// What a query or a transaction gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a query or a transaction failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something unique is there already.
    #[error("already exists")]
    Conflict,
    /// It refers to something that does not exist.
    #[error("refers to something that does not exist")]
    Dangling,
    /// The work itself found that it must not be done.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database cannot be reached, was too slow, or gave what cannot be
    /// read. Everything unforeseen is this: what cannot be known is no answer.
    #[error("the database cannot be used: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<Diesel> for Error {
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever is not known to be an answer is none")]
    fn from(error: Diesel) -> Self {
        match error {
            Diesel::DatabaseError(Kind::UniqueViolation, _) => Self::Conflict,
            Diesel::DatabaseError(Kind::ForeignKeyViolation, _) => Self::Dangling,
            // PostgreSQL undid this one so that the other could go on: nothing was done.
            Diesel::DatabaseError(_, told) if told.message() == DEADLOCK => {
                let message = "another change came in between, and nothing was done; try again";
                Self::Refused(Refusal::new(Reason::EtagMismatch, message))
            }
            other => Self::Unavailable(other.into()),
        }
    }
}

impl From<diesel_async::pooled_connection::deadpool::PoolError> for Error {
    fn from(error: diesel_async::pooled_connection::deadpool::PoolError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// A conflict or a dangling reference that nobody foresaw is a fault, not an answer.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => Self::Refused(refusal),
            Error::Unavailable(cause) => Self::Fault(Fault { cause }),
            unforeseen @ (Error::Conflict | Error::Dangling) => Self::Fault(Fault::new(unforeseen)),
        }
    }
}
