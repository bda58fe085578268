//! The half of break-glass that its tenant has: to close it.

use crate::app::{App, Caller};
use crate::domain::Failure;
use crate::pb::v1 as pb;

/// Closes what is open in the caller's tenant.
pub async fn close(app: &App, caller: &Caller) -> Result<pb::CloseBreakGlassResponse, Failure> {
    let written = app.break_glass_close(caller).await?;
    let grant_ids = written.value.iter().map(ToString::to_string).collect();
    Ok(pb::CloseBreakGlassResponse { grant_ids, revision: written.revision.to_string() })
}
