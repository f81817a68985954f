//! Version 2 of the requests, byte by byte.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable};

use crate::share::fetch::Newer;
use crate::share::wire;
use crate::txn::tests::bed::text;
use crate::wire::{Answer, Request};

/// A request of version 2: what is new of it at a place in version 1.
fn newer(key: ApiKey, message: &impl Encodable, at: usize, new: &[u8]) -> Request {
    let mut body = BytesMut::new();
    message.encode(&mut body, 1).unwrap();
    let longer = [&body[..at], new, &body[at..]].concat();
    Request::for_test(key, 2, Bytes::from(longer))
}

#[test]
fn what_is_new_is_read_and_the_rest_as_before() {
    let long = "m".repeat(200);
    let message = ShareFetchRequest::default()
        .with_group_id(Some(kafka_protocol::messages::GroupId(text("g"))))
        .with_member_id(Some(text(&long)))
        .with_share_session_epoch(7)
        .with_max_records(9)
        .with_batch_size(11);
    let at = 2 + 2 + 200 + 24;
    let request = newer(ApiKey::ShareFetch, &message, at, &[1, 1]);
    assert_eq!(wire::fetch(&request), Ok((message.clone(), Newer { exactly: true, renews: true })));
    let request = newer(ApiKey::ShareFetch, &message, at, &[0, 0]);
    assert_eq!(wire::fetch(&request), Ok((message.clone(), Newer::default())));
    assert!(wire::fetch(&newer(ApiKey::ShareFetch, &message, at, &[2, 0])).is_err());
    for end in 0..request.body.len() {
        let mut cut = request.clone();
        cut.body.truncate(end);
        assert!(wire::fetch(&cut).is_err(), "{end} bytes of {}", request.body.len());
    }
    // No names at all.
    let message = ShareAcknowledgeRequest::default().with_share_session_epoch(3);
    let message = message.with_group_id(None).with_member_id(None);
    let request = newer(ApiKey::ShareAcknowledge, &message, 2 + 4, &[1]);
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
    let mut first = BytesMut::new();
    first.put_i32(1);
    first.put_i16(122);
    first.put_slice(b"\x05gone");
    first.put_slice(&body);
    assert_eq!(ShareAcknowledgeResponse::decode(&mut first.freeze(), 1).unwrap(), message);
}
