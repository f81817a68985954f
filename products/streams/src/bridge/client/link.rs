//! A connection to one broker: asks, and waits for the answer.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_request::ApiVersionsRequest;
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout};

use super::dial::Wire;
use super::{CLIENT_ID, answers};
use crate::bridge::trouble::{Trouble, name};
use crate::wire::{FrameReader, Held, Room};

/// Time for an answer, beyond what the request itself may wait.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);

/// A link that was not used for so long is made anew: brokers close idle ones after ten minutes, some balancers after four.
const IDLE_MAX: Duration = Duration::from_secs(180);

/// What answers may take.
#[derive(Clone)]
pub(crate) struct Bounds {
    /// One answer, bytes.
    pub answer_bytes: usize,
    /// Large answers of all that share it together.
    pub room: Room,
}

/// An answer, and the room that it holds.
pub(crate) struct Told<M> {
    /// What it says.
    pub message: M,
    /// Given back when nothing of the answer is used any more.
    pub room: Held,
}

/// A connection.
pub(crate) struct Link {
    /// Whom it leads to, for messages.
    pub server: String,
    reader: FrameReader<ReadHalf<Box<dyn Wire>>>,
    writer: WriteHalf<Box<dyn Wire>>,
    answer_bytes: usize,
    /// What the broker serves, by API.
    versions: HashMap<i16, (i16, i16)>,
    correlation: i32,
    /// False from a request on until its answer has come: nothing else can be asked after one that was given up.
    is_whole: bool,
    /// When it has to be made anew, where a log in runs out (KIP-368).
    until: Option<Instant>,
    /// When it was asked something last.
    asked: Instant,
    /// Until when the broker does not read, as it said itself (KIP-219).
    muted: Instant,
}

impl Link {
    pub fn new(server: String, wire: Box<dyn Wire>, bounds: Bounds) -> Link {
        let (read, writer) = tokio::io::split(wire);
        Link {
            server,
            reader: FrameReader::new(read, bounds.room, ANSWER_WAIT_MAX),
            writer,
            answer_bytes: bounds.answer_bytes,
            versions: HashMap::new(),
            correlation: 0,
            is_whole: true,
            until: None,
            asked: Instant::now(),
            muted: Instant::now(),
        }
    }

    /// Whether something else can be asked on it.
    pub fn is_usable(&self) -> bool {
        let now = Instant::now();
        self.is_whole && now - self.asked < IDLE_MAX && self.until.is_none_or(|until| now < until)
    }

    /// Ends it in time for another log in.
    pub(super) fn end_after(&mut self, lifetime: Duration) {
        self.until = Some(Instant::now() + lifetime.mul_f64(0.8));
    }

    /// Learns what the broker serves. Asked in the oldest version: each broker knows it.
    pub async fn learn_versions(&mut self) -> Result<(), Trouble> {
        self.versions.insert(ApiKey::ApiVersions as i16, (0, 0));
        let told = self.ask(&ApiVersionsRequest::default(), Duration::ZERO).await?.message;
        let server = || self.server.clone();
        Trouble::check(server, ApiKey::ApiVersions, told.error_code)?;
        self.versions =
            told.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect();
        Ok(())
    }

    /// The newest version that both sides know.
    fn version(&self, api: ApiKey) -> Option<i16> {
        let (oldest, newest) = answers::of(api)?.versions;
        let (least, most) = *self.versions.get(&(api as i16))?;
        let version = newest.min(most);
        (version >= oldest.max(least)).then_some(version)
    }

    /// Asks, and waits for the answer: as long as the request may wait itself, and some more.
    pub async fn ask<R: Request>(
        &mut self,
        request: &R,
        wait: Duration,
    ) -> Result<Told<R::Response>, Trouble> {
        let unknown = || Trouble::Version { server: self.server.clone(), api: "a request" };
        let api = ApiKey::try_from(R::KEY).map_err(|()| unknown())?;
        let version = self.version(api);
        let version =
            version.ok_or_else(|| Trouble::Version { server: self.server.clone(), api: name(api) })?;
        self.is_whole = false;
        self.asked = Instant::now();
        let wait = wait + ANSWER_WAIT_MAX + self.muted.saturating_duration_since(self.asked);
        let told = match timeout(wait, self.exchange(request, version)).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(source)) => return Err(Trouble::Broken { server: self.server.clone(), source }),
            Err(_) => return Err(Trouble::Late { server: self.server.clone(), api: name(api) }),
        };
        let (body, room) = told;
        match self.read::<R::Response>(api, version, body) {
            Ok((message, mute)) => {
                self.muted = Instant::now() + mute;
                self.is_whole = true;
                Ok(Told { message, room })
            }
            Err(why) => Err(Trouble::Malformed { server: self.server.clone(), api: name(api), why }),
        }
    }

    async fn exchange<R: Request>(&mut self, request: &R, version: i16) -> io::Result<(Bytes, Held)> {
        self.correlation = self.correlation.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
        let invalid = |why: &'static str| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut bytes = BytesMut::new();
        bytes.put_i32(0);
        header
            .encode(&mut bytes, R::header_version(version))
            .map_err(|_| invalid("the request is too large"))?;
        request.encode(&mut bytes, version).map_err(|_| invalid("the request cannot be written"))?;
        let length = i32::try_from(bytes.len() - 4).map_err(|_| invalid("the request is too large"))?;
        if let Some(place) = bytes.get_mut(..4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        self.writer.write_all(&bytes).await?;
        self.writer.flush().await?;
        let frame = self.reader.next(self.answer_bytes).await?;
        let frame = frame.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        Ok((frame.bytes, frame.room))
    }

    fn read<M: Decodable + HeaderVersion>(
        &self,
        api: ApiKey,
        version: i16,
        mut frame: Bytes,
    ) -> Result<(M, Duration), &'static str> {
        if frame.len() < 4 {
            return Err("it ends early");
        }
        if frame.slice(..4).get_i32() != self.correlation {
            return Err("it answers another request");
        }
        ResponseHeader::decode(&mut frame, M::header_version(version))
            .map_err(|_| "its header ends early")?;
        let known = answers::of(api).ok_or("it was not asked for")?;
        known.shape.walk(&frame, version).map_err(|_| "its lengths do not fit")?;
        let mute = answers::mute(api, version, &frame);
        let message = M::decode(&mut frame, version).map_err(|_| "it cannot be read")?;
        Ok((message, mute))
    }
}
