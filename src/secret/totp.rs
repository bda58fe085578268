//! Second factors by time (RFC 6238), as authenticator apps have them: SHA-1,
//! six digits, thirty seconds.
//!
//! Other digests and lengths are not offered: several apps take a code with
//! them and then count with SHA-1 and six digits all the same.

use super::{Qr, QrFault};
use crate::domain::reading::Reading;
use crate::domain::{Entropy, Timestamp};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::fmt::{self, Write};
use totp_rs::{Builder, Secret, Totp};
use zeroize::Zeroizing;

/// What an authenticator and Doorward share, wiped when dropped.
pub struct TotpSecret(Totp);

/// Seconds that a code lasts.
const PERIOD: i64 = 30;

/// Bytes that issuer and account may take in the address, escaped: thrice this
/// is a code that cameras still read.
const MAX_LABEL: usize = 240;

impl TotpSecret {
    /// Bytes of every secret: 160 bits, as RFC 4226 §4 recommends.
    pub const LENGTH: usize = 20;

    /// The step before all others, for whoever used none yet.
    pub const NO_STEP: i64 = -1;

    /// A new secret.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; Self::LENGTH]);
        entropy.fill(bytes.as_mut_slice());
        Self::of(*bytes)
    }

    /// The secret of these bytes, if there are twenty.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; Self::LENGTH]>::try_from(bytes).readable().map(Self::of)
    }

    /// The secret that [`TotpSecret::base32`] wrote, as an authenticator reads it.
    pub fn from_base32(text: &str) -> Option<Self> {
        match Secret::try_from_base32(text) {
            Ok(secret) => Self::from_bytes(secret.as_bytes()),
            Err(_) => None,
        }
    }

    /// Its bytes, for sealing.
    pub fn reveal(&self) -> &[u8] {
        self.0.secret().as_bytes()
    }

    /// The secret for typing into an authenticator: 32 letters (RFC 4648 §6).
    pub fn base32(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.secret().to_base32())
    }

    /// The `otpauth://` address that authenticators take over. Names too long
    /// for a code that cameras read are cut; colons, which part the two, and
    /// control characters are left out.
    pub fn uri(&self, issuer: &str, account: &str) -> Zeroizing<String> {
        let (issuer, account, secret) = (escaped(issuer), escaped(account), self.base32());
        Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period={PERIOD}",
            secret.as_str()
        ))
    }

    /// The address as a picture.
    pub fn qr(&self, issuer: &str, account: &str) -> Result<Qr, QrFault> {
        Qr::of(&self.uri(issuer, account))
    }

    /// The step that `code` is for, if it is right, of this step or one beside
    /// it, and later than `last_step`. Whoever accepts it must store the step
    /// as the last one in the same breath (RFC 6238 §5.2).
    ///
    /// A code is six ASCII digits and nothing else: it is compared as it came,
    /// letter by letter. How long this takes tells nothing of the right codes.
    pub fn check(&self, code: &str, now: Timestamp, last_step: i64) -> Option<i64> {
        let code: &[u8; 6] = code.as_bytes().try_into().readable()?;
        let current = step_of(now);
        let mut accepted = None;
        // The latest wins: where two steps share a code, it must not pass for both in turn.
        for step in current - 1..=current + 1 {
            let right = self.code_of(step)?;
            if verify_slices_are_equal(right.as_bytes(), code).is_ok() && step > last_step {
                accepted = Some(step);
            }
        }
        accepted
    }

    /// The code that an authenticator shows at that time; `None` in 1970's
    /// first minute and before it.
    pub fn code_at(&self, time: Timestamp) -> Option<Zeroizing<String>> {
        self.code_of(step_of(time))
    }

    fn code_of(&self, step: i64) -> Option<Zeroizing<String>> {
        let time = u64::try_from(step.checked_mul(PERIOD)?).readable()?;
        Some(Zeroizing::new(self.0.generate(time).to_string()))
    }

    /// Nothing to refuse: the length is right by its type, the rest by default.
    fn of(bytes: [u8; Self::LENGTH]) -> Self {
        Self(Builder::new().with_secret(Secret::new_stack(bytes)).build_noncompliant())
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret([redacted])")
    }
}

const fn step_of(time: Timestamp) -> i64 {
    time.micros().div_euclid(1_000_000 * PERIOD)
}

/// Percent-encodes all but the unreserved letters (RFC 3986 §2.3).
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars().filter(|letter| *letter != ':' && !letter.is_control()) {
        let before = escaped.len();
        for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                escaped.push(byte.into());
            } else {
                // Writing to a text cannot fail.
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
        if escaped.len() > MAX_LABEL {
            escaped.truncate(before);
            break;
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::fixed::Counting;
    use proptest::prelude::*;

    const NONE: i64 = TotpSecret::NO_STEP;

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn rfc() -> TotpSecret {
        TotpSecret::from_bytes(b"12345678901234567890").unwrap()
    }

    // RFC 6238 appendix B, SHA-1, the last six of eight digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let vectors = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (time, code) in vectors {
            assert_eq!(rfc().code_at(seconds(time)).unwrap().as_str(), code);
            assert_eq!(rfc().check(code, seconds(time), NONE), Some(time / 30), "{time}");
        }
    }

    #[test]
    fn a_code_passes_in_its_own_step_and_the_two_beside_it() {
        let code = rfc().code_at(seconds(3_000)).unwrap();
        for (time, passes) in
            [(2_969, false), (2_970, true), (3_000, true), (3_029, true), (3_059, true), (3_060, false)]
        {
            assert_eq!(rfc().check(&code, seconds(time), NONE), passes.then_some(100), "{time}");
        }
    }

    // A28
    #[test]
    fn no_step_passes_twice_nor_one_before_it() {
        let code = |step: i64| rfc().code_at(seconds(step * 30)).unwrap();
        let now = seconds(3_000);
        assert_eq!(rfc().check(&code(100), now, 99), Some(100));
        assert_eq!(rfc().check(&code(100), now, 100), None);
        assert_eq!(rfc().check(&code(99), now, 100), None);
        assert_eq!(rfc().check(&code(101), now, 100), Some(101));
        assert_eq!(rfc().check(&code(100), now, i64::MAX), None);
    }

    // A28: found by search among this secret's steps.
    #[test]
    fn a_code_that_two_steps_share_passes_once() {
        let (secret, step) = (rfc(), 50_424_280);
        let code = secret.code_at(seconds(step * 30)).unwrap();
        assert_eq!(secret.code_at(seconds((step + 1) * 30)).unwrap(), code);
        for now in [step * 30, (step + 1) * 30] {
            let used = secret.check(&code, seconds(now), NONE).unwrap();
            assert_eq!(used, step + 1);
            assert_eq!(secret.check(&code, seconds(now), used), None);
        }
    }

    // A28
    #[test]
    fn only_six_ascii_digits_are_a_code() {
        let now = seconds(59);
        assert!(rfc().check("287082", now, NONE).is_some());
        let bad = [
            "",
            "28708",
            "2870820",
            "94287082",
            " 287082",
            "287082 ",
            "287082\n",
            "287 082",
            "28708\u{662}",
            "\u{ff12}87082",
            "+28708",
            "-28708",
            "0x2870",
            "287082\0",
        ];
        for code in bad {
            assert_eq!(rfc().check(code, now, NONE), None, "{code:?}");
        }
    }

    #[test]
    fn times_at_both_ends_do_no_harm() {
        for micros in [i64::MIN, -1, 0, 29_999_999, i64::MAX] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(rfc().check("000000", time, NONE), None, "{micros}");
        }
        assert!(rfc().code_at(Timestamp::from_micros(-1)).is_none());
        assert!(rfc().code_at(Timestamp::NEVER).is_some());
    }

    #[test]
    fn secrets_are_random_read_back_and_cannot_be_printed() {
        let entropy = Counting::default();
        let (one, two) = (TotpSecret::generate(&entropy), TotpSecret::generate(&entropy));
        assert_ne!(one.reveal(), two.reveal());
        assert_eq!(rfc().base32().as_str(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(TotpSecret::from_base32(&one.base32()).unwrap().reveal(), one.reveal());
        assert_eq!(TotpSecret::from_bytes(one.reveal()).unwrap().reveal(), one.reveal());
        for text in ["", "GEZDGNBV", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJ1", &one.base32().repeat(2)] {
            assert!(TotpSecret::from_base32(text).is_none(), "{text}");
        }
        assert!(TotpSecret::from_bytes(&[1; 19]).is_none());
        assert_eq!(format!("{:?}", rfc()), "TotpSecret([redacted])");
    }

    #[test]
    fn the_address_has_all_that_an_authenticator_needs() {
        assert_eq!(
            rfc().uri("Söhne & Co\n", "a:b+c@example.com").as_str(),
            "otpauth://totp/S%C3%B6hne%20%26%20Co:ab%2Bc%40example.com\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=S%C3%B6hne%20%26%20Co\
             &algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn no_name_is_too_long_for_a_picture() {
        let long = "\u{1f511}".repeat(10_000);
        let uri = rfc().uri(&long, &long);
        assert!(uri.len() < 3 * MAX_LABEL + 130);
        assert!(uri.contains("&issuer=%F0%9F%94%91") && !uri.contains("%F0%9F&"));
        assert!(rfc().qr(&long, &long).is_ok());
    }

    proptest! {
        #[test]
        fn what_an_authenticator_shows_passes(bytes in any::<[u8; 20]>(), time in 30_i64..4_000_000_000) {
            let secret = TotpSecret::from_bytes(&bytes).unwrap();
            let code = secret.code_at(seconds(time)).unwrap();
            prop_assert!(secret.check(&code, seconds(time), time / 30 - 1) >= Some(time / 30));
        }

        #[test]
        fn no_text_panics(code in ".{0,12}", micros in any::<i64>(), last in any::<i64>()) {
            let _ = rfc().check(&code, Timestamp::from_micros(micros), last);
            let _ = rfc().uri(&code, &code);
        }
    }
}
