use super::*;
use crate::domain::clock::fixed::Counting;

/// Quick enough for many hashes.
const LITTLE: Cost = Cost { memory_kib: 64, passes: 2 };

fn password(text: &str) -> Password {
    Password::presented(text.to_owned()).unwrap()
}

#[test]
fn only_the_password_itself_fits_its_hash() {
    let generated = Password::generate(&Counting::default());
    let hash = generated.hash(&Counting::default()).unwrap();
    assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert_eq!(PasswordHash::stored(hash.as_str()).unwrap(), hash);
    let mut workspace = Workspace::new(Cost::default());
    let verdict = workspace.verify(&generated, Some(&hash)).unwrap();
    assert_eq!(verdict, Verdict { fits: true, needs_rehash: false });
    let no = Verdict { fits: false, needs_rehash: false };
    assert_eq!(workspace.verify(&password("another one"), Some(&hash)).unwrap(), no);
    assert_eq!(workspace.verify(&generated, None).unwrap(), no);
    assert!(!format!("{hash:?}").contains("argon2id$"));
}

// Made with the reference implementation: `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1`.
#[test]
fn hashes_of_others_are_understood() {
    let stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let hash = PasswordHash::stored(stored).unwrap();
    let mut workspace = Workspace::new(LITTLE);
    assert!(workspace.verify(&password("password"), Some(&hash)).unwrap().fits);
    assert!(!workspace.verify(&password("passwort"), Some(&hash)).unwrap().fits);
    // The memory for it is given back with the next hash.
    assert_eq!(workspace.blocks.len(), 65_536);
    workspace.hash(&password("password"), &Counting::default()).unwrap();
    assert_eq!(workspace.blocks.len(), 64);
}

#[test]
fn both_typings_of_one_password_fit() {
    let mut workspace = Workspace::new(LITTLE);
    let hash = workspace.hash(&password("zażółć gęślą"), &Counting::default()).unwrap();
    let apart = password("zaz\u{307}o\u{301}łc\u{301} ge\u{328}s\u{301}la\u{328}");
    assert!(workspace.verify(&apart, Some(&hash)).unwrap().fits);
}

// A26
#[test]
fn a_stored_hash_that_would_take_too_much_is_a_fault() {
    let hash = Workspace::new(LITTLE).hash(&password("password"), &Counting::default()).unwrap();
    let text = hash.as_str();
    assert!(PasswordHash::stored(text).is_ok());
    let spoilt = [
        text.replace("m=64", "m=4194304"),
        text.replace("m=64", "m=65537"),
        text.replace("m=64", "m=7"),
        text.replace("m=64", "m=99999999999"),
        text.replace("t=2", "t=11"),
        text.replace("t=2", "t=0"),
        text.replace("p=1", "p=5"),
        text.replace("p=1", "p=0"),
        text.replace("p=1", "p=1,data=AAAA"),
        text.replace("p=1", "p=1,keyid=AAAA"),
        text.replace("argon2id", "argon2i"),
        text.replace("v=19", "v=16"),
        text.replace("$v=19", ""),
        text.rsplit_once('$').unwrap().0.to_owned(),
        text.get(..text.len() - 24).unwrap().to_owned(),
        format!("{text}$AAAA"),
        format!("{text}{}", "A".repeat(300)),
        "plain text".to_owned(),
        String::new(),
    ];
    for spoilt in spoilt {
        let fault = PasswordHash::stored(&spoilt).unwrap_err().to_string();
        assert!(!fault.contains(&text[text.len() - 20..]), "{spoilt}: {fault}");
    }
}

#[test]
fn weaker_hashes_are_made_anew_and_stronger_ones_kept() {
    let person = password("correct horse");
    let hash = Workspace::new(LITTLE).hash(&person, &Counting::default()).unwrap();
    let needs = |memory_kib, passes| hash.needs_rehash(Cost { memory_kib, passes });
    assert!(needs(64, 3) && needs(65, 2) && !needs(64, 2) && !needs(128, 1) && !needs(64, 1));
    let mut stronger = Workspace::new(Cost { memory_kib: 128, passes: 2 });
    let verdict = stronger.verify(&person, Some(&hash)).unwrap();
    assert_eq!(verdict, Verdict { fits: true, needs_rehash: true });
    let verdict = stronger.verify(&password("wrong horse"), Some(&hash)).unwrap();
    assert_eq!(verdict, Verdict { fits: false, needs_rehash: false });
}

#[test]
fn a_miss_takes_as_much_work_whatever_is_stored() {
    let wanted = Cost { memory_kib: 19_456, passes: 3 };
    for (memory_kib, passes) in [(19_456, 1), (19_456, 2), (9_216, 4), (7_168, 5), (64, 1), (47_104, 1)] {
        let stored = Cost { memory_kib, passes };
        let rest = wanted.less(stored).unwrap();
        let off = wanted.work().abs_diff(stored.work() + rest.work());
        assert!(off * 1_000 < wanted.work(), "{stored:?} and {rest:?}");
    }
    assert_eq!(wanted.less(wanted), None);
    assert_eq!(wanted.less(Cost::MAX), None);
}

#[test]
fn costs_below_the_usual_and_above_the_bound_are_told() {
    let sound = [(19_456, 2), (47_104, 1), (12_288, 3), (9_216, 4), (7_168, 5), (65_536, 10)];
    assert!(sound.into_iter().all(|(memory_kib, passes)| Cost { memory_kib, passes }.fault().is_none()));
    let unsound = [(19_456, 1), (7_167, 10), (65_537, 2), (19_456, 11), (0, 0), (u32::MAX, u32::MAX)];
    assert!(unsound.into_iter().all(|(memory_kib, passes)| Cost { memory_kib, passes }.fault().is_some()));
}

#[test]
fn nothing_of_a_password_stays_after_wiping() {
    let mut workspace = Workspace::new(LITTLE);
    assert!(workspace.is_clean());
    workspace.hash(&password("password"), &Counting::default()).unwrap();
    assert!(!workspace.is_clean());
    assert!(workspace.blocks.iter().any(|block| block.as_ref().iter().any(|word| *word != 0)));
    workspace.wipe();
    assert!(workspace.is_clean());
    assert!(workspace.blocks.iter().all(|block| block.as_ref().iter().all(|word| *word == 0)));
}
