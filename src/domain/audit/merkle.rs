//! Merkle trees of certificate transparency (RFC 6962 §2.1, RFC 9162 §2.1).
//!
//! Everything here is pure: what a proof needs is named as [`Span`]s of leaves,
//! and whoever keeps the tree looks their hashes up.

use sha2::{Digest as _, Sha256};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The leaves that one subtree covers.
pub type Span = Range<u64>;

/// The hash of a leaf or of a subtree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

/// A text that is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash has 64 hexadecimal digits of lower case")]
pub struct BadHash;

impl Hash {
    /// Bytes of a hash.
    pub const LEN: usize = 32;

    /// The hash of these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash that these bytes are, if there are 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.as_array().map(|bytes| Self(*bytes))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of a leaf: `SHA-256(0x00 ‖ entry)`.
    pub fn of_leaf(entry: &[u8]) -> Self {
        Self(Sha256::new_with_prefix([0]).chain_update(entry).finalize().into())
    }

    /// The hash over two subtrees: `SHA-256(0x01 ‖ left ‖ right)`.
    pub fn of_node(left: &Self, right: &Self) -> Self {
        Self(Sha256::new_with_prefix([1]).chain_update(left.0).chain_update(right.0).finalize().into())
    }

    /// The root of a tree without leaves.
    pub fn of_nothing() -> Self {
        Self(Sha256::digest([]).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = BadHash;
    fn from_str(text: &str) -> Result<Self, BadHash> {
        if text.bytes().any(|letter| letter.is_ascii_uppercase()) {
            return Err(BadHash);
        }
        crate::domain::Digest::from_hex(text).map(|digest| Self(digest.to_bytes())).ok_or(BadHash)
    }
}

impl serde::Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The right edge of a tree: its perfect subtrees, the largest first. All that
/// is needed to add leaves and to know the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree of that size, if there are as many subtrees as it has.
    pub fn new(size: u64, nodes: Vec<Hash>) -> Option<Self> {
        (size.count_ones() as usize == nodes.len()).then_some(Self { size, nodes })
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (hashes, rest) = bytes.as_chunks::<{ Hash::LEN }>();
        let nodes = hashes.iter().copied().map(Hash).collect();
        if rest.is_empty() { Self::new(size, nodes) } else { None }
    }

    /// The hashes of its subtrees, one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.nodes.iter().flat_map(|node| node.0).collect()
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_tree(0, leaf);
    }

    /// The root of the tree that goes on with these subtrees, as [`around`] names them.
    pub fn root_with(mut self, rest: impl IntoIterator<Item = (Span, Hash)>) -> Option<Hash> {
        let mut ragged = None;
        for (span, hash) in rest {
            // Only the last subtree of a tree can be other than perfect.
            if ragged.is_some() || span.start != self.size {
                return None;
            }
            match pieces(span).as_slice() {
                [(level, _)] => self.push_tree(*level, hash),
                _ => ragged = Some(hash),
            }
        }
        of_pieces(self.nodes.into_iter().chain(ragged).collect::<Vec<_>>())
    }

    /// Adds a perfect subtree of that level, to a tree whose size is a multiple of its own.
    fn push_tree(&mut self, level: u32, root: Hash) {
        let mut node = root;
        for _ in 0..(self.size >> level).trailing_ones() {
            if let Some(left) = self.nodes.pop() {
                node = Hash::of_node(&left, &node);
            }
        }
        self.nodes.push(node);
        self.size += 1 << level;
    }

    /// Leaves of the tree.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let nodes = self.nodes.iter().rev().copied();
        nodes.reduce(|right, left| Hash::of_node(&left, &right)).unwrap_or_else(Hash::of_nothing)
    }
}

/// The root over these leaves.
pub fn root_of(leaves: impl IntoIterator<Item = Hash>) -> Hash {
    let mut tree = Frontier::default();
    leaves.into_iter().for_each(|leaf| tree.push(leaf));
    tree.root()
}

/// The perfect subtrees that a subtree is made of, from left to right, each as
/// its level and its place on that level.
pub fn pieces(span: Span) -> Vec<(u32, u64)> {
    let Span { start: mut from, end } = span;
    let mut pieces = Vec::new();
    while from < end {
        let level = from.trailing_zeros().min((end - from).ilog2());
        pieces.push((level, from >> level));
        from += 1 << level;
    }
    pieces
}

/// The hash of a subtree from those of its [`pieces`].
pub fn of_pieces(pieces: impl IntoIterator<Item = Hash, IntoIter: DoubleEndedIterator>) -> Option<Hash> {
    pieces.into_iter().rev().reduce(|right, left| Hash::of_node(&left, &right))
}

/// The largest subtrees of a tree that hold nothing of `inner`, from left to
/// right: with the leaves of `inner` they give the root. For `inner` empty
/// there is nothing to prove.
pub fn around(size: u64, inner: &Span) -> Vec<Span> {
    let mut found = Vec::new();
    outside(0..size, inner, &mut found);
    found
}

fn outside(tree: Span, inner: &Span, found: &mut Vec<Span>) {
    let is_within = inner.start <= tree.start && tree.end <= inner.end;
    if tree.is_empty() || is_within {
        return;
    }
    if tree.end <= inner.start || inner.end <= tree.start {
        found.push(tree);
        return;
    }
    let [left, right] = halves(&tree);
    outside(left, inner, found);
    outside(right, inner, found);
}

/// The subtrees that prove a leaf's place, in the order of RFC 9162 §2.1.3.1.
pub fn inclusion(index: u64, size: u64) -> Vec<Span> {
    let mut path = Vec::new();
    let mut tree = 0..size;
    while tree.contains(&index) && tree.end - tree.start > 1 {
        let [left, right] = halves(&tree);
        let (within, beside) = if left.contains(&index) { (left, right) } else { (right, left) };
        path.push(beside);
        tree = within;
    }
    path.reverse();
    path
}

/// Whether the path leads from the leaf at that index to the root (RFC 9162 §2.1.3.2).
pub fn is_included(leaf: Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut node) = (index, size - 1, leaf);
    for beside in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            node = Hash::of_node(beside, &node);
            let up = climb(at);
            (at, last) = (at >> up, last >> up);
        } else {
            node = Hash::of_node(&node, beside);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && node == *root
}

/// The subtrees that prove that a tree goes on from one of `old` leaves, in the
/// order of RFC 9162 §2.1.4.1.
pub fn consistency(old: u64, size: u64) -> Vec<Span> {
    let mut path = Vec::new();
    if old == 0 || old >= size {
        return path;
    }
    let (mut tree, mut whole) = (0..size, true);
    while tree.end != old {
        let [left, right] = halves(&tree);
        if old <= left.end {
            path.push(right);
            tree = left;
        } else {
            path.push(left);
            tree = right;
            whole = false;
        }
    }
    if !whole {
        path.push(tree);
    }
    path.reverse();
    path
}

/// Whether the path proves that the tree of `size` begins with the one of `old`
/// leaves (RFC 9162 §2.1.4.2).
pub fn is_consistent(old: u64, old_root: &Hash, size: u64, root: &Hash, path: &[Hash]) -> bool {
    if old == size {
        return path.is_empty() && old_root == root;
    }
    if old == 0 || old > size {
        return old == 0 && path.is_empty();
    }
    let mut path = path.iter();
    let first = if old.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(first) = first else { return false };
    let up = (old - 1).trailing_ones();
    let (mut at, mut last) = ((old - 1) >> up, (size - 1) >> up);
    let (mut before, mut after) = (*first, *first);
    for beside in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            before = Hash::of_node(beside, &before);
            after = Hash::of_node(beside, &after);
            let up = climb(at);
            (at, last) = (at >> up, last >> up);
        } else {
            after = Hash::of_node(&after, beside);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && before == *old_root && after == *root
}

/// Levels up to where a node is a right child, or the first of its level.
const fn climb(at: u64) -> u32 {
    if at == 0 { 0 } else { at.trailing_zeros() }
}

/// A subtree's two halves: the left one is perfect.
fn halves(tree: &Span) -> [Span; 2] {
    let length = (tree.end - tree.start).max(2);
    let middle = tree.start + (1 << (length - 1).ilog2());
    [tree.start..middle, middle..tree.end]
}

#[cfg(test)]
#[path = "merkle_tests.rs"]
mod tests;
