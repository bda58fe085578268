//! Sessions: a person's login, and what came of it.

use super::{SessionId, TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// The shortest that a tenant can make its sessions.
pub const MIN_LIFE: Duration = Duration::from_mins(5);

/// How long a session lasts at most, however often it is refreshed.
pub const MAX_LIFE: Duration = Duration::from_hours(30 * 24);

/// Live sessions that a person can have in a tenant; one more ends the one
/// that was quiet for longest.
pub const MAX_SESSIONS: usize = 100;

/// For how long after a refresh its answer is given again to whoever holds the
/// spent token, if the successor has not been used: the answer may have been
/// lost. Later than that, a spent token is a stolen one.
pub const REISSUE_FOR: Duration = Duration::from_mins(2);

/// How recent a login has to be for what is not to be done by a device that
/// somebody left open.
pub const RECENT: Duration = Duration::from_mins(5);

/// One way of proving who one is (RFC 8176).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A password.
    Password,
    /// A code of an authenticator.
    Totp,
    /// A backup code.
    BackupCode,
    /// A passkey.
    Passkey,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::Password, Self::Totp, Self::BackupCode, Self::Passkey];

    /// The name, as `amr` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "pwd",
            Self::Totp => "otp",
            Self::BackupCode => "recovery",
            Self::Passkey => "hwk",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Password => 1,
            Self::Totp => 1 << 1,
            Self::BackupCode => 1 << 2,
            Self::Passkey => 1 << 3,
        }
    }
}

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Methods(u8);

impl Methods {
    /// These methods.
    pub fn of(methods: &[Method]) -> Self {
        Self(methods.iter().fold(0, |bits, method| bits | method.bit()))
    }

    /// The methods of these names; names of none are left out.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let named = |name: &str| Method::ALL.into_iter().find(|method| method.name() == name);
        Self(names.into_iter().filter_map(named).fold(0, |bits, method| bits | method.bit()))
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Method::ALL.into_iter().filter(move |method| self.0 & method.bit() != 0).map(Method::name)
    }

    /// Whether a second factor, or a factor that is two in one, is among them.
    pub const fn has_second_factor(self) -> bool {
        self.0 & (Method::Totp.bit() | Method::BackupCode.bit() | Method::Passkey.bit()) != 0
    }
}

/// How and when the person behind a token proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Login {
    /// By what.
    pub methods: Methods,
    /// When.
    pub time: Timestamp,
    /// When the token ends, which is before the session does.
    pub token_expire: Timestamp,
}

/// What a check knows of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionState {
    /// The session.
    pub id: SessionId,
    /// The tenant that the person logged in to.
    pub tenant: TenantId,
    /// The person.
    pub user: UserId,
    /// When it ends.
    pub expire: Timestamp,
    /// Whether it has been ended.
    pub revoked: bool,
}

/// A session as its person sees it.
#[derive(Debug, Clone)]
pub struct Session {
    /// What a check knows of it.
    pub state: SessionState,
    /// How the person proved who they are.
    pub methods: Methods,
    /// The device, as it named itself.
    pub device: String,
    /// The address that it was opened from.
    pub address: Option<IpAddr>,
    /// When it was opened.
    pub create_time: Timestamp,
    /// When it last got tokens.
    pub last_seen: Timestamp,
}

/// What a device calls itself, cut to a length that lists can show, without
/// anything that could forge a line of a log or of a terminal.
pub fn device_name(told: &str) -> String {
    const MAX: usize = 120;
    let visible = |letter: &char| !letter.is_control() && !matches!(letter, '\u{2028}' | '\u{2029}');
    told.trim().chars().filter(visible).take(MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_go_round_by_their_names() {
        let methods = Methods::of(&[Method::Password, Method::Totp]);
        assert_eq!(methods.names().collect::<Vec<_>>(), ["pwd", "otp"]);
        assert_eq!(Methods::named(methods.names()), methods);
        assert_eq!(Methods::named(["root", "PWD"]), Methods::default());
        assert!(methods.has_second_factor());
        assert!(!Methods::of(&[Method::Password]).has_second_factor());
        assert!(Methods::of(&[Method::Passkey]).has_second_factor(), "a passkey is two factors in one");
    }

    // A61
    #[test]
    fn a_device_cannot_forge_lines() {
        assert_eq!(device_name(" curl/8\r\n\u{1b}[31mroot\u{2028}x "), "curl/8[31mrootx");
        assert_eq!(device_name(&"é".repeat(500)).chars().count(), 120);
    }
}
