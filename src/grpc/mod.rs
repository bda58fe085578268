//! The gRPC services: each handler finds its caller, reads the request, makes
//! one call of the app, and writes the answer.

mod audit;
mod authn;
mod break_glass;
mod deadline;
mod keys;
mod members;
mod passkeys;
mod people;
mod provider_keys;
mod roles;
mod shapes;
mod tenancy;
mod unary;
mod usage;
mod verify;
mod watch;
mod wire;

pub use audit::Audit;
pub use authn::Authn;
pub use keys::Keys;
pub use tenancy::Tenancy;
pub use verify::{Checks, WithChecks};

use crate::app::Caller;
use crate::app::people::Visitor;
use crate::domain::{Correlation, Failure};
use crate::guard;
use tonic::{Request, Response, Status};

/// Largest request message, in bytes.
pub const MAX_REQUEST: usize = 1024 * 1024;

/// The caller, and the request without its envelope.
fn open<T>(request: Request<T>) -> Result<(Caller, T), Status> {
    let caller = guard::caller(&request)?.clone();
    Ok((caller, request.into_inner()))
}

/// Who asks where anybody may, and the request without its envelope.
fn visit<T>(request: Request<T>) -> Result<(Visitor, T), Status> {
    let visitor = guard::visitor(&request)?.clone();
    Ok((visitor, request.into_inner()))
}

/// The answer, or the failure as a status. A fault is logged here, once.
fn reply<T>(correlation: &Correlation, outcome: Result<T, Failure>) -> Result<Response<T>, Status> {
    match outcome {
        Ok(answer) => Ok(Response::new(answer)),
        Err(failure) => Err(guard::status(&guard::explain(failure, correlation))),
    }
}
