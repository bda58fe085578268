use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);
const START: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

fn user(number: u8) -> UserId {
    UserId::from_bytes([number; 16])
}

fn device(number: u8) -> Device {
    Device(Digest::from_bytes(&[number; 32]))
}

fn network(text: &str) -> Network {
    Network::of(text.parse().unwrap())
}

fn every_subject() -> [Subject; 6] {
    let account = Account::Person(user(1));
    [
        Subject::Elsewhere(account),
        Subject::Device(device(1)),
        Subject::Factor(user(1)),
        Subject::Challenge(Digest::from_bytes(&[1; 32])),
        Subject::Network(network("192.0.2.1")),
        Subject::Letters(account),
    ]
}

/// Tries as early as it may for `during`, always wrong; gives when each was tried.
fn hammer(subject: Subject, tally: &mut Tally, start: Timestamp, during: Duration) -> Vec<Timestamp> {
    let (mut now, mut tried) = (start, Vec::new());
    loop {
        match subject.verdict(*tally, now) {
            Verdict::Go => {
                *tally = subject.after_failure(*tally, now);
                tried.push(now);
            }
            Verdict::Wait(wait) => now = now.plus(wait),
            Verdict::Spent => return tried,
        }
        if now >= start.plus(during) {
            return tried;
        }
    }
}

/// The most of them within any such span, both ends counted.
fn most_within(tried: &[Timestamp], span: Duration) -> usize {
    let within =
        |first: &Timestamp| tried.iter().filter(|at| *at >= first && at.since(*first) <= span).count();
    tried.iter().map(within).max().unwrap_or(0)
}

// R35, A24: the figures that the module's head gives.
#[test]
fn guesses_from_elsewhere_are_as_few_as_said() {
    let subject = Subject::Elsewhere(Account::Person(user(1)));
    let mut tally = Tally::NONE;
    let tried = hammer(subject, &mut tally, START, 400 * DAY);
    let days = |from: u32, to: u32| {
        tried.iter().filter(|at| (DAY * from..DAY * to).contains(&at.since(START))).count()
    };
    assert_eq!((days(0, 1), days(1, 2), days(2, 3)), (38, 24, 24));
    assert_eq!(tried.len(), 100);
    assert!(tried[99].since(START) < 4 * DAY);
    assert_eq!(subject.verdict(tally, START.plus(4000 * DAY)), Verdict::Spent);
    assert_eq!(tried[4], START);
    assert_eq!(tried[5], START.plus(Duration::from_secs(2)));
}

// R35: the owner's own sign-ins must not pay for the attack.
#[test]
fn an_owner_who_signs_in_daily_gives_a_guesser_no_more() {
    let subject = Subject::Elsewhere(Account::Person(user(1)));
    let (mut tally, mut now, mut total) = (Tally::NONE, START, 0);
    for day in 0..365 {
        let tried = hammer(subject, &mut tally, now, DAY).len();
        assert!(tried <= if day == 0 { 38 } else { 25 }, "{tried} on day {day}");
        total += tried;
        let before = subject.verdict(tally, now.plus(DAY));
        now = now.plus(DAY);
        tally = subject.eased(tally);
        assert_eq!(subject.verdict(tally, now), before);
    }
    assert!((8_700..=8_800).contains(&total), "{total}");
}

// A25
#[test]
fn an_attack_from_elsewhere_leaves_a_known_device_alone() {
    let account = Account::Person(user(1));
    let attacked = Subject::of_password(account, None, Some(network("203.0.113.9")));
    let known = Subject::of_password(account, Some(device(1)), Some(network("203.0.113.9")));
    assert_eq!(attacked.len(), 2);
    let attacked: BTreeSet<_> = attacked.iter().map(Subject::key).collect();
    assert!(known.iter().all(|subject| !attacked.contains(&subject.key())));
    let attacked = Subject::of_factor(user(1), Some(Digest::from_bytes(&[7; 32])), None);
    let attacked: BTreeSet<_> = attacked.iter().map(Subject::key).collect();
    let known = Subject::of_factor(user(1), Some(Digest::from_bytes(&[8; 32])), Some(device(1)));
    assert_eq!((attacked.len(), known.len()), (2, 2));
    assert!(known.iter().all(|subject| !attacked.contains(&subject.key())));
}

// A29
#[test]
fn codes_are_few_in_each_sign_in_and_in_each_hour() {
    let factor = Subject::Factor(user(1));
    let tried = hammer(factor, &mut { Tally::NONE }, START, 10 * DAY);
    assert_eq!(most_within(&tried, HOUR), 7);
    assert_eq!(tried.len(), 100);
    let challenge = Subject::Challenge(Digest::from_bytes(&[1; 32]));
    let mut tally = Tally::NONE;
    assert_eq!(hammer(challenge, &mut tally, START, 10 * DAY).len(), 5);
    assert_eq!(challenge.verdict(tally, START.plus(DAY)), Verdict::Spent);
}

// A29: the password being right gives no more codes.
#[test]
fn right_passwords_do_not_make_room_for_more_codes() {
    let device = Subject::Device(device(1));
    let (mut tally, mut codes) = (Tally::NONE, 0);
    for minute in 0..1000 {
        let now = START.plus(Duration::from_mins(1) * minute);
        if device.verdict(tally, now) != Verdict::Go {
            continue;
        }
        tally = device.taken_back(device.after_failure(tally, now));
        let then = now.plus(Duration::from_secs(30));
        if device.verdict(tally, then) == Verdict::Go {
            tally = device.after_failure(tally, then);
            codes += 1;
        }
    }
    assert_eq!(codes, 10);
}

#[test]
fn a_network_is_never_made_to_wait_longer_than_a_minute() {
    let subject = Subject::Network(network("192.0.2.1"));
    let mut tally = Tally::NONE;
    let tried = hammer(subject, &mut tally, START, DAY);
    assert_eq!(tried.len(), 50 + 1439);
    let later = tried.last().unwrap().plus(Duration::from_secs(1));
    assert_eq!(subject.verdict(tally, later), Verdict::Wait(Duration::from_secs(59)));
    assert!(subject.is_over(tally, later.plus(Duration::from_mins(50))));
    assert!(!subject.is_over(tally, later.plus(Duration::from_mins(48))));
}

// An account of one's own must not buy guesses at others.
#[test]
fn a_success_gives_a_network_its_own_place_back_and_no_more() {
    let subject = Subject::Network(network("192.0.2.1"));
    let mut tally = Tally::NONE;
    hammer(subject, &mut tally, START, Duration::from_secs(1));
    assert_eq!(tally.failures, 50);
    assert_eq!(subject.after_success(tally).failures, 49);
}

// Attempts that succeed must not keep earlier failures from being forgotten.
#[test]
fn successes_do_not_hold_up_what_comes_back_to_a_network() {
    let subject = Subject::Network(network("192.0.2.1"));
    let mut tally = Tally::NONE;
    (0..20).for_each(|_| tally = subject.after_failure(tally, START));
    for second in (1..1200).step_by(10) {
        let now = START.plus(Duration::from_secs(second));
        tally = subject.after_success(subject.after_failure(tally, now));
    }
    assert_eq!(tally.failures, 1);
}

#[test]
fn letters_are_few() {
    let subject = Subject::Letters(Account::Person(user(1)));
    let mut tally = Tally::NONE;
    assert_eq!(hammer(subject, &mut tally, START, DAY).len(), 3 + 23);
    assert_eq!(subject.after_success(tally), tally);
}

#[test]
fn keys_differ_where_subjects_do() {
    let bytes = [7; 32];
    let digest = Digest::from_bytes(&bytes);
    let subjects = [
        Subject::Elsewhere(Account::Person(user(7))),
        Subject::Elsewhere(Account::Nobody(0x0707_0707)),
        Subject::Factor(user(7)),
        Subject::Factor(user(8)),
        Subject::Device(Device(digest)),
        Subject::Challenge(digest),
        Subject::Network(network("7.7.7.7")),
        Subject::Network(network("7.7.7.8")),
        Subject::Network(network("707:707:707:707::")),
        Subject::Network(network("707:707:707:708::")),
        Subject::Letters(Account::Person(user(7))),
        Subject::Letters(Account::Nobody(0x0707_0707)),
    ];
    let keys: BTreeSet<_> = subjects.iter().map(Subject::key).collect();
    assert_eq!(keys.len(), subjects.len());
}

#[test]
fn networks_are_one_address_of_ipv4_and_a_64_of_ipv6() {
    assert_eq!(network("::ffff:192.0.2.9"), network("192.0.2.9"));
    assert_ne!(network("192.0.2.8"), network("192.0.2.9"));
    assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:1:ffff:ffff:ffff:ffff"));
    assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
}

// A23
#[test]
fn a_name_without_an_account_is_counted_as_one_with() {
    let digest = Digest::from_bytes(&[0xff; 32]);
    let nobody = Account::of(None, digest);
    assert_eq!(nobody, Account::Nobody(Account::BUCKETS - 1));
    assert_eq!(Account::of(Some(user(1)), digest), Account::Person(user(1)));
    let policies = [nobody, Account::Person(user(1))].map(|account| Subject::Elsewhere(account).policy());
    assert_eq!(policies[0], policies[1]);
}

#[test]
fn what_one_row_refuses_is_counted_on_none() {
    let account = Account::Person(user(1));
    let subjects = Subject::of_password(account, None, Some(network("192.0.2.1")));
    let mut rows: Vec<_> = subjects.into_iter().map(|subject| (subject, Tally::NONE)).collect();
    for count in 1..=5 {
        assert_eq!(admit(&mut rows, START), Verdict::Go);
        assert!(rows.iter().all(|(_, tally)| *tally == Tally { failures: count, last: START }));
    }
    let before = rows.clone();
    assert_eq!(admit(&mut rows, START), Verdict::Wait(Duration::from_secs(2)));
    assert_eq!(rows, before);
}

#[test]
fn a_code_that_comes_with_its_password_is_counted_once_on_a_known_device() {
    let challenge = Some(Digest::from_bytes(&[1; 32]));
    let counted = |challenge, known| Subject::of_factor(user(1), challenge, known).len();
    assert_eq!(counted(None, Some(device(1))), 0);
    assert_eq!(Subject::of_factor(user(1), None, None), [Subject::Factor(user(1))]);
    assert_eq!((counted(challenge, None), counted(challenge, Some(device(1)))), (2, 2));
}

#[test]
fn the_stricter_verdict_counts() {
    let wait = |seconds| Verdict::Wait(Duration::from_secs(seconds));
    assert_eq!(Verdict::Go.and(wait(1)), wait(1));
    assert_eq!(wait(2).and(wait(1)), wait(2));
    assert_eq!(wait(2).and(Verdict::Spent), Verdict::Spent);
}

fn subjects() -> impl Strategy<Value = Subject> {
    proptest::sample::select(every_subject().to_vec())
}

fn times() -> impl Strategy<Value = Timestamp> {
    let ends = prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0)];
    prop_oneof![3 => any::<i64>(), 1 => ends].prop_map(Timestamp::from_micros)
}

fn counts() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0_u32..200, 1 => any::<u32>(), 1 => Just(u32::MAX)]
}

proptest! {
    #[test]
    fn nothing_panics_and_no_wait_is_too_long(subject in subjects(), failures in counts(),
                                              last in times(), now in times()) {
        let tally = Tally { failures, last };
        if let Verdict::Wait(wait) = subject.verdict(tally, now) {
            prop_assert!(wait > Duration::ZERO);
            // A clock that is ahead may add its lead once more, for networks and letters not even that.
            prop_assert!(wait <= HOUR, "{wait:?}");
        }
        let more = subject.after_failure(tally, now);
        prop_assert!(more.failures >= 1);
        let _ = (subject.taken_back(tally), subject.after_success(tally), subject.eased(tally));
        let _ = subject.is_over(tally, now);
    }

    #[test]
    fn more_failures_never_wait_less(subject in subjects(), failures in counts(), more in counts(),
                                     quiet in 0_u64..8_000_000_000) {
        let now = START.plus(Duration::from_micros(quiet));
        let one = subject.verdict(Tally { failures, last: START }, now);
        let two = subject.verdict(Tally { failures: failures.saturating_add(more), last: START }, now);
        prop_assert!(one <= two, "{one:?} {two:?}");
    }

    #[test]
    fn time_ends_every_wait(subject in subjects(), failures in counts(), quiet in 0_u64..8_000_000_000) {
        let tally = Tally { failures, last: START };
        let now = START.plus(Duration::from_micros(quiet));
        match subject.verdict(tally, now) {
            Verdict::Go => {}
            Verdict::Wait(wait) => {
                prop_assert_eq!(subject.verdict(tally, now.plus(wait)), Verdict::Go);
                let just_before = Timestamp::from_micros(now.plus(wait).micros() - 1);
                prop_assert_ne!(subject.verdict(tally, just_before), Verdict::Go);
            }
            Verdict::Spent => prop_assert!(failures >= 5),
        }
    }

    // Sooner or later, for a guess that is let through sets the row right.
    #[test]
    fn a_row_from_the_future_holds_up_for_twice_the_longest_wait_at_most(
        subject in subjects(), failures in 5_u32..10, ahead in 0_u64..(1 << 44)
    ) {
        let longest = match subject.policy() {
            Policy::Growing(growing) => growing.most,
            Policy::Refilled(refilled) => refilled.every * refilled.burst,
        };
        let tally = Tally { failures: failures * 7, last: START.plus(Duration::from_micros(ahead)) };
        let at_once = subject.verdict(tally, START);
        let later = subject.verdict(tally, START.plus(longest * 2));
        prop_assert!(at_once != Verdict::Go || ahead > 0);
        prop_assert!([at_once, later].iter().any(|it| matches!(it, Verdict::Go | Verdict::Spent)));
    }

    #[test]
    fn a_success_resets_what_is_a_persons_own(failures in counts(), last in times(), now in times()) {
        for subject in every_subject().into_iter().take(4) {
            let tally = subject.after_success(Tally { failures, last });
            prop_assert_eq!(subject.verdict(tally, now), Verdict::Go);
            prop_assert!(subject.is_over(tally, now));
        }
    }

    // Whatever the rhythm, no hour sees more than its burst and what came back.
    #[test]
    fn no_rhythm_gets_more_codes_into_an_hour(steps in proptest::collection::vec(0_u64..1_200, 1..200)) {
        let subject = Subject::Factor(user(1));
        let (mut tally, mut now, mut tried) = (Tally::NONE, START, Vec::new());
        for step in steps {
            now = now.plus(Duration::from_secs(step));
            if subject.verdict(tally, now) == Verdict::Go {
                tally = subject.after_failure(tally, now);
                tried.push(now);
            }
        }
        prop_assert!(most_within(&tried, HOUR) <= 7);
    }
}
