//! Messages and service stubs generated from `proto/`, and their descriptors.

/// Doorward's own messages and services.
pub mod v1 {
    #![allow(missing_docs, clippy::all, clippy::pedantic)]
    tonic::include_proto!("doorward.v1");
}

/// The encoded `FileDescriptorSet` of every proto, HTTP annotations included.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/doorward.bin"));

mod redacted;
