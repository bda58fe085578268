//! A back end that gets copies. Nobody waits for it, and nobody hears what it answers but the metrics.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::otlp::Options;
use crate::otlp::forward::{Backend, Batch};
use crate::telemetry::Metrics;

/// Copies that wait at most, besides the bound of their bytes.
const MOST: usize = 1_024;
/// Copies that are under way at once.
const AT_ONCE: usize = 8;

/// The way to a mirror. Dropped, it carries what still waits and ends.
pub struct Mirror {
    queue: Sender<Copy>,
    room: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// A copy and the room that it takes, from when it waits until it has arrived.
struct Copy {
    batch: Batch,
    _room: OwnedSemaphorePermit,
}

impl Mirror {
    /// A queue before this back end, with the bounds of the options. Must be called within a tokio runtime.
    pub fn to(backend: Backend, options: &Options, metrics: Arc<Metrics>) -> Self {
        let (queue, copies) = channel(MOST);
        tokio::spawn(carry(backend, copies, options.forward_timeout(), Arc::clone(&metrics)));
        let room = Arc::new(Semaphore::new(options.mirror_queue_bytes.min(Semaphore::MAX_PERMITS)));
        Self { queue, room, metrics }
    }

    /// Takes a copy if there is room for it.
    pub fn offer(&self, batch: Batch) {
        if !self.queued(batch) {
            self.metrics.otlp_mirrored.with_label_values(&["dropped"]).inc();
        }
    }

    fn queued(&self, batch: Batch) -> bool {
        let Ok(bytes) = u32::try_from(batch.body.held()) else { return false };
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(bytes) else { return false };
        self.queue.try_send(Copy { batch, _room: room }).is_ok()
    }
}

async fn carry(backend: Backend, mut copies: Receiver<Copy>, timeout: Duration, metrics: Arc<Metrics>) {
    let one = |copy: Copy| async {
        let Copy { batch, _room } = copy;
        let outcome = match backend.export(batch, timeout).await {
            Ok(_) => "sent",
            Err(failure) => {
                tracing::debug!(error = %failure, "a mirror did not take a copy");
                "failed"
            }
        };
        metrics.otlp_mirrored.with_label_values(&[outcome]).inc();
    };
    poll_fn(|cx| copies.poll_recv(cx)).for_each_concurrent(AT_ONCE, one).await;
}
