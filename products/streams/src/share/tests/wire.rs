//! Version 2 of the requests and answers, byte by byte.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, GroupId, ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest,
};
use kafka_protocol::protocol::Encodable;

use crate::share::fetch::Newer;
use crate::share::wire;
use crate::txn::tests::bed::text;
use crate::wire::{Answer, Request};

/// A ShareFetch of version 2 of group `g` and a member with a long id.
fn fetching(member: &str, mode: u8, renews: u8) -> Request {
    let mut body = BytesMut::new();
    body.put_slice(b"\x02g");
    body.put_slice(&[201, 1]);
    body.put_slice(member.as_bytes());
    for number in [7, 500, 1, 1 << 20, 9, 11] {
        body.put_i32(number);
    }
    body.put_slice(&[mode, renews]);
    // No topics, none to forget, no tagged fields.
    body.put_slice(&[1, 1, 0]);
    Request::for_test(ApiKey::ShareFetch, 2, body.freeze())
}

#[test]
fn what_is_new_is_read_and_the_rest_as_before() {
    let member = "m".repeat(200);
    let message = ShareFetchRequest::default()
        .with_group_id(Some(GroupId(text("g"))))
        .with_member_id(Some(text(&member)))
        .with_share_session_epoch(7)
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_max_records(9)
        .with_batch_size(11);
    let request = fetching(&member, 1, 1);
    assert_eq!(wire::fetch(&request), Ok((message.clone(), Newer { exactly: true, renews: true })));
    assert_eq!(wire::fetch(&fetching(&member, 0, 0)), Ok((message, Newer::default())));
    assert!(wire::fetch(&fetching(&member, 2, 0)).is_err());
    for end in 0..request.body.len() {
        let mut cut = request.clone();
        cut.body.truncate(end);
        assert!(wire::fetch(&cut).is_err(), "{end} bytes of {}", request.body.len());
    }
    // No names at all, epoch 3, with renewals; no topics, no tagged fields.
    let body = Bytes::from_static(&[0, 0, 0, 0, 0, 3, 1, 1, 0]);
    let message = ShareAcknowledgeRequest::default()
        .with_share_session_epoch(3)
        .with_group_id(None)
        .with_member_id(None);
    let request = Request::for_test(ApiKey::ShareAcknowledge, 2, body);
    assert_eq!(wire::acknowledge(&request), Ok((message, true)));
}

#[test]
fn an_answer_says_how_long_records_are_locked() {
    let message = ShareAcknowledgeResponse::default()
        .with_throttle_time_ms(1)
        .with_error_code(122)
        .with_error_message(Some(text("gone")));
    let request = Request::for_test(ApiKey::ShareAcknowledge, 2, Bytes::new());
    let Answer::Body { header_version, body, .. } = wire::acknowledged(&request, &message, 30_000) else {
        panic!("no body");
    };
    assert_eq!(header_version, 1);
    let mut body = body.into_bytes();
    assert_eq!((body.get_i32(), body.get_i16()), (1, 122));
    assert_eq!(&body.split_to(5)[..], b"\x05gone");
    assert_eq!(body.get_i32(), 30_000);
    let mut before = BytesMut::new();
    message.encode(&mut before, 1).unwrap();
    assert_eq!(before[11..], body[..]);
}

#[test]
fn the_newer_answer_about_offsets_has_a_lag_more() {
    use kafka_protocol::messages::describe_share_group_offsets_response::{
        DescribeShareGroupOffsetsResponseGroup, DescribeShareGroupOffsetsResponsePartition,
        DescribeShareGroupOffsetsResponseTopic,
    };
    use kafka_protocol::messages::{DescribeShareGroupOffsetsResponse, TopicName};

    let id = uuid::Uuid::from_u128(7);
    let partition = |index, start| {
        DescribeShareGroupOffsetsResponsePartition::default()
            .with_partition_index(index)
            .with_start_offset(start)
            .with_error_code(9)
            .with_error_message(Some(text("no")))
    };
    let topic = DescribeShareGroupOffsetsResponseTopic::default()
        .with_topic_name(TopicName(text("orders")))
        .with_topic_id(id)
        .with_partitions(vec![partition(0, 5), partition(1, -1)]);
    let group = DescribeShareGroupOffsetsResponseGroup::default()
        .with_group_id(GroupId(text("g")))
        .with_error_message(None)
        .with_topics(vec![topic]);
    let message = DescribeShareGroupOffsetsResponse::default().with_groups(vec![group]);
    let lags = [((GroupId(text("g")), (id.into_bytes(), 0)), 42)].into();
    let encoded = |version| {
        let request = Request::for_test(ApiKey::DescribeShareGroupOffsets, version, Bytes::new());
        match wire::offsets_described(&request, &message, &lags) {
            Answer::Body { body, .. } => body.into_bytes().to_vec(),
            _ => panic!("no body"),
        }
    };
    let mut newer = encoded(1);
    // Behind throttling, group and topic each partition has its index, its start, its epoch, its lag, its error.
    let first = 4 + 1 + 2 + 1 + 7 + 16 + 1 + 4 + 8 + 4;
    assert_eq!(newer.drain(first..first + 8).collect::<Vec<_>>(), 42_i64.to_be_bytes());
    let second = first + 2 + 3 + 1 + 4 + 8 + 4;
    assert_eq!(newer.drain(second..second + 8).collect::<Vec<_>>(), (-1_i64).to_be_bytes());
    assert_eq!(newer, encoded(0));
}
