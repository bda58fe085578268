//! What befalls the link between a replica and its database.
use super::calm;
use crate::cluster::Replica;
use crate::harness::proxy::Mode;
use crate::random::Random;
use crate::run::Run;
use std::time::Duration;

/// How long a link stays cut that is lost after all.
const GONE: Duration = Duration::from_millis(20);

/// For how long a link that stutters speaks in between.
const SPEAKS: Duration = Duration::from_millis(3);

/// Puts the proxy in this mode for a while. `lost`: what was held back is never delivered.
pub async fn spoil(run: &Run, replica: &Replica, mode: Mode, lost: bool, time: Duration) {
    replica.proxy.set(mode);
    calm(run, time).await;
    if lost {
        replica.proxy.set(Mode::Cut);
        tokio::time::sleep(GONE).await;
    }
    replica.proxy.set(Mode::Pass);
}

/// Holds answers back, lets what is late through, and holds back again. A renewal may take two questions; the answer to
/// the second comes late, and is still in time for whoever counts from its arrival, while nothing else comes for long.
pub async fn stutter(run: &Run, replica: &Replica, random: &mut Random) {
    let lease = run.options.lease_ms;
    for _ in 0..2 {
        for (least, most) in [(30, 47), (30, 47), (100, 120)] {
            replica.proxy.set(Mode::Mute);
            calm(run, random.millis(lease * least / 100..lease * most / 100)).await;
            replica.proxy.set(Mode::Pass);
            tokio::time::sleep(SPEAKS).await;
        }
        calm(run, random.millis(lease / 10..lease / 2)).await;
    }
}
