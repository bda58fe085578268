//! From a request's body to what the back end gets.

use bytes::Bytes;

use super::Signal;
use super::forward::Payload;
use super::splice::{Malformed, Policy, Scattered, Spliced, scatter, splice};
use crate::domain::{Reason, Refusal};

/// A body of at least so many bytes goes in pieces: a smaller one is copied more quickly than it is cut.
const WORTH_CUTTING: usize = 16 << 10;

/// An export that is fit for the back end.
#[derive(Debug)]
pub struct Prepared {
    /// Bytes that it had before, decompressed and in protobuf.
    pub plain: usize,
    /// The request, encoded.
    pub body: Payload,
    /// Spans, data points or log records in it.
    pub items: u64,
    /// Attributes that were removed.
    pub stripped: u64,
}

impl Prepared {
    /// Splices `body`. A large one is not copied: what goes on shares its memory.
    ///
    /// # Errors
    /// The body is not an export, or exceeds a cap.
    pub fn of(signal: Signal, body: &Bytes, policy: &Policy, tenant: &str) -> Result<Self, Refusal> {
        let plain = body.len();
        if plain < WORTH_CUTTING {
            let Spliced { body, items, stripped } =
                splice(signal, body, policy, tenant).map_err(malformed)?;
            return Ok(Self { plain, body: body.into(), items, stripped });
        }
        let Scattered { pieces, items, stripped } =
            scatter(signal, body, policy, tenant).map_err(malformed)?;
        Ok(Self { plain, body: Payload::new(pieces, plain), items, stripped })
    }
}

/// How a body that is not an export is refused.
pub fn malformed(malformed: Malformed) -> Refusal {
    match malformed {
        Malformed::TooLarge => Refusal::new(Reason::PayloadTooLarge, malformed.to_string()),
        Malformed::Truncated
        | Malformed::Varint
        | Malformed::Tag
        | Malformed::Group
        | Malformed::WireType { .. }
        | Malformed::Resources
        | Malformed::Scopes
        | Malformed::Fragments
        | Malformed::Nesting => Refusal::invalid("body", malformed.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message;

    use super::*;

    #[test]
    fn a_large_body_is_shared_and_a_small_one_copied() {
        let policy = Policy::new("tenant.id", ["tenant"]);
        for (count, pieces) in [(1, 1), (1_000, 2)] {
            let spans = vec![Span { name: "x".repeat(100), ..Span::default() }; count];
            let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
            let group = ResourceSpans { scope_spans, ..ResourceSpans::default() };
            let body = Bytes::from(ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec());
            let prepared = Prepared::of(Signal::Traces, &body, &policy, "t").unwrap();
            let spliced = splice(Signal::Traces, &body, &policy, "t").unwrap();
            assert_eq!(prepared.body.pieces().concat(), spliced.body);
            assert_eq!(prepared.body.pieces().len(), pieces);
            assert_eq!((prepared.items, prepared.plain), (count as u64, body.len()));
            let memory = body.as_ptr_range();
            let is_shared = prepared.body.pieces().iter().any(|piece| memory.contains(&piece.as_ptr()));
            assert_eq!(is_shared, count > 1);
        }
    }
}
