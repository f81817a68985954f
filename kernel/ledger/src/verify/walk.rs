//! Entry by entry: which is not in its place, and which is not what it was.

use candor_meta::{Tx, params};

use super::tiles::Sound;
use super::{FaultKind, PAGE, Verified, Witness, number};
use crate::note::Checkpoint;
use crate::store;
use crate::tree::{self, Edge, Hash, TILE_WIDTH};
use crate::{Leaf, LedgerError};

/// A stored entry.
struct Stored {
    at: u64,
    hash: Hash,
    /// What it says of itself.
    says: Option<u64>,
    /// The column beside it that entries are found by is the one that it says.
    found_by_project: bool,
}

struct Walk<'a> {
    found: &'a mut Verified,
    sound: u64,
    /// The last tile of hashes that was asked for.
    tile: Option<(u64, Vec<Hash>)>,
    /// How far entries have moved up, by ones that were dropped (or down, by ones put in).
    shift: i128,
}

pub(super) async fn check(
    tx: &mut Tx,
    newest: Option<&Checkpoint>,
    witnesses: &[Witness],
    sound: Sound,
    found: &mut Verified,
) -> Result<(), LedgerError> {
    let size = newest.map_or(0, |head| head.size);
    let mut beyond = Beyond { edge: sound.edge.clone(), agreed: sound.until, broken: false, unlike: None };
    let mut walk = Walk { found, sound: sound.until, tile: None, shift: 0 };
    let mut due = 0;
    let mut page = Page::default();
    while let Some(entry) = page.next(tx).await? {
        let next = page.peek(tx).await?;
        if entry.at >= size {
            let text = format!("entry {} stands beyond the {size} that were signed for", entry.at);
            walk.found.fault(FaultKind::Unsigned, entry.at, entry.at + 1, text);
            due = entry.at + 1;
            continue;
        }
        if entry.at > due {
            walk.missing(due, entry.at);
        }
        due = entry.at + 1;
        if !walk.in_place(tx, &entry, next).await? {
            continue;
        }
        if entry.at >= sound.until && walk.shift == 0 {
            beyond.take(tx, &mut walk, &entry, witnesses).await?;
        }
    }
    // What moved up leaves as much room at the end.
    let lost = u64::try_from(walk.shift).unwrap_or_default();
    if due + lost < size {
        let text = format!("the ledger ends before entry {due}; {size} entries were signed for");
        walk.found.fault(FaultKind::Truncated, due, size, text);
    }
    beyond.end(walk.found, size);
    Ok(())
}

impl Walk<'_> {
    fn missing(&mut self, from: u64, to: u64) {
        let text = match to - from {
            1 => format!("entry {from} is missing"),
            _ => format!("entries {from} to {} are missing", to - 1),
        };
        self.found.fault(FaultKind::Dropped, from, to, text);
    }

    /// The hash of an entry as it was signed; none where that is not known.
    async fn signed(&mut self, tx: &mut Tx, index: u64) -> Result<Option<Hash>, LedgerError> {
        if index >= self.sound {
            return Ok(None);
        }
        let number = index / TILE_WIDTH as u64;
        if self.tile.as_ref().is_none_or(|(held, _)| *held != number) {
            self.tile = Some((number, store::tile(tx, 0, number).await?.unwrap_or_default()));
        }
        let at = (index % TILE_WIDTH as u64) as usize;
        Ok(self.tile.as_ref().and_then(|(_, hashes)| hashes.get(at)).copied())
    }

    /// Looks at an entry, and at the next where it is not in its place. False where it is at fault.
    async fn in_place(
        &mut self,
        tx: &mut Tx,
        entry: &Stored,
        next: Option<(Hash, Option<u64>)>,
    ) -> Result<bool, LedgerError> {
        let expected = u64::try_from(i128::from(entry.at) + self.shift).unwrap_or(u64::MAX);
        if self.signed(tx, expected).await? == Some(entry.hash) {
            if !entry.found_by_project && self.shift == 0 {
                let text = format!("entry {expected} is listed under another project than it says");
                self.found.fault(FaultKind::Changed, expected, expected + 1, text);
            }
            return Ok(true);
        }
        let says = entry.says.filter(|says| *says != expected);
        let moved = match says {
            // Beyond what tiles are signed for an entry's own word is all there is.
            Some(says) if expected >= self.sound || says >= self.sound => Some(says),
            Some(says) => (self.signed(tx, says).await? == Some(entry.hash)).then_some(says),
            None => None,
        };
        let Some(really) = moved else {
            if expected >= self.sound {
                return Ok(true);
            }
            let text = format!("entry {expected} is not what was written");
            self.found.fault(FaultKind::Changed, expected, expected + 1, text);
            return Ok(false);
        };
        let goes_on = match next {
            None => true,
            Some((hash, says)) => {
                says == Some(really + 1)
                    && (really + 1 >= self.sound || self.signed(tx, really + 1).await? == Some(hash))
            }
        };
        if !goes_on {
            let text = format!("entry {really} stands where entry {expected} was written");
            self.found.fault(FaultKind::Reordered, expected, expected + 1, text);
        } else if really > expected {
            self.missing(expected, really);
        } else {
            let text = format!("what stands before entry {really} was never written");
            self.found.fault(FaultKind::Inserted, really, expected, text);
        }
        if goes_on {
            self.shift = i128::from(really) - i128::from(entry.at);
        }
        Ok(false)
    }
}

/// Entries whose hashes in tiles lead to no signed root: the tree is built of the entries themselves.
struct Beyond {
    edge: Edge,
    agreed: u64,
    broken: bool,
    /// The first entry whose hash in its tile is another.
    unlike: Option<u64>,
}

impl Beyond {
    async fn take(
        &mut self,
        tx: &mut Tx,
        walk: &mut Walk<'_>,
        entry: &Stored,
        witnesses: &[Witness],
    ) -> Result<(), LedgerError> {
        if self.broken || entry.at != self.edge.size() {
            self.broken = true;
            return Ok(());
        }
        self.edge.push(entry.hash);
        let number = entry.at / TILE_WIDTH as u64;
        let stored = store::tile(tx, 0, number).await?.unwrap_or_default();
        if stored.get((entry.at % TILE_WIDTH as u64) as usize) != Some(&entry.hash) {
            self.unlike.get_or_insert(entry.at);
        }
        let size = self.edge.size();
        // Sorted by size.
        let first = witnesses.partition_point(|witness| witness.head.size < size);
        for witness in witnesses.iter().skip(first).take_while(|witness| witness.head.size == size) {
            if witness.head.root == self.edge.root() {
                self.agreed = size;
                continue;
            }
            self.broken = true;
            let text = match size - self.agreed {
                1 => format!("entry {} is not what was written, and its hash was changed too", size - 1),
                _ => format!(
                    "one of entries {} to {} is not what was written: they do not lead to {}",
                    self.agreed,
                    size - 1,
                    witness.name()
                ),
            };
            let kind = if witness.outside { FaultKind::Forked } else { FaultKind::Changed };
            walk.found.fault(kind, self.agreed, size, text);
        }
        Ok(())
    }

    /// The entries are as they were signed, and the hashes beside them are not.
    fn end(self, found: &mut Verified, size: u64) {
        if let Some(index) = self.unlike.filter(|_| !self.broken && self.agreed == size) {
            let text = format!("the stored hash of entry {index} is not the entry's");
            found.fault(FaultKind::Tile, index, index + 1, text);
        }
    }
}

/// Entries by number, some at a time.
#[derive(Default)]
struct Page {
    rows: std::collections::VecDeque<Stored>,
    after: Option<i64>,
    ended: bool,
}

impl Page {
    async fn fill(&mut self, tx: &mut Tx) -> Result<(), LedgerError> {
        if !self.rows.is_empty() || self.ended {
            return Ok(());
        }
        let sql = "SELECT id, project, leaf FROM ledger_entry WHERE id > ? ORDER BY id LIMIT ?";
        let rows = tx.query(sql, params![self.after.unwrap_or(-1), PAGE]).await?;
        self.ended = rows.is_empty();
        for row in &rows {
            self.after = Some(row.int(0)?);
            // What is no text any more is no entry: its hash is that of nothing that was written.
            let text = row.opt_text(2).ok().flatten().unwrap_or_default();
            let leaf = Leaf::parse(text);
            self.rows.push_back(Stored {
                at: number(row.int(0)?)?,
                hash: tree::leaf_hash(text.as_bytes()),
                found_by_project: match &leaf {
                    Some(leaf) => row.opt_int(1).ok().flatten() == Some(leaf.project.unwrap_or(0)),
                    None => true,
                },
                says: leaf.map(|leaf| leaf.index),
            });
        }
        Ok(())
    }

    async fn next(&mut self, tx: &mut Tx) -> Result<Option<Stored>, LedgerError> {
        self.fill(tx).await?;
        Ok(self.rows.pop_front())
    }

    /// What comes after: its hash, and what it says of itself.
    async fn peek(&mut self, tx: &mut Tx) -> Result<Option<(Hash, Option<u64>)>, LedgerError> {
        self.fill(tx).await?;
        Ok(self.rows.front().map(|entry| (entry.hash, entry.says)))
    }
}
