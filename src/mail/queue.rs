//! The bounded queue, tries and pauses.

use super::BadMail;
use super::carrier::{Carried, Carrier};
use super::options::{Options, Transport};
use super::smtp::{CONNECTIONS, Failed};
use crate::domain::letters::{Full, Letter, Outbox};
use crate::domain::{Clock, Entropy};
use crate::telemetry::Metrics;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Where letters are left.
pub struct Queue {
    letters: mpsc::Sender<Letter>,
    metrics: Arc<Metrics>,
}

/// The task that carries letters; it stops when this is dropped.
pub struct Carrying {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

/// What every letter needs on its way.
struct Post {
    carrier: Carrier,
    options: Options,
    metrics: Arc<Metrics>,
}

/// Opens the queue and begins to carry. Must be called within a tokio runtime.
///
/// # Errors
/// The options cannot be used, or the folder cannot be made.
pub fn start(
    options: &Options,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Arc<Metrics>,
) -> Result<(Arc<Queue>, Carrying), BadMail> {
    let carrier = Carrier::new(options, clock, entropy)?;
    match options.transport {
        Transport::None => tracing::info!("mail.transport is `none`: letters go nowhere"),
        Transport::Log => tracing::warn!(
            "mail.transport is `log`: links that open accounts are written to this log; not for production"
        ),
        Transport::Smtp | Transport::File => {}
    }
    let (letters, waiting) = mpsc::channel(options.queue);
    let stop = CancellationToken::new();
    let post = Post { carrier, options: options.clone(), metrics: Arc::clone(&metrics) };
    let task = tokio::spawn(carry_all(Arc::new(post), waiting, stop.clone()));
    Ok((Arc::new(Queue { letters, metrics }), Carrying { task, stop }))
}

impl Outbox for Queue {
    fn post(&self, letter: Letter) -> Result<(), Full> {
        if self.letters.try_send(letter).is_ok() {
            return Ok(());
        }
        self.metrics.letters.with_label_values(&["refused"]).inc();
        Err(Full)
    }
}

impl Carrying {
    /// Takes no more letters, and carries those that wait for at most that long.
    pub async fn finish(mut self, most: Duration) {
        self.stop.cancel();
        match tokio::time::timeout(most, &mut self.task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "carrying letters ended badly"),
            Err(_elapsed) => tracing::warn!("letters were not carried before the end"),
        }
    }
}

impl Drop for Carrying {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries as many at once as there are connections, so that one slow try does
/// not hold up all others.
async fn carry_all(post: Arc<Post>, mut waiting: mpsc::Receiver<Letter>, stop: CancellationToken) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled(), if !waiting.is_closed() => waiting.close(),
            Some(ended) = under_way.join_next() => watch(ended),
            letter = waiting.recv(), if under_way.len() < usize::from(CONNECTIONS) => match letter {
                Some(letter) => drop(under_way.spawn(Arc::clone(&post).carry(letter))),
                None => break,
            },
        }
    }
    while let Some(ended) = under_way.join_next().await {
        watch(ended);
    }
}

fn watch(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "carrying a letter ended badly");
    }
}

impl Post {
    /// Tries as often as the options say, and counts what came of it.
    async fn carry(self: Arc<Self>, letter: Letter) {
        let mut tries = 0;
        let outcome = loop {
            tries += 1;
            match self.once(&letter).await {
                Ok(Carried::Delivered) => break "delivered",
                Ok(Carried::Discarded) => break "discarded",
                Err(failed) if failed.again && tries < self.options.attempts => {
                    let Failed { why, code, .. } = failed;
                    tracing::info!(mail.tries = tries, mail.code = code, "a letter is tried again: {why}");
                    tokio::time::sleep(self.options.pause_after(tries)).await;
                }
                Err(Failed { why, code, .. }) => {
                    tracing::warn!(mail.tries = tries, mail.code = code, "a letter is given up: {why}");
                    break "failed";
                }
            }
        };
        self.metrics.letters.with_label_values(&[outcome]).inc();
    }

    async fn once(&self, letter: &Letter) -> Result<Carried, Failed> {
        let late = Failed { again: true, why: "it took too long", code: None };
        tokio::time::timeout(self.options.send_timeout(), self.carrier.carry(letter))
            .await
            .unwrap_or(Err(late))
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
