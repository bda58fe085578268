//! Checkpoints: the size and root of a log at a moment, as signed notes
//! (C2SP `tlog-checkpoint` and `signed-note`), which public tools read.

use super::merkle::Hash;
use crate::domain::TenantId;
use crate::domain::reading::Reading;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes that a note may have.
pub const MAX_NOTE: usize = 16 * 1024;

/// What a log was at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: `doorward/<instance>/<tenant>`.
    pub origin: String,
    /// Its entries.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// The name of a tenant's log.
pub fn origin(instance: &[u8; 16], tenant: TenantId) -> String {
    format!("doorward/{:032x}/{tenant}", u128::from_be_bytes(*instance))
}

impl Checkpoint {
    /// What is signed of it.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.as_bytes()))
    }

    /// Reads what [`Self::text`] wrote; lines after the third are of others and say nothing here.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let is_sound = !origin.is_empty() && lines.all(|line| !line.is_empty());
        let number: u64 = size.parse().readable()?;
        let root = Hash::from_slice(&STANDARD.decode(root).readable()?)?;
        (is_sound && number.to_string() == size).then(|| Self {
            origin: origin.to_owned(),
            size: number,
            root,
        })
    }
}

/// What is signed of an export as a whole, so that nobody can shorten it or
/// take a part of it for all.
pub fn export_text(origin: &str, entries: u64, digest: &Hash) -> String {
    format!("{origin}/export\n{entries}\n{}\n", STANDARD.encode(digest.as_bytes()))
}

/// A signed note, taken apart; whose signatures they are is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note<'a> {
    /// What is signed, with its last line break.
    pub text: &'a str,
    /// The signatures.
    pub signatures: Vec<Signature<'a>>,
}

/// A signature of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature<'a> {
    /// The name of the key.
    pub name: &'a str,
    /// The first four bytes of the hash over name and key.
    pub key: [u8; 4],
    /// The signature.
    pub bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Takes a note apart.
    pub fn parse(note: &'a str) -> Option<Self> {
        let is_sound =
            note.len() <= MAX_NOTE && !note.chars().any(|letter| letter.is_control() && letter != '\n');
        let at = note.rfind("\n\n").filter(|_| is_sound)?;
        let (text, rest) = note.split_at_checked(at + 1)?;
        let lines = rest.strip_prefix('\n')?.strip_suffix('\n')?;
        let signatures: Vec<_> = lines.split('\n').map(signature).collect::<Option<_>>()?;
        Some(Self { text, signatures })
    }

    /// A note of one signature.
    pub fn write(text: &str, name: &str, key: [u8; 4], signature: &[u8]) -> String {
        format!("{text}\n— {name} {}\n", STANDARD.encode([&key, signature].concat()))
    }
}

fn signature(line: &str) -> Option<Signature<'_>> {
    let (name, bytes) = line.strip_prefix("— ")?.split_once(' ')?;
    let bytes = STANDARD.decode(bytes).readable()?;
    let (key, bytes) = bytes.split_first_chunk::<4>()?;
    (!name.is_empty()).then(|| Signature { name, key: *key, bytes: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of C2SP's tlog-checkpoint.
    const PUBLISHED: &str = "example.com/behind-the-sofa\n20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    #[test]
    fn the_published_checkpoint_is_read_and_written() {
        let note = Note::parse(PUBLISHED).unwrap();
        let checkpoint = Checkpoint::parse(note.text).unwrap();
        assert_eq!(
            (checkpoint.origin.as_str(), checkpoint.size),
            ("example.com/behind-the-sofa", 20_852_163)
        );
        assert_eq!(checkpoint.text(), note.text);
        let [signature] = note.signatures.as_slice() else { panic!() };
        assert_eq!(Note::write(note.text, signature.name, signature.key, &signature.bytes), PUBLISHED);
    }

    #[test]
    fn other_forms_are_none() {
        for bad in [
            PUBLISHED.trim_end().to_owned(),
            PUBLISHED.replace("\n\n", "\n"),
            PUBLISHED.replace("— ", "- "),
            PUBLISHED.replace("Az3g", "*z3g"),
            PUBLISHED.replace("20852163", "20852163\r"),
        ] {
            assert_eq!(Note::parse(&bad), None, "{bad}");
        }
        for bad in ["", "a\n1\n", "a\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n", "a\n1\nCsUY\n"] {
            assert_eq!(Checkpoint::parse(bad), None, "{bad}");
        }
    }
}
