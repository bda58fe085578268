//! The login as JSON.

use super::{Login, Tokens, Who};
use crate::client::credential::{CredentialError, Presented};
use crate::domain::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The largest file that is read, in bytes: three credentials of the longest kind and the rest.
pub(super) const MAX_FILE: usize = 32 * 1024;

/// The file's content. Logged in, it has all but perhaps the device token;
/// logged out, the address and the device token.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Form {
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expire_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[zeroize(skip)]
    user: Option<Who>,
}

/// Writes a login at `origin` as JSON, into a buffer that is wiped.
pub(super) fn write(login: &Login, origin: &str) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let text = |secret: &Presented| secret.expose().to_owned();
    let tokens = login.tokens.as_ref();
    let form = Form {
        address: origin.to_owned(),
        access_token: tokens.map(|tokens| text(&tokens.access)),
        expire_time: tokens.map(|tokens| tokens.expire_time.to_string()),
        refresh_token: tokens.map(|tokens| text(&tokens.refresh)),
        device_token: login.device.as_ref().map(text),
        user: tokens.map(|tokens| tokens.user.clone()),
    };
    // Room for everything at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE));
    serde_json::to_writer_pretty(&mut *bytes, &form).map_err(std::io::Error::other)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads what [`write`] wrote; `None` if it is another server's. The error says
/// what is wrong, and repeats nothing.
pub(super) fn read(bytes: &[u8], origin: &str) -> Result<Option<Login>, String> {
    // What serde says may repeat a value, so only the place is told.
    let place = |error: serde_json::Error| format!("line {}, column {}", error.line(), error.column());
    let mut form: Form = serde_json::from_slice(bytes).map_err(place)?;
    if form.address != origin {
        return Ok(None);
    }
    let bad = |error: CredentialError| error.to_string();
    let device = form.device_token.take().map(Presented::new).transpose().map_err(bad)?;
    let mut parts = (form.access_token.take(), form.expire_time.take(), form.refresh_token.take());
    let tokens = match (&mut parts, form.user.take()) {
        ((None, None, None), None) => None,
        ((Some(access), Some(end), Some(refresh)), Some(user)) => Some(Tokens {
            access: Presented::new(std::mem::take(access)).map_err(bad)?,
            expire_time: moment(end)?,
            refresh: Presented::new(std::mem::take(refresh)).map_err(bad)?,
            user,
        }),
        _partly => {
            parts.zeroize();
            return Err("some of its fields are missing".to_owned());
        }
    };
    Ok(Some(Login { tokens, device }))
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let moment = text.parse::<jiff::Timestamp>();
    let moment = moment.map_err(|_unsaid: jiff::Error| "expire_time is not a moment".to_owned())?;
    Ok(Timestamp::from_micros(moment.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "http://127.0.0.1:7400";

    fn secret(text: &str) -> Presented {
        Presented::new(text.to_owned()).unwrap()
    }

    fn login() -> Login {
        let tokens = Tokens {
            access: secret("a.b.c"),
            expire_time: Timestamp::from_micros(1_801_353_600_000_000),
            refresh: secret("r1"),
            user: Who { id: "user_1".into(), email: "o@acme.example".into(), ..Who::default() },
        };
        Login { tokens: Some(tokens), device: Some(secret("d1")) }
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = write(&login(), ORIGIN).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["expire_time"], "2027-01-31T00:00:00Z");
        assert_eq!(json["user"]["email"], "o@acme.example");
        let back = read(&bytes, ORIGIN).unwrap().unwrap();
        let tokens = back.tokens.unwrap();
        assert_eq!((tokens.access.expose(), tokens.refresh.expose()), ("a.b.c", "r1"));
        assert_eq!(tokens.expire_time, login().tokens.unwrap().expire_time);
        assert_eq!(tokens.user, login().tokens.unwrap().user);
        assert_eq!(back.device.unwrap().expose(), "d1");
    }

    #[test]
    fn logged_out_only_the_device_is_left() {
        let bytes = write(&Login { tokens: None, ..login() }, ORIGIN).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json, serde_json::json!({"address": ORIGIN, "device_token": "d1"}));
        let back = read(&bytes, ORIGIN).unwrap().unwrap();
        assert!(back.tokens.is_none() && back.device.is_some());
    }

    #[test]
    fn another_servers_login_is_not_this_ones() {
        let bytes = write(&login(), ORIGIN).unwrap();
        assert!(read(&bytes, "https://auth.example.com:443").unwrap().is_none());
    }

    #[test]
    fn the_largest_login_fits() {
        let long = secret(&"x".repeat(8192));
        let mut login = login();
        let tokens = login.tokens.as_mut().unwrap();
        (tokens.access, tokens.refresh) = (long.clone(), long.clone());
        login.device = Some(long);
        assert!(write(&login, ORIGIN).unwrap().len() < MAX_FILE);
    }

    #[test]
    fn what_is_no_login_is_refused_without_an_echo() {
        for text in [
            "",
            "planted",
            "{}",
            r#"{"address": "http://127.0.0.1:7400", "access_token": "planted"}"#,
            r#"{"address": "http://127.0.0.1:7400", "device_token": "planted planted"}"#,
            r#"{"address": "http://127.0.0.1:7400", "access_token": "planted", "refresh_token": "b",
                "expire_time": "planted", "user": {"id": "", "email": "", "role": "", "tenant_id": ""}}"#,
        ] {
            let fault = read(text.as_bytes(), ORIGIN).map(|_| ()).unwrap_err();
            assert!(!fault.contains("planted"), "{fault}");
        }
    }
}
