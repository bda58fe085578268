//! zstd (RFC 8878): at once where little enough can be in the frames, and step by step where it cannot be known.
//!
//! At once is quicker, and takes less memory: what was decoded is the window, and there is no other.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zstd::bulk::Decompressor;
use zstd::stream::read::Decoder;
use zstd::zstd_safe::{DCtx, DParameter, ResetDirective, get_error_name, get_frame_content_size};

/// The largest distance over which a stream may repeat itself, as a power of two: 8 MiB, which RFC 8878, section
/// 3.1.1.1.2, asks every decoder for.
pub const MAX_WINDOW_LOG: u32 = 23;
/// Contexts that are kept between two bodies, at most.
const MOST_KEPT: usize = 16;
/// Bytes of a context that is kept, at most: one that had a large window is not.
const LARGEST_KEPT: usize = 256 << 10;

/// zstd's memory for decoding: tables of some 100 kB, which take as long to get anew as a small body takes to decode.
#[derive(Default)]
pub struct Contexts {
    idle: Mutex<Vec<DCtx<'static>>>,
}

impl std::fmt::Debug for Contexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contexts").field("idle", &self.idle().len()).finish()
    }
}

impl Contexts {
    /// Does `work` with a context that is nobody else's meanwhile.
    ///
    /// # Errors
    /// No memory for one, or what `work` says.
    pub fn lend<T, E: From<io::Error>>(
        &self,
        work: impl FnOnce(&mut DCtx<'static>) -> Result<T, E>,
    ) -> Result<T, E> {
        let kept = self.idle().pop();
        let mut context =
            kept.or_else(DCtx::try_create).ok_or(io::ErrorKind::OutOfMemory).map_err(io::Error::from)?;
        let done = work(&mut context);
        if context.reset(ResetDirective::SessionOnly).is_ok() && context.sizeof() <= LARGEST_KEPT {
            let mut idle = self.idle();
            if idle.len() < MOST_KEPT {
                idle.push(context);
            }
        }
        done
    }

    fn idle(&self) -> MutexGuard<'_, Vec<DCtx<'static>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is not the body that is at fault: zstd tells by its words alone that it got no memory.
pub fn is_for_want_of_memory(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory || error.to_string() == "Allocation error : not enough memory"
}

/// The most that can be in the frames, by their headers and those of their blocks; `None` if they are broken. Few frames
/// hold much less: all blocks but the last are full, by custom.
pub fn bound(packed: &[u8]) -> Option<usize> {
    Decompressor::upper_bound(packed)
}

/// How much is in the first frame, if its header tells.
pub fn told(packed: &[u8]) -> Option<u64> {
    get_frame_content_size(packed).unwrap_or(None)
}

/// All of `packed`, whose [`bound`] is `most`.
///
/// # Errors
/// The frames are broken, or hold something else than they tell.
pub fn at_once(packed: &[u8], most: usize, context: &mut DCtx<'static>) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(most);
    context.decompress(&mut out, packed).map_err(|code| io::Error::other(get_error_name(code)))?;
    if out.len() < most / 2 {
        out.shrink_to_fit();
    }
    Ok(out)
}

/// The frames as a stream, whose window is bounded.
///
/// # Errors
/// The bound is not taken.
pub fn stream<'c, 'p>(packed: &'p [u8], context: &'c mut DCtx<'static>) -> io::Result<Decoder<'c, &'p [u8]>> {
    let bounded = context.set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG));
    bounded.map_err(|code| io::Error::other(get_error_name(code)))?;
    Ok(Decoder::with_context(packed, context))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_at_once(packed: &[u8], size: usize) -> io::Result<Vec<u8>> {
        Contexts::default().lend(|context| at_once(packed, size, context))
    }

    /// Lends so many contexts at once.
    fn nested(contexts: &Contexts, depth: usize) {
        let done: io::Result<()> = contexts.lend(|_| {
            if depth > 0 {
                nested(contexts, depth - 1);
            }
            Ok(())
        });
        done.unwrap();
    }

    fn telling(plain: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(plain, 1).unwrap()
    }

    fn silent(plain: &[u8]) -> Vec<u8> {
        zstd::encode_all(plain, 1).unwrap()
    }

    #[test]
    fn what_can_be_in_frames_is_added_up() {
        assert_eq!(bound(&telling(&vec![7; 90_000])), Some(90_000));
        let both = [telling(b"abc"), telling(b"defg")].concat();
        assert_eq!(bound(&both), Some(7));
        assert_eq!(taken_at_once(&both, 7).unwrap(), b"abcdefg");
        for parts in [[telling(b"abc"), silent(b"defg")], [silent(b"abc"), silent(b"defg")]] {
            let packed = parts.concat();
            let most = bound(&packed).unwrap();
            assert!((7..1 << 20).contains(&most), "{most}");
            let plain = taken_at_once(&packed, most).unwrap();
            assert_eq!(plain, b"abcdefg");
            assert!(plain.capacity() < 100, "{}", plain.capacity());
        }
        assert_eq!(bound(b"garbage"), None);
        assert_eq!(bound(&[telling(b"abc"), b"garbage".to_vec()].concat()), None);
    }

    #[test]
    fn what_a_batch_may_be_is_not_much_more_than_it_is() {
        let plain: Vec<u8> =
            (0..450_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 29) as u8).collect();
        let most = bound(&silent(&plain)).unwrap();
        assert!((plain.len()..plain.len() + (128 << 10)).contains(&most), "{most}");
        assert_eq!(taken_at_once(&silent(&plain), most).unwrap(), plain);
    }

    #[test]
    fn who_tells_wrongly_is_refused() {
        let mut packed = telling(b"abcdefghijkl");
        assert_eq!((packed[5], told(&packed)), (12, Some(12)), "where the size stands");
        for wrong in [11, 13] {
            packed[5] = wrong;
            assert_eq!(bound(&packed), Some(usize::from(wrong)));
            assert!(taken_at_once(&packed, 13).is_err());
        }
    }

    #[test]
    fn want_of_memory_is_not_the_bodys_fault() {
        // ZSTD_error_memory_allocation, as zstd returns it.
        let code = 64_usize.wrapping_neg();
        assert!(is_for_want_of_memory(&io::Error::other(get_error_name(code))), "{}", get_error_name(code));
        assert!(is_for_want_of_memory(&io::ErrorKind::OutOfMemory.into()));
        let error = taken_at_once(b"garbage that is no frame", 100).unwrap_err();
        assert!(!is_for_want_of_memory(&error), "{error}");
    }

    #[test]
    fn contexts_are_used_again_and_few_are_kept() {
        let contexts = Contexts::default();
        let packed = telling(&[7; 1_000]);
        let take = |packed: &[u8]| contexts.lend(|context| at_once(packed, 1_000, context));
        for _ in 0..3 {
            assert!(take(b"garbage that is no frame").is_err());
            assert_eq!(take(&packed).unwrap().len(), 1_000, "after what is broken");
        }
        assert_eq!(contexts.idle().len(), 1);
        nested(&contexts, MOST_KEPT + 3);
        assert_eq!(contexts.idle().len(), MOST_KEPT);
    }

    #[test]
    fn a_context_that_has_grown_is_not_kept() {
        let contexts = Contexts::default();
        let silent = zstd::encode_all(&*vec![7; 3 << 20], 19).unwrap();
        let read: io::Result<u64> = contexts.lend(|context| {
            let mut stream = stream(&silent, context)?;
            io::copy(&mut stream, &mut io::sink())
        });
        assert_eq!(read.unwrap(), 3 << 20);
        assert_eq!(contexts.idle().len(), 0);
    }
}
