//! How bodies are compressed, and taking that off again.
//!
//! zstd is decoded by the reference library, which is C: of what is written in Rust, nothing decodes even half as fast,
//! and the slower decoding would cost more than all else that is done to an export. gzip is decoded in Rust: what is
//! quicker (libdeflate, twice as fast) is C again, and reads what anybody sends.

mod zstandard;

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;
use zstd::zstd_safe::DCtx;

pub use self::zstandard::Contexts;
use self::zstandard::MAX_WINDOW_LOG;

/// Bytes that are decompressed between two looks at the bounds.
const STEP: usize = 64 << 10;
/// What telemetry decompresses to, more or less: so many times as much.
const USUAL: usize = 8;
/// Most memory that is asked for because that is usual, in bytes.
const MAX_FIRST: usize = 4 << 20;

/// Most memory that is asked for because that much could be in a zstd stream, though it is more than usual: one whose
/// blocks are not full may hold far less.
const LOOSE: usize = 1 << 20;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// One or more gzip members.
    Gzip,
    /// One or more zstd frames.
    Zstd,
}

/// Why a body was not decompressed.
#[derive(Debug)]
pub enum Broken<E> {
    /// It is not what it claims to be.
    Stream,
    /// There was no memory for it, whatever it is.
    Memory,
    /// It may not grow that far.
    Bound(E),
}

impl Coding {
    /// The codings in the order of preference, as headers list them.
    pub const ALL: &str = "zstd,gzip,identity";

    /// The coding of that name, in any letter case.
    pub fn parse(name: &[u8]) -> Option<Self> {
        let codings = [Self::Identity, Self::Gzip, Self::Zstd];
        codings.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.name().as_bytes()))
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// `packed` without the coding. `room` is told of every step by how much the output grows, and how much memory is
    /// needed for that: zstd of which it cannot be told how much it holds keeps what it decoded also in its window. Hardly
    /// any memory is asked for that more than `most` bytes of output would need.
    ///
    /// # Errors
    /// The stream is broken, cut short, or followed by something else; or what `room` says.
    pub fn unpack<E>(
        self,
        packed: &[u8],
        most: usize,
        contexts: &Contexts,
        room: impl FnMut(usize, usize) -> Result<(), E>,
    ) -> Result<Vec<u8>, Broken<E>> {
        if packed.is_empty() {
            return Err(Broken::Stream);
        }
        let first = packed.len().saturating_mul(USUAL).min(MAX_FIRST);
        match self {
            Self::Identity => Ok(packed.to_vec()),
            Self::Gzip => read_out(MultiGzDecoder::new(packed), first, most, 0, room),
            Self::Zstd => contexts.lend(|context| unpack_zstd(packed, first, most, context, room)),
        }
    }
}

fn unpack_zstd<E>(
    packed: &[u8],
    first: usize,
    most: usize,
    context: &mut DCtx<'static>,
    mut room: impl FnMut(usize, usize) -> Result<(), E>,
) -> Result<Vec<u8>, Broken<E>> {
    // What is too much by its own word is not decoded at all.
    let told = zstandard::told(packed);
    if let Some(told) = told.filter(|told| *told > most as u64) {
        room(usize::try_from(told).unwrap_or(usize::MAX), 0).map_err(Broken::Bound)?;
    }
    let bound = zstandard::bound(packed).filter(|bound| {
        let usual = packed.len().saturating_mul(USUAL).max(LOOSE);
        *bound <= usual.min(most.saturating_add(STEP)) || told == Some(*bound as u64)
    });
    let Some(bound) = bound else {
        return read_out(zstandard::stream(packed, context)?, first, most, 1 << MAX_WINDOW_LOG, room);
    };
    room(0, bound).map_err(Broken::Bound)?;
    let plain = zstandard::at_once(packed, bound, context)?;
    room(plain.len(), 0).map_err(Broken::Bound)?;
    Ok(plain)
}

fn read_out<E>(
    mut stream: impl Read,
    first: usize,
    most: usize,
    window: usize,
    mut room: impl FnMut(usize, usize) -> Result<(), E>,
) -> Result<Vec<u8>, Broken<E>> {
    let mut out = Vec::new();
    let mut filled = 0;
    loop {
        if filled == out.len() {
            if out.len() + STEP > out.capacity() {
                // Twice as much as there is.
                let more = filled.max(first).min(most.saturating_sub(filled)).max(STEP);
                room(0, more).map_err(Broken::Bound)?;
                out.reserve_exact(more);
            }
            out.resize(filled + STEP, 0);
        }
        let rest = out.get_mut(filled..).unwrap_or_default();
        let read = stream.read(rest)?;
        if read == 0 {
            out.truncate(filled);
            return Ok(out);
        }
        let in_window = read.min(window.saturating_sub(filled));
        room(read, in_window).map_err(Broken::Bound)?;
        filled += read;
    }
}

impl<E> From<io::Error> for Broken<E> {
    fn from(error: io::Error) -> Self {
        if zstandard::is_for_want_of_memory(&error) {
            tracing::error!(%error, "there is no memory to decompress a body");
            return Self::Memory;
        }
        tracing::debug!(%error, "a body cannot be decompressed");
        Self::Stream
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const LIMIT: usize = 200_000;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    /// Frames that do not tell how much they hold.
    fn zstd(plain: &[u8]) -> Vec<u8> {
        zstd::encode_all(plain, 1).unwrap()
    }

    /// Frames that do.
    fn told(plain: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(plain, 1).unwrap()
    }

    /// What comes out, and how much memory was asked for.
    fn unpack(coding: Coding, packed: &[u8]) -> (Result<Vec<u8>, Broken<()>>, usize) {
        let mut taken = 0;
        let result = coding.unpack(packed, LIMIT, &Contexts::default(), |more, _| {
            if more > LIMIT - taken {
                return Err(());
            }
            taken += more;
            Ok(())
        });
        (result, taken)
    }

    type Pack = fn(&[u8]) -> Vec<u8>;

    fn all() -> [(Coding, Pack); 3] {
        [(Coding::Gzip, gzip), (Coding::Zstd, zstd), (Coding::Zstd, told)]
    }

    #[test]
    fn names_are_read_in_any_case() {
        assert_eq!(Coding::parse(b"GZip"), Some(Coding::Gzip));
        assert_eq!(Coding::parse(b"zstd"), Some(Coding::Zstd));
        assert_eq!(Coding::parse(b"identity"), Some(Coding::Identity));
        for other in ["", "deflate", "br", "gzip, gzip", "x-gzip"] {
            assert_eq!(Coding::parse(other.as_bytes()), None, "{other}");
        }
        for name in Coding::ALL.split(',') {
            assert_eq!(Coding::parse(name.as_bytes()).unwrap().name(), name);
        }
    }

    #[test]
    fn case_12_streams_may_have_several_parts_and_nothing_else() {
        let random: Vec<u8> =
            (0..90_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        for (coding, pack) in all() {
            for plain in [&b"abc"[..], &random] {
                assert_eq!(unpack(coding, &pack(plain)).0.unwrap(), plain);
            }
            let two = [pack(b"abc"), pack(b"def")].concat();
            assert_eq!(unpack(coding, &two).0.unwrap(), b"abcdef");
            let packed = pack(b"abcdefghijkl");
            for broken in [
                vec![],
                b"abc".to_vec(),
                [packed.clone(), b"x".to_vec()].concat(),
                [packed.clone(), b"garbage that is long enough to be a header".to_vec()].concat(),
                packed[..packed.len() - 1].to_vec(),
                packed[..6].to_vec(),
            ] {
                let refused = matches!(unpack(coding, &broken).0, Err(Broken::Stream));
                assert!(refused, "{coding:?} {broken:x?}");
            }
        }
        let mut wrong = gzip(b"abc");
        let at = wrong.len() - 6;
        wrong[at] ^= 1;
        assert!(matches!(unpack(Coding::Gzip, &wrong).0, Err(Broken::Stream)), "the checksum is wrong");
    }

    // A56
    #[test]
    fn case_12_a_bomb_is_stopped_at_the_bound() {
        for (coding, pack) in all() {
            let bomb = pack(&vec![0; 50_000_000]);
            assert!(bomb.len() < 100_000);
            let (result, taken) = unpack(coding, &bomb);
            assert!(matches!(result, Err(Broken::Bound(()))), "{coding:?}");
            assert!(taken <= LIMIT, "{coding:?} {taken}");
        }
        for pack in [zstd, told] {
            let many = pack(&[0; 1000]).repeat(100_000);
            assert!(matches!(unpack(Coding::Zstd, &many).0, Err(Broken::Bound(()))));
        }
    }

    #[test]
    fn blocks_that_are_not_full_take_no_memory_for_what_they_could_hold() {
        let mut encoder = zstd::stream::write::Encoder::new(vec![], 1).unwrap();
        for line in 0..1_000 {
            writeln!(encoder, "line {line}").unwrap();
            encoder.flush().unwrap();
        }
        let packed = encoder.finish().unwrap();
        assert!(zstandard::bound(&packed).unwrap() > 100 << 20);
        let mut asked = 0;
        let ask = |_, memory| {
            asked += memory;
            Ok::<_, ()>(())
        };
        let plain = Coding::Zstd.unpack(&packed, 200 << 20, &Contexts::default(), ask).unwrap();
        assert!(plain.starts_with(b"line 0\n") && plain.ends_with(b"line 999\n"));
        assert!(asked < LOOSE, "{asked}");
    }

    // A56
    #[test]
    fn output_has_no_more_memory_than_was_asked_for() {
        for (coding, pack) in all() {
            for length in [1, STEP, STEP + 1, 1_000_000] {
                let mut asked = 0;
                let ask = |_, memory| {
                    asked += memory;
                    Ok::<_, ()>(())
                };
                let packed = pack(&vec![7; length]);
                let plain = coding.unpack(&packed, length, &Contexts::default(), ask).unwrap();
                assert_eq!(plain.len(), length);
                let at_once = zstandard::bound(&packed).is_some_and(|bound| bound <= length + STEP);
                let window = if coding == Coding::Zstd && !at_once { length } else { 0 };
                assert!(plain.capacity() + window <= asked, "{coding:?} {length}: {asked}");
                assert!(asked <= length + window + 2 * STEP, "{coding:?} {length}: {asked}");
            }
        }
    }

    #[test]
    fn case_12_a_zstd_window_may_not_be_larger_than_anybody_needs() {
        let packed = |log: u32, plain: &[u8]| {
            let mut encoder = zstd::stream::write::Encoder::new(vec![], 1).unwrap();
            encoder.window_log(log).unwrap();
            encoder.include_contentsize(false).unwrap();
            encoder.write_all(plain).unwrap();
            encoder.flush().unwrap();
            encoder.finish().unwrap()
        };
        let much = vec![7; LIMIT * 3];
        assert!(matches!(unpack(Coding::Zstd, &packed(23, &much)).0, Err(Broken::Bound(()))));
        assert!(matches!(unpack(Coding::Zstd, &packed(24, &much)).0, Err(Broken::Stream)));
        // What is decoded at once needs none.
        assert_eq!(unpack(Coding::Zstd, &packed(24, b"abc")).0.unwrap(), b"abc");
    }
}
