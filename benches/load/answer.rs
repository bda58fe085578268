//! Judges answers by their first bytes, which costs next to nothing.

/// Bytes before each gRPC message: whether it is compressed, and its length.
pub const GRPC_PREFIX: usize = 5;

/// The first bytes of a good answer: all that tells it from a refusal without decoding it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A message of no bytes.
    Empty,
    /// The health service's answer that it serves.
    Serving,
    /// A message that begins with field 1 of length-delimited type: the principal.
    Principal,
    /// A tag, and below field 2 a message that begins with the principal.
    TaggedPrincipal,
}

impl Answer {
    /// Whether `message`, possibly cut at its end, is a good answer.
    pub fn is_in(self, message: &[u8]) -> bool {
        const TAG: u8 = 0x08;
        const FIELD_1: u8 = 0x0a;
        const FIELD_2: u8 = 0x12;
        match (self, message) {
            (Self::Empty, message) => message.is_empty(),
            (Self::Serving, message) => message == [0x08, 1],
            (Self::Principal, message) => message.first() == Some(&FIELD_1),
            (Self::TaggedPrincipal, [TAG, rest @ ..]) => skip_varint(rest)
                .strip_prefix(&[FIELD_2])
                .is_some_and(|rest| skip_varint(rest).first() == Some(&FIELD_1)),
            (Self::TaggedPrincipal, _) => false,
        }
    }
}

/// Splits the first gRPC message off `bytes`, or `None` when it is not whole.
pub fn split_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[_compressed, length @ ..], rest) = bytes.split_first_chunk::<GRPC_PREFIX>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(length)).ok()?)
}

fn skip_varint(bytes: &[u8]) -> &[u8] {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0).map_or(bytes.len(), |last| last + 1);
    bytes.get(length..).unwrap_or_default()
}
