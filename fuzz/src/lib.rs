//! The rewriting of OTLP exports as the service has it, with the comparison that its tests make.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "the service uses more of it")]

#[path = "../../src/otlp"]
pub mod otlp {
    pub mod message;
}

use otlp::message::claims::by_tenant;
use otlp::message::differential;

pub use differential::json;

/// Rewrites it, and tells it apart by the tenants that it names, of which nothing may get lost or be made up.
pub fn protobuf(data: &[u8]) {
    differential::protobuf(data);
    if let Ok(parts) = by_tenant(data, "tenant.id", "lab") {
        let bytes: usize = parts.iter().map(|part| part.request.len()).sum();
        assert!(bytes <= data.len(), "{bytes} bytes of {}", data.len());
        for part in parts {
            let alone = by_tenant(&part.request, "tenant.id", "lab").expect("it was read once");
            assert_eq!(alone, [part]);
        }
    }
}
