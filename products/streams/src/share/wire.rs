//! Version 2 of ShareFetch and ShareAcknowledge and version 1 of DescribeShareGroupOffsets (Kafka 4.2), of which the decoder
//! knows the ones before: what is new in a request is cut out of it, what is new in an answer is put in.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    DescribeShareGroupOffsetsResponse, ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest,
};
use kafka_protocol::protocol::StrBytes;

use super::fetch::Newer;
use super::offsets::Lags;
use crate::wire::{Answer, PutFields, Request};

/// The version that the decoder knows.
const KNOWN: i16 = 1;

/// From this version on DescribeShareGroupOffsets tells lags.
const LAGS_FROM: i16 = 1;

/// The lag of a group that has not begun to read.
const NO_LAG: i64 = -1;

const MALFORMED: &str = "it is malformed";

/// Fields between the member's id and what is new: epoch, wait, bytes at least and at most, records, size of batches.
const FETCH_FIELDS_BYTES: usize = 6 * 4;

/// The same of an acknowledgement: the epoch.
const ACKNOWLEDGE_FIELDS_BYTES: usize = 4;

/// Reads a ShareFetch.
pub(crate) fn fetch(request: &Request) -> Result<(ShareFetchRequest, Newer), &'static str> {
    if request.version <= KNOWN {
        return Ok((request.decode()?, Newer::default()));
    }
    let (older, new) = cut::<2>(request, FETCH_FIELDS_BYTES)?;
    let newer = match new {
        [mode @ (0 | 1), renews] => Newer { exactly: mode == 1, renews: renews != 0 },
        _ => return Err("it asks for records in a way that is not known"),
    };
    Ok((older.decode()?, newer))
}

/// Reads a ShareAcknowledge; says whether there are renewals in it.
pub(crate) fn acknowledge(request: &Request) -> Result<(ShareAcknowledgeRequest, bool), &'static str> {
    if request.version <= KNOWN {
        return Ok((request.decode()?, false));
    }
    let (older, [renews]) = cut::<1>(request, ACKNOWLEDGE_FIELDS_BYTES)?;
    Ok((older.decode()?, renews != 0))
}

/// The answer to a ShareFetch, which is the same in both versions.
pub(crate) fn fetched(request: &Request, message: &kafka_protocol::messages::ShareFetchResponse) -> Answer {
    request.of_version(KNOWN).answer(message)
}

/// The answer to a ShareAcknowledge: version 2 says how long records are locked.
pub(crate) fn acknowledged(request: &Request, message: &ShareAcknowledgeResponse, lock_ms: i32) -> Answer {
    let answer = request.of_version(KNOWN).answer(message);
    match answer {
        Answer::Body { header_version, body, is_last, mute } if request.version > KNOWN => {
            // Behind the time of throttling, the error and its message.
            let body = body.into_bytes();
            let Some(at) = behind_text(&body, 4 + 2) else {
                return Answer::Close("its answer cannot be encoded");
            };
            let (before, behind) = body.split_at(at);
            let mut longer = BytesMut::with_capacity(body.len() + 4);
            longer.put_slice(before);
            longer.put_i32(lock_ms);
            longer.put_slice(behind);
            Answer::Body { header_version, body: longer.into(), is_last, mute }
        }
        answer => answer,
    }
}

/// The answer to a DescribeShareGroupOffsets: version 1 says how far groups are behind.
pub(crate) fn offsets_described(
    request: &Request,
    message: &DescribeShareGroupOffsetsResponse,
    lags: &Lags,
) -> Answer {
    if request.version < LAGS_FROM {
        return request.answer(message);
    }
    let mut body = BytesMut::new();
    let put_message = |body: &mut BytesMut, error: i16, message: &Option<StrBytes>| {
        body.put_i16(error);
        match message {
            Some(message) => body.put_text(message, true),
            None => body.put_no_length(true),
        }
        body.put_end(true);
    };
    body.put_i32(message.throttle_time_ms);
    body.put_length(message.groups.len(), true);
    for group in &message.groups {
        body.put_text(&group.group_id, true);
        body.put_length(group.topics.len(), true);
        for topic in &group.topics {
            body.put_text(&topic.topic_name, true);
            body.put_slice(topic.topic_id.as_bytes());
            body.put_length(topic.partitions.len(), true);
            for of in &topic.partitions {
                let place = (topic.topic_id.into_bytes(), of.partition_index);
                let lag = lags.get(&(group.group_id.clone(), place)).filter(|_| of.start_offset >= 0);
                body.put_i32(of.partition_index);
                body.put_i64(of.start_offset);
                body.put_i32(of.leader_epoch);
                body.put_i64(lag.copied().unwrap_or(NO_LAG));
                put_message(&mut body, of.error_code, &of.error_message);
            }
            body.put_end(true);
        }
        put_message(&mut body, group.error_code, &group.error_message);
    }
    body.put_end(true);
    request.written(body)
}

/// A request without the `N` bytes that lie so many bytes behind its two names, and those.
fn cut<const N: usize>(request: &Request, fields: usize) -> Result<(Request, [u8; N]), &'static str> {
    let body = &request.body;
    let names = behind_text(body, 0).and_then(|at| behind_text(body, at)).ok_or(MALFORMED)?;
    let (before, rest) = body.split_at_checked(names + fields).ok_or(MALFORMED)?;
    let (new, behind) = rest.split_first_chunk::<N>().ok_or(MALFORMED)?;
    let mut older = request.of_version(KNOWN);
    older.body = Bytes::from([before, behind].concat());
    Ok((older, *new))
}

/// Where a compact string that begins there ends (KIP-482).
fn behind_text(body: &[u8], at: usize) -> Option<usize> {
    let mut length = 0_usize;
    let mut rest = body.get(at..)?.iter();
    for (bytes, shift) in (0..35).step_by(7).enumerate() {
        let byte = *rest.next()?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let end = at + bytes + 1 + length.saturating_sub(1);
            return (end <= body.len()).then_some(end);
        }
    }
    None
}
