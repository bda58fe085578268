//! The keys that access tokens are signed with, for whoever verifies them (RFC 7517).

use crate::http::problem::Problem;
use crate::http::reply::{Answer, Media};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};

/// The paths, also served under `/api`.
pub(crate) const PATHS: [&str; 2] = ["/oauth2/jwks", "/.well-known/jwks.json"];

/// Gives the key set as text.
pub type KeySet = dyn Fn() -> String + Send + Sync;

/// Answers a request for the key set. No credential is asked for, and the answer comes from memory: it
/// is given while the lease is lapsed as well, for it lets nobody in. Whoever verifies tokens without
/// asking us must not fail with our database.
pub(crate) fn answer(method: &Method, keys: &KeySet) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        return Problem::method_not_allowed(HeaderValue::from_static("GET, HEAD")).into();
    }
    Answer {
        headers: HeaderMap::new(),
        cookies: Vec::new(),
        body: Ok(Bytes::from(keys())),
        media: Media::KeySet,
    }
}
