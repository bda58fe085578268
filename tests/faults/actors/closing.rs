//! What is asked when all faults are over.
use super::{about, answered, told, within};
use crate::cluster::Replica;
use crate::history::{Entry, Op, Outcome};
use crate::run::{Credential, Run};
use doorward::pb::v1::BatchVerifyCredentialsRequest;
use std::time::Duration;

/// Secrets that one call asks about.
const BATCH: usize = 500;
/// Tries of one call.
const TRIES: usize = 5;
const DEADLINE: Duration = Duration::from_secs(5);

/// Lets the actors go on for as long as recovery may take and a little more: the judge looks when each replica
/// accepted again.
pub async fn settle(run: &Run) {
    run.history.healed();
    tokio::time::sleep(run.options.recovery() + Duration::from_secs(1)).await;
}

/// Asks every replica about every secret that was ever issued.
pub async fn sweep(run: &Run) {
    let all = run.book.all();
    for replica in &run.cluster.replicas {
        for part in all.chunks(BATCH) {
            ask(run, replica, part).await;
        }
    }
}

async fn ask(run: &Run, replica: &Replica, part: &[Credential]) {
    let mut sent = run.history.now();
    let mut failed = Outcome::Unknown;
    for _ in 0..TRIES {
        sent = run.history.now();
        let requests = part.iter().map(|credential| about(&credential.secret, false)).collect();
        let request = within(DEADLINE, BatchVerifyCredentialsRequest { requests });
        match replica.authn(&run.cluster.owner).batch_verify_credentials(request).await {
            Ok(answer) => {
                for (credential, answer) in part.iter().zip(answer.into_inner().responses) {
                    let entry = Entry::new(Op::Final, replica.index, credential.subject, sent);
                    run.history.add(entry.with(answered(Some(answer))));
                }
                return;
            }
            Err(status) => failed = told(&status),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for credential in part {
        run.history.add(Entry::new(Op::Final, replica.index, credential.subject, sent).with(failed));
    }
}
