//! What is over and can go: sessions past their end, links that nobody
//! followed, counts that say nothing any more.
//!
//! Every replica tidies; each piece is bounded and does no harm when done twice.

use super::App;
use crate::domain::Failure;
use crate::domain::audit::{Action, Actor, Event, PLATFORM};
use crate::store::{Across, Error, people, sessions};

impl App {
    /// Clears some of it away.
    pub async fn tidy(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        self.store.throttles_sweep(now).await?;
        people::mailed_sweep(&self.store, now).await?;
        self.break_glass_tidy().await?;
        let over = sessions::sessions_over(&mut self.store.read(Across::Jobs).await?, now).await?;
        if over.is_empty() {
            return Ok(());
        }
        let event = Event::new(PLATFORM, Action::SessionsExpired, PLATFORM, now, &*self.entropy);
        let store = self.store.clone();
        let writing = async move {
            store
                .write_across(Across::Jobs, &Actor::system("tidy"), event, async move |tx| {
                    tx.fact("sessions", over.len());
                    for session in &over {
                        // Every view drops it, too.
                        sessions::session_revoke(tx, session).await?;
                    }
                    Ok::<_, Error>(())
                })
                .await
        };
        self.store.detached(writing).await?;
        Ok(())
    }
}
