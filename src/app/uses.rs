//! When credentials were last used.

use super::App;
use crate::domain::{Failure, Fault, Timestamp};
use std::sync::Arc;

/// Writes down every key that was accepted since `since`, and gives the time
/// to go on from. At most the time between two calls is lost in a crash.
pub async fn flush_uses(app: &App, since: Timestamp) -> Result<Timestamp, Failure> {
    let now = app.clock.now();
    // A look at every key there is: not on a thread that answers calls.
    let view = Arc::clone(&app.replica.view);
    let uses = tokio::task::spawn_blocking(move || view.used_since(since)).await.map_err(Fault::new)?;
    let mut uses: Vec<_> = uses.into_iter().filter_map(|(used, at)| Some((used.key()?, at))).collect();
    // In one order, whichever replica writes: two that wait for each other would never end.
    uses.sort_unstable();
    let store = app.store.clone();
    let writing = async move { crate::store::keys::keys_used(&store, uses).await };
    app.store.detached(writing).await?;
    Ok(now)
}
