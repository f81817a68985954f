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
    let Answer::Body { header_version, mut body, .. } = wire::acknowledged(&request, &message, 30_000) else {
        panic!("no body");
    };
    assert_eq!(header_version, 1);
    assert_eq!((body.get_i32(), body.get_i16()), (1, 122));
    assert_eq!(&body.split_to(5)[..], b"\x05gone");
    assert_eq!(body.get_i32(), 30_000);
    let mut before = BytesMut::new();
    message.encode(&mut before, 1).unwrap();
    assert_eq!(before[11..], body[..]);
}
