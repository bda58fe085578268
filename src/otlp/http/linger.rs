//! What is done with the body of a request that was refused before it had all come.
//!
//! A connection that is closed while bytes of the peer lie unread is reset, and a reset takes the answer along if the
//! peer has not read it yet: an exporter that is still writing its five megabytes then sees a broken connection, which
//! it retries, and not the 413, which it would not. So the connection is closed a moment later, and what comes until
//! then is thrown away as it comes (RFC 9112 §9.6).

use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::{EXPECT, HeaderMap};
use http_body::Body;
use http_body_util::BodyExt;

/// For how long. Connections are bounded in number, and so is what lingers.
const LONGEST: Duration = Duration::from_secs(5);
/// How long nothing may come: who writes nothing meanwhile has nothing under way that could reset the connection.
const QUIET: Duration = Duration::from_secs(1);
/// How much is thrown away at most.
const MOST: usize = 64 << 20;

/// Throws away what still comes of `body`, and lets the connection go after that. Nobody waits for it.
pub fn over<B>(body: B, headers: &HeaderMap)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    // Who waits to be asked for the body is not asked.
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        return;
    }
    tokio::spawn(tokio::time::timeout(LONGEST, throw_away(body)));
}

async fn throw_away<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let mut room = MOST;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(QUIET, body.frame()).await {
        let came = frame.data_ref().map_or(0, Buf::remaining);
        let Some(left) = room.checked_sub(came) else { return };
        room = left;
    }
}
