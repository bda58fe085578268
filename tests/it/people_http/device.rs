//! What makes a device known at its next login.
use super::{Browser, Home};
use crate::harness::{Database, on_both};
use serde_json::json;

on_both! {
    // R36
    async fn a_login_gives_the_device_a_token_until_it_is_known(database: Database) {
        let home = Home::start(&database).await;
        let first = home.post("/v1/auth/login", &[], &home.login()).await;
        assert_eq!(first.status, 200, "{}", first.text());
        let device = first.header("doorward-device-token").to_owned();
        assert!(!first.headers.contains_key("set-cookie"), "nobody asked for cookies");
        let mut known = home.login();
        known["device_token"] = json!(device);
        let second = home.post("/v1/auth/login", &[], &known).await;
        assert_eq!((second.status, second.headers.get("doorward-device-token")), (200, None));
        let strange = home.post("/v1/auth/login", &[], &home.login()).await;
        assert_ne!(strange.header("doorward-device-token"), device);
    }

    // R36
    async fn a_browser_is_known_by_its_cookie(database: Database) {
        let home = Home::start(&database).await;
        let mut browser = home.browser().await;
        let device = browser.cookie("device").unwrap();
        assert_eq!(browser.post(&home, "/v1/auth/logout", &json!({})).await.status, 200);
        let again = browser.post(&home, "/v1/auth/login", &home.login()).await;
        assert_eq!(again.headers.get_all("set-cookie").iter().count(), 3, "no new device: {:?}", again.headers);
        assert_eq!(browser.cookie("device").unwrap(), device);
        let mut fresh = Browser::default();
        fresh.post(&home, "/v1/auth/login", &home.login()).await;
        assert_ne!(fresh.cookie("device").unwrap(), device);
    }
}
