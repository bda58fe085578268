//! What verification costs. Run by hand, optimised:
//! `cargo test --release --lib figures -- --ignored --nocapture`.

use super::*;
use crate::secret::sha256;
use crate::secret::token::front::Parts;

#[test]
#[ignore = "a figure, not a check"]
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn of_verification() {
    let set = all();
    for key in KEYS.iter() {
        let token = token(key);
        let parts = Parts::of(&token).unwrap();
        let signature = parts.signature().unwrap();
        let (message, verifying) = (parts.message.as_bytes(), key.public());
        let of_200 = |work: &dyn Fn() -> bool| {
            let start = std::time::Instant::now();
            assert!((0..200).all(|_| work()));
            start.elapsed().as_nanos() / 200
        };
        // In turn, so that what else the machine does meets all alike.
        let (mut alone, mut whole, mut signing) = (u128::MAX, u128::MAX, u128::MAX);
        for _ in 0..100 {
            alone = alone.min(of_200(&|| {
                verifying.holds(message, || sha256(message).to_bytes(), signature.as_slice())
            }));
            whole = whole.min(of_200(&|| set.verify(&token, &EXPECT, NOW).is_ok()));
            signing = signing.min(of_200(&|| key.sign(&claims()).is_ok()));
        }
        let name = verifying.algorithm().name();
        println!(
            "{name}: signature {alone} ns, whole {whole} ns; signing {signing} ns; {} bytes",
            token.len()
        );
    }
}
