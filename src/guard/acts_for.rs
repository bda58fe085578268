//! The tenant that a call is for.

use crate::domain::{Reason, Refusal};
use http::{HeaderMap, HeaderName};

const TENANT: HeaderName = HeaderName::from_static("x-tenant-id");

/// The tenant that `x-tenant-id` names.
pub fn acts_for(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let unclear = || Refusal::new(Reason::TenantMismatch, "x-tenant-id must name one tenant");
    let mut values = headers.get_all(TENANT).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(unclear());
    }
    match first.to_str() {
        Ok(tenant) if !tenant.is_empty() && tenant.len() <= 64 => Ok(Some(tenant)),
        _ => Err(unclear()),
    }
}
