//! OTLP ingest: telemetry in over gRPC and HTTP, out to the OTLP back end, each batch under the tenant of the key that
//! sent it.
//!
//! One request takes this way, whichever surface it came by:
//!
//! 1. [`credentials`] brings the headers that exporters use for keys into the form that the guard reads.
//! 2. The guard judges the sender by the headers alone, and [`quota`] by what came before; a refused sender's body is
//!    never read.
//! 3. [`intake`] reads the body, decompresses it and turns JSON into protobuf, within a bound for the request and one
//!    for all requests, which tenants [share](pool).
//! 4. [`splice`] removes what names a tenant and stamps the key's tenant, working on the bytes as they are.
//! 5. [`routes`] says to whom, and [`forward`] hands the bytes to the back end and waits. Only what the back end acknowledged is acknowledged;
//!    there is no queue and no retry, so the sender's own queue stays the buffer.
//!
//! [`grpc`] and [`http`] differ in framing and in how an answer is written; all else is [`gateway`].

pub mod audit;
pub mod credentials;
pub mod encoding;
pub mod forward;
pub mod gateway;
pub mod grpc;
pub mod http;
pub mod intake;
pub mod message;
pub mod notices;
mod options;
pub mod pool;
mod prepare;
pub mod quota;
pub mod response;
pub mod routes;
pub mod sink;
mod workshop;

#[cfg(test)]
mod testing;

pub use gateway::{BadLabTenant, Gate, Gateway, LAB_WARNING, LabTenant};
pub use grpc::GrpcService;
pub use http::HttpService;
pub use message::fields::Signal;
pub use message::splice;
pub use options::{Address, BadOptions, Options, Protocol};
