//! Whether tiles lead to the roots that were signed.

use candor_meta::Tx;

use super::{FaultKind, Verified, Witness};
use crate::LedgerError;
use crate::note::Checkpoint;
use crate::store;
use crate::tree::{Edge, Hash, TILE_WIDTH, Tile};

/// How far tiles are what was signed.
#[derive(Debug, Default)]
pub(super) struct Sound {
    /// Entries whose hashes in tiles are under a signed root.
    pub(super) until: u64,
    /// The tree over them.
    pub(super) edge: Edge,
}

/// Builds the tree of the stored hashes of entries and compares it with every checkpoint, and the tiles above with what is
/// built.
pub(super) async fn check(
    tx: &mut Tx,
    newest: Option<&Checkpoint>,
    witnesses: &[Witness],
    found: &mut Verified,
) -> Result<Sound, LedgerError> {
    let size = newest.map_or(0, |head| head.size);
    let mut sound = Sound::default();
    let mut edge = Edge::default();
    let mut seen = witnesses.iter().peekable();
    let mut differ = Vec::new();
    let mut row: Vec<Hash> = Vec::new();
    // Tiles above are only judged by hashes of entries that are what was signed.
    let mut above = Verified::default();
    while edge.size() < size {
        let at = (edge.size() % TILE_WIDTH as u64) as usize;
        if at == 0 {
            row = store::tile(tx, 0, edge.size() / TILE_WIDTH as u64).await?.unwrap_or_default();
        }
        // The rest cannot be built; what the entries themselves lead to is looked at next.
        let Some(hash) = row.get(at) else { break };
        for full in edge.push(*hash) {
            if full.level > 0 {
                compare(tx, &full, &mut above).await?;
            }
        }
        while let Some(witness) = seen.next_if(|witness| witness.head.size <= edge.size()) {
            if witness.head.size < edge.size() {
                continue;
            }
            if witness.head.root == edge.root() {
                sound = Sound { until: edge.size(), edge: edge.clone() };
            } else {
                differ.push(witness);
            }
        }
    }
    for partial in edge.partial().into_iter().filter(|tile| tile.level > 0) {
        compare(tx, &partial, &mut above).await?;
    }
    if sound.until == size {
        above
            .faults
            .into_iter()
            .for_each(|fault| found.fault(fault.kind, fault.index, fault.until, fault.text));
        found.more_faults += above.more_faults;
    }
    // Where the tiles lead to the newest root, a checkpoint that they miss was signed over another history. That one
    // may share with this one what a checkpoint from outside before it agrees with; what we signed ourselves since says
    // nothing of it.
    let mut differ = differ.into_iter().peekable();
    let mut agreed = 0;
    for witness in witnesses.iter().filter(|witness| witness.head.size <= sound.until) {
        if differ.next_if(|other| std::ptr::eq(*other, witness)).is_none() {
            agreed = if witness.outside { witness.head.size } else { agreed };
            continue;
        }
        let text = format!(
            "{} was signed over other entries: the two histories part between entry {agreed} and entry {}",
            witness.name(),
            witness.head.size.saturating_sub(1)
        );
        found.fault(FaultKind::Forked, agreed.min(witness.head.size - 1), witness.head.size, text);
    }
    Ok(sound)
}

/// A tile above the hashes of entries, beside what these lead to.
async fn compare(tx: &mut Tx, built: &Tile, found: &mut Verified) -> Result<(), LedgerError> {
    let stored = store::tile(tx, built.level, built.index).await?.unwrap_or_default();
    if stored.get(..built.hashes.len()) == Some(&built.hashes[..]) {
        return Ok(());
    }
    let width = (TILE_WIDTH as u64).saturating_pow(u32::from(built.level));
    let position = built.hashes.iter().enumerate().position(|(at, hash)| stored.get(at) != Some(hash));
    let first = (built.index * TILE_WIDTH as u64 + position.unwrap_or_default() as u64).saturating_mul(width);
    let text = format!(
        "tile {} of level {} does not fit the entries from {first} on that it stands over",
        built.index, built.level
    );
    found.fault(FaultKind::Tile, first, first.saturating_add(width), text);
    Ok(())
}
