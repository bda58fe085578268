//! Where entries of the audit log go on to once they are committed.

use super::Store;
use prometheus::IntCounter;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Takes entries without ever making anybody wait.
pub struct Tap {
    entries: mpsc::Sender<Arc<str>>,
    dropped: IntCounter,
}

impl Tap {
    /// Into this queue; what does not fit is counted.
    pub fn new(entries: mpsc::Sender<Arc<str>>, dropped: IntCounter) -> Self {
        Self { entries, dropped }
    }

    fn take(&self, entry: &str) {
        if self.entries.try_send(entry.into()).is_err() {
            self.dropped.inc();
        }
    }
}

impl Store {
    /// Has entries go on from now; the first one who says where is heard.
    pub fn tap(&self, tap: Tap) {
        let _ = self.tap.set(tap);
    }

    pub(super) fn pass_on(&self, entry: &str) {
        if let Some(tap) = self.tap.get() {
            tap.take(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_queue_that_is_full() {
        let (sender, mut entries) = mpsc::channel(2);
        let dropped = IntCounter::new("dropped", "dropped").unwrap();
        let tap = Tap::new(sender, dropped.clone());
        for entry in ["a", "b", "c", "d"] {
            tap.take(entry);
        }
        assert_eq!(dropped.get(), 2);
        assert_eq!(entries.try_recv().unwrap().as_ref(), "a");
        tap.take("e");
        assert_eq!((dropped.get(), entries.len()), (2, 2));
        drop(entries);
        tap.take("f");
        assert_eq!(dropped.get(), 3);
    }
}
