//! Fresh tokens for stale ones, by one process at a time.

use super::{Login, LoginError, Logins, Tokens, Who};
use crate::client::connect::Client;
use crate::client::credential::Presented;
use crate::client::refusal::Refusal;
use crate::client::retry::{Repeat, call};
use crate::domain::Timestamp;
use crate::pb::v1::{ErrorReason, LoginUser, RefreshSessionRequest, RefreshSessionResponse};
use std::time::Duration;
use tonic::Status;

/// Why there are no fresh tokens.
#[derive(Debug, thiserror::Error)]
pub enum NotFresh {
    /// The file cannot be used.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// Somebody logged out meanwhile.
    #[error("the login is over; log in again: doorward login")]
    LoggedOut,
    /// The session has ended; the tokens are forgotten.
    #[error("{0}")]
    Over(Refusal),
    /// The server did not give any, for now.
    #[error("{0}")]
    Refused(Refusal),
    /// The server's tokens are none.
    #[error("the server's answer has no usable tokens; is it of another version?")]
    Incomplete,
}

/// Changes `stale` tokens for fresh ones and keeps these. Only one process at a
/// time does so: who comes second takes what the first one got. When the server
/// says that the session has ended, the tokens are forgotten.
///
/// An answer that is lost on the way costs nothing: the server gives the same
/// successor again to the token that is still kept here.
pub async fn fresh(
    logins: &Logins,
    client: &Client,
    stale: &Tokens,
    now: Timestamp,
) -> Result<Tokens, NotFresh> {
    let lock = logins.lock(client.deadline()).await?;
    let login = logins.read()?.unwrap_or_default();
    let kept = login.tokens.ok_or(NotFresh::LoggedOut)?;
    if kept.access.expose() != stale.access.expose() {
        return Ok(kept);
    }
    match ask(client, &kept.refresh).await {
        Ok(answer) => {
            let tokens = taken(answer, now).ok_or(NotFresh::Incomplete)?;
            logins.write(&lock, &Login { tokens: Some(tokens.clone()), device: login.device })?;
            Ok(tokens)
        }
        Err(status) => {
            let refusal = Refusal::from(status);
            if !is_over(&refusal) {
                return Err(NotFresh::Refused(refusal));
            }
            logins.forget(&lock)?;
            Err(NotFresh::Over(refusal))
        }
    }
}

impl Logins {
    /// Forgets `tokens`, whose session is over, unless somebody has logged in
    /// anew meanwhile. Waits for other processes for `limit` at most.
    pub async fn leave(&self, tokens: &Tokens, limit: Duration) -> Result<(), LoginError> {
        let lock = self.lock(limit).await?;
        let kept = self.read()?.and_then(|login| login.tokens);
        if kept.is_some_and(|kept| kept.refresh.expose() == tokens.refresh.expose()) {
            self.forget(&lock)?;
        }
        Ok(())
    }
}

impl Tokens {
    /// The tokens of an answer that came at `now`; `None` if one of them is none.
    pub fn new(
        access: String,
        refresh: String,
        expires_in: i32,
        user: Option<LoginUser>,
        now: Timestamp,
    ) -> Option<Self> {
        let life = Duration::from_secs(u64::try_from(expires_in).unwrap_or(0));
        let (Ok(access), Ok(refresh)) = (Presented::new(access), Presented::new(refresh)) else {
            return None;
        };
        Some(Self { access, refresh, expire_time: now.plus(life), user: user?.into() })
    }
}

impl From<LoginUser> for Who {
    fn from(user: LoginUser) -> Self {
        Self { id: user.id, email: user.email, role: user.role, tenant_id: user.tenant_id }
    }
}

/// Whether a refusal of a refresh token is for good.
pub fn is_over(refusal: &Refusal) -> bool {
    let over = [ErrorReason::SessionRevoked, ErrorReason::InvalidToken, ErrorReason::TokenExpired];
    over.iter().any(|reason| refusal.is(*reason))
}

async fn ask(client: &Client, refresh: &Presented) -> Result<RefreshSessionResponse, Status> {
    let bare = client.without_credential().authn();
    call(client.deadline(), Repeat::Safe, || {
        let request = RefreshSessionRequest { refresh_token: refresh.expose().to_owned() };
        let mut bare = bare.clone();
        async move { bare.refresh_session(request).await }
    })
    .await
}

fn taken(answer: RefreshSessionResponse, now: Timestamp) -> Option<Tokens> {
    Tokens::new(answer.access_token, answer.refresh_token, answer.expires_in, answer.user, now)
}
