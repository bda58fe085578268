//! HTTP/2 frames (RFC 9113) and the few forms of HPACK (RFC 7541) that a generator needs.

/// What a client sends first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest payload that every peer takes in one frame, in bytes (RFC 9113 §4.2).
pub const MAX_PAYLOAD: usize = 16_384;

/// Frame types (RFC 9113 §6).
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
}

/// Frame flags (RFC 9113 §6).
pub mod flag {
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
}

/// One received frame.
pub struct Frame<'a> {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: &'a [u8],
}

impl Frame<'_> {
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Splits the first whole frame off `bytes`, or `None` when more bytes are needed.
pub fn split(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (&[high, middle, low, kind, flags, s0, s1, s2, s3], rest) = bytes.split_first_chunk::<9>()?;
    let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    let (payload, rest) = rest.split_at_checked(length)?;
    let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
    Some((Frame { kind, flags, stream, payload }, rest))
}

/// Appends a frame. `payload` must not be longer than [`MAX_PAYLOAD`].
pub fn push(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    push_head(out, payload.len(), kind, flags, stream);
    out.extend_from_slice(payload);
}

/// Appends the head of a frame whose payload of `length` bytes follows.
pub fn push_head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let [.., high, middle, low] = length.to_be_bytes();
    out.extend_from_slice(&[high, middle, low, kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

/// The header blocks of one connection: `first` fills the peer's dynamic table, `again` refers to it.
pub struct HeaderBlocks {
    pub first: Vec<u8>,
    pub again: Vec<u8>,
}

impl HeaderBlocks {
    /// Encodes a gRPC request to `path`, with `authorization` when `caller` is the same for all of them.
    pub fn new(path: &str, caller: Option<&str>) -> Self {
        let mut first = vec![POST, SCHEME_HTTP];
        let mut entries = 0;
        let mut add = |name: &[u8], value: &str| {
            first.extend_from_slice(name);
            push_string(&mut first, value);
            entries += 1;
        };
        add(&[INDEXED_NAME | PATH], path);
        add(&[INDEXED_NAME | AUTHORITY], "127.0.0.1");
        add(&[INDEXED_NAME | CONTENT_TYPE], "application/grpc");
        add(b"\x40\x02te", "trailers");
        add(&[INDEXED_NAME | USER_AGENT], "doorward-load");
        if let Some(key) = caller {
            add(&[INDEXED_NAME | AUTHORIZATION], &format!("Bearer {key}"));
        }
        let dynamic = (0..entries).rev().map(|entry| INDEXED | (FIRST_DYNAMIC + entry));
        let again = [POST, SCHEME_HTTP].into_iter().chain(dynamic).collect();
        Self { first, again }
    }
}

/// Encodes `authorization: Bearer key` as a literal that enters no table (RFC 7541 §6.2.2): a caller that changes.
pub fn bearer_literal(key: &str) -> Vec<u8> {
    let mut field = vec![LITERAL_PREFIX, AUTHORIZATION - LITERAL_PREFIX];
    push_string(&mut field, &format!("Bearer {key}"));
    field
}

const INDEXED: u8 = 0x80;
const INDEXED_NAME: u8 = 0x40;
/// The largest four-bit prefix: the rest of the index follows (RFC 7541 §5.1).
const LITERAL_PREFIX: u8 = 0x0f;
/// Entries of the static table (RFC 7541 appendix A).
const AUTHORITY: u8 = 0x01;
const PATH: u8 = 0x04;
const AUTHORIZATION: u8 = 0x17;
const CONTENT_TYPE: u8 = 0x1f;
const USER_AGENT: u8 = 0x3a;
const POST: u8 = INDEXED | 3;
const SCHEME_HTTP: u8 = INDEXED | 6;
/// The newest entry of the dynamic table (RFC 7541 §2.3.3).
const FIRST_DYNAMIC: u8 = 62;

/// Appends a string without Huffman coding (RFC 7541 §5.2).
fn push_string(out: &mut Vec<u8>, text: &str) {
    const PREFIX: usize = 127;
    if text.len() < PREFIX {
        out.extend(u8::try_from(text.len()));
    } else {
        out.push(0x7f);
        push_varint(out, text.len() - PREFIX);
    }
    out.extend_from_slice(text.as_bytes());
}

/// Appends seven bits a byte, the lowest first: the integers of HPACK and of protobuf.
pub fn push_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.extend(u8::try_from(value & 0x7f).map(|bits| bits | 0x80));
        value >>= 7;
    }
    out.extend(u8::try_from(value));
}
