//! The world's own clock and randomness; everything else gets them handed in.

pub use crate::client::SystemClock;

use crate::domain::Entropy;

/// The system's source of randomness.
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        if let Err(error) = getrandom::fill(buffer) {
            // Secrets from anything weaker would be no secrets.
            tracing::error!(%error, "the system gives no randomness");
            std::process::abort();
        }
    }
}
