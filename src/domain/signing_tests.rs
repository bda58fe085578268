use super::*;
use proptest::prelude::*;

const DAY: Duration = Duration::from_hours(24);
const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn made(name: usize, new: NewKey) -> SigningKeyState {
    SigningKeyState {
        kid: format!("key{name}").parse().unwrap(),
        algorithm: new.algorithm,
        public: String::new(),
        activate: new.activate,
        retire: new.retire,
        withdrawn: false,
    }
}

fn first(policy: &SigningPolicy) -> SigningKeyState {
    made(0, due(&[], START, policy).create.unwrap())
}

#[test]
fn algorithms_have_one_spelling() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.name().parse(), Ok(algorithm));
        assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.name());
    }
    // A01
    for bad in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "HS512", "RS384", "ES384", "PS256"] {
        assert_eq!(bad.parse::<Algorithm>(), Err(BadAlgorithm), "{bad}");
    }
}

// A03
#[test]
fn a_kid_is_short_and_plain() {
    let longest = "k".repeat(Kid::MAX);
    assert_eq!(longest.parse::<Kid>().unwrap().as_str(), longest);
    let long = "k".repeat(Kid::MAX + 1);
    for bad in ["", &long, "../../dev/null", "' OR 1=1--", "a b", "a.b", "ä", "a\0", "a=", "a+"] {
        assert_eq!(bad.parse::<Kid>(), Err(BadKid), "{bad}");
        assert!(serde_json::from_value::<Kid>(bad.into()).is_err(), "{bad}");
    }
}

#[test]
fn a_state_goes_round_through_the_change_log() {
    let state = first(&SigningPolicy::default());
    let text = serde_json::to_string(&state).unwrap();
    assert!(text.contains(r#""algorithm":"RS256""#), "{text}");
    assert_eq!(serde_json::from_str::<SigningKeyState>(&text).unwrap(), state);
}

#[test]
fn the_first_key_signs_at_once_and_its_successor_is_known_ahead() {
    let policy = SigningPolicy::default();
    assert_eq!(due(&[], START, &policy).signer, None);
    let one = first(&policy);
    assert_eq!(one.activate, START);
    assert_eq!(one.retire, START.plus(policy.period).plus(policy.token_life));
    let quiet = due(std::slice::from_ref(&one), START.plus(28 * DAY), &policy);
    assert_eq!((quiet.signer, quiet.create, quiet.dead), (Some(one.kid.clone()), None, vec![]));

    let later = START.plus(29 * DAY);
    let plan = due(std::slice::from_ref(&one), later, &policy).create.unwrap();
    assert_eq!(plan.activate, START.plus(policy.period));
    assert_eq!(plan.activate.since(later), policy.lead);
    let both = [one.clone(), made(1, plan)];
    assert_eq!(due(&both, later, &policy).create, None);
    assert_eq!(due(&both, later, &policy).signer, Some(one.kid.clone()));
    assert!(both[1].is_published(later) && !both[1].verifies(later));

    let handover = START.plus(policy.period);
    assert_eq!(due(&both, handover, &policy).signer, Some(both[1].kid.clone()));
    assert!(both[0].verifies(handover) && both[1].verifies(handover));
    assert_eq!(due(&both, both[0].retire, &policy).dead, vec![one.kid]);
}

// A11
#[test]
fn a_key_is_good_within_its_window_alone() {
    let micro = |state: Timestamp, by: i64| Timestamp::from_micros(state.micros() + by);
    let mut state = first(&SigningPolicy::default());
    let skew = i64::try_from(MAX_SKEW.as_micros()).unwrap();
    assert!(!state.verifies(micro(state.activate, -skew - 1)));
    assert!(state.verifies(micro(state.activate, -skew)));
    assert!(state.verifies(micro(state.retire, -1)));
    assert!(!state.verifies(state.retire));
    assert!(!state.is_published(state.retire));
    state.withdrawn = true;
    assert!(!state.verifies(START) && !state.is_published(START));
}

#[test]
fn a_withdrawn_signer_is_followed_at_once() {
    let policy = SigningPolicy::default();
    let mut one = first(&policy);
    one.withdrawn = true;
    let now = START.plus(DAY);
    let plan = due(&[one], now, &policy);
    assert_eq!(plan.signer, None);
    assert_eq!(plan.create.unwrap().activate, now);
}

#[test]
fn after_a_change_of_algorithm_the_old_key_signs_until_the_new_is_known() {
    let policy = SigningPolicy::default();
    let old = first(&policy);
    let changed = SigningPolicy { algorithm: Algorithm::EdDsa, ..policy };
    let now = START.plus(DAY);
    let plan = due(std::slice::from_ref(&old), now, &changed);
    assert_eq!(plan.signer, Some(old.kid.clone()));
    let new = plan.create.unwrap();
    assert_eq!((new.algorithm, new.activate), (Algorithm::EdDsa, now.plus(policy.lead)));
    let both = [old.clone(), made(1, new)];
    assert_eq!(due(&both, now, &changed).create, None);
    assert_eq!(due(&both, new.activate, &changed).signer, Some(both[1].kid.clone()));

    let late = START.plus(policy.period.saturating_sub(DAY / 2));
    let plan = due(std::slice::from_ref(&old), late, &changed).create.unwrap();
    assert_eq!(plan.activate, START.plus(policy.period), "before the old one ends");
}

#[test]
fn policies_are_bounded() {
    let policy = SigningPolicy::default();
    assert_eq!(policy.checked(), Ok(policy));
    let life = |seconds| SigningPolicy { token_life: Duration::from_secs(seconds), ..policy }.checked();
    assert_eq!((life(59), life(3601)), (Err(BadSigningPolicy::TokenLife), Err(BadSigningPolicy::TokenLife)));
    assert!(life(60).is_ok() && life(3600).is_ok());
    assert_eq!(SigningPolicy { lead: 8 * DAY, ..policy }.checked(), Err(BadSigningPolicy::Lead));
    for period in [DAY, 367 * DAY] {
        assert_eq!(SigningPolicy { period, ..policy }.checked(), Err(BadSigningPolicy::Period));
    }
}

proptest! {
    // However seldom the job runs, at every run there is a signer as soon as it has made what is due,
    // what the signer signs is accepted to its end, and keys do not pile up.
    #[test]
    fn there_is_always_one_who_signs(
        steps in proptest::collection::vec((1_u64..40 * 86_400, 0_usize..12), 1..60),
    ) {
        let mut policy = SigningPolicy::default();
        let mut states: Vec<SigningKeyState> = Vec::new();
        let mut now = START;
        for (at, (step, happening)) in steps.into_iter().enumerate() {
            now = now.plus(Duration::from_secs(step));
            match happening {
                0 => states.iter_mut().for_each(|state| state.withdrawn = true),
                1 => policy.algorithm = Algorithm::Es256,
                2 => policy.algorithm = Algorithm::Rs256,
                _ => {}
            }
            let plan = due(&states, now, &policy);
            states.retain(|state| !plan.dead.contains(&state.kid));
            states.extend(plan.create.map(|new| made(at, new)));
            let settled = due(&states, now, &policy);
            prop_assert_eq!(settled.create, None);
            let signer = states.iter().find(|state| Some(&state.kid) == settled.signer.as_ref()).unwrap();
            let last = Timestamp::from_micros(now.plus(policy.token_life).micros() - 1);
            prop_assert!(signer.verifies(now) && signer.verifies(last));
            prop_assert!(signer.retire <= now.plus(policy.period + policy.token_life));
            prop_assert!(states.iter().filter(|state| !state.withdrawn).count() <= 4);
        }
    }
}
