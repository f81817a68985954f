//! Looking through the whole ledger: what was changed, dropped, moved, cut or forked, and where.
//!
//! Checkpoints are signed, so they say what the tree was. Tiles hold the hash of every entry; where they lead to the
//! newest checkpoint's root they are what was hashed then, and an entry that is not in its place is known by its hash.
//! Where the tiles were changed too, the checkpoints around an entry say between which numbers something is wrong.

mod tiles;
mod walk;

use candor_keyring::Keyring;
use candor_meta::{Database, SqlError, Tx, params};

use crate::note::{Checkpoint, Notary};
use crate::tree::Hash;
use crate::{LedgerError, detail};

/// Faults that are listed; further ones are only counted.
const FAULTS_MAX: usize = 1_000;

/// Rows read at once.
const PAGE: i64 = 1_024;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The entry is not what was written.
    Changed,
    /// The entry is missing, and later ones are there.
    Dropped,
    /// An entry stands here that was never written.
    Inserted,
    /// Another entry stands here than was written.
    Reordered,
    /// The ledger ends here, and went on.
    Truncated,
    /// An entry stands beyond what was signed.
    Unsigned,
    /// A checkpoint was signed over other entries than these.
    Forked,
    /// A checkpoint is not signed by this ledger's key, or was changed.
    Checkpoint,
    /// A stored hash is not that of what lies below it.
    Tile,
    /// The detail is not what the entry commits to.
    Detail,
}

impl FaultKind {
    /// The word that is shown.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Changed => "changed",
            FaultKind::Dropped => "dropped",
            FaultKind::Inserted => "inserted",
            FaultKind::Reordered => "reordered",
            FaultKind::Truncated => "truncated",
            FaultKind::Unsigned => "unsigned",
            FaultKind::Forked => "forked",
            FaultKind::Checkpoint => "checkpoint",
            FaultKind::Tile => "tile",
            FaultKind::Detail => "detail",
        }
    }
}

/// Something that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// The number of the entry, or of the first that it may be.
    pub index: u64,
    /// The first number that it is not. One more than `index` where the entry is known.
    pub until: u64,
    /// In words.
    pub text: String,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// Entries that are signed for.
    pub size: u64,
    /// The root over them.
    pub root: Option<Hash>,
    /// Checkpoints that were compared, those from outside included.
    pub checkpoints: u64,
    /// Details that fit their entry.
    pub details: u64,
    /// Details that were erased.
    pub erased: u64,
    /// What is wrong, in the order of the numbers.
    pub faults: Vec<Fault>,
    /// Faults beyond those listed.
    pub more_faults: u64,
}

impl Verified {
    /// True where nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }

    fn fault(&mut self, kind: FaultKind, index: u64, until: u64, text: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault { kind, index, until, text: text.into() });
        } else {
            self.more_faults += 1;
        }
    }
}

/// A checkpoint to compare with, and whether it was kept outside.
#[derive(Debug, Clone)]
struct Witness {
    head: Checkpoint,
    outside: bool,
}

impl Witness {
    fn name(&self) -> String {
        let whose = if self.outside { "the checkpoint from outside" } else { "the checkpoint" };
        format!("{whose} over {} entries", self.head.size)
    }
}

/// Looks through a ledger as it is at this moment. `outside` are notes that were kept elsewhere. It writes nothing.
pub async fn run(
    database: &Database,
    keyring: &Keyring,
    outside: &[String],
) -> Result<Verified, LedgerError> {
    let notary = Notary::new(keyring);
    let mut found = Verified::default();
    let mut tx = database.begin_read().await?;
    let mut witnesses = checkpoints(&mut tx, &notary, &mut found).await?;
    let newest = witnesses.last().map(|newest| newest.head.clone());
    found.size = newest.as_ref().map_or(0, |head| head.size);
    found.root = newest.as_ref().map(|head| head.root);
    for note in outside {
        match notary.read(note) {
            Ok(head) if head.size > found.size => {
                let text = format!(
                    "the ledger ends before entry {}; the checkpoint from outside is over {} entries",
                    found.size, head.size
                );
                found.fault(FaultKind::Truncated, found.size, head.size, text);
            }
            Ok(head) => witnesses.push(Witness { head, outside: true }),
            Err(error) => found.fault(FaultKind::Checkpoint, 0, 0, format!("from outside: {error}")),
        }
    }
    witnesses.sort_by_key(|witness| witness.head.size);
    found.checkpoints = witnesses.len() as u64;
    let sound = tiles::check(&mut tx, newest.as_ref(), &witnesses, &mut found).await?;
    walk::check(&mut tx, newest.as_ref(), &witnesses, sound, &mut found).await?;
    details(&mut tx, keyring, &mut found).await?;
    found.faults.sort_by_key(|fault| (fault.index, fault.until));
    Ok(found)
}

/// The stored checkpoints by size. What is not ours, or says another size than it is stored under, is a fault.
async fn checkpoints(
    tx: &mut Tx,
    notary: &Notary,
    found: &mut Verified,
) -> Result<Vec<Witness>, LedgerError> {
    let mut witnesses = Vec::new();
    let mut after = -1;
    loop {
        let sql = "SELECT size, note FROM ledger_checkpoint WHERE size > ? ORDER BY size LIMIT ?";
        let rows = tx.query(sql, params![after, PAGE]).await?;
        let Some(last) = rows.last() else { return Ok(witnesses) };
        after = last.int(0)?;
        for row in &rows {
            let size = u64::try_from(row.int(0)?).unwrap_or_default();
            let read = row.opt_text(1)?.map(|note| notary.read(note));
            let wrong = match read {
                Some(Ok(head)) if head.size == size => {
                    witnesses.push(Witness { head, outside: false });
                    continue;
                }
                Some(Ok(head)) => format!("it is over {} entries", head.size),
                Some(Err(error)) => error.to_string(),
                None => "it is empty".to_owned(),
            };
            let text = format!("the checkpoint over {size} entries does not hold: {wrong}");
            found.fault(FaultKind::Checkpoint, size.saturating_sub(1), size, text);
        }
    }
}

/// Whether details are what the entries commit to. An entry that is not what was written cannot say.
async fn details(tx: &mut Tx, keyring: &Keyring, found: &mut Verified) -> Result<(), LedgerError> {
    let mut after = -1;
    loop {
        let sql = "SELECT e.id, e.leaf, d.sealed FROM ledger_entry e LEFT JOIN ledger_detail d ON d.id = e.id \
                   WHERE e.id > ? ORDER BY e.id LIMIT ?";
        let rows = tx.query(sql, params![after, PAGE]).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.int(0)?;
        for row in &rows {
            let index = u64::try_from(row.int(0)?).unwrap_or_default();
            let leaf = row.opt_text(1).ok().flatten().and_then(crate::Leaf::parse);
            let Some(leaf) = leaf.filter(|leaf| leaf.index == index) else { continue };
            match (leaf.detail, row.opt_blob(2)?) {
                (Some(commitment), Some(sealed)) => {
                    if detail::open(keyring, index, sealed, &commitment).is_some() {
                        found.details += 1;
                    } else {
                        let text = format!("the detail of entry {index} is not what the entry commits to");
                        found.fault(FaultKind::Detail, index, index + 1, text);
                    }
                }
                (Some(_), None) => found.erased += 1,
                (None, Some(_)) => {
                    let text = format!("entry {index} has no detail, and one is stored");
                    found.fault(FaultKind::Detail, index, index + 1, text);
                }
                (None, None) => {}
            }
        }
    }
}

/// A number from SQL as an entry's.
fn number(value: i64) -> Result<u64, SqlError> {
    u64::try_from(value).map_err(|_| SqlError::Column(0))
}
