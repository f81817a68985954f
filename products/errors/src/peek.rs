//! The first line of an envelope, before its body is let in: where a page sends through a tunnel of its own site, the
//! DSN stands there and nowhere else.
//!
//! Only so much is read as holds a header; what was read goes in front of the rest again, so that the admission point
//! still reads the whole body within its own bounds.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use candor_gate::admission::{Accept, Refusal, decode_start};
use candor_model::Value;
use candor_model::json::{self, Leniency};
use futures::StreamExt;
use http::HeaderMap;

use crate::protocol::envelope::HEADER_BYTES_MAX;

/// No first line that names a DSN is shorter, bytes, however it is compressed.
const LOOK_BYTES_MIN: usize = 32;

/// How long a client may be silent before its first line is whole.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Reads until the first line is whole. Gives it, or what there is of it, and the body as if nothing had been read.
pub(crate) async fn first_line(headers: &HeaderMap, body: Body) -> Result<(Bytes, Body), Refusal> {
    let mut rest = body.into_data_stream();
    let mut read = BytesMut::new();
    let mut look_at = LOOK_BYTES_MIN;
    let mut ended = false;
    let line = loop {
        if ended || read.len() >= look_at.min(HEADER_BYTES_MAX) {
            let start = Bytes::from(decode_start(headers, &read, Accept::STANDARD, HEADER_BYTES_MAX)?);
            match memchr::memchr(b'\n', &start) {
                Some(end) => break start.slice(..end),
                None if ended => break start,
                // Each look undoes all that has come: looked at each time that it has doubled, a body costs the
                // same in whatever pieces it drips in.
                None => look_at = 2 * read.len(),
            }
        }
        let next = tokio::time::timeout(SILENCE_MAX, rest.next()).await.map_err(|_| Refusal::BodyTimeout)?;
        match next {
            Some(Ok(data)) if read.len() < HEADER_BYTES_MAX => read.extend_from_slice(&data),
            Some(Ok(_)) => return Err(Refusal::NoKey),
            Some(Err(_)) => return Err(Refusal::BodyCut),
            None => ended = true,
        }
    };
    let read = futures::stream::once(std::future::ready(Ok(read.freeze())));
    Ok((line, Body::from_stream(read.chain(rest))))
}

/// The DSN in an envelope's first line.
pub(crate) fn dsn(line: &[u8]) -> Option<String> {
    let header = json::parse(line, Leniency::LENIENT).ok()?;
    header.get("dsn").and_then(Value::as_str).map(str::to_owned)
}
