//! HTTP surfaces: REST over the same handlers as gRPC, health, and the probes of the ops port.
//!
//! REST is no second implementation. [`Transcoder`] reads the `google.api.http` annotations of the
//! embedded descriptors, turns a request into one framed unary gRPC call, and hands it to the
//! in-process gRPC stack, guard included. So authentication, limits and audit happen in one place.
//!
//! | file | subject |
//! |---|---|
//! | `transcode` | path templates, request and response conversion, the tower service |
//! | `problem` | refusals as JSON bodies and HTTP statuses |
//! | `call` | the in-process gRPC call |
//! | `browser` | sessions whose tokens are in cookies |
//! | `jwks` | the keys that verify access tokens |
//! | `reply` | what every answer of the API port carries |
//! | `accept` | which form of error body a client wants |
//! | `correlation` | which correlation id a request has |
//! | `health` | `GET /v1/health` on the API port |
//! | `probes` | `/health`, `/ready` and `/metrics` on the ops port |
//! | `percent` | strict percent-decoding |

mod accept;
mod browser;
mod call;
mod correlation;
pub mod health;
mod jwks;
mod options;
mod percent;
pub mod probes;
pub mod problem;
mod reply;
pub mod transcode;

pub use jwks::KeySet;
pub use options::Options;
pub use probes::{Probes, Readiness};
pub use transcode::{Besides, RouteError, Transcoder};

use http::header::CONTENT_TYPE;

/// Which surface of the API port answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// The gRPC stack.
    Grpc,
    /// The [`Transcoder`].
    Http,
}

/// Decides which surface answers a request: gRPC if the (first) content type begins with
/// `application/grpc`, else HTTP.
///
/// Media types are case-insensitive (RFC 9110 §8.3.1).
pub fn surface<B>(request: &http::Request<B>) -> Surface {
    const GRPC: &[u8] = b"application/grpc";
    let is_grpc = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().get(..GRPC.len()))
        .is_some_and(|start| start.eq_ignore_ascii_case(GRPC));
    if is_grpc { Surface::Grpc } else { Surface::Http }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surface_of(content_type: Option<&str>) -> Surface {
        let mut request = http::Request::new(());
        if let Some(value) = content_type {
            request.headers_mut().insert(CONTENT_TYPE, value.parse().unwrap());
        }
        surface(&request)
    }

    #[test]
    fn content_type_decides_the_surface() {
        for grpc in ["application/grpc", "application/grpc+proto", "Application/GRPC", "application/grpc-web"]
        {
            assert_eq!(surface_of(Some(grpc)), Surface::Grpc, "{grpc}");
        }
        for http in
            [None, Some(""), Some("application/json"), Some("application/grp"), Some("text/application/grpc")]
        {
            assert_eq!(surface_of(http), Surface::Http, "{http:?}");
        }
    }
}
