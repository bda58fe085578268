//! Attacks on what a token says, by their numbers in the catalogue.

use super::*;

// A06
#[test]
fn every_claim_must_be_there_and_of_its_kind() {
    let key = key(Algorithm::EdDsa);
    let members =
        ["iss", "sub", "aud", "exp", "iat", "nbf", "auth_time", "jti", "sid", "tid", "client_id", "amr"];
    for member in members {
        invalid(&forged(key, header_of(key), payload_with(member, "")));
        for value in
            ["null", "true", "{}", "[]", "[[]]", r#""""#, "7", "7.5", "-1", "\"\\u0041\"", r#"["a"]"#]
        {
            let good = match member {
                "amr" => value == "[]" || value == r#"["a"]"#,
                "auth_time" => value == "7",
                _ => false,
            };
            if good {
                continue;
            }
            invalid(&forged(key, header_of(key), payload_with(member, &format!(r#""{member}":{value}"#))));
        }
    }
    for member in ["exp", "iat", "nbf", "auth_time"] {
        let near = NOW.micros() / 1_000_000 + 60;
        for value in [
            "1e18",
            "1e400",
            "-1e400",
            "1000000000000000000",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "253402300800",
            "0",
            "-0",
            "NaN",
            "Infinity",
            "0x77",
            &format!("{near}.0"),
            &format!("\"{near}\""),
            &format!("+{near}"),
            &format!("0{near}"),
        ] {
            invalid(&forged(key, header_of(key), payload_with(member, &format!(r#""{member}":{value}"#))));
        }
    }
    for list in [r#"["https://id.example.com"]"#, r#"["https://api.example.com","x"]"#] {
        invalid(&forged(key, header_of(key), payload_with("iss", &format!(r#""iss":{list}"#))));
        invalid(&forged(key, header_of(key), payload_with("aud", &format!(r#""aud":{list}"#))));
    }
    for (member, other) in [("sub", "tid"), ("tid", "sid"), ("sid", "sub")] {
        let value: serde_json::Value = serde_json::from_str(&payload()).unwrap();
        let swapped = payload_with(member, &format!(r#""{member}":{}"#, value[other]));
        invalid(&forged(key, header_of(key), swapped));
    }
    let amr = format!(r#""amr":["{}"]"#, ["pwd"; 9].join("\",\""));
    invalid(&forged(key, header_of(key), payload_with("amr", &amr)));
}

// A06
#[test]
fn a_token_is_for_one_hour_at_most_and_not_for_later() {
    let key = key(Algorithm::EdDsa);
    let now = NOW.micros() / 1_000_000;
    let times = |iat: i64, nbf: i64, exp: i64| {
        let payload = payload().replace(&format!(r#""auth_time":{now}"#), r#""auth_time":7"#);
        let payload = payload.replace(&format!(r#""iat":{now}"#), &format!(r#""iat":{iat}"#));
        let payload = payload.replace(&format!(r#""nbf":{now}"#), &format!(r#""nbf":{nbf}"#));
        let payload = payload.replace(&format!(r#""exp":{}"#, now + 900), &format!(r#""exp":{exp}"#));
        verify(&forged(key, header_of(key), payload)).map(|_| ())
    };
    assert_eq!(times(now, now, now + 3600), Ok(()));
    assert_eq!(times(now, now, now + 3601), Err(TokenFault::Invalid));
    assert_eq!(times(now, now, now), Err(TokenFault::Invalid));
    assert_eq!(times(now + 3600, now + 3600, now + 7200), Err(TokenFault::Invalid));
    assert_eq!(times(now, now + 60, now + 900), Err(TokenFault::Invalid));
    assert_eq!(times(now, now - 60, now + 900), Err(TokenFault::Invalid));
    let at = Timestamp::from_micros((now - 1) * 1_000_000);
    assert_eq!(times(now - 60, now - 60, now - 1), Err(TokenFault::Expired { at }));
}

// A07
#[test]
fn nothing_is_said_twice() {
    let key = key(Algorithm::EdDsa);
    let value: serde_json::Value = serde_json::from_str(&payload()).unwrap();
    for (member, value) in value.as_object().unwrap() {
        for again in [
            format!(r#""{member}":{value}"#),
            format!(r#""\u{:04x}{}":{value}"#, member.as_bytes()[0], &member[1..]),
        ] {
            invalid(&forged(key, header_of(key), payload().replace('}', &format!(",{again}}}"))));
        }
    }
    let header: serde_json::Value = serde_json::from_str(&header_of(key)).unwrap();
    for (member, value) in header.as_object().unwrap() {
        malformed(&forged(key, header_of(key).replace('}', &format!(r#","{member}":{value}}}"#)), payload()));
        malformed(&forged(key, header_of(key).replace('}', &format!(r#","{member}":"none"}}"#)), payload()));
    }
}

// A07
#[test]
fn nothing_stands_around_the_json() {
    let key = key(Algorithm::EdDsa);
    let (header, payload) = (header_of(key), payload());
    for (before, after) in [
        (" ", ""),
        ("", " "),
        ("\n", ""),
        ("", "\n"),
        ("\u{feff}", ""),
        ("", "\0"),
        ("", "x"),
        ("[", "]"),
        ("", "{}"),
        ("", "}"),
        ("{", ""),
        ("", ","),
        ("/**/", ""),
    ] {
        malformed(&forged(key, format!("{before}{header}{after}"), &payload));
        invalid(&forged(key, &header, format!("{before}{payload}{after}")));
    }
    invalid(&forged(key, &header, [payload.as_bytes(), &[0xff]].concat()));
    invalid(&forged(key, &header, payload.replace("console", "con\u{0}sole")));
    invalid(&forged(key, &header, payload.replace("console", "cönsole")));
    invalid(&forged(key, &header, payload.replace("console", "\\u0063onsole")));
    let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
    let list: Vec<_> =
        ["iss", "sub", "aud", "exp", "iat", "nbf", "auth_time", "jti", "sid", "tid", "client_id", "amr"]
            .map(|member| value[member].to_string())
            .into();
    invalid(&forged(key, &header, format!("[{}]", list.join(","))));
    malformed(&forged(key, format!(r#"["EdDSA","{}","at+jwt"]"#, key.kid()), &payload));
}

// A07
#[test]
fn deep_and_unknown_claims_are_refused() {
    let key = key(Algorithm::EdDsa);
    for extra in [
        format!(r#""deep":{}{}"#, "[".repeat(200), "]".repeat(200)),
        format!(r#""deep":{}1{}"#, r#"{"a":"#.repeat(100), "}".repeat(100)),
        r#""admin":true"#.to_owned(),
        r#""scope":"*""#.to_owned(),
    ] {
        invalid(&forged(key, header_of(key), payload().replacen('{', &format!("{{{extra},"), 1)));
        malformed(&forged(key, header_of(key).replacen('{', &format!("{{{extra},"), 1), payload()));
    }
}

// A07
#[test]
fn a_long_token_is_not_read() {
    let key = key(Algorithm::EdDsa);
    let client = |length: usize| payload().replace('}', &format!("{}}}", " ".repeat(length)));
    let padded = |wanted: usize| {
        let make = |spaces| forged(key, header_of(key), client(spaces));
        (0..8 * 1024).map(|spaces| 5000 + spaces).map(make).find(|token| token.len() >= wanted).unwrap()
    };
    let longest = padded(MAX_TOKEN - 3);
    assert!((MAX_TOKEN - 3..=MAX_TOKEN).contains(&longest.len()));
    assert_eq!(verify(&longest), Ok(claims()));
    malformed(&padded(MAX_TOKEN + 1));
    malformed(&".".repeat(4 * 1024 * 1024));
    malformed(&"A".repeat(8 * 1024 * 1024));
}
