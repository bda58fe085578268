//! How back ends fold the names of attributes, and how folded names begin.

/// How many of the first bytes of a key are told apart.
const START: usize = 3;

/// What the first bytes of denied keys are, each in every spelling.
#[derive(Debug)]
pub struct Starts {
    /// For each of the first bytes and its value, the denied keys that it may be of, as bits; keys share bits when there
    /// are many.
    bits: [[u32; 256]; START],
}

impl Starts {
    /// Those of these keys, which are folded.
    pub fn of(keys: &[Box<[u8]>]) -> Self {
        let mut bits = [[0; 256]; START];
        for (key, bit) in keys.iter().zip((0..32).cycle()) {
            for (place, bits) in bits.iter_mut().enumerate() {
                // Several bytes may be folded into one `_`, so behind one there may be anything; and at its end a key
                // may go on.
                let expected = key.get(place).filter(|_| !key.iter().take(place).any(|byte| *byte == b'_'));
                let alike = |byte: u8| expected.is_none_or(|expected| fold(byte) == *expected);
                for (bits, _) in bits.iter_mut().zip(0..=u8::MAX).filter(|(_, byte)| alike(*byte)) {
                    *bits |= 1 << bit;
                }
            }
        }
        Self { bits }
    }

    /// Whether a denied key may begin as `key` does, or the other way round.
    #[inline]
    pub fn may_start(&self, key: &[u8]) -> bool {
        let bits =
            self.bits.iter().zip(key).map(|(bits, byte)| bits.get(usize::from(*byte)).copied().unwrap_or(0));
        !key.is_empty() && bits.fold(u32::MAX, |all, bits| all & bits) != 0
    }
}

/// A key as back ends store it.
pub fn folded(key: &[u8]) -> Box<[u8]> {
    let mut out: Vec<u8> = Vec::with_capacity(key.len());
    for &byte in key {
        let byte = fold(byte);
        if byte != b'_' || out.last() != Some(&b'_') {
            out.push(byte);
        }
    }
    out.into()
}

/// One byte of a key as back ends store it, several `_` being one.
pub const fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'_' }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        vec(prop::sample::select(b"teTE.-_x9\xe9".to_vec()), 0..7)
    }

    #[test]
    fn keys_that_begin_otherwise_are_told_apart() {
        let keys: Vec<Box<[u8]>> = ["tenant_id", "x_scope", "id"].map(|key| key.as_bytes().into()).into();
        let starts = Starts::of(&keys);
        for key in ["thread.id", "te", "test", "X.", "X", "id", "ID.x", "x--scope", "Tenant", "tEn"] {
            let expected = !matches!(key, "thread.id" | "test");
            assert_eq!(starts.may_start(key.as_bytes()), expected, "{key}");
        }
        assert!(!starts.may_start(b""));
        assert!(!Starts::of(&[]).may_start(b"tenant"));
    }

    proptest! {
        #[test]
        fn no_beginning_of_a_key_is_missed(keys in vec(key(), 1..40), key in key()) {
            let keys: Vec<Box<[u8]>> = keys.iter().map(|key| folded(key)).filter(|key| !key.is_empty()).collect();
            let folded = folded(&key);
            let begins = |denied: &[u8]| !key.is_empty() && (denied.starts_with(&folded) || folded.starts_with(denied));
            if keys.iter().any(|denied| begins(denied)) {
                prop_assert!(Starts::of(&keys).may_start(&key));
            }
        }
    }
}
