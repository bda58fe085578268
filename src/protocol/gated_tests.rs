use super::*;
use crate::protocol::testing::House;
use http_body_util::{BodyExt, StreamBody};
use std::sync::atomic::Ordering;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic_types::StatusExt;

type Frames = Result<Frame<Bytes>, tonic::Status>;

fn tie(house: &Arc<House>) -> Tie {
    let leash = Arc::new(house.leash().unwrap());
    Tie::new(leash, Correlation::parse(b"test").unwrap())
}

fn channel() -> (mpsc::UnboundedSender<Frames>, StreamBody<UnboundedReceiverStream<Frames>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, StreamBody::new(UnboundedReceiverStream::new(receiver)))
}

fn data(bytes: &[u8]) -> Frame<Bytes> {
    Frame::data(Bytes::copy_from_slice(bytes))
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), message].concat()
}

/// What must happen soon, so that a failure is no endless wait.
async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(5), event).await.expect("it goes on")
}

#[track_caller]
fn assert_revoked(status: &tonic::Status) {
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    assert_eq!(status.get_details_error_info().unwrap().reason, "INVALID_API_KEY");
}

/// What trailers say, read as a client does.
fn told(frame: Frame<Bytes>) -> tonic::Status {
    tonic::Status::from_header_map(&frame.into_trailers().unwrap()).unwrap()
}

// R15: several messages of one piece are let through one by one.
#[tokio::test]
async fn a_message_that_came_with_others_is_not_delivered_after_the_cut() {
    let house = House::new();
    let (sender, body) = channel();
    let mut body = std::pin::pin!(Gated::tied(body, tie(&house)));
    sender.send(Ok(data(&[framed(b"one"), framed(b""), framed(b"three")].concat()))).unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), framed(b"one"));
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), framed(b""));
    house.revoke();
    let error = body.frame().await.unwrap().unwrap_err();
    assert_revoked(error.downcast_ref().unwrap());
    assert!(body.frame().await.is_none() && body.is_end_stream());
}

// R15
#[tokio::test]
async fn who_waits_for_a_message_hears_of_the_cut_at_once() {
    let house = House::new();
    let (_sender, body) = channel();
    let mut body = Gated::tied(body, tie(&house));
    let (next, ()) = tokio::join!(soon(body.frame()), async { house.revoke() });
    assert_revoked(next.unwrap().unwrap_err().downcast_ref().unwrap());
}

// R15
#[tokio::test]
async fn an_answer_is_ended_in_its_trailers_and_lets_go_of_its_handler() {
    let house = House::new();
    let (sender, body) = channel();
    let mut body = GatedAnswer::tied(body, tie(&house));
    sender.send(Ok(data(b"answer"))).unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "answer");
    let (end, ()) = tokio::join!(soon(body.frame()), async { house.revoke() });
    assert_revoked(&told(end.unwrap().unwrap()));
    assert!(sender.is_closed(), "the handler's stream lives on");
    assert!(body.frame().await.is_none() && body.is_end_stream());
    assert_eq!(house.ended(), 1);
}

// R15: an answer that was ready before the cut is not released after it.
#[tokio::test]
async fn an_answer_that_waits_is_held_back() {
    let house = House::new();
    let (sender, body) = channel();
    let mut body = GatedAnswer::tied(body, tie(&house));
    sender.send(Ok(data(b"answer"))).unwrap();
    house.revoke();
    assert_revoked(&told(body.frame().await.unwrap().unwrap()));
}

// P4
#[tokio::test]
async fn a_lapsed_lease_holds_messages_back_as_an_outage() {
    let house = House::new();
    house.ready.store(true, Ordering::Relaxed);
    let (sender, body) = channel();
    let mut body = GatedAnswer::tied(body, tie(&house));
    house.ready.store(false, Ordering::Relaxed);
    sender.send(Ok(data(b"answer"))).unwrap();
    let status = told(body.frame().await.unwrap().unwrap());
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert_eq!(status.get_details_error_info().unwrap().reason, "BACKEND_UNAVAILABLE");
}

#[tokio::test]
async fn what_passes_is_what_came() {
    let house = House::new();
    let (sender, body) = channel();
    for byte in [framed(b"one"), framed(&[7; 300]), framed(b"")].concat() {
        sender.send(Ok(data(&[byte]))).unwrap();
    }
    let trailers = http::HeaderMap::from_iter([("x-end".parse().unwrap(), "yes".parse().unwrap())]);
    sender.send(Ok(Frame::trailers(trailers))).unwrap();
    drop(sender);
    let collected = Gated::tied(body, tie(&house)).collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-end"], "yes");
    assert_eq!(collected.to_bytes(), [framed(b"one"), framed(&[7; 300]), framed(b"")].concat());
}

#[test]
fn messages_are_found_however_the_body_is_cut() {
    let messages = [framed(b"one"), framed(b""), framed(&vec![9; 70_000]), framed(b"four")];
    let whole = messages.concat();
    for piece in [1, 2, 3, 5, 7, 1000, whole.len()] {
        let (mut framing, mut ends, mut at) = (Framing::default(), Vec::new(), 0);
        for part in whole.chunks(piece) {
            let mut part = part;
            while !part.is_empty() {
                let taken = framing.next(part);
                assert!(taken > 0);
                at += taken;
                part = &part[taken..];
                if framing.prefix == 0 {
                    ends.push(at);
                }
            }
        }
        let expected: Vec<_> = messages
            .iter()
            .scan(0, |at, message| {
                *at += message.len();
                Some(*at)
            })
            .collect();
        assert_eq!(ends, expected, "{piece}");
    }
}
