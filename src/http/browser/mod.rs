//! Sessions of browsers, whose tokens are in cookies that no script can read.
//!
//! A cookie becomes a credential here and nowhere else: before the call goes into the stack, the access
//! token is moved from its cookie into `authorization`, so that the guard has one way of reading
//! credentials and gRPC never looks at a cookie. Whatever changes something has to come with the
//! session's CSRF token as well.

mod csrf;
mod jar;

use crate::domain::sessions::MAX_LIFE;
use crate::domain::{Reason, Refusal, SessionId, reading::Reading};
use crate::guard::{Need, Policy};
use crate::http::problem::Problem;
use crate::pb::v1::{LoginRequest, LogoutRequest, RefreshSessionRequest};
use crate::secret::CsrfKey;
use crate::secret::token::claimed_session;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use jar::Name;
use prost::Message;
use serde_json::{Map, Value};
use std::time::Duration;

/// Asks for cookies in place of tokens in the body. A header, for a form of another site can set none:
/// nobody is logged in to somebody else's account by a link.
const WANTED: HeaderName = HeaderName::from_static("doorward-session");

/// Where an answer has what makes a device known at its next login.
pub(crate) const DEVICE_TOKEN: HeaderName = HeaderName::from_static("doorward-device-token");

/// How long a browser keeps that: a year, which is less than what browsers cut it to (RFC 6265bis §5.5).
const DEVICE_LIFE: Duration = Duration::from_hours(24 * 365);

/// Headers that can hold a credential.
const CREDENTIALS: [&str; 3] = ["authorization", "x-api-key", "x-master-key"];

const LOGIN: &str = "/doorward.v1.AuthnService/Login";
const REFRESH: &str = "/doorward.v1.AuthnService/RefreshSession";
const LOGOUT: &str = "/doorward.v1.AuthnService/Logout";

/// Turns cookies into credentials and tokens into cookies.
#[derive(Debug)]
pub(crate) struct Browsers {
    key: CsrfKey,
}

/// A call as it comes in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The HTTP request's method.
    pub method: &'a Method,
    /// `/{package.Service}/{Method}`.
    pub rpc: &'a str,
    /// Whether its answer can have tokens.
    pub gives_tokens: bool,
}

/// A call as it goes on, and what its answer does to the browser's cookies.
#[derive(Debug)]
pub(crate) struct Entered {
    /// The encoded request message.
    pub message: Bytes,
    /// How the answer is written.
    pub ticket: Ticket,
}

/// What a call's answer does to the browser's cookies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Its tokens go into cookies.
    keeps: bool,
    /// It ends the session that the cookies are of.
    ends: bool,
    /// It stands on the cookie of the refresh token, which is worthless once it is refused.
    spends: bool,
}

/// An answer after its tokens went into cookies.
#[derive(Debug)]
pub(crate) struct Left {
    /// JSON, or why there is none.
    pub body: Result<Bytes, Problem>,
    /// Values of `set-cookie`.
    pub cookies: Vec<HeaderValue>,
}

/// Whether a header names a credential.
pub(crate) fn has_credential(headers: &HeaderMap) -> bool {
    CREDENTIALS.iter().any(|name| headers.contains_key(*name))
}

impl Browsers {
    /// With the key of CSRF tokens.
    pub fn new(key: CsrfKey) -> Self {
        Self { key }
    }

    /// Takes what a call needs out of the cookies that came with it.
    ///
    /// # Errors
    /// Cookies and headers contradict each other; a cookie is not ours; the request changes something
    /// and does not come from a page of ours.
    pub fn enter(
        &self,
        call: Asked<'_>,
        headers: &mut HeaderMap,
        message: Bytes,
    ) -> Result<Entered, Problem> {
        match call.rpc {
            LOGIN => login(headers, message),
            REFRESH => self.refresh(headers, message),
            LOGOUT => self.logout(call.method, headers, message),
            _ => {
                if looks_at_credentials(call.rpc) {
                    self.authorize(call.method, headers)?;
                }
                let keeps = call.gives_tokens && wanted(headers)?;
                Ok(Entered { message, ticket: Ticket { keeps, ..Ticket::default() } })
            }
        }
    }

    /// Writes the cookies of an answer, and takes out of it what they hold.
    pub fn leave(&self, ticket: Ticket, headers: &mut HeaderMap, body: Result<Bytes, Problem>) -> Left {
        let refused = matches!(&body, Err(problem) if problem.status() == StatusCode::UNAUTHORIZED);
        if (ticket.ends && body.is_ok()) || ((ticket.ends || ticket.spends) && refused) {
            let cookies = Name::OF_SESSION.into_iter().filter_map(jar::forget).collect();
            return Left { body, cookies };
        }
        match body {
            Ok(json) if ticket.keeps => self.keep(headers, &json).unwrap_or_else(|| {
                tracing::error!("an answer with tokens cannot be made into cookies");
                Left { body: Err(Problem::internal()), cookies: Vec::new() }
            }),
            body => Left { body, cookies: Vec::new() },
        }
    }

    /// The session's cookie as the call's credential, if it came.
    fn authorize(&self, method: &Method, headers: &mut HeaderMap) -> Result<(), Problem> {
        let Some(token) = jar::value(headers, Name::Access)? else { return Ok(()) };
        if has_credential(headers) {
            return Err(ambiguous());
        }
        // Whoever signed it: what this session's CSRF token is worth, the guard's verification decides.
        let session = claimed_session(token).ok_or_else(|| jar::unreadable(Name::Access))?;
        if !csrf::is_safe(method) {
            csrf::judge(&self.key, headers, session)?;
        }
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).readable();
        let mut bearer = bearer.ok_or_else(|| jar::unreadable(Name::Access))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        Ok(())
    }

    fn refresh(&self, headers: &HeaderMap, message: Bytes) -> Result<Entered, Problem> {
        let keeps = wanted(headers)?;
        let Some((session, token)) = refresh_token(headers)? else {
            return Ok(Entered { message, ticket: Ticket { keeps, ..Ticket::default() } });
        };
        if !decoded::<RefreshSessionRequest>(message)?.refresh_token.is_empty() {
            return Err(ambiguous());
        }
        csrf::judge(&self.key, headers, session)?;
        let message = RefreshSessionRequest { refresh_token: token.to_owned() }.encode_to_vec().into();
        // What came out of a cookie never goes into a body, where a script would have it.
        Ok(Entered { message, ticket: Ticket { keeps: true, spends: true, ends: false } })
    }

    fn logout(&self, method: &Method, headers: &mut HeaderMap, message: Bytes) -> Result<Entered, Problem> {
        let refresh = refresh_token(headers)?;
        if refresh.is_none() && jar::value(headers, Name::Access)?.is_none() {
            return Ok(Entered { message, ticket: Ticket::default() });
        }
        let asked = decoded::<LogoutRequest>(message.clone())?;
        if !asked.refresh_token.is_empty() || has_credential(headers) {
            return Err(ambiguous());
        }
        let ticket = Ticket { ends: true, ..Ticket::default() };
        // The refresh token ends its session also when the access token is over.
        let Some((session, token)) = refresh else {
            self.authorize(method, headers)?;
            return Ok(Entered { message, ticket });
        };
        csrf::judge(&self.key, headers, session)?;
        let message = LogoutRequest { refresh_token: token.to_owned() }.encode_to_vec().into();
        Ok(Entered { message, ticket })
    }

    /// The answer without its tokens, which are in the cookies; `None` if they cannot be.
    fn keep(&self, headers: &mut HeaderMap, json: &[u8]) -> Option<Left> {
        let Ok(mut members) = serde_json::from_slice::<Map<String, Value>>(json) else { return None };
        let (access, refresh) = (text(&mut members, "access_token")?, text(&mut members, "refresh_token")?);
        let body = |members| Ok(Bytes::from(Value::Object(members).to_string()));
        if access.is_empty() {
            // The login waits for its second factor.
            return Some(Left { body: body(members), cookies: Vec::new() });
        }
        let life = Duration::from_secs(members.get("expires_in")?.as_u64()?);
        let session = claimed_session(&access)?;
        let mut cookies = vec![
            jar::set(Name::Access, &access, life)?,
            // The session may end before; then the token is refused and the cookie forgotten.
            jar::set(Name::Refresh, &format!("{session}.{refresh}"), MAX_LIFE)?,
            jar::set(Name::Csrf, &self.key.token(session), MAX_LIFE)?,
        ];
        if let Some(device) = headers.remove(DEVICE_TOKEN) {
            cookies.push(jar::set(Name::Device, device.to_str().readable()?, DEVICE_LIFE)?);
        }
        Some(Left { body: body(members), cookies })
    }
}

/// A login for cookies brings the device's own with it.
fn login(headers: &HeaderMap, message: Bytes) -> Result<Entered, Problem> {
    let keeps = wanted(headers)?;
    let ticket = Ticket { keeps, ..Ticket::default() };
    let device = if keeps { jar::value(headers, Name::Device)? } else { None };
    let Some(device) = device else { return Ok(Entered { message, ticket }) };
    let mut asked = decoded::<LoginRequest>(message)?;
    if asked.device_token.is_empty() {
        device.clone_into(&mut asked.device_token);
    }
    Ok(Entered { message: asked.encode_to_vec().into(), ticket })
}

/// Whether cookies are asked for. A value that is no wish of ours is refused: the tokens would go where
/// they were not to.
fn wanted(headers: &HeaderMap) -> Result<bool, Problem> {
    let mut values = headers.get_all(WANTED).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(false),
        (Some(value), None) if value == "cookie" => csrf::same_site(headers).map(|()| true),
        (Some(_), _) => Err(Refusal::invalid(WANTED.as_str().to_owned(), "must be `cookie`, once").into()),
    }
}

/// The session and the refresh token of the cookie that has both.
fn refresh_token(headers: &HeaderMap) -> Result<Option<(SessionId, &str)>, Problem> {
    let Some(value) = jar::value(headers, Name::Refresh)? else { return Ok(None) };
    let parts = value.split_once('.');
    let read = parts.and_then(|(session, token)| Some((session.parse().readable()?, token)));
    Ok(Some(read.ok_or_else(|| jar::unreadable(Name::Refresh))?))
}

/// Whether the guard looks at the credentials of a call.
fn looks_at_credentials(rpc: &str) -> bool {
    Policy::of(rpc).is_some_and(|policy| match policy.need {
        Need::Nothing | Need::Visitor => false,
        Need::Either | Need::Credential | Need::Permission(_) => true,
    })
}

/// What we encoded ourselves a moment ago.
fn decoded<M: Message + Default>(message: Bytes) -> Result<M, Problem> {
    M::decode(message).map_err(|error| {
        tracing::error!(%error, "a request of ours cannot be read");
        Problem::internal()
    })
}

fn text(members: &mut Map<String, Value>, name: &str) -> Option<String> {
    match members.remove(name) {
        None => Some(String::new()),
        Some(Value::String(text)) => Some(text),
        Some(_) => None,
    }
}

fn ambiguous() -> Problem {
    let message = "a session's cookie and another credential were presented; send one";
    Refusal::new(Reason::AmbiguousCredentials, message).into()
}

#[cfg(test)]
mod tests;
