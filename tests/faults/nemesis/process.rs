//! What befalls a process, or the machine.
use super::calm;
use crate::cluster::Replica;
use crate::harness::proxy::Mode;
use crate::random::Random;
use crate::run::Run;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a replica may take to end in order.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a newcomer waits for a revocation to be under way.
const MOMENT: Duration = Duration::from_secs(3);

/// Stops a replica in its tracks.
pub async fn freeze(run: &Run, replica: &Replica, time: Duration) {
    replica.freeze(true).await;
    calm(run, time).await;
    replica.freeze(false).await;
}

/// Stops a replica in its tracks on a link that is slow, and slower still when it wakes up.
pub async fn drowse(run: &Run, replica: &Replica, random: &mut Random) {
    let lease = run.options.lease_ms;
    replica.proxy.set(Mode::Slow(random.millis(lease / 10..lease / 5)));
    calm(run, random.millis(lease / 2..lease)).await;
    replica.freeze(true).await;
    replica.proxy.set(Mode::Slow(Duration::from_millis(lease * 45 / 100)));
    calm(run, random.millis(lease * 6 / 10..lease * 16 / 10)).await;
    replica.freeze(false).await;
    calm(run, Duration::from_millis(lease * 3 / 2)).await;
    replica.proxy.set(Mode::Pass);
}

/// Kills a replica and starts it again.
pub async fn kill(run: &Run, replica: &Replica, time: Duration) {
    replica.kill().await;
    calm(run, time / 3).await;
    replica.start(&run.stop).await;
}

/// Ends a replica in order; the next one starts while a revocation is under way.
pub async fn newcomer(run: &Run, replica: &Replica) {
    replica.leave(FAREWELL).await;
    let under_way = async {
        while run.revoking.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let _ = tokio::time::timeout(MOMENT, under_way).await;
    replica.start(&run.stop).await;
}

/// Keeps every processor busy, twice over.
pub async fn burn(run: &Run, time: Duration) {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let _burning: Vec<Burner> = (0..processors * 2).map(|_| Burner::light()).collect();
    calm(run, time).await;
}

struct Burner(Child);

impl Burner {
    fn light() -> Self {
        // It ends by itself too, should nobody be there to end it.
        let mut command = Command::new("timeout");
        command.args(["60", "sh", "-c", "while :; do :; done"]).stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        let order = format!("kill -TERM {}", self.0.id());
        let _ = Command::new("sh").args(["-c", &order]).status();
        let _ = self.0.wait();
    }
}
