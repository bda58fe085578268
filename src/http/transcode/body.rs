//! Reading a JSON body within bounds.

use crate::domain::{Reason, Refusal};
use crate::http::call::BoxError;
use crate::http::options::Options;
use crate::http::problem::Problem;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::pin::Pin;

/// How many times the limit of a body is thrown away before a client that goes on sending is cut off.
const LINGER: usize = 8;

/// Reads the body. Refuses one that is too large (413), too slow (408) or, unless it is empty, not
/// declared as JSON (415).
pub(crate) async fn read<B>(
    headers: &HeaderMap,
    body: Pin<&mut B>,
    options: &Options,
) -> Result<Bytes, Problem>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let limit = options.max_body_bytes;
    if body.size_hint().lower() > limit as u64 {
        return Err(Problem::too_large(limit));
    }
    // The media type is looked at first: a body that is no JSON need not be read.
    if !body.is_end_stream() && headers.contains_key(CONTENT_TYPE) && !is_json(headers) {
        return Err(unsupported());
    }
    let read = tokio::time::timeout(options.body_timeout(), Limited::new(body, limit).collect()).await;
    let bytes = match read {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(cause)) if cause.is::<LengthLimitError>() => return Err(Problem::too_large(limit)),
        Ok(Err(_)) => return Err(broken()),
        Err(_elapsed) => return Err(slow()),
    };
    if !bytes.is_empty() && !is_json(headers) {
        return Err(unsupported());
    }
    Ok(bytes)
}

/// Reads on after a refusal, within bounds, and throws away what comes: an HTTP/1.1 client that is still
/// sending when its connection is closed may never see the answer.
pub(crate) async fn discard<B>(mut body: Pin<&mut B>, options: &Options)
where
    B: http_body::Body<Data = Bytes>,
{
    let limit = options.max_body_bytes.saturating_mul(LINGER) as u64;
    if body.size_hint().lower() > limit {
        return;
    }
    let rest = async {
        let mut left = limit;
        while let Some(Ok(frame)) = body.frame().await {
            let sent = frame.data_ref().map_or(0, |data| data.len() as u64);
            match left.checked_sub(sent) {
                Some(fewer) => left = fewer,
                None => break,
            }
        }
    };
    // Out of time or of patience, the connection is closed under the client after all.
    let _ = tokio::time::timeout(options.body_timeout(), rest).await;
}

/// Whether exactly one content type is given, JSON in UTF-8, and no content encoding.
fn is_json(headers: &HeaderMap) -> bool {
    let plain = only(headers, &CONTENT_ENCODING).is_none_or(|coding| coding.eq_ignore_ascii_case("identity"));
    let Some(content_type) = only(headers, &CONTENT_TYPE) else { return false };
    let mut parts = content_type.split(';').map(str::trim);
    let media = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    plain && media && parts.all(is_utf8)
}

/// The one text under a header; a header that is not text or came twice is one that nothing equals.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    match (first.to_str(), values.next()) {
        (Ok(text), None) => Some(text),
        (Ok(_) | Err(_), _) => Some(""),
    }
}

/// Whether a parameter of the content type leaves the body UTF-8.
fn is_utf8(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        Some(_) | None => true,
    }
}

fn unsupported() -> Problem {
    let text = "the body must be JSON, with content-type application/json and no content encoding";
    Problem::from(Refusal::new(Reason::InvalidArgument, text)).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

fn broken() -> Problem {
    Refusal::new(Reason::InvalidArgument, "the body broke off").into()
}

fn slow() -> Problem {
    let refusal = Refusal::new(Reason::DeadlineExceeded, "the body did not come in time");
    Problem::from(refusal).with_status(StatusCode::REQUEST_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_in_utf8_only() {
        for (content_type, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json; charset=\"utf-8\"", true),
            ("application/json; charset=latin1", false),
            ("application/json5", false),
            ("text/plain", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
            assert_eq!(is_json(&headers), expected, "{content_type}");
        }
        let mut twice = HeaderMap::from_iter([(CONTENT_TYPE, "application/json".parse().unwrap())]);
        twice.append(CONTENT_TYPE, "application/json".parse().unwrap());
        assert!(!is_json(&twice));
        let mut zipped = HeaderMap::from_iter([(CONTENT_TYPE, "application/json".parse().unwrap())]);
        zipped.insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(!is_json(&zipped));
    }
}
