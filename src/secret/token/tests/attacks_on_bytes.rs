//! Attacks on signatures and spelling, by their numbers in the catalogue, and
//! texts of all kinds.

use super::*;
use proptest::prelude::*;

// A08
#[test]
fn signatures_have_one_form() {
    for key in KEYS.iter() {
        let good = token(key);
        let (message, signature) = good.rsplit_once('.').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let with = |bytes: &[u8]| format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes));
        assert_eq!(verify(&with(&bytes)), Ok(claims()));
        invalid(&with(&vec![0; bytes.len()]));
        invalid(&with(&vec![0xff; bytes.len()]));
        invalid(&with(&bytes[..bytes.len() - 1]));
        invalid(&with(&bytes[1..]));
        invalid(&with(&bytes[..16]));
        invalid(&with(&[0]));
        let longer = verify(&with(&[bytes.as_slice(), &[0]].concat()));
        assert!(matches!(longer, Err(TokenFault::Invalid | TokenFault::Malformed)));
        malformed(&with(&vec![7; 600]));
        malformed(&format!("{good}="));
        malformed(&format!("{good}=="));
        malformed(&format!("{good}\n"));
        malformed(&format!("{good} "));
        malformed(&good[..good.len() - 1].to_owned().replace('.', "="));
        let standard = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&bytes);
        if standard != signature {
            malformed(&format!("{message}.{standard}"));
        }
        assert!(verify(&good[..good.len() - 1]).is_err());
        assert!(verify(&format!(" {good}")).is_err());
    }
}

// A08: r and s out of their range, and ASN.1 in place of two plain numbers.
#[test]
fn ecdsa_numbers_are_in_range() {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let key = key(Algorithm::Es256);
    let good = token(key);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let (r, s) = bytes.split_at(32);
    let zero = [0; 32];
    let with = |r: &[u8], s: &[u8]| format!("{message}.{}", URL_SAFE_NO_PAD.encode([r, s].concat()));
    for (r, s) in [(&zero[..], s), (r, &zero), (&zero, &zero), (&ORDER, s), (r, &ORDER), (&ORDER, &ORDER)] {
        invalid(&with(r, s));
    }
    invalid(&with(s, r));
    let number = |bytes: &[u8]| [&[2, 33, 0], bytes].concat();
    let der = [&[0x30, 70], number(r).as_slice(), number(s).as_slice()].concat();
    invalid(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(der)));
}

// A08: what is left over in the last letter must be zero.
#[test]
fn the_last_letter_of_each_part_has_no_spare_bits() {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for key in KEYS.iter() {
        let good = token(key);
        let ends: Vec<usize> = good.match_indices('.').map(|(at, _)| at).chain([good.len()]).collect();
        for end in ends {
            for letter in letters {
                let mut changed = good.clone().into_bytes();
                if changed[end - 1] != *letter {
                    changed[end - 1] = *letter;
                    assert!(verify(std::str::from_utf8(&changed).unwrap()).is_err());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_token_with_one_byte_changed_is_refused(
        which in 0_usize..4, place in any::<proptest::sample::Index>(), byte in 0_u8..128,
    ) {
        let mut changed = token(&KEYS[which]).into_bytes();
        let at = place.index(changed.len());
        prop_assume!(changed[at] != byte);
        changed[at] = byte;
        prop_assert!(verify(std::str::from_utf8(&changed).unwrap()).is_err());
    }

    #[test]
    fn a_token_with_bytes_left_out_or_doubled_is_refused(
        which in 0_usize..4, from in any::<proptest::sample::Index>(), length in 1_usize..40, doubled: bool,
    ) {
        let good = token(&KEYS[which]);
        let from = from.index(good.len());
        let to = good.len().min(from + length);
        let rest = if doubled { from } else { to };
        let changed = format!("{}{}", &good[..if doubled { to } else { from }], &good[rest..]);
        prop_assert!(verify(&changed).is_err());
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,300}") {
        prop_assert!(verify(&text).is_err());
    }

    // Signed by a key in force, so that all of the front and the claims are reached.
    #[test]
    fn no_signed_text_makes_it_panic(
        header in "[{}\\[\\]\":,a-z0-9.\\\\ -]{0,80}", payload in "[{}\\[\\]\":,a-z0-9.\\\\ -]{0,200}", own: bool,
    ) {
        let key = key(Algorithm::Hs256);
        let header = if own { header_of(key) } else { header };
        prop_assert!(verify(&forged(key, header, payload)).is_err());
    }

    #[test]
    fn no_bytes_in_the_place_of_a_claim_make_it_panic(
        member in 0_usize..12, value in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let key = key(Algorithm::Hs256);
        let text = payload();
        let (at, _) = text.match_indices("\":").nth(member).unwrap();
        let text = [&text.as_bytes()[..at + 2], &value, b"}"].concat();
        prop_assert!(verify(&super::forged(key, header_of(key), text)).is_err());
    }
}
