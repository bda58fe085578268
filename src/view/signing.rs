//! The keys that tokens are signed with: few, and read as a whole.

use crate::domain::signing::SigningKeyState;
use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;

/// All signing keys as of one moment.
#[derive(Debug, Default)]
pub struct SigningKeys {
    /// Counts the changes: what was worked out from an older one no longer holds.
    pub version: u64,
    /// The keys.
    pub keys: Vec<SigningKeyState>,
}

/// The readers' side is one pointer; the writer alone replaces it.
#[derive(Default)]
pub struct Signing(ArcSwap<SigningKeys>);

impl Signing {
    /// The keys now.
    pub fn current(&self) -> Guard<Arc<SigningKeys>> {
        self.0.load()
    }

    /// A key is now like this.
    pub fn apply(&self, key: &SigningKeyState) {
        let before = self.0.load();
        if before.keys.contains(key) {
            return;
        }
        let others = before.keys.iter().filter(|other| other.kid != key.kid).cloned();
        let keys = others.chain([key.clone()]).collect();
        self.0.store(Arc::new(SigningKeys { version: before.version + 1, keys }));
    }
}
