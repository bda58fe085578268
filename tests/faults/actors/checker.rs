//! Asks about secrets by `VerifyCredential`.
use super::{about, judged, within};
use crate::cluster::Replica;
use crate::history::{Entry, Op};
use crate::random::Random;
use crate::run::{Credential, Run};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a client waits that has other replicas to ask.
const HASTY: Duration = Duration::from_millis(400);
/// How long a client leaves a replica alone that did not answer.
const SHUNNED: Duration = Duration::from_millis(300);
/// Checks of a hundred that go to a replica that did not answer.
const STUBBORN: u64 = 10;

/// Checks one secret after the other at one replica after the other, at its share of the rate.
pub async fn work(run: Arc<Run>, stream: u64) {
    let mut random = run.random(stream);
    // The askers on streams have the other half.
    let share = u64::from(run.options.rate) / 2 / super::CHECKERS;
    let pace = 1_000_000 / share.max(1);
    let mut shunned = vec![None::<Instant>; run.cluster.replicas.len()];
    while run.pause(Duration::from_micros(pace)).await {
        let at = random.below(shunned.len());
        let silent = shunned[at].is_some_and(|until| Instant::now() < until);
        if silent && !random.percent(STUBBORN) {
            continue;
        }
        let Some(credential) = run.book.pick(run.history.now(), &mut random) else { continue };
        let entry = check(&run, &run.cluster.replicas[at], &credential, &mut random, HASTY).await;
        shunned[at] = (!entry.outcome.is_answer()).then(|| Instant::now() + SHUNNED);
    }
}

/// Checks at one replica and waits for the answer however long it takes: that of a process which was stopped in its
/// tracks comes when it goes on.
pub async fn wait_patiently(run: Arc<Run>, replica: Arc<Replica>, stream: u64) {
    let mut random = run.random(stream);
    let patience = run.options.lease() * 6;
    while run.pause(random.millis(10..60)).await {
        let Some(credential) = run.book.pick(run.history.now(), &mut random) else { continue };
        let entry = check(&run, &replica, &credential, &mut random, patience).await;
        if !entry.outcome.is_answer() {
            run.pause(Duration::from_millis(50)).await;
        }
    }
}

async fn check(
    run: &Run,
    replica: &Replica,
    credential: &Credential,
    random: &mut Random,
    patience: Duration,
) -> Entry {
    let wide = random.percent(30);
    let mut authn = replica.authn(&run.cluster.owner);
    let request = within(patience, about(&credential.secret, wide));
    let entry = Entry::new(Op::Verify, replica.index, credential.subject, run.history.now());
    let answer = tokio::time::timeout(patience, authn.verify_credential(request)).await;
    let answer = answer.unwrap_or_else(|_| Err(tonic::Status::deadline_exceeded("")));
    let entry = judged(run, Entry { wide, ..entry }, answer.map(|answer| Some(answer.into_inner())));
    run.history.add(entry);
    entry
}
