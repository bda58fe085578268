//! A handler that panics fails its own call and nothing else.

use crate::domain::{Reason, Refusal};
use crate::guard;
use crate::http::{Surface, surface};
use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::body::Body;
use tower::Service;

/// Turns a panic into `INTERNAL` or 500.
#[derive(Clone)]
pub struct CatchPanic<S>(pub S);

impl<S, B> Service<Request<B>> for CatchPanic<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Catching<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let surface = surface(&request);
        // The guard judges before there is a future to be caught.
        match catch_unwind(AssertUnwindSafe(|| self.0.call(request))) {
            Ok(call) => Catching::Running { call, surface },
            Err(_) => Catching::Panicked { surface },
        }
    }
}

pin_project! {
    /// A call that may panic. Not boxed: every call passes here.
    #[project = CatchingProjection]
    pub enum Catching<F> {
        Running { #[pin] call: F, surface: Surface },
        Panicked { surface: Surface },
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for Catching<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            CatchingProjection::Running { call, surface } => {
                match catch_unwind(AssertUnwindSafe(|| call.poll(cx))) {
                    Ok(polled) => polled,
                    Err(_) => Poll::Ready(Ok(internal(*surface))),
                }
            }
            CatchingProjection::Panicked { surface } => Poll::Ready(Ok(internal(*surface))),
        }
    }
}

fn internal(surface: Surface) -> Response<Body> {
    tracing::error!("a handler panicked; its call was failed");
    if surface == Surface::Grpc {
        return guard::status(&Refusal::new(Reason::Internal, "the call failed")).into_http();
    }
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_fails_the_call_alone() {
        let bad = |_: Request<()>| async {
            if true { panic!("planted") } else { Ok(Response::new(Body::default())) }
        };
        let mut service = CatchPanic(tower::service_fn(bad));
        let grpc = Request::builder().header("content-type", "application/grpc").body(()).unwrap();
        assert_eq!(service.call(grpc).await.unwrap().headers()["grpc-status"], "13");
        assert_eq!(service.call(Request::new(())).await.unwrap().status(), 500);
    }

    #[tokio::test]
    async fn a_panic_before_there_is_a_future_does_too() {
        let bad =
            |_: Request<()>| -> std::future::Ready<Result<Response<Body>, Infallible>> { panic!("planted") };
        let mut service = CatchPanic(tower::service_fn(bad));
        assert_eq!(service.call(Request::new(())).await.unwrap().status(), 500);
    }
}
