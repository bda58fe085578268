//! The rewriting of OTLP exports as the service has it, with the comparison that its tests make.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "the service uses more of it")]

#[path = "../../src/otlp"]
pub mod otlp {
    pub mod message;
}

pub use otlp::message::differential::{json, protobuf};
