//! How long a refused sender is asked to wait before it comes again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderValue, USER_AGENT};

use crate::domain::Refusal;

/// The shortest wait.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest wait that an exporter without a queue is asked for: it gives up after ten seconds, and what it gives up
/// is lost.
const LONGEST: Duration = Duration::from_secs(3);
/// How exporters that do have a queue begin their `user-agent`.
const PATIENT: &str = "OpenTelemetry Collector";

/// Spreads the waits that senders are told, so that they do not come back all at once.
#[derive(Debug, Default)]
pub struct Waits {
    turn: AtomicU64,
}

impl Waits {
    /// Bounds the wait that a refusal asks for, and spreads it. A refusal that asks for none stays as it is.
    pub fn soften(&self, refusal: &mut Refusal, patient: bool) {
        let Some(wait) = &mut refusal.retry_after else { return };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        // 0 to 1.5 s in steps of a tenth.
        let spread = Duration::from_millis(turn.wrapping_mul(7) % 16 * 100);
        *wait = (*wait).max(SHORTEST).saturating_add(spread);
        if !patient {
            *wait = (*wait).min(LONGEST);
        }
    }
}

/// Whether the sender has a queue, and so can wait for longer without losing anything.
pub fn is_patient(headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    agent.starts_with(PATIENT.as_bytes())
}
