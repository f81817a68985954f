//! The ledger's SQL: adding a batch, and reading it back.

use candor_keyring::Keyring;
use candor_meta::{Database, Row, SqlError, Tx, params};
use candor_model::{ProjectId, Random, Timestamp};

use crate::leaf::{Event, Leaf};
use crate::note::{Checkpoint, Notary};
use crate::tree::{self, Edge, Hash, TILE_LEVELS, Tile};
use crate::{Detail, LedgerError, detail};

/// The lock of who appends, where several processes could.
const LOCK: &str = "ledger";

/// Between checkpoints that are kept for good, µs.
const HOUR_US: i64 = 3_600 * Timestamp::SECOND;

/// How long every checkpoint is kept, µs; of older ones the first of each hour stays.
const ALL_KEPT_US: i64 = 24 * HOUR_US;

/// An entry as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it says.
    pub leaf: Leaf,
    /// The bytes that were hashed.
    pub text: String,
}

pub(crate) fn hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let parts = bytes.chunks(32).map(|part| Hash::try_from(part).ok());
    parts.collect()
}

/// The newest checkpoint. An empty ledger has none.
pub(crate) async fn newest(
    tx: &mut Tx,
    notary: &Notary,
) -> Result<Option<(Checkpoint, String)>, LedgerError> {
    let rows = tx.query("SELECT size, note FROM ledger_checkpoint ORDER BY size DESC LIMIT 1", &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let note = row.text(1)?.to_owned();
    let head = notary.read(&note).map_err(|_| LedgerError::Damaged)?;
    if i64::try_from(head.size) != Ok(row.int(0)?) {
        return Err(LedgerError::Damaged);
    }
    Ok(Some((head, note)))
}

pub(crate) async fn tile(tx: &mut Tx, level: u8, number: u64) -> Result<Option<Vec<Hash>>, SqlError> {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let sql = "SELECT hashes FROM ledger_tile WHERE level = ? AND number = ?";
    let rows = tx.query(sql, params![i64::from(level), number]).await?;
    rows.first().map(|row| hashes(row.blob(0)?).ok_or(SqlError::Column(0))).transpose()
}

/// The edge of the tree of that size.
async fn edge(tx: &mut Tx, size: u64) -> Result<Option<Edge>, SqlError> {
    let mut levels = Vec::with_capacity(TILE_LEVELS);
    for level in 0..TILE_LEVELS {
        let (number, count) = tree::last_tile(size, level);
        let mut row = match count {
            0 => Vec::new(),
            _ => tile(tx, level as u8, number).await?.unwrap_or_default(),
        };
        row.truncate(count);
        levels.push(row);
    }
    Ok(Edge::of(size, levels))
}

/// Adds events in a transaction of the caller's; gives the number of the first.
///
/// Nothing is signed that does not grow out of what was signed last: tiles that somebody changed are noticed here,
/// and not confirmed by a new checkpoint.
pub(crate) async fn add(
    tx: &mut Tx,
    keyring: &Keyring,
    notary: &Notary,
    random: &dyn Random,
    now: Timestamp,
    events: &[Event],
) -> Result<u64, LedgerError> {
    tx.lock(LOCK).await?;
    let head = newest(tx, notary).await?.map(|(head, _)| head);
    let size = head.as_ref().map_or(0, |head| head.size);
    let mut edge = edge(tx, size).await?.ok_or(LedgerError::Damaged)?;
    if head.is_some_and(|head| head.root != edge.root()) {
        return Err(LedgerError::Damaged);
    }
    let mut full = Vec::new();
    for event in events {
        let index = edge.size();
        let id = i64::try_from(index).map_err(|_| LedgerError::Damaged)?;
        let project = event.project.map_or(0, |(_, project)| project.0);
        let sealed = detail::seal(keyring, random, index, &event.subjects, event.reason.as_deref());
        let commitment = sealed.as_ref().map(|sealed| sealed.commitment.clone());
        let leaf = event.leaf(index, now.0, commitment).canonical();
        full.extend(edge.push(tree::leaf_hash(leaf.as_bytes())));
        tx.execute(
            "INSERT INTO ledger_entry (id, project, leaf) VALUES (?, ?, ?)",
            params![id, project, leaf],
        )
        .await
        .map_err(|error| match error {
            // An entry beyond what was signed.
            SqlError::Unique(_) => LedgerError::Damaged,
            other => other.into(),
        })?;
        if let Some(sealed) = sealed {
            tx.execute(
                "INSERT INTO ledger_detail (id, project, sealed) VALUES (?, ?, ?)",
                params![id, project, sealed.sealed],
            )
            .await?;
        }
    }
    full.extend(edge.partial());
    for tile in full {
        put_tile(tx, &tile).await?;
    }
    let checkpoint = Checkpoint { size: edge.size(), root: edge.root() };
    put_checkpoint(tx, &checkpoint, &notary.sign(&checkpoint), now).await?;
    Ok(size)
}

async fn put_tile(tx: &mut Tx, tile: &Tile) -> Result<(), SqlError> {
    tx.execute(
        "INSERT INTO ledger_tile (level, number, hashes) VALUES (?, ?, ?) \
         ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes",
        params![i64::from(tile.level), i64::try_from(tile.index).unwrap_or(i64::MAX), tile.hashes.concat()],
    )
    .await?;
    Ok(())
}

async fn put_checkpoint(
    tx: &mut Tx,
    checkpoint: &Checkpoint,
    note: &str,
    now: Timestamp,
) -> Result<(), SqlError> {
    let sql = "SELECT MAX(made_at) FROM ledger_checkpoint WHERE hourly = 1";
    let last = tx.query(sql, &[]).await?.first().map(|row| row.opt_int(0)).transpose()?.flatten();
    let begins_hour = last.is_none_or(|last| last.div_euclid(HOUR_US) != now.0.div_euclid(HOUR_US));
    tx.execute(
        "INSERT INTO ledger_checkpoint (size, note, made_at, hourly) VALUES (?, ?, ?, ?)",
        params![i64::try_from(checkpoint.size).unwrap_or(i64::MAX), note, now.0, begins_hour],
    )
    .await?;
    if begins_hour {
        tx.execute(
            "DELETE FROM ledger_checkpoint WHERE hourly = 0 AND made_at < ?",
            params![now.0.saturating_sub(ALL_KEPT_US)],
        )
        .await?;
    }
    Ok(())
}

fn entry(row: &Row) -> Result<Entry, SqlError> {
    let text = row.text(0)?.to_owned();
    let leaf = Leaf::parse(&text).ok_or(SqlError::Column(0))?;
    Ok(Entry { leaf, text })
}

/// The entries of a project below a number, the newest first.
pub(crate) async fn newest_of(
    database: &Database,
    project: ProjectId,
    below: Option<u64>,
    count: u32,
) -> Result<Vec<Entry>, SqlError> {
    let below = below.and_then(|below| i64::try_from(below).ok()).unwrap_or(i64::MAX);
    let sql = "SELECT leaf FROM ledger_entry WHERE project = ? AND id < ? ORDER BY id DESC LIMIT ?";
    let rows = database.query(sql, params![project.0, below, i64::from(count)]).await?;
    rows.iter().map(entry).collect()
}

/// One entry.
pub(crate) async fn one(tx: &mut Tx, index: u64) -> Result<Option<Entry>, SqlError> {
    let Ok(id) = i64::try_from(index) else { return Ok(None) };
    let rows = tx.query("SELECT leaf FROM ledger_entry WHERE id = ?", params![id]).await?;
    rows.first().map(entry).transpose()
}

/// The detail of an entry. None where there is none, or it was erased.
pub(crate) async fn detail_of(
    database: &Database,
    keyring: &Keyring,
    leaf: &Leaf,
) -> Result<Option<Detail>, LedgerError> {
    let (Some(commitment), Ok(id)) = (&leaf.detail, i64::try_from(leaf.index)) else { return Ok(None) };
    let rows = database.query("SELECT sealed FROM ledger_detail WHERE id = ?", params![id]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let detail = detail::open(keyring, leaf.index, row.blob(0)?, commitment);
    detail.map(Some).ok_or(LedgerError::Damaged)
}
