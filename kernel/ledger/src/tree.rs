//! RFC 6962's Merkle tree: hashes, the right edge that an append needs, and proofs.

use ring::digest::{Context, SHA256};

/// A hash of the tree.
pub type Hash = [u8; 32];

/// Hashes in a tile (C2SP tlog-tiles).
pub const TILE_WIDTH: usize = 256;

/// Levels of hashes that a tile spans.
pub const TILE_BITS: u32 = 8;

/// Levels of tiles: eight hold 2^64 entries.
pub const TILE_LEVELS: usize = 8;

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// The hash of a leaf (RFC 6962, 2.1: 0x00 before it).
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    sha256(&[&[0], leaf])
}

/// The hash of a node (0x01 before its children).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The root of the empty tree.
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// The commitment to a detail: SHA-256 of salt and content.
pub(crate) fn commitment(salt: &[u8], content: &[u8]) -> Hash {
    sha256(&[salt, content])
}

/// The root over hashes that are a whole power of two.
pub(crate) fn perfect_root(hashes: &[Hash]) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    row.first().copied()
}

/// A tile that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Its level: 0 holds the hashes of leaves.
    pub level: u8,
    /// Which of the level.
    pub index: u64,
    /// Its hashes, at most [`TILE_WIDTH`].
    pub hashes: Vec<Hash>,
}

/// The last, partial tile of every level: all that an append and a root need of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

/// How many hashes the last tile of a level has in a tree of this size, and which tile it is.
pub(crate) fn last_tile(size: u64, level: usize) -> (u64, usize) {
    let hashes = size.checked_shr(TILE_BITS * level as u32).unwrap_or(0);
    (hashes / TILE_WIDTH as u64, (hashes % TILE_WIDTH as u64) as usize)
}

impl Edge {
    /// The edge of a tree, of its stored tiles. None where they do not fit the size.
    pub fn of(size: u64, levels: Vec<Vec<Hash>>) -> Option<Edge> {
        let fits =
            (0..TILE_LEVELS).all(|level| levels.get(level).map_or(0, Vec::len) == last_tile(size, level).1);
        fits.then_some(Edge { size, levels })
    }

    /// Entries in the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf's hash; gives the tiles that are full with it.
    pub fn push(&mut self, hash: Hash) -> Vec<Tile> {
        let mut full = Vec::new();
        let mut hash = hash;
        for level in 0..TILE_LEVELS {
            if self.levels.len() <= level {
                self.levels.push(Vec::new());
            }
            let row = &mut self.levels[level];
            row.push(hash);
            if row.len() < TILE_WIDTH {
                break;
            }
            let hashes = std::mem::take(row);
            let (index, _) = last_tile(self.size, level);
            let Some(root) = perfect_root(&hashes) else { break };
            full.push(Tile { level: level as u8, index, hashes });
            hash = root;
        }
        self.size += 1;
        full
    }

    /// The partial tiles.
    pub fn partial(&self) -> Vec<Tile> {
        let rows = self.levels.iter().enumerate().filter(|(_, row)| !row.is_empty());
        rows.map(|(level, row)| Tile {
            level: level as u8,
            index: last_tile(self.size, level).0,
            hashes: row.clone(),
        })
        .collect()
    }

    /// The root: the perfect subtrees from the right to the left.
    pub fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for row in &self.levels {
            let mut end = row.len();
            while end > 0 {
                // The lowest bit that is set is the length of the last perfect subtree of the row.
                let length = end & end.wrapping_neg();
                let Some(left) = row.get(end - length..end).and_then(perfect_root) else { break };
                root = Some(match root {
                    Some(right) => node_hash(&left, &right),
                    None => left,
                });
                end -= length;
            }
        }
        root.unwrap_or_else(empty_root)
    }
}

/// A stretch of leaves whose root is part of a proof.
pub type Stretch = std::ops::Range<u64>;

/// The largest power of two below `count` (RFC 6962's k).
fn split(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

/// The stretches whose roots are the inclusion proof of an entry, the nearest first (RFC 6962, 2.1.1).
pub fn inclusion(index: u64, size: u64) -> Vec<Stretch> {
    let mut path = Vec::new();
    let mut within = 0..size;
    while index < size && within.end - within.start > 1 {
        let middle = within.start + split(within.end - within.start);
        let sibling;
        (within, sibling) = if index < middle {
            (within.start..middle, middle..within.end)
        } else {
            (middle..within.end, within.start..middle)
        };
        path.push(sibling);
    }
    path.reverse();
    path
}

/// The stretches whose roots prove that a tree begins with a smaller one (RFC 6962, 2.1.2).
pub fn consistency(small: u64, size: u64) -> Vec<Stretch> {
    let mut path = Vec::new();
    let mut within = 0..size;
    // True while the smaller tree begins where `within` does: then its root is known to who asks.
    let mut whole = true;
    if small == 0 || small >= size {
        return path;
    }
    while small != within.end {
        let middle = within.start + split(within.end - within.start);
        if small <= middle {
            path.push(middle..within.end);
            within = within.start..middle;
        } else {
            path.push(within.start..middle);
            within = middle..within.end;
            whole = false;
        }
    }
    if !whole {
        path.push(within);
    }
    path.reverse();
    path
}

/// The perfect subtrees that a stretch consists of, as (first leaf, height), from the left.
pub(crate) fn subtrees(stretch: &Stretch) -> Vec<(u64, u32)> {
    let mut parts = Vec::new();
    let mut at = stretch.start;
    while at < stretch.end {
        let fits = 63 - (stretch.end - at).leading_zeros();
        let height = if at == 0 { fits } else { fits.min(at.trailing_zeros()) };
        parts.push((at, height));
        at += 1 << height;
    }
    parts
}

/// True where the proof shows that the leaf's hash is the entry of that number in the tree (RFC 9162, 2.1.3.2).
pub fn is_included(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// True where the proof shows that the tree begins with the smaller one (RFC 9162, 2.1.4.2).
pub fn is_consistent(small: u64, small_root: &Hash, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if small == size {
        return small_root == root && proof.is_empty();
    }
    if small == 0 || small > size {
        return small == 0 && proof.is_empty();
    }
    let mut steps = proof.iter();
    let (mut at, mut last) = (small - 1, size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let first = if small.is_power_of_two() { Some(small_root) } else { steps.next() };
    let Some(first) = first else { return false };
    let (mut old, mut new) = (*first, *first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old = node_hash(step, &old);
            new = node_hash(step, &new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old == *small_root && new == *root
}

#[cfg(test)]
mod tests;
