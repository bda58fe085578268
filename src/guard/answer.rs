//! What every answer carries in its headers.

use crate::app::Caller;
use crate::domain::limits::Rate;
use crate::domain::{Correlation, Refusal};
use crate::protocol::status;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use std::time::Duration;

const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");
const TENANT: HeaderName = HeaderName::from_static("x-tenant-id");
const BREAK_GLASS: HeaderName = HeaderName::from_static("x-doorward-break-glass");
const ROTATED: HeaderName = HeaderName::from_static("x-doorward-key-rotated");

/// Headers of an answer: correlation id, tenant, rate limit.
#[derive(Debug, Clone)]
pub struct Answer {
    correlation: Correlation,
    tenant: Option<Bytes>,
    rate: Option<Rate>,
    previous: bool,
    /// Whether a master key was used, which is to be rotated then.
    broke_glass: bool,
}

/// A refused call.
#[derive(Debug)]
pub struct Denied {
    /// Why.
    pub refusal: Refusal,
    /// What goes into the answer's headers.
    pub answer: Answer,
}

impl Denied {
    /// The refusal as a gRPC status, with its headers.
    pub fn status(&self) -> tonic::Status {
        status(&self.refusal)
    }

    /// Writes the refusal's headers, those of HTTP included.
    pub fn write(&self, headers: &mut HeaderMap) {
        self.answer.write(headers);
        if self.refusal.reason.told().http == 401 {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"doorward\""));
        }
        if let Some(wait) = self.refusal.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds_of(wait).max(1)));
        }
    }
}

impl Answer {
    /// The headers of an answer to this caller.
    pub fn to(caller: &Caller) -> Self {
        Self {
            correlation: caller.correlation.clone(),
            tenant: Some(caller.verified.principal.home.text.clone()),
            rate: caller.verified.rate,
            previous: caller.verified.previous,
            broke_glass: caller.verified.credential.grant().is_some(),
        }
    }

    /// The headers of an answer to nobody in particular.
    pub fn anonymous(correlation: Correlation) -> Self {
        Self { correlation, tenant: None, rate: None, previous: false, broke_glass: false }
    }

    /// The headers of a refusal.
    pub fn about(correlation: Correlation, refusal: &Refusal) -> Self {
        Self { correlation, tenant: None, rate: refusal.rate, previous: false, broke_glass: false }
    }

    /// The call's correlation id.
    pub fn correlation(&self) -> &Correlation {
        &self.correlation
    }

    /// Writes the headers.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.reserve(2);
        if let Ok(mut id) = HeaderValue::from_maybe_shared(self.correlation.to_bytes()) {
            // Never the same twice: it would only push others out of the peer's header table.
            id.set_sensitive(true);
            headers.insert(CORRELATION, id);
        }
        if let Some(Ok(tenant)) = self.tenant.clone().map(HeaderValue::from_maybe_shared) {
            headers.insert(TENANT, tenant);
        }
        if self.previous {
            headers.insert(ROTATED, HeaderValue::from_static("true"));
        }
        if self.broke_glass {
            headers.insert(BREAK_GLASS, HeaderValue::from_static("rotate-the-key"));
        }
        if let Some(rate) = &self.rate {
            write_rate(headers, rate);
        }
    }
}

/// Whole seconds, rounded up.
fn seconds_of(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Both families: the IETF draft's, whose times are seconds from now, and the
/// older one, whose reset is seconds since 1970.
fn write_rate(headers: &mut HeaderMap, rate: &Rate) {
    let used = u64::from(rate.limit.saturating_sub(rate.remaining));
    let until_full = (used * 60).div_ceil(u64::from(rate.limit.max(1)));
    let mut put = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put("ratelimit", format!("\"key\";r={};t={until_full}", rate.remaining));
    put("ratelimit-policy", format!("\"key\";q={};w=60", rate.limit));
    headers.insert(HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from(rate.limit));
    headers.insert(HeaderName::from_static("x-ratelimit-remaining"), HeaderValue::from(rate.remaining));
    let reset = HeaderValue::from(rate.reset.seconds_rounded_up());
    headers.insert(HeaderName::from_static("x-ratelimit-reset"), reset);
}
