//! The file on a real file system.

use super::*;
use crate::client::credential::Presented;
use crate::client::login::{Tokens, Who};
use crate::domain::Timestamp;
use std::fs::{Permissions, read_dir, set_permissions, write};
use std::os::unix::fs::PermissionsExt;

const SECOND: Duration = Duration::from_secs(1);

fn secret(text: &str) -> Presented {
    Presented::new(text.to_owned()).unwrap()
}

fn login() -> Login {
    let tokens = Tokens {
        access: secret("a1"),
        expire_time: Timestamp::from_micros(0),
        refresh: secret("r1"),
        user: Who::default(),
    };
    Login { tokens: Some(tokens), device: Some(secret("d1")) }
}

fn at(address: &str, pairs: &[(&str, &str)]) -> Result<Logins, LoginError> {
    let lookup =
        |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
    Logins::locate(&Address::parse(address).unwrap(), &lookup)
}

/// A place in a fresh folder that does not exist yet.
fn place() -> (tempfile::TempDir, Logins) {
    let home = tempfile::tempdir().unwrap();
    let logins = at("http://127.0.0.1:7400", &[("HOME", home.path().to_str().unwrap())]).unwrap();
    (home, logins)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

async fn kept() -> (tempfile::TempDir, Logins) {
    let (home, logins) = place();
    let lock = logins.lock(SECOND).await.unwrap();
    logins.write(&lock, &login()).unwrap();
    (home, logins)
}

#[test]
fn each_server_has_a_place_of_its_own() {
    let home = [("HOME", "/home/o"), ("XDG_CONFIG_HOME", "")];
    for (address, name) in [
        ("http://127.0.0.1:7400", "http-127.0.0.1_7400.json"),
        ("https://Auth.Example.com", "https-auth.example.com_443.json"),
        ("auth.example.com:443", "https-auth.example.com_443.json"),
        ("http://auth.example.com", "http-auth.example.com_80.json"),
        ("[::1]:7400", "http-___1__7400.json"),
    ] {
        let logins = at(address, &home).unwrap();
        assert_eq!(logins.path(), Path::new("/home/o/.config/doorward").join(name), "{address}");
    }
}

#[test]
fn the_environment_says_where() {
    for (pairs, path) in [
        (vec![("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")], "/x/doorward/http-localhost_1.json"),
        (vec![("XDG_CONFIG_HOME", "x"), ("HOME", "/h")], "/h/.config/doorward/http-localhost_1.json"),
        (vec![(LOGIN_FILE_VARIABLE, "/l.json"), ("HOME", "/h")], "/l.json"),
        (vec![(LOGIN_FILE_VARIABLE, "l.json")], "l.json"),
    ] {
        assert_eq!(at("localhost:1", &pairs).unwrap().path(), Path::new(path));
    }
    assert!(matches!(at("localhost:1", &[("HOME", "")]), Err(LoginError::NoPlace)));
}

#[tokio::test]
async fn the_file_and_its_folder_are_private() {
    let (home, logins) = kept().await;
    assert_eq!(mode(logins.path()), 0o600);
    assert_eq!(mode(logins.folder()), 0o700);
    assert_eq!(mode(&home.path().join(".config")), 0o700);
    let read = logins.read().unwrap().unwrap();
    assert_eq!(read.tokens.unwrap().refresh.expose(), "r1");
    let names: Vec<OsString> =
        read_dir(logins.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no draft is left behind: {names:?}");
}

#[tokio::test]
async fn what_others_can_read_or_replace_is_refused_with_how_to_mend_it() {
    let (_home, logins) = kept().await;
    for wrong in [0o640, 0o604, 0o620, 0o601] {
        chmod(logins.path(), wrong);
        let error = logins.read().unwrap_err().to_string();
        assert!(error.contains(&format!("chmod 600 {}", logins.path().display())), "{error}");
    }
    chmod(logins.path(), 0o600);
    for (wrong, good) in [(0o777, false), (0o770, false), (0o1777, true), (0o755, true), (0o700, true)] {
        chmod(logins.folder(), wrong);
        assert_eq!(logins.read().is_ok(), good, "{wrong:o}");
        assert_eq!(logins.lock(SECOND).await.is_ok(), good, "{wrong:o}");
    }
    chmod(logins.folder(), 0o777);
    let error = logins.read().unwrap_err().to_string();
    assert!(error.contains(&format!("chmod 700 {}", logins.folder().display())), "{error}");
}

#[tokio::test]
async fn a_draft_that_cannot_take_the_place_is_removed_and_the_old_login_stays() {
    let (_home, logins) = place();
    let lock = logins.lock(SECOND).await.unwrap();
    std::fs::create_dir(logins.path()).unwrap();
    write(logins.path().join("x"), "").unwrap();
    assert!(matches!(logins.write(&lock, &login()), Err(LoginError::File { .. })));
    let names: Vec<OsString> =
        read_dir(logins.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(matches!(logins.read(), Err(LoginError::Malformed { .. })));
}

#[tokio::test]
async fn forgetting_leaves_the_device_token_or_nothing() {
    let (_home, logins) = kept().await;
    let lock = logins.lock(SECOND).await.unwrap();
    logins.forget(&lock).unwrap();
    let left = logins.read().unwrap().unwrap();
    assert!(left.tokens.is_none());
    assert_eq!(left.device.unwrap().expose(), "d1");
    assert!(!std::fs::read_to_string(logins.path()).unwrap().contains("r1"));

    logins.write(&lock, &Login { device: None, ..login() }).unwrap();
    logins.forget(&lock).unwrap();
    assert!(!logins.path().exists());
    logins.forget(&lock).unwrap();
    assert!(logins.read().unwrap().is_none());
}

#[tokio::test]
async fn another_servers_file_is_neither_used_nor_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("login.json");
    let named = [(LOGIN_FILE_VARIABLE, file.to_str().unwrap())];
    let (one, other) = (at("localhost:1", &named).unwrap(), at("localhost:2", &named).unwrap());
    let lock = one.lock(SECOND).await.unwrap();
    one.write(&lock, &login()).unwrap();
    assert!(other.read().unwrap().is_none());
    other.forget(&lock).unwrap();
    assert!(one.read().unwrap().is_some());
}

#[tokio::test]
async fn a_huge_file_is_not_read() {
    let (_home, logins) = kept().await;
    std::fs::OpenOptions::new().write(true).open(logins.path()).unwrap().set_len(1 << 40).unwrap();
    let error = logins.read().unwrap_err();
    assert!(matches!(&error, LoginError::Malformed { fault, .. } if fault.contains("32 KiB")), "{error}");
}

#[tokio::test]
async fn one_holds_the_lock_and_the_other_waits_or_gives_up() {
    let (_home, logins) = place();
    let held = logins.lock(SECOND).await.unwrap();
    let error = logins.lock(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, LoginError::Busy { .. }), "{error}");
    let waiting = tokio::spawn({
        let logins = logins.clone();
        async move { logins.lock(Duration::from_secs(10)).await.map(|_| ()) }
    });
    sleep(Duration::from_millis(60)).await;
    assert!(!waiting.is_finished());
    drop(held);
    waiting.await.unwrap().unwrap();
}
