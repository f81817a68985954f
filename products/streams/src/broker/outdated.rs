//! Requests in versions that Kafka 4 removed (KIP-896): answered with UNSUPPORTED_VERSION in the layout of that version,
//! so that a client that does not ask which there are is told, rather than hung up on.
//!
//! A version is a line: how its request goes on, and how its answer. `s` is a string, `b` bytes, `1 2 4 8` integers of so
//! many bytes; in an answer `P` is the partition, `e` the error, `-4 -8` an integer of so many bytes that is -1, `02 04`
//! so many bytes of zero (a throttle time, an empty string, an empty array), `null` a null string. `T` and `P` of a
//! request are the topic and partition.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;

use crate::wire::{Answer, Request};

/// Topics and partitions of a request together. Clients of that time asked for some hundreds.
const ELEMENTS_MAX: usize = 100_000;

/// A version of an API.
struct Outdated {
    key: ApiKey,
    version: i16,
    /// Before the topics.
    head: &'static str,
    /// Each topic behind its name, where it has no partitions, or each partition behind its number.
    element: &'static str,
    answer: Layout,
}

struct Layout {
    /// Before the topics.
    head: &'static str,
    /// Each topic behind its name, or each partition.
    element: &'static str,
    tail: &'static str,
    has_partitions: bool,
}

const fn of(
    key: ApiKey,
    version: i16,
    (head, element): (&'static str, &'static str),
    (answer_head, answer_element, tail): (&'static str, &'static str, &'static str),
) -> Outdated {
    let answer = Layout { head: answer_head, element: answer_element, tail, has_partitions: true };
    Outdated { key, version, head, element, answer }
}

const fn of_topics(key: ApiKey, version: i16, element: &'static str, answer: &'static str) -> Outdated {
    let answer = Layout { head: "", element: answer, tail: "", has_partitions: false };
    Outdated { key, version, head: "", element, answer }
}

const OUTDATED: &[Outdated] = &[
    of(ApiKey::Produce, 0, ("2 4", "b"), ("", "P e -8", "")),
    of(ApiKey::Produce, 1, ("2 4", "b"), ("", "P e -8", "04")),
    of(ApiKey::Produce, 2, ("2 4", "b"), ("", "P e -8 -8", "04")),
    of(ApiKey::Fetch, 0, ("4 4 4", "8 4"), ("", "P e -8 04", "")),
    of(ApiKey::Fetch, 1, ("4 4 4", "8 4"), ("04", "P e -8 04", "")),
    of(ApiKey::Fetch, 2, ("4 4 4", "8 4"), ("04", "P e -8 04", "")),
    of(ApiKey::Fetch, 3, ("4 4 4 4", "8 4"), ("04", "P e -8 04", "")),
    of(ApiKey::ListOffsets, 0, ("4", "8 4"), ("", "P e 04", "")),
    of(ApiKey::OffsetCommit, 0, ("s", "8 s"), ("", "P e", "")),
    of(ApiKey::OffsetCommit, 1, ("s 4 s", "8 8 s"), ("", "P e", "")),
    of(ApiKey::OffsetFetch, 0, ("s", ""), ("", "P -8 02 e", "")),
    of(ApiKey::OffsetForLeaderEpoch, 0, ("", "4"), ("", "e P -8", "")),
    of(ApiKey::OffsetForLeaderEpoch, 1, ("", "4"), ("", "e P -4 -8", "")),
    of_topics(ApiKey::CreateTopics, 0, "4 2 [4[4]] [ss]", "e"),
    of_topics(ApiKey::CreateTopics, 1, "4 2 [4[4]] [ss]", "e null"),
    of_topics(ApiKey::DeleteTopics, 0, "", "e"),
];

/// The answer to a request in a version that was removed; none for any other request.
pub(super) fn answer(request: &Request) -> Option<Answer> {
    let outdated = OUTDATED.iter().find(|of| Some(of.key) == request.key && of.version == request.version)?;
    let acks = request.body.first_chunk::<2>().map(|acks| i16::from_be_bytes(*acks));
    if outdated.key == ApiKey::Produce && acks == Some(0) {
        // Nobody waits for an answer: the end of the connection is what can be said.
        return Some(Answer::Close("its version is not served"));
    }
    let body = outdated.answer_to(request.body.clone());
    Some(body.map_or(Answer::Close("it is malformed"), |body| Answer::Body {
        header_version: 0,
        body: body.into(),
        is_last: false,
        mute: Duration::ZERO,
    }))
}

impl Outdated {
    fn answer_to(&self, mut body: Bytes) -> Option<BytesMut> {
        let mut elements = 0;
        let mut count = |body: &mut Bytes| {
            let count = usize::try_from(body.try_get_i32().ok()?).ok()?;
            elements += count;
            (elements <= ELEMENTS_MAX).then_some(count)
        };
        skip(&mut body, self.head)?;
        let mut out = BytesMut::new();
        put(&mut out, self.answer.head, 0);
        let topics = count(&mut body)?;
        out.put_i32(i32::try_from(topics).ok()?);
        for _ in 0..topics {
            let name = text(&mut body)?;
            out.put_i16(i16::try_from(name.len()).ok()?);
            out.put_slice(&name);
            if !self.answer.has_partitions {
                skip(&mut body, self.element)?;
                put(&mut out, self.answer.element, 0);
                continue;
            }
            let partitions = count(&mut body)?;
            out.put_i32(i32::try_from(partitions).ok()?);
            for _ in 0..partitions {
                let partition = body.try_get_i32().ok()?;
                skip(&mut body, self.element)?;
                put(&mut out, self.answer.element, partition);
            }
        }
        put(&mut out, self.answer.tail, 0);
        Some(out)
    }
}

fn text(body: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(body.try_get_i16().ok()?).ok()?;
    (body.len() >= length).then(|| body.split_to(length))
}

fn skip(body: &mut Bytes, fields: &str) -> Option<()> {
    for field in fields.split(' ') {
        match field {
            "" => {}
            "s" => skip_sized(body, |body| body.try_get_i16().map(i64::from))?,
            "b" => skip_sized(body, |body| body.try_get_i32().map(i64::from))?,
            // The replicas of partitions, and the configurations, of topics to be made.
            "[4[4]]" => each(body, |body| {
                skip(body, "4")?;
                each(body, |body| skip(body, "4"))
            })?,
            "[ss]" => each(body, |body| skip(body, "s s"))?,
            bytes => advance(body, bytes.parse().ok()?)?,
        }
    }
    Some(())
}

fn each(body: &mut Bytes, mut one: impl FnMut(&mut Bytes) -> Option<()>) -> Option<()> {
    // Each takes bytes, so that a count that lies ends soon.
    (0..body.try_get_i32().ok()?).try_for_each(|_| one(body))
}

fn skip_sized(
    body: &mut Bytes,
    length: impl FnOnce(&mut Bytes) -> Result<i64, bytes::TryGetError>,
) -> Option<()> {
    match length(body).ok()? {
        -1 => Some(()),
        length => advance(body, usize::try_from(length).ok()?),
    }
}

fn advance(body: &mut Bytes, bytes: usize) -> Option<()> {
    (body.len() >= bytes).then(|| body.advance(bytes))
}

fn put(out: &mut BytesMut, fields: &str, partition: i32) {
    for field in fields.split(' ') {
        match field {
            "P" => out.put_i32(partition),
            "e" => out.put_i16(ResponseError::UnsupportedVersion.code()),
            "-4" => out.put_i32(-1),
            "-8" => out.put_i64(-1),
            "02" => out.put_i16(0),
            "04" => out.put_i32(0),
            "null" => out.put_i16(-1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(key: ApiKey, version: i16, body: &[u8]) -> Option<Answer> {
        let mut frame = BytesMut::new();
        frame.put_i16(key as i16);
        frame.put_i16(version);
        frame.put_i32(77);
        frame.put_i16(-1);
        frame.put_slice(body);
        answer(&Request::parse(frame.freeze()).unwrap())
    }

    fn body(answer: Option<Answer>) -> Vec<u8> {
        match answer {
            Some(Answer::Body { header_version: 0, body, is_last: false, .. }) => body.into_bytes().to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// One topic `t` with its partition 3, and what each has.
    fn one(head: &[u8], element: &[u8]) -> Vec<u8> {
        [head, b"\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x03", element].concat()
    }

    #[test]
    fn a_produce_of_long_ago_is_told_so_partition_by_partition() {
        let produce = |acks: &[u8]| one(&[acks, &[0, 0, 0x75, 0x30]].concat(), b"\0\0\0\x02xx");
        let minus = [0xff; 8];
        for (version, rest, tail) in
            [(0, &minus[..], &[][..]), (1, &minus, &[0; 4]), (2, &[0xff; 16], &[0; 4])]
        {
            let expected = [&one(b"", &[&[0, 35], rest].concat())[..], tail].concat();
            assert_eq!(body(asked(ApiKey::Produce, version, &produce(&[0xff, 0xff]))), expected, "{version}");
        }
        assert!(matches!(asked(ApiKey::Produce, 2, &produce(&[0, 0])), Some(Answer::Close(_))));
        assert!(asked(ApiKey::Produce, 3, &produce(&[0, 1])).is_none());
    }

    #[test]
    fn each_removed_version_is_answered_in_its_layout() {
        let partition = [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 1, 0];
        let fetched = one(&[0; 4], &[&[0, 35][..], &[0xff; 8], &[0; 4]].concat());
        assert_eq!(body(asked(ApiKey::Fetch, 1, &one(&[0; 12], &partition))), fetched);
        assert_eq!(body(asked(ApiKey::Fetch, 3, &one(&[0; 16], &partition))), fetched);
        let listed = one(b"", &[0, 35, 0, 0, 0, 0]);
        assert_eq!(body(asked(ApiKey::ListOffsets, 0, &one(&[0; 4], &partition))), listed);
        let committed = one(b"", &[0, 35]);
        let commit = [&[0; 8][..], &[0xff, 0xff]].concat();
        assert_eq!(body(asked(ApiKey::OffsetCommit, 0, &one(b"\0\x01g", &commit))), committed);
        let fetched = one(b"", &[&[0xff; 8][..], &[0, 0, 0, 35]].concat());
        assert_eq!(body(asked(ApiKey::OffsetFetch, 0, &one(b"\0\x01g", b""))), fetched);
        let create = b"\0\0\0\x01\0\x01t\0\0\0\x01\0\x01\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x01k\xff\xff\0\0\0\0\0";
        let made = b"\0\0\0\x01\0\x01t\0\x23\xff\xff";
        assert_eq!(body(asked(ApiKey::CreateTopics, 1, create)), made);
        assert_eq!(body(asked(ApiKey::DeleteTopics, 0, b"\0\0\0\x01\0\x01t\0\0\0\0")), made[..9]);
    }

    #[test]
    fn what_lies_about_itself_ends_the_connection() {
        let whole = one(&[0; 12], &[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 1, 0]);
        for end in 0..whole.len() {
            assert!(matches!(asked(ApiKey::Fetch, 0, &whole[..end]), Some(Answer::Close(_))), "{end}");
        }
        for count in [-1, i32::MAX, 100_001] {
            let lying = [&[0; 12][..], &i32::to_be_bytes(count)].concat();
            assert!(matches!(asked(ApiKey::Fetch, 0, &lying), Some(Answer::Close(_))), "{count}");
        }
    }
}
