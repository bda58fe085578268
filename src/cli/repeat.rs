//! What makes a call safe to repeat.

use crate::cli::failure::Failure;
use crate::cli::values::fresh_request_id;
use crate::client::Repeat;
use uuid::Uuid;

/// Whether a change may be repeated: one that demands an etag would find its
/// own first success and call it somebody else's.
pub fn with_etag(etag: &str) -> Repeat {
    if etag.is_empty() { Repeat::Safe } else { Repeat::Never }
}

/// The request id that was given, or a fresh one; every repetition has the same.
pub fn id_or_fresh(given: Option<Uuid>) -> Result<String, Failure> {
    let id = given.map_or_else(fresh_request_id, Ok);
    let id = id.map_err(|cause| Failure::Local(format!("no randomness for a request id: {cause}")))?;
    Ok(id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_under_an_etag_is_made_once() {
        assert_eq!(with_etag(""), Repeat::Safe);
        assert_eq!(with_etag("7"), Repeat::Never);
    }

    #[test]
    fn a_given_id_is_kept() {
        let id = Uuid::from_u128(7);
        assert_eq!(id_or_fresh(Some(id)).unwrap(), id.to_string());
        assert_ne!(id_or_fresh(None).unwrap(), id_or_fresh(None).unwrap());
    }
}
