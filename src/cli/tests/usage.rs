//! `doorward key usage` end to end, against a fake server.

use super::*;

#[tokio::test]
async fn use_is_drawn_for_people_and_told_whole_to_programs() {
    let fake = Fake::default();
    let ran = good(&fake, "key usage key_1 --last 3h").await;
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[1].starts_with("1970-01-01 00:00") && ran.out.is_ascii(), "{}", ran.out);
    assert!(ran.out.contains("3000, refused: rate limit 60  SPIKE"), "{}", ran.out);
    assert!(
        ran.out.ends_with("logs: 2 requests, 0 bytes in, 0 out; 70 items accepted, 0 rejected\n"),
        "{}",
        ran.out
    );
    let request: GetApiKeyUsageRequest = fake.only("GetApiKeyUsage");
    assert_eq!((request.id.as_str(), request.start_time.unwrap().seconds), ("key_1", 0));
    let fake = Fake::default();
    let json = good(&fake, "--output json key usage key_1").await.out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["hours"][1]["refused"]["rate_limit"], "60");
}
