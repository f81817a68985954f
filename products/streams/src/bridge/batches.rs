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
    let (is_empty, mut end) = (records.is_empty(), None);
    // The last batch of an answer may be cut off.
    while let Some(header) = next(&records)? {
        let batch = records.split_to(header.bytes);
        header.check(&batch).map_err(|_| "a batch does not fit its checksum")?;
        let last = header.last_offset();
        if header.base_offset < end.unwrap_or(0) || last < header.base_offset {
            return Err("the offsets of its batches go back");
        }
        end = Some(last.checked_add(1).ok_or("an offset is beyond all offsets")?);
        while aborted.last().is_some_and(|(first, _)| *first <= last) {
            gone.extend(aborted.pop().map(|(_, producer)| producer));
        }
        if last < from {
            continue;
        }
        read.next = last + 1;
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
    if !is_empty && end.is_none() {
        return Err("none of its batches is whole");
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

/// Puts batches as a producer sends them, in its transaction, its next record being number `sequence`. `cut` is how many
/// bytes go together at most where the target would not take them as large as they are.
pub(crate) fn ready(
    batches: &[(Header, Bytes)],
    from: i64,
    producer: (i64, i16),
    mut sequence: i32,
    cut: Option<usize>,
) -> Result<Vec<Ready>, &'static str> {
    let mut all = Vec::new();
    let mut rest = batches;
    while let Some(((header, batch), behind)) = rest.split_first() {
        let small = rest.iter().take_while(|(other, _)| {
            cut.is_none() && other.bytes < SMALL_BYTES && other.codec() == header.codec()
        });
        let together = small.count();
        let made = if together > 1 {
            let (some, behind) = rest.split_at(together);
            rest = behind;
            rebuilt(some, from, producer, sequence, TOGETHER_BYTES)?
        } else {
            rest = behind;
            if cut.is_none() && is_carried(header, from) {
                vec![carried(header, batch, producer, sequence)]
            } else {
                let bytes = cut.unwrap_or(usize::MAX);
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
                Some((first, count)) if first.checked_add(*count) == Some(offset) => *count += 1,
                _ => made.runs.push((offset, 1)),
            }
        }
    }
    all.extend(making.map(finish).transpose()?);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use candor_records::{Codec, HeadersBuf, Rebuild, set_max_timestamp, validate_produced};
    use candor_records::{ProducedLimits, place};

    use super::*;

    const LIMITS: ProducedLimits = ProducedLimits { batch_bytes: 1 << 20, records: 1000 };

    /// A batch as a source has it, from `base` on, without the records of the offsets in `gaps`.
    fn batch(base: i64, count: i64, codec: Codec, producer: Option<i64>, gaps: &[i64]) -> (Header, Bytes) {
        let mut builder = BatchBuilder::new(codec);
        if let Some(id) = producer {
            builder = builder.transactional(Producer { id, epoch: 0, sequence: 0 });
        }
        let mut headers = HeadersBuf::new();
        headers.push(b"h", Some(b"v"));
        for n in base..base + count {
            builder.push(1000 + n, Some(b"k"), Some(format!("value {n}").as_bytes()), headers.headers());
        }
        let mut bytes = builder.finish().unwrap().to_vec();
        place(&mut bytes, base, 7).unwrap();
        let bytes = Bytes::from(bytes);
        let header = Header::parse(&bytes).unwrap();
        if gaps.is_empty() {
            return (header, bytes);
        }
        let opened = open(&bytes, BOUNDS).unwrap();
        let mut rebuild = Rebuild::new(&header).unwrap();
        for record in opened.records().map(Result::unwrap) {
            if !gaps.contains(&record.offset(&header)) {
                rebuild.push(&record);
            }
        }
        let bytes = rebuild.finish().unwrap();
        (Header::parse(&bytes).unwrap(), bytes)
    }

    fn marker(base: i64, id: i64, kind: MarkerKind) -> Bytes {
        let mut bytes = Marker { kind, coordinator_epoch: 0 }.batch(id, 0, 5).to_vec();
        place(&mut bytes, base, 7).unwrap();
        Bytes::from(bytes)
    }

    fn aborted(id: i64, first: i64) -> AbortedTransaction {
        AbortedTransaction::default().with_producer_id(id.into()).with_first_offset(first)
    }

    /// What a producer sends is what a broker takes, its sequences follow on one another, and records are as they were.
    fn check(ready: &[Ready], offsets: &[i64]) {
        let (mut sequence, mut found, mut said) = (5, Vec::new(), Vec::new());
        for one in ready {
            let header = validate_produced(&one.bytes, LIMITS).unwrap();
            assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (9, 2, sequence));
            assert!(header.is_transactional() && one.records == header.records);
            sequence += one.records;
            let opened = open(&one.bytes, BOUNDS).unwrap();
            opened.check_produced().unwrap();
            for record in opened.records().map(Result::unwrap) {
                let text = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                let offset: i64 = text.strip_prefix("value ").unwrap().parse().unwrap();
                assert_eq!((record.timestamp(&header), record.headers.len()), (1000 + offset, 1));
                found.push(offset);
            }
            said.extend(one.runs.iter().flat_map(|(first, count)| *first..*first + *count));
        }
        assert_eq!((found.as_slice(), said.as_slice()), (offsets, offsets));
    }

    #[test]
    fn a_batch_is_carried_whole_where_it_may_be() {
        let source = batch(40, 3, Codec::Zstd, Some(77), &[]);
        let made = ready(std::slice::from_ref(&source), 40, (9, 2), 5, None).unwrap();
        check(&made, &[40, 41, 42]);
        assert_eq!(made[0].bytes[61..], source.1[61..], "the records keep their bytes");
    }

    #[test]
    fn what_a_producer_may_not_send_is_put_together_anew() {
        let gaps = batch(40, 5, Codec::Lz4, None, &[40, 42]);
        check(&ready(&[gaps], 0, (9, 2), 5, None).unwrap(), &[41, 43, 44]);
        let begun = batch(40, 5, Codec::None, None, &[]);
        check(&ready(&[begun], 43, (9, 2), 5, None).unwrap(), &[43, 44]);
        let small: Vec<_> = (0..4).map(|n| batch(n * 10, 3, Codec::Gzip, None, &[])).collect();
        let made = ready(&small, 0, (9, 2), 5, None).unwrap();
        assert_eq!(made.len(), 1);
        check(&made, &[0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32]);
        let one = batch(0, 4, Codec::Snappy, None, &[]);
        let made = ready(&[one], 0, (9, 2), 5, Some(1)).unwrap();
        assert_eq!(made.len(), 4);
        check(&made, &[0, 1, 2, 3]);
        let (_, bytes) = batch(0, 2, Codec::None, None, &[]);
        let mut bytes = bytes.to_vec();
        set_max_timestamp(&mut bytes, TimestampType::LogAppendTime, 9_999).unwrap();
        let bytes = Bytes::from(bytes);
        let made = ready(&[(Header::parse(&bytes).unwrap(), bytes)], 0, (9, 2), 5, None).unwrap();
        let header = validate_produced(&made[0].bytes, LIMITS).unwrap();
        assert_eq!(header.base_timestamp, 9_999, "the broker's time stays the record's");
    }

    #[test]
    fn only_what_was_committed_is_read() {
        let parts = [
            batch(10, 2, Codec::None, Some(1), &[]).1,
            batch(12, 2, Codec::None, Some(2), &[]).1,
            batch(14, 1, Codec::None, None, &[]).1,
            marker(15, 1, MarkerKind::Abort),
            marker(16, 2, MarkerKind::Commit),
            batch(17, 2, Codec::None, Some(1), &[]).1,
            marker(19, 1, MarkerKind::Commit),
        ];
        let all = Bytes::from(parts.concat());
        let offsets =
            |read: &Read| read.batches.iter().map(|(header, _)| header.base_offset).collect::<Vec<_>>();
        let found = read(all.clone(), 10, &[aborted(1, 10)]).unwrap();
        assert_eq!((offsets(&found), found.next), (vec![12, 14, 17], 20));
        let found = read(all.clone(), 13, &[aborted(1, 10)]).unwrap();
        assert_eq!((offsets(&found), found.next), (vec![12, 14, 17], 20));
        // An answer may end within a batch.
        let cut = all.slice(..all.len() - 1);
        assert_eq!(read(cut, 10, &[]).unwrap().next, 19);
        assert_eq!(read(Bytes::new(), 10, &[]).unwrap().next, 10);
        // One that has nothing whole would be asked for again for ever.
        assert!(read(all.slice(..70), 10, &[]).unwrap_err().contains("whole"));
        let back = Bytes::from([&parts[0][..], &parts[0][..]].concat());
        assert!(read(back, 10, &[]).unwrap_err().contains("go back"));
        for base in [-5, i64::MAX - 1] {
            let mut far = parts[0].to_vec();
            far[..8].copy_from_slice(&i64::to_be_bytes(base));
            assert!(read(Bytes::from(far), 10, &[]).is_err(), "{base}");
        }
        let mut broken = all.to_vec();
        broken[70] ^= 1;
        assert!(read(Bytes::from(broken), 10, &[]).is_err());
        let mut old = all.to_vec();
        old[16] = 1;
        assert!(read(Bytes::from(old), 10, &[]).unwrap_err().contains("0.11"));
    }
}
