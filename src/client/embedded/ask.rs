//! Asking the server about what cannot be answered here.

use super::Shared;
use super::told;
use crate::domain::{Failure, Fault};
use crate::pb::v1 as pb;
use crate::secret::sha256;
use crate::view::{Demand, Verified};
use pb::verify_credential_response::Outcome;
use std::time::Duration;
use tokio::time::timeout;

/// Questions to the server at a time; more wait in line.
pub const MOST_QUESTIONS: usize = 64;

/// How long an answer is waited for, the line included.
const LIMIT: Duration = Duration::from_secs(2);

impl Shared {
    /// Asks the server.
    ///
    /// # Errors
    /// The server's denial; [`Failure::Fault`] if it gives no answer: then
    /// nothing is known, and nothing is accepted.
    pub async fn ask(&self, presented: &str, demand: &Demand<'_>) -> Result<Verified, Failure> {
        let question = question(presented, demand);
        let asking = async {
            let _place = self.questions.acquire().await.map_err(Fault::new)?;
            let answer = self.client.authn().verify_credential(question).await;
            // The status speaks of this service's own credential or of the connection.
            answer.map(tonic::Response::into_inner).map_err(Fault::new)
        };
        let answer = timeout(LIMIT, asking).await.map_err(Fault::new)??;
        match answer.outcome {
            Some(Outcome::Principal(principal)) => {
                Ok(told::verified(&principal, sha256(presented.as_bytes())).map_err(Fault::new)?)
            }
            Some(Outcome::Denial(denial)) => Err(told::refusal(&denial).into()),
            None => Err(Fault::new("the server's answer says nothing").into()),
        }
    }
}

fn question(presented: &str, demand: &Demand<'_>) -> pb::VerifyCredentialRequest {
    pb::VerifyCredentialRequest {
        credential: presented.to_owned(),
        peer_address: demand.peer.map(|peer| peer.to_string()).unwrap_or_default(),
        required_permission: demand.permission.map(|it| it.name().to_owned()).unwrap_or_default(),
        required_feature: demand.feature.unwrap_or_default().to_owned(),
        require_mfa: demand.mfa,
        tenant_id: demand.tenant.unwrap_or_default().to_owned(),
        cost: demand.cost.unwrap_or(0),
        min_revision: String::new(),
    }
}
