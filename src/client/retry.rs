//! Tries again where that cannot do harm.

use super::refusal::Refusal;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Response, Status};

/// How many times a call is repeated at most.
pub const MAX_RETRIES: u32 = 2;

/// The first wait when the server says nothing about it; doubled for the second.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Whether doing a call twice is the same as doing it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It is: a read, a call with a `request_id`, or one that sets a state outright.
    Safe,
    /// It is not; the call is made once.
    Never,
}

/// Makes a call. Repeats it after `UNAVAILABLE`, and nothing else, if that is
/// safe: at most [`MAX_RETRIES`] times, after the wait that the server asked
/// for, and never past `limit` from now.
pub async fn call<T, F, A>(limit: Duration, repeat: Repeat, mut attempt: F) -> Result<T, Status>
where
    F: FnMut() -> A,
    A: Future<Output = Result<Response<T>, Status>>,
{
    let end = Instant::now() + limit;
    let mut tried = 0;
    loop {
        let Ok(answer) = timeout_at(end, attempt()).await else {
            return Err(Status::deadline_exceeded("the server did not answer in time"));
        };
        let status = match answer {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) => status,
        };
        let wait = wait_after(&status, tried);
        let may_repeat = repeat == Repeat::Safe && status.code() == Code::Unavailable && tried < MAX_RETRIES;
        if !may_repeat || Instant::now() + wait >= end {
            return Err(status);
        }
        sleep(wait).await;
        tried += 1;
    }
}

/// Never less than the server asked for; otherwise spread out, so that many
/// clients of a server that comes back do not all call at once.
fn wait_after(status: &Status, tried: u32) -> Duration {
    let step = FIRST_WAIT * 2_u32.saturating_pow(tried);
    let spread = step.mul_f64(0.5 + 0.5 * random_share());
    Refusal::from(status).retry_after.map_or(spread, |asked| asked.max(spread))
}

/// Between 0 and 1; the middle if the system has no randomness to give.
fn random_share() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tonic_types::{ErrorDetails, StatusExt};

    /// Fails `failures` times with `status`, then answers; gives the tries and the time taken.
    async fn run(repeat: Repeat, failures: u32, status: Status) -> (bool, u32, Duration) {
        let tries = Cell::new(0);
        let start = Instant::now();
        let answer = call(Duration::from_secs(10), repeat, || {
            tries.set(tries.get() + 1);
            let answer = if tries.get() > failures { Ok(Response::new(())) } else { Err(status.clone()) };
            async move { answer }
        })
        .await;
        (answer.is_ok(), tries.get(), start.elapsed())
    }

    fn unavailable(wait: Duration) -> Status {
        let details = ErrorDetails::with_retry_info(Some(wait));
        Status::with_error_details(Code::Unavailable, "lease lapsed", details)
    }

    #[tokio::test]
    async fn only_a_safe_call_is_repeated_and_only_after_unavailable() {
        let gone = Status::unavailable("gone");
        for (repeat, failures, status, good, tries) in [
            (Repeat::Safe, 2, gone.clone(), true, 3),
            (Repeat::Safe, 3, gone.clone(), false, 3),
            (Repeat::Never, 1, gone, false, 1),
            (Repeat::Safe, 1, Status::unauthenticated("no"), false, 1),
            (Repeat::Safe, 1, Status::deadline_exceeded("late"), false, 1),
            (Repeat::Safe, 1, Status::internal("broken"), false, 1),
        ] {
            let (was_good, was_tried, _) = run(repeat, failures, status.clone()).await;
            assert_eq!((was_good, was_tried), (good, tries), "{repeat:?} {status:?}");
        }
    }

    #[tokio::test]
    async fn the_wait_that_the_server_asks_for_is_kept() {
        let (good, _, took) = run(Repeat::Safe, 1, unavailable(Duration::from_millis(900))).await;
        assert!(good && took >= Duration::from_millis(900), "{took:?}");
        let (good, _, took) = run(Repeat::Safe, 1, unavailable(Duration::from_millis(1))).await;
        assert!(good && took >= Duration::from_millis(125), "{took:?}");
    }

    #[tokio::test]
    async fn a_wait_beyond_the_deadline_is_not_begun() {
        let (good, tries, took) = run(Repeat::Safe, 1, unavailable(Duration::from_secs(11))).await;
        assert_eq!((good, tries), (false, 1));
        assert!(took < Duration::from_secs(5), "{took:?}");
    }

    #[tokio::test]
    async fn a_server_that_never_answers_ends_at_the_deadline() {
        let never = std::future::pending::<Result<Response<()>, Status>>;
        let answer = call(Duration::from_millis(50), Repeat::Safe, never).await;
        assert_eq!(answer.unwrap_err().code(), Code::DeadlineExceeded);
    }
}
