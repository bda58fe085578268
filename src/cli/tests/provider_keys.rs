//! `doorward provider-key` end to end, against a fake server.

use super::*;

#[tokio::test]
async fn the_secret_comes_from_standard_input_and_never_from_an_argument() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let line = "provider-key set openai --label team-a --from-stdin";
    let ran = run_with(line, &address, &[(KEY_VARIABLE, KEY)], "sk-planted-0123\n").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let request: SetProviderKeyRequest = fake.only("SetProviderKey");
    assert_eq!(request.secret, "sk-planted-0123");
    assert_eq!((request.provider.as_str(), request.label.as_str()), ("openai", "team-a"));
    assert!(!ran.out.contains("planted") && !ran.err.contains("planted"), "{}{}", ran.out, ran.err);
    let ran = run_with("provider-key set openai", &address, &[(KEY_VARIABLE, KEY)], "sk-planted\n").await;
    assert_eq!(ran.code, 2, "without the option nothing is read: {}", ran.err);
    assert!(Cli::try_parse_from(["doorward", "provider-key", "set", "openai", "sk-planted"]).is_err());
}

#[tokio::test]
async fn a_service_gets_the_secret_alone_on_its_line() {
    let fake = Fake::default();
    assert_eq!(good(&fake, "provider-key fetch openai").await.out, format!("{SECRET}\n"));
    let json: serde_json::Value =
        serde_json::from_str(&good(&fake, "--output json provider-key fetch openai").await.out).unwrap();
    assert_eq!((&json["secret"], &json["provider_key"]["provider"]), (&SECRET.into(), &"openai".into()));
    let listed = good(&fake, "provider-key list").await.out;
    assert!(listed.contains("openai") && !listed.contains(SECRET), "{listed}");
    assert_eq!(good(&fake, "provider-key delete openai").await.out, "");
    assert_eq!(fake.methods().last(), Some(&"DeleteProviderKey"));
}
