use super::*;
use proptest::prelude::*;

/// The leaves whose roots the authors of RFC 6962 published with their implementation.
const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|at| Hash::of_leaf(&at.to_be_bytes())).collect()
}

/// The tree hash as RFC 6962 §2.1 defines it, word for word.
fn defined(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of_nothing(),
        [one] => *one,
        more => {
            let mut k = 1;
            while k * 2 < more.len() {
                k *= 2;
            }
            Hash::of_node(&defined(&more[..k]), &defined(&more[k..]))
        }
    }
}

fn of(leaves: &[Hash], span: &Span) -> Hash {
    let within = |span: &Span| {
        leaves[usize::try_from(span.start).unwrap()..usize::try_from(span.end).unwrap()].to_vec()
    };
    let parts = pieces(span.clone()).into_iter().map(|(level, n)| {
        let piece = n << level..(n + 1) << level;
        defined(&within(&piece))
    });
    let whole = of_pieces(parts.collect::<Vec<_>>()).unwrap();
    assert_eq!(whole, defined(&within(span)), "a subtree is made of its pieces");
    whole
}

fn all(leaves: &[Hash], spans: &[Span]) -> Vec<Hash> {
    spans.iter().map(|span| of(leaves, span)).collect()
}

#[test]
fn the_published_roots() {
    assert_eq!(
        Hash::of_nothing().to_string(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    let mut tree = Frontier::default();
    for (leaf, root) in LEAVES.iter().zip(ROOTS) {
        tree.push(Hash::of_leaf(leaf));
        assert_eq!(tree.root().to_string(), root);
    }
}

// Of the same implementation: index, size, path; then old size, size, path.
#[test]
fn the_published_paths() {
    let hashes: Vec<Hash> = LEAVES.iter().map(|leaf| Hash::of_leaf(leaf)).collect();
    let texts = |spans: &[Span]| all(&hashes, spans).iter().map(Hash::to_string).collect::<Vec<_>>();
    assert_eq!(texts(&inclusion(0, 1)), Vec::<String>::new());
    assert_eq!(
        texts(&inclusion(0, 8)),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
    assert_eq!(
        texts(&consistency(1, 8)),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
    assert_eq!(
        texts(&consistency(2, 5)),
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ]
    );
}

#[test]
fn a_frontier_goes_round_and_another_number_of_subtrees_is_none() {
    let mut tree = Frontier::default();
    for leaf in leaves(11) {
        tree.push(leaf);
    }
    assert_eq!(Frontier::from_bytes(11, &tree.to_bytes()), Some(tree.clone()));
    assert_eq!(Frontier::from_bytes(12, &tree.to_bytes()), None);
    assert_eq!(Frontier::from_bytes(11, &tree.to_bytes()[1..]), None);
}

proptest! {
    #[test]
    fn a_frontier_has_the_root_that_is_defined(size in 0_u64..300) {
        prop_assert_eq!(root_of(leaves(size)), defined(&leaves(size)));
    }

    #[test]
    fn a_leaf_is_proven_at_its_place_alone(size in 1_u64..300, at in any::<u64>(), other in any::<u64>()) {
        let (hashes, at, other) = (leaves(size), at % size, other % size);
        let root = defined(&hashes);
        let path = all(&hashes, &inclusion(at, size));
        let leaf = hashes[usize::try_from(at).unwrap()];
        prop_assert!(is_included(leaf, at, size, &path, &root));
        prop_assert_eq!(is_included(leaf, other, size, &path, &root), at == other);
        prop_assert!(!is_included(Hash::of_leaf(b"another"), at, size, &path, &root));
        prop_assert!(!is_included(leaf, at, size, &path, &Hash::of_nothing()));
        prop_assert!(!is_included(leaf, at, size, &[path.as_slice(), &[root]].concat(), &root));
        if let Some((_, shorter)) = path.split_last() {
            prop_assert!(!is_included(leaf, at, size, shorter, &root));
        }
    }

    #[test]
    fn a_tree_is_proven_to_go_on(size in 1_u64..300, old in any::<u64>(), bit in any::<usize>()) {
        let (hashes, old) = (leaves(size), old % (size + 1));
        let (before, root) = (defined(&hashes[..usize::try_from(old).unwrap()]), defined(&hashes));
        let path = all(&hashes, &consistency(old, size));
        prop_assert!(is_consistent(old, &before, size, &root, &path));
        if old > 0 {
            let forged = Hash::of_leaf(b"another");
            prop_assert!(!is_consistent(old, &forged, size, &root, &path));
            prop_assert!(!is_consistent(old, &before, size, &forged, &path));
        }
        if !path.is_empty() {
            let mut forged = path.clone();
            let place = bit % forged.len();
            forged[place] = Hash::of_node(&forged[place], &root);
            prop_assert!(!is_consistent(old, &before, size, &root, &forged));
            prop_assert!(!is_consistent(old, &before, size, &root, &path[1..]));
        }
    }

    #[test]
    fn what_is_around_and_what_is_within_are_the_tree(size in 1_u64..300, from in any::<u64>(), to in any::<u64>()) {
        let hashes = leaves(size);
        let from = from % size;
        let to = from + 1 + to % (size - from);
        let around = around(size, &(from..to));
        let left: Vec<Span> = around.iter().filter(|span| span.end <= from).cloned().collect();
        let mut tree = Frontier::new(from, all(&hashes, &left)).unwrap();
        for at in from..to {
            tree.push(hashes[usize::try_from(at).unwrap()]);
        }
        prop_assert_eq!(tree.root(), defined(&hashes[..usize::try_from(to).unwrap()]));
        let right = around.iter().filter(|span| span.start >= to).map(|span| (span.clone(), of(&hashes, span)));
        prop_assert_eq!(tree.root_with(right), Some(defined(&hashes)));
        let covered: u64 = around.iter().map(|span| span.end - span.start).sum();
        prop_assert_eq!(covered + (to - from), size);
        prop_assert!(around.len() <= 18);
    }
}
