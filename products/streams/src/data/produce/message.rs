//! Produce's request by hand, versions 3 to 13: one pass, records stay where they came.

use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use uuid::Uuid;

use super::BY_ID;
use crate::wire::{Read, Request};

/// From this version on messages are flexible (KIP-482).
const FLEXIBLE_FROM: i16 = 9;

/// A batch that is less than this part of its request is copied: the log keeps newest batches in memory, and counts their
/// bytes; a batch that shares its request's memory keeps all of that, whatever becomes of the others in it.
const SHARE_MIN: usize = 2;

/// Reads a request.
pub(crate) fn read(request: &Request) -> Read<ProduceRequest> {
    let mut from = request.fields(FLEXIBLE_FROM);
    let transactional_id = from.text()?.map(Into::into);
    let (acks, timeout_ms) = (from.i16()?, from.i32()?);
    let count = from.count(3)?;
    let mut topics = Vec::with_capacity(count);
    for _ in 0..count {
        let mut topic = TopicProduceData::default();
        if request.version >= BY_ID {
            topic.topic_id = Uuid::from_bytes(from.id()?);
        } else {
            topic.name = from.name()?.into();
        }
        // A number, and the length of records.
        let count = from.count(5)?;
        topic.partition_data.reserve_exact(count);
        for _ in 0..count {
            let (index, records) = (from.i32()?, from.bytes()?);
            let records = records.map(|records| match records.len() < request.body.len() / SHARE_MIN {
                true => records.to_vec().into(),
                false => records,
            });
            from.end()?;
            let data = PartitionProduceData::default().with_index(index).with_records(records);
            topic.partition_data.push(data);
        }
        from.end()?;
        topics.push(topic);
    }
    from.end()?;
    let message = ProduceRequest::default().with_transactional_id(transactional_id);
    Ok(message.with_acks(acks).with_timeout_ms(timeout_ms).with_topic_data(topics))
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use candor_model::random::{Random, Seeded};
    use kafka_protocol::messages::ApiKey;
    use kafka_protocol::protocol::Encodable;

    use super::*;
    use crate::testing::text;

    fn any(random: &Seeded, version: i16) -> ProduceRequest {
        let below = |max: u64| random.next_u64() % max;
        let topics = (0..below(4)).map(|nth| {
            let partitions = (0..below(4)).map(|_| {
                let length = below(if below(3) == 0 { 40_000 } else { 90 }) as usize;
                let records = (below(5) > 0).then(|| Bytes::from(vec![below(256) as u8; length]));
                PartitionProduceData::default().with_index(random.next_u64() as i32).with_records(records)
            });
            let topic = TopicProduceData::default().with_partition_data(partitions.collect());
            match version >= BY_ID {
                true => topic.with_topic_id(Uuid::from_u128(random.next_u64().into())),
                false => topic.with_name(text(&"n".repeat(nth as usize * 100)).into()),
            }
        });
        let id = (below(2) == 0).then(|| text("payments").into());
        let topics = topics.collect();
        let request = ProduceRequest::default().with_transactional_id(id).with_acks(below(3) as i16 - 1);
        request.with_timeout_ms(below(1 << 31) as i32).with_topic_data(topics)
    }

    #[test]
    fn it_reads_what_another_encoder_writes_and_nothing_shorter() {
        let random = Seeded::new(11);
        for version in 3..=13 {
            for nth in 0..20 {
                let message = any(&random, version);
                let mut body = BytesMut::new();
                message.encode(&mut body, version).unwrap();
                let body = body.freeze();
                let whole = Request::for_test(ApiKey::Produce, version, body.clone());
                assert_eq!(read(&whole), Ok(message), "version {version}");
                let step = if nth < 3 { 1 } else { body.len() / 50 + 1 };
                for length in (0..body.len()).step_by(step) {
                    let cut = Request::for_test(ApiKey::Produce, version, body.slice(..length));
                    assert!(read(&cut).is_err(), "{length} of {} bytes, version {version}", body.len());
                }
            }
        }
    }

    #[test]
    fn lengths_and_counts_that_lie_set_nothing_aside() {
        // No transaction, acks, timeout, then a count of topics, and of a topic "a" one of partitions.
        let head = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9];
        let topics = |count: i32| [head.as_slice(), &count.to_be_bytes()].concat();
        let partitions = |count: i32| [topics(1), vec![0, 1, b'a'], count.to_be_bytes().to_vec()].concat();
        for body in [topics(i32::MAX), topics(-2), partitions(i32::MAX), partitions(100_000), partitions(-7)]
        {
            let request = Request::for_test(ApiKey::Produce, 8, body.into());
            assert!(read(&request).is_err());
        }
    }

    #[test]
    fn a_small_batch_does_not_keep_a_large_request() {
        let part =
            |length: usize| PartitionProduceData::default().with_records(Some(Bytes::from(vec![7; length])));
        let shared = |lengths: &[usize]| {
            let parts = lengths.iter().map(|length| part(*length)).collect();
            let topic = TopicProduceData::default().with_partition_data(parts);
            let mut body = BytesMut::new();
            ProduceRequest::default().with_topic_data(vec![topic]).encode(&mut body, 12).unwrap();
            let request = Request::for_test(ApiKey::Produce, 12, body.freeze());
            let read = read(&request).unwrap();
            let of = &read.topic_data[0].partition_data;
            let within = |records: &Bytes| request.body.as_ptr_range().contains(&records.as_ptr());
            of.iter().map(|part| within(part.records.as_ref().unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(shared(&[100, 100_000]), [false, true]);
        // Fifteen of them may be refused: the one that is kept keeps itself alone.
        assert_eq!(shared(&[10_000; 16]), [false; 16]);
    }
}
