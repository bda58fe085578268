//! Percent-decoding (RFC 3986 §2.1): strict for what clients send, lenient for gRPC messages.

/// Decodes a path segment; `None` if an escape is incomplete or the result is not UTF-8.
pub(crate) fn segment(text: &str) -> Option<String> {
    decode(text, false)
}

/// Decodes a query name or value, where `+` is a space; `None` as for [`segment`].
pub(crate) fn query(text: &str) -> Option<String> {
    decode(text, true)
}

/// Decodes a `grpc-message`: what is no escape stays as it is.
pub(crate) fn message(raw: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((first, tail)) = rest.split_first() {
        let (byte, after) = escape(rest).unwrap_or((*first, tail));
        decoded.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'%' => {
                let (high, low) = (digit(*tail.first()?)?, digit(*tail.get(1)?)?);
                decoded.push(high << 4 | low);
                rest = tail.get(2..)?;
            }
            b'+' if plus_is_space => decoded.push(b' '),
            other => decoded.push(*other),
        }
    }
    // The text is the client's; why it is not UTF-8 is of no use to anybody.
    let Ok(text) = String::from_utf8(decoded) else { return None };
    Some(text)
}

/// The byte that an escape at the start stands for, and what follows it.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = text else { return None };
    Some((digit(*high)? << 4 | digit(*low)?, rest))
}

fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        b'A'..=b'F' => Some(letter - b'A' + 10),
        _ => None,
    }
}

/// Every byte escaped.
#[cfg(test)]
pub(crate) fn escaped(text: &str) -> String {
    let digits = |byte: u8| {
        [b'%', b"0123456789ABCDEF"[usize::from(byte >> 4)], b"0123456789abcdef"[usize::from(byte & 15)]]
    };
    String::from_utf8(text.bytes().flat_map(digits).collect()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strict_decoding() {
        assert_eq!(segment("a%2Fb%3a+").as_deref(), Some("a/b:+"));
        assert_eq!(query("a+b%2B").as_deref(), Some("a b+"));
        assert_eq!(segment("%C3%A9").as_deref(), Some("é"));
        for bad in ["%", "%2", "%zz", "a%2", "%+1", "%C3", "%ff"] {
            assert_eq!(segment(bad), None, "{bad}");
        }
    }

    #[test]
    fn messages_keep_what_is_no_escape() {
        assert_eq!(message(b"100% of%20it"), "100% of it");
        assert_eq!(message(b"%e2%82%ac %"), "€ %");
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(text in any::<String>()) {
            let encoded = escaped(&text);
            prop_assert_eq!(segment(&encoded), Some(text.clone()));
            prop_assert_eq!(message(encoded.as_bytes()), text);
        }

        #[test]
        fn no_text_panics(text in any::<String>(), raw in any::<Vec<u8>>()) {
            let _ = (segment(&text), query(&text), message(&raw));
        }
    }
}
