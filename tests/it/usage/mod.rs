//! How often keys are used: counted at every door, by the hour, and looked at.
mod counts;
mod spikes;

use crate::harness::World;
use doorward::pb::v1::{GetApiKeyUsageRequest, RefusedChecks, UsageHour};
use std::time::{Duration, Instant};
use tonic::Status;

/// Counts are written down every few seconds.
const PATIENCE: Duration = Duration::from_secs(30);

async fn usage_as(world: &World, credential: &str, key: &str) -> Result<Vec<UsageHour>, Status> {
    let request = GetApiKeyUsageRequest { id: key.to_owned(), ..Default::default() };
    Ok(world.keys_as(credential).get_api_key_usage(request).await?.into_inner().hours)
}

/// The sum over all hours: the test may run while one begins.
async fn summed(world: &World, key: &str) -> (u64, RefusedChecks) {
    let hours = usage_as(world, &world.owner, key).await.unwrap();
    let mut sum = (0, RefusedChecks::default());
    for hour in hours {
        let refused = hour.refused.unwrap();
        sum.0 += hour.accepted;
        sum.1.expired += refused.expired;
        sum.1.address += refused.address;
        sum.1.permission += refused.permission;
        sum.1.rate_limit += refused.rate_limit;
        sum.1.suspended += refused.suspended;
        sum.1.other += refused.other;
    }
    sum
}

/// Waits until the key's counts are these, and no more.
async fn counts_are(world: &World, key: &str, accepted: u64, refused: RefusedChecks) {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = summed(world, key).await;
        if found == (accepted, refused) {
            return;
        }
        assert!(Instant::now() < end, "{found:?} instead of {accepted} and {refused:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
