//! What everybody who takes part shares: the cluster, the history, and the book of secrets.
use crate::cluster::{Cluster, Replica};
use crate::history::{OWNER, Recorder, Subject};
use crate::options::Options;
use crate::random::Random;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Dead secrets that are still asked about now and then.
const LONG_DEAD: usize = 200;

/// One campaign.
pub struct Run {
    pub cluster: Cluster,
    pub history: Recorder,
    pub book: Book,
    pub options: Options,
    /// Ends the faults.
    pub calm_down: CancellationToken,
    /// Ends the actors.
    pub stop: CancellationToken,
    /// Revocations that have been sent and not answered.
    pub revoking: AtomicUsize,
}

impl Run {
    /// A campaign that has not begun. The owner's key is the first subject.
    pub fn new(cluster: Cluster, history: Recorder, options: Options) -> Self {
        assert_eq!(history.new_key("owner"), OWNER);
        Self {
            cluster,
            history,
            book: Book::default(),
            options,
            calm_down: CancellationToken::new(),
            stop: CancellationToken::new(),
            revoking: AtomicUsize::new(0),
        }
    }

    /// A sequence of chance for one who takes part.
    pub fn random(&self, stream: u64) -> Random {
        Random::new(self.options.clone().settle_seed(), stream)
    }

    /// Any replica, one that lives if there is one.
    pub fn living<'a>(&'a self, random: &mut Random) -> &'a Arc<Replica> {
        let living: Vec<_> = self.cluster.replicas.iter().filter(|replica| replica.lives()).collect();
        let at = random.below(living.len().max(1));
        living.get(at).copied().unwrap_or(&self.cluster.replicas[0])
    }

    /// Sleeps; `false` if the actors are to end.
    pub async fn pause(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.stop.cancelled()).await.is_err()
    }

    /// Counts a revocation as being under way for as long as what this gives back lives.
    pub fn revokes(&self) -> impl Drop + '_ {
        struct Under<'a>(&'a AtomicUsize);
        impl Drop for Under<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.revoking.fetch_add(1, Ordering::Relaxed);
        Under(&self.revoking)
    }
}

/// A secret and what it is called in the history.
#[derive(Clone)]
pub struct Credential {
    pub subject: Subject,
    pub secret: Arc<str>,
}

/// Every secret there is.
#[derive(Default)]
pub struct Book(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    good: Vec<Credential>,
    /// Those that are being reduced or have just been, and until when they are of interest (µs).
    hot: VecDeque<(Credential, u64)>,
    dead: VecDeque<Credential>,
    all: Vec<Credential>,
}

impl Book {
    /// A good one more.
    pub fn add(&self, credential: Credential) {
        let mut pages = self.0.lock().unwrap();
        pages.all.push(credential.clone());
        pages.good.push(credential);
    }

    /// From now until `until` this one is of interest; it stays what it is.
    pub fn heat(&self, credential: &Credential, until: u64) {
        self.0.lock().unwrap().hot.push_back((credential.clone(), until));
    }

    /// This one is good no longer.
    pub fn bury(&self, credential: &Credential) {
        let mut pages = self.0.lock().unwrap();
        pages.good.retain(|good| good.subject != credential.subject);
        pages.dead.push_back(credential.clone());
        if pages.dead.len() > LONG_DEAD {
            pages.dead.pop_front();
        }
    }

    /// Whether it has been buried.
    pub fn is_dead(&self, credential: &Credential) -> bool {
        !self.0.lock().unwrap().good.iter().any(|good| good.subject == credential.subject)
    }

    /// One to ask about: mostly one that is being reduced, else a good one, seldom a dead one.
    pub fn pick(&self, now: u64, random: &mut Random) -> Option<Credential> {
        let mut pages = self.0.lock().unwrap();
        while pages.hot.front().is_some_and(|(_, until)| *until < now) {
            pages.hot.pop_front();
        }
        let (hot, dead) = (pages.hot.len(), pages.dead.len());
        if hot > 0 && random.percent(60) {
            return pages.hot.get(random.below(hot)).map(|(credential, _)| credential.clone());
        }
        if dead > 0 && random.percent(15) {
            return pages.dead.get(random.below(dead)).cloned();
        }
        (!pages.good.is_empty()).then(|| random.one(&pages.good).clone())
    }

    /// A good one.
    pub fn good(&self, random: &mut Random) -> Option<Credential> {
        let pages = self.0.lock().unwrap();
        (!pages.good.is_empty()).then(|| random.one(&pages.good).clone())
    }

    /// Everything that was ever issued.
    pub fn all(&self) -> Vec<Credential> {
        self.0.lock().unwrap().all.clone()
    }
}
