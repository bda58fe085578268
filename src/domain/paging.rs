//! Pages of lists: newest first, each page beginning where the last one ended.

use super::reading::Reading;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Which page is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Entries at most.
    pub size: u16,
    /// The last entry of the page before.
    pub after: Option<[u8; 16]>,
}

/// What is wrong with a page that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPage {
    /// Below zero.
    #[error("must not be negative")]
    Size,
    /// Not one of ours, or of another list.
    #[error("must be the next_page_token of the same list with the same filters")]
    Token,
}

impl Page {
    /// Entries when nobody says.
    pub const DEFAULT: u16 = 50;
    /// Entries at most; more is cut down to this.
    pub const MAX: u16 = 1000;

    /// Reads `page_size` and `page_token`. `list` names the list and its
    /// filters; a token is good for that list alone. It carries no authority.
    pub fn parse(size: i32, token: &str, list: &str) -> Result<Self, BadPage> {
        let size = match u16::try_from(size) {
            Ok(0) => Self::DEFAULT,
            Ok(some) => some.min(Self::MAX),
            Err(_) if size < 0 => return Err(BadPage::Size),
            Err(_) => Self::MAX,
        };
        let after = if token.is_empty() { None } else { Some(read(token, list).ok_or(BadPage::Token)?) };
        Ok(Self { size, after })
    }

    /// The token that gives the page after the entry `last` of `list`.
    pub fn token(last: &[u8; 16], list: &str) -> String {
        let mut bytes = last.to_vec();
        bytes.extend_from_slice(&mark(list));
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

fn read(token: &str, list: &str) -> Option<[u8; 16]> {
    let bytes = URL_SAFE_NO_PAD.decode(token).readable()?;
    let (last, marked) = bytes.split_first_chunk::<16>()?;
    (marked == mark(list)).then_some(*last)
}

fn mark(list: &str) -> [u8; 4] {
    crc32fast::hash(list.as_bytes()).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_cut_down_and_never_negative() {
        let size = |asked| Page::parse(asked, "", "keys").map(|page| page.size);
        assert_eq!(size(0), Ok(Page::DEFAULT));
        assert_eq!(size(7), Ok(7));
        assert_eq!(size(1_000_000), Ok(Page::MAX));
        assert_eq!(size(-1), Err(BadPage::Size));
    }

    #[test]
    fn a_token_is_good_for_its_own_list() {
        let token = Page::token(&[3; 16], "keys/live");
        assert_eq!(Page::parse(1, &token, "keys/live").unwrap().after, Some([3; 16]));
        assert_eq!(Page::parse(1, &token, "keys/test"), Err(BadPage::Token));
        assert_eq!(Page::parse(1, "nonsense", "keys/live"), Err(BadPage::Token));
    }
}
