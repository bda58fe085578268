//! Deadlines of unary calls: the caller's, and ours where that is sooner.

use crate::domain::{Reason, Refusal};
use crate::guard;
use http::{HeaderMap, Response};
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;
use tonic::body::Body;

/// The longest that a call may take.
const LONGEST: Duration = Duration::from_secs(30);

/// The answer, or `DEADLINE_EXCEEDED`. What the call had begun to write goes on
/// to its end by itself; a retry with the same `request_id` finds one truth.
pub async fn within(
    limit: Duration,
    call: impl Future<Output = Result<Response<Body>, Infallible>>,
) -> Result<Response<Body>, Infallible> {
    if let Ok(answer) = tokio::time::timeout(limit, call).await {
        return answer;
    }
    let refusal = Refusal::new(Reason::DeadlineExceeded, "the deadline passed before the answer was ready");
    Ok(guard::status(&refusal).into_http())
}

/// How long a call may take: as long as its caller waits, within bounds.
pub fn limit(headers: &HeaderMap) -> Duration {
    guard::deadline::asked(headers).map_or(LONGEST, |asked| asked.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_can_only_shorten() {
        let asked = |value: &'static str| {
            limit(&HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), value.parse().unwrap())]))
        };
        assert_eq!(asked("250m"), Duration::from_millis(250));
        assert_eq!(asked("99999999H"), LONGEST);
        for nonsense in ["", "m", "-1S", "123456789S", "5x", "5"] {
            assert_eq!(asked(nonsense), LONGEST, "{nonsense}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_too_long_is_told_so() {
        let answer = within(Duration::from_millis(5), std::future::pending()).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "4");
    }
}
