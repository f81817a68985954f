//! Requests and answers: headers, versions, bodies.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Encodable};

use super::{AnswerRoom, Fields, Rope, shapes};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// What it asks; none for a key that is not known.
    pub key: Option<ApiKey>,
    /// In which version.
    pub version: i16,
    /// What the client calls itself.
    pub client_id: Option<Arc<str>>,
    /// What it says.
    pub body: Bytes,
    pub(super) correlation: i32,
}

/// What a request is answered with.
#[derive(Debug)]
pub enum Answer {
    /// This, behind the answer's header.
    Body {
        /// Which header: 1 has tagged fields.
        header_version: i16,
        /// The message.
        body: Rope,
        /// The connection ends behind it.
        is_last: bool,
        /// For so long nothing more is read from the connection (KIP-219).
        mute: Duration,
    },
    /// This, without any header: a bare token of SASL.
    Raw(Bytes),
    /// Nothing: a produce request that asked for no acknowledgement. For so long nothing more is read.
    None(Duration),
    /// The end of the connection, for this reason.
    Close(&'static str),
}

/// Why a request cannot be read: the connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a request cannot be read: {0}")]
pub(crate) struct Malformed(pub &'static str);

impl Answer {
    /// The same, and the end of the connection behind it.
    pub fn and_close(self) -> Answer {
        match self {
            Answer::Body { header_version, body, mute, .. } => {
                Answer::Body { header_version, body, is_last: true, mute }
            }
            other => other,
        }
    }

    /// How long nothing more is read from the connection.
    pub(super) fn mute(&self) -> Duration {
        match self {
            Answer::Body { mute, .. } | Answer::None(mute) => *mute,
            Answer::Raw(_) | Answer::Close(_) => Duration::ZERO,
        }
    }

    /// The same, which holds room until it is sent.
    pub(crate) fn holding(self, room: Option<AnswerRoom>) -> Answer {
        match self {
            Answer::Body { header_version, body, is_last, mute } => {
                Answer::Body { header_version, body: body.holding(room.map(Arc::new)), is_last, mute }
            }
            other => other,
        }
    }

    /// The same, and nothing is read from the connection for a while behind it.
    pub fn and_mute(self, mute: Duration) -> Answer {
        match self {
            Answer::Body { header_version, body, is_last, .. } => {
                Answer::Body { header_version, body, is_last, mute }
            }
            other => other,
        }
    }
}

impl Request {
    /// A request of no client.
    #[cfg(test)]
    pub(crate) fn for_test(key: ApiKey, version: i16, body: Bytes) -> Request {
        Request { key: Some(key), version, client_id: None, body, correlation: 0 }
    }

    /// The same in another version, to be answered as that asks.
    pub fn of_version(&self, version: i16) -> Request {
        Request { version, ..self.clone() }
    }

    /// Reads a request's header.
    pub(crate) fn parse(mut bytes: Bytes) -> Result<Request, Malformed> {
        const SHORT: Malformed = Malformed("its header ends early");
        if bytes.len() < 8 {
            return Err(SHORT);
        }
        let key = ApiKey::try_from(bytes.get_i16()).ok();
        let version = bytes.get_i16();
        let correlation = bytes.get_i32();
        let known = key.filter(|key| (0..=newest(*key)).contains(&version));
        // An ApiVersions of a version yet to come has the header of the newest (KIP-511).
        let header = match (known, key) {
            (Some(key), _) => header_version(key, version),
            (None, Some(ApiKey::ApiVersions)) => 2,
            (None, _) => 0,
        };
        let mut client_id = None;
        if header >= 1 {
            let length = bytes.try_get_i16().map_err(|_| SHORT)?;
            if let Ok(length) = usize::try_from(length) {
                if bytes.len() < length {
                    return Err(SHORT);
                }
                let text = bytes.split_to(length);
                let text = std::str::from_utf8(&text).map_err(|_| Malformed("its client id is not UTF-8"))?;
                client_id = Some(Arc::from(text));
            }
        }
        if header >= 2 && known.is_some() {
            skip_tags(&mut bytes).ok_or(SHORT)?;
        }
        Ok(Request { key, version, client_id, body: bytes, correlation })
    }

    /// The message, where its lengths and counts are what is there.
    pub fn decode<T: Decodable>(&self) -> Result<T, &'static str> {
        let shape = self.key.and_then(shapes::of).ok_or("it is not known")?;
        shape.walk(&self.body, self.version).map_err(|bad| {
            tracing::debug!(%bad, key = ?self.key, version = self.version, "a request has another shape");
            "it is malformed"
        })?;
        let mut body = self.body.clone();
        T::decode(&mut body, self.version).map_err(|_| "it is malformed")
    }

    /// The message's fields, to be read by hand; from a version on it is flexible (KIP-482).
    pub(crate) fn fields(&self, flexible_from: i16) -> Fields {
        Fields::new(self.body.clone(), self.version >= flexible_from)
    }

    /// The answer whose message was written by hand.
    pub(crate) fn written(&self, body: impl Into<Rope>) -> Answer {
        let Some(key) = self.key else { return Answer::Close("it is not known") };
        let header_version = key.response_header_version(self.version);
        Answer::Body { header_version, body: body.into(), is_last: false, mute: Duration::ZERO }
    }

    /// The answer that holds this message.
    pub fn answer<T: Encodable>(&self, message: &T) -> Answer {
        let Some(key) = self.key else { return Answer::Close("it is not known") };
        let mut body = BytesMut::new();
        match message.encode(&mut body, self.version) {
            Ok(()) => self.written(body),
            Err(error) => {
                tracing::error!(%error, ?key, version = self.version, "an answer cannot be encoded");
                Answer::Close("its answer cannot be encoded")
            }
        }
    }
}

/// The newest version of an API that is read, by hand where the decoder does not know it.
fn newest(key: ApiKey) -> i16 {
    match key {
        ApiKey::ShareFetch | ApiKey::ShareAcknowledge => 2,
        ApiKey::DescribeShareGroupOffsets => 1,
        ApiKey::OffsetCommit | ApiKey::OffsetFetch => 10,
        ApiKey::ListOffsets => 11,
        key => key.valid_versions().max,
    }
}

/// The request header of a version, also of produce versions that are answered with an error alone.
fn header_version(key: ApiKey, version: i16) -> i16 {
    match key {
        ApiKey::Produce if version < 9 => 1,
        key if version < key.valid_versions().min => 1,
        key => key.request_header_version(version),
    }
}

fn skip_tags(bytes: &mut Bytes) -> Option<()> {
    for _ in 0..varint(bytes)? {
        varint(bytes)?;
        let length = varint(bytes)? as usize;
        if bytes.len() < length {
            return None;
        }
        bytes.advance(length);
    }
    Some(())
}

fn varint(bytes: &mut Bytes) -> Option<u32> {
    let mut value = 0u64;
    for shift in (0..35).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(value).ok();
        }
    }
    None
}

/// What stands before an answer's message: the frame's length, and the header.
pub(super) fn framed(correlation: i32, header_version: i16, body: &Rope) -> Option<Bytes> {
    let header = if header_version >= 1 { 5 } else { 4 };
    let length = i32::try_from(header + body.bytes()).ok()?;
    let mut head = BytesMut::with_capacity(4 + header);
    head.put_i32(length);
    head.put_i32(correlation);
    head.put_bytes(0, header - 4);
    Some(head.freeze())
}
