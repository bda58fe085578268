//! The guard as a tonic interceptor, for services that are mounted alone. It
//! cannot write headers into the answer; the layer can, and is preferred.

use super::{Guard, Peer, Policy};
use crate::app::Caller;
use crate::app::people::Visitor;
use crate::domain::Refusal;
use std::sync::Arc;
use tonic::{Request, Status};

/// An interceptor that admits calls of one method's policy.
pub fn interceptor(
    guard: Arc<Guard>,
    policy: &'static Policy,
) -> impl Fn(Request<()>) -> Result<Request<()>, Status> + Clone {
    move |mut request: Request<()>| {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        let headers = request.metadata().clone().into_headers();
        let admitted = guard.admit(&headers, peer, policy).map_err(|denied| denied.status())?;
        request.extensions_mut().insert(admitted.caller);
        Ok(request)
    }
}

/// The caller of a request that came through the guard.
///
/// # Errors
/// There is none: the handler was mounted without a guard, and must not answer.
pub fn caller<T>(request: &Request<T>) -> Result<&Caller, Status> {
    let missing = || super::status(&Refusal::credentials_missing());
    request.extensions().get::<Caller>().ok_or_else(missing)
}

/// Who makes a request that anybody may make.
///
/// # Errors
/// As for [`caller`].
pub fn visitor<T>(request: &Request<T>) -> Result<&Visitor, Status> {
    let missing = || super::status(&Refusal::credentials_missing());
    request.extensions().get::<Visitor>().ok_or_else(missing)
}
