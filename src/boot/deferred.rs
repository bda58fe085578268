//! Lets a connection wait for one round of the scheduler before it is polled,
//! so that answers which became ready meanwhile leave in one write.
//!
//! The runtime polls a task right after the task that woke it; a connection
//! woken by each answer would then write each by itself. See
//! `docs/performance.md` for what it saves.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// A future that is polled one scheduler round after it was woken.
pub struct Deferred<F> {
    inner: Pin<Box<F>>,
    waited: bool,
}

impl<F: Future> Deferred<F> {
    /// Defers this future.
    pub fn new(inner: F) -> Self {
        Self { inner: Box::pin(inner), waited: false }
    }
}

impl<F: Future> Future for Deferred<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if !self.waited {
            self.waited = true;
            // Being polled once registers a wake-up behind all that is ready now.
            let _pending = pin!(tokio::task::yield_now()).poll(cx);
            return Poll::Pending;
        }
        self.waited = false;
        self.inner.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_ends_as_the_future_within_does() {
        assert_eq!(Deferred::new(async { 7 }).await, 7);
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let waiting = tokio::spawn(Deferred::new(receiver));
        tokio::task::yield_now().await;
        sender.send(8).unwrap();
        assert_eq!(waiting.await.unwrap(), Ok(8));
    }
}
