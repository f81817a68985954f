//! Messages that are read and written by hand, beside those of another encoder and decoder.

use bytes::{Bytes, BytesMut};
use candor_model::Offset;
use candor_model::random::{Random, Seeded};
use kafka_protocol::messages::fetch_request as asked;
use kafka_protocol::messages::fetch_response as told;
use kafka_protocol::messages::{ApiKey, FetchResponse};
use kafka_protocol::protocol::{Decodable, Encodable};
use uuid::Uuid;

use crate::data::fetch::message::{
    AskedPartition, BY_ID, FetchAnswer, FetchRequest, Records, ToldPartition, TopicKey,
};
use crate::testing::text;
use crate::wire::Request;

struct Any(Seeded);

impl Any {
    fn below(&self, max: u64) -> u64 {
        self.0.next_u64() % max
    }

    fn key(&self, version: i16) -> TopicKey {
        match version >= BY_ID {
            true => TopicKey::Id(Uuid::from_u128(self.0.next_u64().into()).into_bytes()),
            false => TopicKey::Name(text(&"t".repeat(self.below(249) as usize + 1))),
        }
    }

    fn request(&self, version: i16) -> FetchRequest {
        let mut request = FetchRequest {
            wait_ms: self.0.next_u64() as i32,
            bytes_min: self.0.next_u64() as i32,
            bytes_max: self.0.next_u64() as i32,
            committed_only: self.below(2) == 1,
            session_id: if version >= 7 { self.0.next_u64() as i32 } else { 0 },
            session_epoch: if version >= 7 { self.0.next_u64() as i32 } else { -1 },
            by_id: version >= BY_ID,
            topics: (0..self.below(5)).map(|_| self.key(version)).collect(),
            partitions: Vec::new(),
            forgotten: Vec::new(),
        };
        for topic in 0..request.topics.len() as u32 {
            for _ in 0..self.below(4) {
                request.partitions.push(AskedPartition {
                    topic,
                    index: self.0.next_u64() as i32,
                    epoch: if version >= 9 { self.0.next_u64() as i32 } else { -1 },
                    from: self.0.next_u64() as i64,
                    bytes_max: self.0.next_u64() as i32,
                });
            }
        }
        if version >= 7 {
            request.forgotten =
                (0..self.below(4)).map(|_| (self.key(version), self.0.next_u64() as i32)).collect();
        }
        request
    }

    fn answer(&self, version: i16) -> FetchAnswer {
        let topics: Vec<TopicKey> = (0..self.below(5)).map(|_| self.key(version)).collect();
        let mut partitions = Vec::new();
        for topic in 0..topics.len() as u32 {
            for _ in 0..self.below(4) {
                let mut records = Records::default();
                for _ in 0..self.below(3) {
                    let length = if self.below(2) == 0 { 20 + self.below(80) } else { 6000 } as usize;
                    let batch = Bytes::from(vec![self.below(256) as u8; length]);
                    match self.below(4) {
                        0 => records.push(batch),
                        _ => records.push_at(Offset(self.below(1 << 50)), batch),
                    }
                }
                let aborted =
                    (0..self.below(3)).map(|_| (self.0.next_u64() as i64, self.0.next_u64() as i64));
                partitions.push(ToldPartition {
                    topic,
                    index: self.0.next_u64() as i32,
                    error: self.below(100) as i16,
                    high_watermark: self.0.next_u64() as i64,
                    last_stable: self.0.next_u64() as i64,
                    log_start: self.0.next_u64() as i64,
                    aborted: (self.below(2) == 0).then(|| aborted.collect()),
                    records,
                });
            }
        }
        let (error, session_id) = (self.below(80) as i16, self.0.next_u64() as i32);
        FetchAnswer { error, session_id, topics, partitions, room: None }
    }
}

/// The name and the id that another encoder is given.
fn named(key: &TopicKey) -> (kafka_protocol::messages::TopicName, Uuid) {
    match key {
        TopicKey::Name(name) => (name.clone().into(), Uuid::nil()),
        TopicKey::Id(id) => (Default::default(), Uuid::from_bytes(*id)),
    }
}

fn encoded(request: &FetchRequest, version: i16) -> Bytes {
    let topics = request.topics.iter().enumerate().map(|(number, key)| {
        let own = request.partitions.iter().filter(|asked| asked.topic == number as u32);
        let partitions = own.map(|asked| {
            asked::FetchPartition::default()
                .with_partition(asked.index)
                .with_current_leader_epoch(asked.epoch)
                .with_fetch_offset(asked.from)
                .with_partition_max_bytes(asked.bytes_max)
        });
        let (name, id) = named(key);
        asked::FetchTopic::default().with_topic(name).with_topic_id(id).with_partitions(partitions.collect())
    });
    let forgotten = request.forgotten.iter().map(|(key, index)| {
        let (name, id) = named(key);
        asked::ForgottenTopic::default().with_topic(name).with_topic_id(id).with_partitions(vec![*index])
    });
    let mut message = asked::FetchRequest::default()
        .with_max_wait_ms(request.wait_ms)
        .with_min_bytes(request.bytes_min)
        .with_max_bytes(request.bytes_max)
        .with_isolation_level(i8::from(request.committed_only))
        .with_session_id(request.session_id)
        .with_session_epoch(request.session_epoch)
        .with_topics(topics.collect())
        .with_forgotten_topics_data(forgotten.collect());
    if version >= 12 {
        message = message.with_unknown_tagged_field(77, Bytes::from_static(b"of a client to come"));
    }
    let mut body = BytesMut::new();
    message.encode(&mut body, version).unwrap();
    body.freeze()
}

fn read(body: Bytes, version: i16) -> Result<FetchRequest, &'static str> {
    FetchRequest::read(&Request::for_test(ApiKey::Fetch, version, body))
}

#[test]
fn requests_are_read_as_another_encoder_writes_them_and_never_shorter_ones() {
    let any = Any(Seeded::new(3));
    for version in 4..=18 {
        for nth in 0..40 {
            let request = any.request(version);
            let body = encoded(&request, version);
            assert_eq!(read(body.clone(), version).as_ref(), Ok(&request), "version {version}");
            let step = if nth < 4 { 1 } else { 17 };
            for length in (0..body.len()).step_by(step) {
                let cut = read(body.slice(..length), version);
                assert!(cut.is_err(), "{length} of {} bytes, version {version}", body.len());
            }
            // Whatever a byte is changed to, it is read or refused.
            for at in (0..body.len()).step_by(3) {
                let mut changed = body.to_vec();
                changed[at] = 0xff;
                let _ = read(changed.into(), version);
            }
        }
    }
}

#[test]
fn counts_that_lie_are_refused_before_anything_is_set_aside() {
    let head = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0];
    for count in [i32::MAX, 600_000, 3, -2] {
        let body = [head.as_slice(), &count.to_be_bytes()].concat();
        assert!(read(body.into(), 4).is_err(), "{count}");
    }
    // As many as a request may have are read; one more is not.
    let of = |count: i32| {
        let one = [0; 16];
        let topic = [&1_i32.to_be_bytes(), [0, 1, b't'].as_slice(), &count.to_be_bytes()].concat();
        let partitions = one.repeat(count as usize);
        read([head.as_slice(), &topic, &partitions].concat().into(), 4)
    };
    assert_eq!(of(100_000).unwrap().partitions.len(), 100_000);
    assert!(of(500_000).is_err());
}

fn expected(answer: &FetchAnswer, throttle_ms: i32, version: i16) -> FetchResponse {
    let mut responses = Vec::new();
    for of_topic in answer.partitions.chunk_by(|a, b| a.topic == b.topic) {
        let partitions = of_topic.iter().map(|partition| {
            let aborted = partition.aborted.as_ref().map(|aborted| {
                let one = |(producer, first): &(i64, i64)| {
                    told::AbortedTransaction::default()
                        .with_producer_id((*producer).into())
                        .with_first_offset(*first)
                };
                aborted.iter().map(one).collect()
            });
            told::PartitionData::default()
                .with_partition_index(partition.index)
                .with_error_code(partition.error)
                .with_high_watermark(partition.high_watermark)
                .with_last_stable_offset(partition.last_stable)
                .with_log_start_offset(if version >= 5 { partition.log_start } else { -1 })
                .with_aborted_transactions(aborted)
                .with_records(Some(partition.records.clone().into_bytes()))
        });
        let (name, id) = named(&answer.topics[of_topic[0].topic as usize]);
        let topic = told::FetchableTopicResponse::default().with_topic(name).with_topic_id(id);
        responses.push(topic.with_partitions(partitions.collect()));
    }
    let (error, session) = if version >= 7 { (answer.error, answer.session_id) } else { (0, 0) };
    FetchResponse::default()
        .with_throttle_time_ms(throttle_ms)
        .with_error_code(error)
        .with_session_id(session)
        .with_responses(responses)
}

#[test]
fn answers_are_what_another_encoder_writes_and_another_decoder_reads() {
    let any = Any(Seeded::new(5));
    for version in 4..=18 {
        for _ in 0..60 {
            let answer = any.answer(version);
            let expected = expected(&answer, 12, version);
            let mut bytes = BytesMut::new();
            expected.encode(&mut bytes, version).unwrap();
            let mut written = answer.write(12, version).into_bytes();
            assert_eq!(written, bytes, "version {version}");
            assert_eq!(FetchResponse::decode(&mut written, version).unwrap(), expected, "version {version}");
        }
    }
}

#[test]
fn a_batch_is_told_at_its_place_and_nothing_else_of_it_is_changed() {
    let batch: Vec<u8> = (0..200).collect();
    let mut records = Records::default();
    records.push_at(Offset(0x0102_0304), Bytes::from(batch.clone()));
    let written = records.into_bytes();
    assert_eq!(written[..8], 0x0102_0304_u64.to_be_bytes());
    assert_eq!(written[8..12], batch[8..12]);
    assert_eq!(written[12..16], [0; 4]);
    assert_eq!(written[16..], batch[16..]);
}
