//! Proofs from tiles: that an entry is in the ledger (C2SP tlog-proof), and that it only grew.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use candor_meta::Tx;
use data_encoding::BASE64;

use crate::LedgerError;
use crate::note::Notary;
use crate::store;
use crate::tree::{self, Hash, Stretch, TILE_BITS, TILE_WIDTH};

/// The first line of a proof.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Most hashes of a proof: a tree of 2^64 entries has no longer one.
const HASHES_MAX: usize = 64;

/// That an entry is in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Its number.
    pub index: u64,
    /// The siblings on its way to the root, the nearest first.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint.
    pub note: String,
}

impl Proof {
    /// As C2SP tlog-proof writes it.
    pub fn to_text(&self) -> String {
        let hashes: String = self.hashes.iter().map(|hash| BASE64.encode(hash) + "\n").collect();
        format!("{HEADER}\nindex {}\n{hashes}\n{}", self.index, self.note)
    }

    /// Reads one.
    pub fn parse(text: &str) -> Option<Proof> {
        let (head, note) = text.split_once("\n\n")?;
        let mut lines = head.lines();
        if lines.next()? != HEADER {
            return None;
        }
        let mut line = lines.next()?;
        if line.starts_with("extra ") {
            line = lines.next()?;
        }
        let index = line.strip_prefix("index ")?.parse().ok()?;
        let hashes: Option<Vec<Hash>> =
            lines.map(|line| BASE64.decode(line.as_bytes()).ok()?.try_into().ok()).collect();
        let hashes = hashes.filter(|hashes| hashes.len() <= HASHES_MAX)?;
        Some(Proof { index, hashes, note: note.to_owned() })
    }

    /// True where it shows that the leaf is this entry of the ledger.
    pub fn holds(&self, notary: &Notary, leaf: &str) -> bool {
        notary.read(&self.note).is_ok_and(|head| {
            let hash = tree::leaf_hash(leaf.as_bytes());
            tree::is_included(&hash, self.index, head.size, &self.hashes, &head.root)
        })
    }
}

/// Tiles that were read already.
#[derive(Default)]
struct Tiles(HashMap<(u8, u64), Vec<Hash>>);

impl Tiles {
    /// The root of a perfect subtree.
    async fn subtree(&mut self, tx: &mut Tx, first: u64, height: u32) -> Result<Hash, LedgerError> {
        let level = height / TILE_BITS;
        let at = first >> (TILE_BITS * level);
        let name = (level as u8, at / TILE_WIDTH as u64);
        if let Entry::Vacant(place) = self.0.entry(name) {
            place.insert(store::tile(tx, name.0, name.1).await?.ok_or(LedgerError::Damaged)?);
        }
        let from = (at % TILE_WIDTH as u64) as usize;
        let count = 1_usize << (height - TILE_BITS * level);
        let hashes = self.0.get(&name).and_then(|tile| tile.get(from..from + count));
        hashes.and_then(tree::perfect_root).ok_or(LedgerError::Damaged)
    }

    async fn stretch(&mut self, tx: &mut Tx, stretch: &Stretch) -> Result<Hash, LedgerError> {
        let mut root = None;
        for (first, height) in tree::subtrees(stretch).into_iter().rev() {
            let left = self.subtree(tx, first, height).await?;
            root = Some(match root {
                Some(right) => tree::node_hash(&left, &right),
                None => left,
            });
        }
        root.ok_or(LedgerError::Damaged)
    }

    async fn all(&mut self, tx: &mut Tx, stretches: Vec<Stretch>) -> Result<Vec<Hash>, LedgerError> {
        let mut hashes = Vec::with_capacity(stretches.len());
        for stretch in stretches {
            hashes.push(self.stretch(tx, &stretch).await?);
        }
        Ok(hashes)
    }
}

/// That an entry is in the ledger as the newest checkpoint has it.
pub(crate) async fn of_entry(tx: &mut Tx, notary: &Notary, index: u64) -> Result<Proof, LedgerError> {
    let newest = store::newest(tx, notary).await?;
    let (head, note) = newest.filter(|(head, _)| index < head.size).ok_or(LedgerError::NoEntry(index))?;
    let hashes = Tiles::default().all(tx, tree::inclusion(index, head.size)).await?;
    Ok(Proof { index, hashes, note })
}

/// That the ledger of the newest checkpoint begins with that of a smaller size.
pub(crate) async fn of_growth(
    tx: &mut Tx,
    notary: &Notary,
    small: u64,
) -> Result<(Vec<Hash>, String), LedgerError> {
    let newest = store::newest(tx, notary).await?;
    let (head, note) = newest.filter(|(head, _)| small <= head.size).ok_or(LedgerError::NoEntry(small))?;
    Ok((Tiles::default().all(tx, tree::consistency(small, head.size)).await?, note))
}
