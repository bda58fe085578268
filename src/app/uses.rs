//! When credentials were last used.

use super::App;
use crate::domain::{Failure, Timestamp};

/// Writes down every key that was accepted since `since`, and gives the time
/// to go on from. At most the time between two calls is lost in a crash.
pub async fn flush_uses(app: &App, since: Timestamp) -> Result<Timestamp, Failure> {
    let now = app.clock.now();
    let uses = app.replica.view.used_since(since);
    let mut uses: Vec<_> = uses.into_iter().filter_map(|(used, at)| Some((used.key()?, at))).collect();
    // In one order, whichever replica writes: two that wait for each other would never end.
    uses.sort_unstable();
    let store = app.store.clone();
    let writing = async move { crate::store::keys::keys_used(&store, uses).await };
    app.store.detached(writing).await?;
    Ok(now)
}
