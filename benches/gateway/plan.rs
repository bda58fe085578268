//! What is sent on each connection, encoded once.

use crate::frames::{self, HeaderBlocks, MAX_PAYLOAD, flag, kind};
use crate::payload::Coding;
use crate::servants::EXPORT;
use anyhow::Result;
use std::ops::Range;

/// An export as it goes over the wire.
pub struct Plan {
    /// Spans in it.
    pub spans: u64,
    /// Bytes of it, compressed if it is.
    pub bytes: u64,
    /// How it travels.
    pub wire: Wire,
}

/// The bytes of a request.
pub enum Wire {
    /// Over HTTP/2: header blocks, and DATA frames that await the number of a stream.
    Grpc { headers: HeaderBlocks, frames: Vec<u8> },
    /// Over HTTP/1.1.
    Http(Vec<u8>),
}

/// Bytes before the payload of a frame.
pub const HEAD: usize = 9;
/// Where in them the stream's number is.
const STREAM: Range<usize> = 5..HEAD;

impl Plan {
    /// Over gRPC, `export` having so many spans.
    pub fn grpc(key: Option<&str>, export: &[u8], spans: u64, coding: Coding) -> Result<Self> {
        let packed = coding.pack(export)?;
        let mut message = vec![u8::from(coding != Coding::Identity)];
        message.extend_from_slice(&u32::try_from(packed.len())?.to_be_bytes());
        message.extend_from_slice(&packed);
        let mut frames = Vec::with_capacity(message.len() + message.len() / 1024);
        let mut rest = message.as_slice();
        while let Some((now, later)) = rest.split_at_checked(MAX_PAYLOAD.min(rest.len())) {
            let last = if later.is_empty() { flag::END_STREAM } else { 0 };
            frames::push(&mut frames, kind::DATA, last, 0, now);
            rest = later;
            if later.is_empty() {
                break;
            }
        }
        let mut headers = HeaderBlocks::new(EXPORT, key);
        if coding != Coding::Identity {
            for block in [&mut headers.first, &mut headers.again] {
                push_literal(block, "grpc-encoding", coding.name());
            }
        }
        Ok(Self { spans, bytes: u64::try_from(packed.len())?, wire: Wire::Grpc { headers, frames } })
    }

    /// Over HTTP/1.1, protobuf-encoded.
    pub fn http(key: &str, export: &[u8], spans: u64) -> Self {
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\ncontent-type: \
             application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
            export.len()
        );
        let request = [head.as_bytes(), export].concat();
        Self { spans, bytes: export.len() as u64, wire: Wire::Http(request) }
    }
}

/// Writes the stream's number into each of the DATA frames.
pub fn number(frames: &mut [u8], stream: u32) {
    for frame in frames.chunks_mut(HEAD + MAX_PAYLOAD) {
        if let Some(place) = frame.get_mut(STREAM) {
            place.copy_from_slice(&stream.to_be_bytes());
        }
    }
}

/// Appends a header field that enters no table (RFC 7541 §6.2.2), both texts being short.
fn push_literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        block.extend(u8::try_from(text.len()));
        block.extend_from_slice(text.as_bytes());
    }
}
