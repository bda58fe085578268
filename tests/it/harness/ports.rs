//! Ports of loopback for servers that the tests start.
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range that the kernel hands to outgoing connections, so that none of those takes one.
const FIRST: u16 = 12_000;
const LAST: u16 = 31_000;
/// How far apart two test processes begin.
const STRIDE: u16 = 97;

/// A port that nothing listens on and that this process has not been given before.
pub fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in FIRST..LAST {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start() + step) % (LAST - FIRST);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {LAST}");
}

fn start() -> u16 {
    let id = std::process::id() % u32::from((LAST - FIRST) / STRIDE);
    u16::try_from(id).unwrap() * STRIDE
}
