//! Makes keys, narrows, rotates and revokes them.
use super::{EXTRA, KEPT, holder, remark_if_odd, told, within};
use crate::cluster::Replica;
use crate::history::{Entry, OWNER, Op, Outcome, Receipt};
use crate::random::Random;
use crate::run::{Credential, Run};
use doorward::pb::v1::{CreateApiKeyRequest, RevokeApiKeyRequest, RotateApiKeyRequest, UpdateApiKeyRequest};
use prost_types::FieldMask;
use std::sync::Arc;
use std::time::Duration;
use tonic::Status;

/// The longest that one try of a mutation may take.
const DEADLINE: Duration = Duration::from_secs(8);
/// The pause before another try.
const AGAIN: Duration = Duration::from_millis(200);

/// Tries to make a key before the first fault.
const TRIES: usize = 20;

/// A key in a maker's hands.
struct Made {
    id: String,
    credential: Credential,
}

/// Makes a key that nobody touches until the end.
///
/// # Panics
/// It cannot be made in several tries, though nothing is broken yet.
pub async fn make_lasting(run: &Run, number: u32) {
    let mut random = run.random(1_000 + u64::from(number));
    for _ in 0..TRIES {
        if create(run, &mut random, !number.is_multiple_of(4)).await.is_some() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
    panic!("no key can be made: {:?}", run.history.finish().entries.last());
}

/// Takes one key after the other through its life.
pub async fn work(run: Arc<Run>, stream: u64) {
    let mut random = run.random(stream);
    while run.pause(random.millis(20..200)).await {
        if let Some(made) = create(&run, &mut random, true).await {
            life(&run, &mut random, made).await;
        }
    }
}

async fn life(run: &Arc<Run>, random: &mut Random, mut made: Made) {
    if random.percent(50) {
        tokio::spawn(holder::hold(
            run.clone(),
            made.credential.clone(),
            u64::from(made.credential.subject.0),
        ));
    }
    if !run.pause(random.millis(50..500)).await {
        return;
    }
    if random.percent(40) && !narrow(run, random, &made).await {
        return;
    }
    if random.percent(30) {
        if !run.pause(random.millis(20..300)).await {
            return;
        }
        if let Some(secret) = rotate(run, random, &made).await {
            made.credential = secret;
            if random.percent(50) {
                let stream = u64::from(made.credential.subject.0);
                tokio::spawn(holder::hold(run.clone(), made.credential.clone(), stream));
            }
        }
    }
    if run.pause(random.millis(20..400)).await {
        revoke(run, random, &made).await;
    }
}

async fn create(run: &Run, random: &mut Random, wide: bool) -> Option<Made> {
    let scopes = KEPT.iter().copied().chain(wide.then_some(EXTRA)).map(str::to_owned).collect();
    let replica = run.living(random);
    let request =
        CreateApiKeyRequest { display_name: "of the campaign".into(), scopes, ..Default::default() };
    let sent = run.history.now();
    let answer = match replica.keys(&run.cluster.owner).create_api_key(within(DEADLINE, request)).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            failed(run, Entry::new(Op::Create, replica.index, OWNER, sent), &status);
            return None;
        }
    };
    let id = answer.api_key?.id;
    let subject = run.history.new_key(&id);
    let entry = Entry::new(Op::Create, replica.index, subject, sent);
    run.history.add(Entry { wide, ..entry }.with(Outcome::Done));
    let credential = Credential { subject, secret: answer.secret.into() };
    run.book.add(credential.clone());
    Some(Made { id, credential })
}

/// Tries until it is done; `false` if the campaign ended before.
async fn narrow(run: &Run, random: &mut Random, made: &Made) -> bool {
    loop {
        let request = UpdateApiKeyRequest {
            id: made.id.clone(),
            update_mask: Some(FieldMask { paths: vec!["scopes".into()] }),
            scopes: KEPT.map(str::to_owned).to_vec(),
            ..Default::default()
        };
        let replica = run.living(random);
        run.book.heat(&made.credential, interest(run));
        let entry = Entry::new(Op::Narrow, replica.index, made.credential.subject, run.history.now());
        match replica.keys(&run.cluster.owner).update_api_key(within(DEADLINE, request)).await {
            Ok(_) => {
                run.history.add(entry.with(Outcome::Done));
                run.book.heat(&made.credential, interest(run));
                return true;
            }
            Err(status) => failed(run, entry, &status),
        }
        if !run.pause(AGAIN).await {
            return false;
        }
    }
}

/// Tries once, for a lost answer is a lost secret: then the key can only be revoked.
async fn rotate(run: &Run, random: &mut Random, made: &Made) -> Option<Credential> {
    let request = RotateApiKeyRequest { id: made.id.clone(), ..Default::default() };
    let replica = run.living(random);
    run.book.bury(&made.credential);
    run.book.heat(&made.credential, interest(run));
    let entry = Entry::new(Op::Rotate, replica.index, made.credential.subject, run.history.now());
    match replica.keys(&run.cluster.owner).rotate_api_key(within(DEADLINE, request)).await {
        Ok(answer) => {
            let subject = run.history.new_secret(made.credential.subject);
            run.history.add(Entry { made: Some(subject), ..entry }.with(Outcome::Done));
            run.book.heat(&made.credential, interest(run));
            let credential = Credential { subject, secret: answer.into_inner().secret.into() };
            run.book.add(credential.clone());
            Some(credential)
        }
        Err(status) => {
            failed(run, entry, &status);
            None
        }
    }
}

/// Tries until it is done, at whichever replica lives.
async fn revoke(run: &Run, random: &mut Random, made: &Made) {
    run.book.bury(&made.credential);
    loop {
        let replica = run.living(random);
        run.book.heat(&made.credential, interest(run));
        if revoke_at(run, replica, made).await || !run.pause(AGAIN).await {
            return;
        }
    }
}

async fn revoke_at(run: &Run, replica: &Replica, made: &Made) -> bool {
    let request = RevokeApiKeyRequest { id: made.id.clone() };
    let entry = Entry::new(Op::Revoke, replica.index, made.credential.subject, run.history.now());
    let _under_way = run.revokes();
    match replica.keys(&run.cluster.owner).revoke_api_key(within(DEADLINE, request)).await {
        Ok(answer) => {
            run.history.add(entry.with(Outcome::Done));
            run.book.heat(&made.credential, interest(run));
            let receipt = answer.into_inner().receipt.unwrap_or_default();
            run.history.add_receipt(Receipt {
                sent: entry.sent,
                returned: run.history.now(),
                acknowledged: receipt.replicas_acknowledged,
                expired: receipt.leases_expired,
                streams_cut: receipt.streams_cut,
            });
            true
        }
        Err(status) => {
            failed(run, entry, &status);
            false
        }
    }
}

fn failed(run: &Run, entry: Entry, status: &Status) {
    remark_if_odd(run, &entry, status);
    run.history.add(entry.with(told(status)));
}

/// Until when a secret is asked about more than others: three leases from now.
fn interest(run: &Run) -> u64 {
    run.history.now() + 3 * u64::try_from(run.options.lease().as_micros()).unwrap()
}
