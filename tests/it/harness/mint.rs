//! Keys that nobody issued, made from the published form alone: prefix, 32 letters, six of CRC-32.

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A well-formed key that the server has never seen; a different one each time.
pub fn unknown_key(prefix: &str) -> String {
    let mut random = [0; 32];
    getrandom::fill(&mut random).unwrap();
    let body: String = random.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % 62])).collect();
    with_check(&format!("{prefix}{body}"))
}

/// The same key with its last letter changed, so that its check no longer fits.
pub fn with_a_typo(key: &str) -> String {
    let (rest, last) = key.split_at(key.len() - 1);
    format!("{rest}{}", if last == "x" { "y" } else { "x" })
}

fn with_check(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes()) as usize;
    let mut check = [b'0'; 6];
    for place in check.iter_mut().rev() {
        *place = LETTERS[rest % 62];
        rest /= 62;
    }
    format!("{body}{}", std::str::from_utf8(&check).unwrap())
}
