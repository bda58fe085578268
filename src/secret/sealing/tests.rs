use super::*;
use crate::domain::clock::fixed::Counting;
use proptest::prelude::*;

const PLAIN: &[u8] = b"the seed of a second factor";

fn root(byte: u8) -> RootKey {
    RootKey::from_file_bytes(&std::array::from_fn::<u8, 32, _>(|at| byte ^ u8::try_from(at).unwrap()))
        .unwrap()
}

fn place() -> Place<'static> {
    let tenant = Some(TenantId::from_bytes([7; 16]));
    Place { table: "totp", column: "seed", row: b"row", tenant }
}

#[test]
fn a_value_opens_in_its_own_place_alone() {
    let sealer = Sealer::new(root(1), vec![]);
    let entropy = Counting::default();
    let sealed = sealer.seal(&place(), PLAIN, &entropy).unwrap();
    assert_eq!(sealer.open(&place(), &sealed).unwrap().as_slice(), PLAIN);
    let elsewhere = [
        Place { table: "keys", ..place() },
        Place { column: "key", ..place() },
        Place { row: b"rox", ..place() },
        Place { row: b"", ..place() },
        Place { tenant: None, ..place() },
        Place { tenant: Some(TenantId::from_bytes([8; 16])), ..place() },
        // The same letters, divided otherwise.
        Place { table: "totps", column: "eed", ..place() },
        Place { column: "seedr", row: b"ow", ..place() },
        Place {
            row: &[b"row".as_slice(), &16_u64.to_be_bytes(), &[7; 16]].concat(),
            tenant: None,
            ..place()
        },
    ];
    for other in elsewhere {
        assert_eq!(sealer.open(&other, &sealed).unwrap_err(), SealingFault::Refused, "{other:?}");
    }
}

#[test]
fn a_value_that_was_cut_lengthened_or_changed_is_refused() {
    let sealer = Sealer::new(root(1), vec![root(2)]);
    let sealed = sealer.seal(&place(), PLAIN, &Counting::default()).unwrap();
    for length in 0..sealed.len() {
        assert!(sealer.open(&place(), &sealed[..length]).is_err(), "{length}");
    }
    assert!(sealer.open(&place(), &[sealed.as_slice(), &[0]].concat()).is_err());
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(sealer.open(&place(), &changed).is_err(), "{bit}");
    }
}

#[test]
fn another_root_key_does_not_open_it_even_under_its_name() {
    let entropy = Counting::default();
    let sealed = Sealer::new(root(1), vec![]).seal(&place(), PLAIN, &entropy).unwrap();
    let other = Sealer::new(root(2), vec![]);
    assert_eq!(other.open(&place(), &sealed).unwrap_err(), SealingFault::UnknownKey(root(1).id()));
    assert_eq!(other.rewrap(&sealed, &entropy).unwrap_err(), SealingFault::UnknownKey(root(1).id()));
    let mut renamed = sealed;
    renamed[1..9].copy_from_slice(root(2).id().as_bytes());
    assert_eq!(other.open(&place(), &renamed).unwrap_err(), SealingFault::Refused);
}

#[test]
fn payloads_cannot_be_swapped_between_values() {
    let sealer = Sealer::new(root(1), vec![]);
    let entropy = Counting::default();
    let one = sealer.seal(&place(), PLAIN, &entropy).unwrap();
    let two = sealer.seal(&place(), PLAIN, &entropy).unwrap();
    assert_ne!(one, two, "each has its own data key and nonces");
    let payload = PLAIN.len() + aead::OVERHEAD;
    let mixed = [&one[..one.len() - payload], &two[two.len() - payload..]].concat();
    assert_eq!(sealer.open(&place(), &mixed).unwrap_err(), SealingFault::Refused);
}

#[test]
fn a_root_key_is_replaced_without_opening_what_it_sealed() {
    let entropy = Counting::default();
    let before = Sealer::new(root(1), vec![]);
    let sealed = before.seal(&place(), PLAIN, &entropy).unwrap();
    assert_eq!(before.rewrap(&sealed, &entropy).unwrap(), None);
    let during = Sealer::new(root(2), vec![root(1)]);
    assert_eq!(during.open(&place(), &sealed).unwrap().as_slice(), PLAIN);
    let moved = during.rewrap(&sealed, &entropy).unwrap().unwrap();
    assert_eq!(Sealer::key_id_of(&moved).unwrap(), root(2).id());
    let payload = PLAIN.len() + aead::OVERHEAD;
    assert_eq!(moved[moved.len() - payload..], sealed[sealed.len() - payload..]);
    let after = Sealer::new(root(2), vec![]);
    assert_eq!(after.open(&place(), &moved).unwrap().as_slice(), PLAIN);
    assert_eq!(before.open(&place(), &moved).unwrap_err(), SealingFault::UnknownKey(root(2).id()));
}

#[test]
fn lengths_are_bounded_and_nothing_can_be_printed() {
    let sealer = Sealer::new(root(1), vec![]);
    let entropy = Counting::default();
    let longest = vec![7; Sealer::MAX_PLAIN];
    let sealed = sealer.seal(&place(), &longest, &entropy).unwrap();
    assert_eq!(sealer.open(&place(), &sealed).unwrap().as_slice(), longest);
    let longer = vec![7; Sealer::MAX_PLAIN + 1];
    assert_eq!(sealer.seal(&place(), &longer, &entropy).unwrap_err(), SealingFault::TooLong);
    assert!(sealer.open(&place(), &sealer.seal(&place(), b"", &entropy).unwrap()).unwrap().is_empty());
    let shown = format!("{sealer:?}");
    assert!(shown.contains(&root(1).id().to_string()) && !shown.contains(root(1).reveal().as_str()));
}

/// A key service whose wrapped keys are long, and which can be away.
struct Remote {
    away: bool,
    wrapped: usize,
}

impl Kms for Remote {
    fn current_key_id(&self) -> RootKeyId {
        RootKeyId::from_bytes(*b"remote-1")
    }

    fn wrap(&self, data_key: &DataKey, _: &dyn Entropy) -> Result<(RootKeyId, Vec<u8>), SealingFault> {
        let mut wrapped = data_key.to_vec();
        wrapped.resize(self.wrapped, 0);
        Ok((self.current_key_id(), wrapped))
    }

    fn unwrap(&self, _: RootKeyId, wrapped: &[u8]) -> Result<DataKey, SealingFault> {
        if self.away {
            return Err(SealingFault::Unavailable("no answer".into()));
        }
        Ok(DataKey::new(*wrapped.first_chunk().unwrap()))
    }
}

#[test]
fn another_keeper_of_root_keys_can_stand_in() {
    let entropy = Counting::default();
    let remote = |away, wrapped| Sealer::over(Box::new(Remote { away, wrapped }));
    let sealed = remote(false, 2048).seal(&place(), PLAIN, &entropy).unwrap();
    assert_eq!(remote(false, 2048).open(&place(), &sealed).unwrap().as_slice(), PLAIN);
    assert_eq!(
        remote(true, 2048).open(&place(), &sealed).unwrap_err(),
        SealingFault::Unavailable("no answer".into())
    );
    assert_eq!(remote(false, 2049).seal(&place(), PLAIN, &entropy).unwrap_err(), SealingFault::Malformed);
}

proptest! {
    #[test]
    fn whatever_is_sealed_opens_and_no_garbage_does(plain in prop::collection::vec(any::<u8>(), 0..300), garbage in prop::collection::vec(any::<u8>(), 0..300)) {
        let sealer = Sealer::new(root(1), vec![]);
        let sealed = sealer.seal(&place(), &plain, &Counting::default()).unwrap();
        prop_assert_eq!(sealer.open(&place(), &sealed).unwrap().to_vec(), plain);
        prop_assert!(sealer.open(&place(), &garbage).is_err());
        let with_header = [&sealed[..11], &garbage].concat();
        prop_assert!(sealer.open(&place(), &with_header).is_err());
    }
}
