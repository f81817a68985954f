//! Batches as they are read from the source, and as they are written at the target.
//!
//! A batch is carried whole where it may be: its records keep the bytes that they have, compressed as they are, and only
//! the header says another producer. It is put together anew where a producer may not send it so: with gaps that
//! compaction left, with the broker's time, where its beginning was mirrored before, or where it is too large; and small
//! neighbours become one, for a request takes one batch of a partition.

use bytes::{Bytes, BytesMut};
use candor_records::{
    BatchBuilder, Bounds, Header, Marker, MarkerKind, Producer, TimestampType, open, set_producer,
};
use kafka_protocol::messages::fetch_response::AbortedTransaction;

/// What one batch may unfold to.
const BOUNDS: Bounds = Bounds { bytes: 128 << 20, records: 1 << 20 };

/// Batches below this are put together with their neighbours, bytes.
const SMALL_BYTES: usize = 64 << 10;

/// Up to this, bytes before they are compressed: below what topics take unless they say otherwise (1 MiB).
const TOGETHER_BYTES: usize = 512 << 10;

/// Pieces that a batch is cut into which is too large for the target, bytes before they are compressed.
const CUT_BYTES: usize = 256 << 10;

/// Records of a fetched partition that are to be mirrored.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Batches with their records from `from` on, without those of aborted transactions and without markers.
    pub batches: Vec<(Header, Bytes)>,
    /// The offset behind all that was looked at.
    pub next: i64,
}

/// Goes through what a fetch brought of a partition, from an offset on, as one who sees only what was committed.
pub(crate) fn read(
    mut records: Bytes,
    from: i64,
    aborted: &[AbortedTransaction],
) -> Result<Read, &'static str> {
    let mut read = Read { batches: Vec::new(), next: from };
    let mut aborted: Vec<(i64, i64)> =
        aborted.iter().map(|one| (one.first_offset, one.producer_id.0)).collect();
    aborted.sort_unstable_by(|a, b| b.cmp(a));
    let mut gone = std::collections::HashSet::new();
    // The last batch of an answer may be cut off.
    while let Some(header) = next(&records)? {
        let batch = records.split_to(header.bytes);
        header.check(&batch).map_err(|_| "a batch does not fit its checksum")?;
        let last = header.last_offset();
        while aborted.last().is_some_and(|(first, _)| *first <= last) {
            gone.extend(aborted.pop().map(|(_, producer)| producer));
        }
        if last < from {
            continue;
        }
        read.next = last.checked_add(1).ok_or("an offset is beyond all offsets")?;
        if header.is_control() {
            if is_abort(&batch)? {
                gone.remove(&header.producer_id);
            }
            continue;
        }
        let is_gone = header.is_transactional() && gone.contains(&header.producer_id);
        if !is_gone && header.records > 0 {
            read.batches.push((header, batch));
        }
    }
    Ok(read)
}

/// The header of the next batch that is whole.
fn next(records: &Bytes) -> Result<Option<Header>, &'static str> {
    match Header::parse(records) {
        Ok(header) => Ok(Some(header)),
        Err(candor_records::BadBatch::Magic(_)) => Err("its records are in a format before Kafka 0.11"),
        Err(_) => Ok(None),
    }
}

fn is_abort(batch: &Bytes) -> Result<bool, &'static str> {
    let opened = open(batch, BOUNDS).map_err(|_| "a marker cannot be read")?;
    let record = opened.records().next().and_then(Result::ok);
    Ok(record.and_then(|record| Marker::read(&record)).is_some_and(|marker| marker.kind == MarkerKind::Abort))
}

/// A batch for the target, and which offsets of the source its records have: the first, and how many in a row.
#[derive(Debug)]
pub(crate) struct Ready {
    /// As it is produced.
    pub bytes: Bytes,
    /// How many records.
    pub records: i32,
    /// Runs of offsets at the source, in the order of the records.
    pub runs: Vec<(i64, i64)>,
}

/// Puts batches as a producer sends them, in its transaction, its next record being number `sequence`. `cut` where the
/// target would not take them as large as they are.
pub(crate) fn ready(
    batches: &[(Header, Bytes)],
    from: i64,
    producer: (i64, i16),
    mut sequence: i32,
    cut: bool,
) -> Result<Vec<Ready>, &'static str> {
    let mut all = Vec::new();
    let mut rest = batches;
    while let Some(((header, batch), behind)) = rest.split_first() {
        let small = rest
            .iter()
            .take_while(|(other, _)| !cut && other.bytes < SMALL_BYTES && other.codec() == header.codec());
        let together = small.count();
        let made = if together > 1 {
            let (some, behind) = rest.split_at(together);
            rest = behind;
            rebuilt(some, from, producer, sequence, TOGETHER_BYTES)?
        } else {
            rest = behind;
            if !cut && is_carried(header, from) {
                vec![carried(header, batch, producer, sequence)]
            } else {
                let bytes = if cut { CUT_BYTES } else { usize::MAX };
                rebuilt(&[(*header, batch.clone())], from, producer, sequence, bytes)?
            }
        };
        for one in made {
            sequence = sequence.wrapping_add(one.records) & i32::MAX;
            all.push(one);
        }
    }
    Ok(all)
}

/// Whether a producer may send it as it is.
fn is_carried(header: &Header, from: i64) -> bool {
    header.base_offset >= from
        && header.records.checked_sub(1) == Some(header.last_offset_delta)
        && header.timestamp_type() == TimestampType::CreateTime
        && header.delete_horizon().is_none()
}

fn carried(header: &Header, batch: &Bytes, (id, epoch): (i64, i16), sequence: i32) -> Ready {
    let mut bytes = BytesMut::from(&batch[..]);
    set_producer(&mut bytes, Producer { id, epoch, sequence });
    let runs = vec![(header.base_offset, i64::from(header.records))];
    Ready { bytes: bytes.freeze(), records: header.records, runs }
}

/// A batch that is being put together.
struct Making {
    builder: BatchBuilder,
    runs: Vec<(i64, i64)>,
}

fn rebuilt(
    batches: &[(Header, Bytes)],
    from: i64,
    (id, epoch): (i64, i16),
    mut sequence: i32,
    bytes_max: usize,
) -> Result<Vec<Ready>, &'static str> {
    const BROKEN: &str = "a batch cannot be opened";
    let mut all = Vec::new();
    let mut making: Option<Making> = None;
    let finish = |making: Making| -> Result<Ready, &'static str> {
        let records = i32::try_from(making.builder.len()).map_err(|_| BROKEN)?;
        let bytes = making.builder.finish().map_err(|_| "a batch cannot be put together")?;
        Ok(Ready { bytes, records, runs: making.runs })
    };
    for (header, batch) in batches {
        let codec = header.compression().map_err(|_| "a batch is compressed as nobody knows")?;
        let opened = open(batch, BOUNDS).map_err(|_| BROKEN)?;
        for record in opened.records() {
            let record = record.map_err(|_| BROKEN)?;
            let offset = record.offset(header);
            if offset < from {
                continue;
            }
            let length = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            if let Some(full) = making.take_if(|made| made.builder.bytes() + length > bytes_max) {
                let one = finish(full)?;
                sequence = sequence.wrapping_add(one.records) & i32::MAX;
                all.push(one);
            }
            let producer = Producer { id, epoch, sequence };
            let fresh =
                || Making { builder: BatchBuilder::new(codec).transactional(producer), runs: Vec::new() };
            let made = making.get_or_insert_with(fresh);
            made.builder.push(record.timestamp(header), record.key, record.value, record.headers);
            match made.runs.last_mut() {
                Some((first, count)) if *first + *count == offset => *count += 1,
                _ => made.runs.push((offset, 1)),
            }
        }
    }
    all.extend(making.map(finish).transpose()?);
    Ok(all)
}
