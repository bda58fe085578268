//! Whether a request that is made by cookie was made by a page of our own.

use super::jar::{self, Name};
use crate::domain::{Reason, Refusal, SessionId};
use crate::http::problem::Problem;
use crate::secret::CsrfKey;
use http::{HeaderMap, HeaderName, Method, StatusCode};

/// What a page sends the value of the CSRF cookie as.
const HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// What browsers say of where a request was begun (Fetch Metadata Request Headers §2.3).
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a method only reads (RFC 9110 §9.2.1).
pub(super) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses what a browser says that another site began.
pub(super) fn same_site(headers: &HeaderMap) -> Result<(), Problem> {
    let cross = headers.get_all(SITE).iter().any(|site| site.as_bytes().eq_ignore_ascii_case(b"cross-site"));
    if cross {
        Err(refused("another site's page made the request: it may not use this session"))
    } else {
        Ok(())
    }
}

/// The one judgement: the header and the cookie both hold the session's token. The cookie alone proves
/// nothing, since a browser adds it to whatever any page asks for; the header is set by a page that can
/// read the cookie, and only pages of this host can. That the token is the session's own makes a planted
/// cookie useless.
pub(super) fn judge(key: &CsrfKey, headers: &HeaderMap, session: SessionId) -> Result<(), Problem> {
    same_site(headers)?;
    let Some(cookie) = jar::value(headers, Name::Csrf)? else {
        return Err(refused("the cookie `__Host-doorward_csrf` is missing: log in again"));
    };
    let mut sent = headers.get_all(HEADER).iter();
    let (Some(header), None) = (sent.next(), sent.next()) else {
        let message = "a request by cookie that changes something needs the header `x-csrf-token`, once: \
                       the value of the cookie `__Host-doorward_csrf`";
        return Err(refused(message));
    };
    // Both are compared, whatever the first comparison gave.
    let fits = key.fits(session, header.as_bytes()) & key.fits(session, cookie.as_bytes());
    if fits { Ok(()) } else { Err(refused("`x-csrf-token` is not the token of this session")) }
}

/// No other reason says it: the caller has the rights, the request lacks what it has to come with. The
/// status is 403, since the request was understood and is refused (RFC 9110 §15.5.4).
fn refused(message: &'static str) -> Problem {
    let refusal = Refusal::new(Reason::FailedPrecondition, message).with("required_header", HEADER);
    Problem::from(refusal).with_status(StatusCode::FORBIDDEN)
}
