//! One connection: frames in, answers out, in order.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::frame::{FrameReader, Room};
use super::request::{Answer, Request, framed};
use super::{Call, Service};

/// Requests of one connection under way at once.
const UNDER_WAY_MAX: usize = 64;

/// What a connection may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// One request, bytes (Kafka's `socket.request.max.bytes`).
    pub request_bytes: usize,
    /// Without a request for so long, a connection ends (Kafka's `connections.max.idle.ms`).
    pub idle: Duration,
    /// A request that has begun to come must be there within this time, and an answer be taken.
    pub transfer: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { request_bytes: 100 << 20, idle: Duration::from_secs(600), transfer: Duration::from_secs(60) }
    }
}

/// A connection that is served.
pub struct Connection<S: Service> {
    /// Answers.
    pub service: Arc<S>,
    /// What is known of it.
    pub session: Arc<S::Session>,
    /// What it may take.
    pub limits: Limits,
    /// Room for large requests, of all connections together.
    pub room: Room,
}

impl<S: Service> Connection<S> {
    /// Serves until the client leaves, misbehaves, or `stop`; what is under way then is answered still.
    pub async fn serve<T: AsyncRead + AsyncWrite + Unpin>(
        self,
        stream: T,
        stop: CancellationToken,
    ) -> io::Result<()> {
        let (read, write) = tokio::io::split(stream);
        let mut reader = FrameReader::new(read, self.room.clone());
        let mut writer = BufWriter::new(write);
        let mut under_way = FuturesOrdered::new();
        let mut takes_more = true;
        let mut ends = false;
        loop {
            let may_read = !ends && takes_more && under_way.len() < UNDER_WAY_MAX;
            if ends && under_way.is_empty() {
                return Ok(());
            }
            let bytes_max = self.limits.request_bytes;
            let patience = if reader.is_between() { self.limits.idle } else { self.limits.transfer };
            tokio::select! {
                biased;
                Some((correlation, answer, room)) = under_way.next(), if !under_way.is_empty() => {
                    takes_more |= under_way.is_empty();
                    timeout(self.limits.transfer, send(&mut writer, correlation, answer)).await??;
                    drop::<Option<tokio::sync::OwnedSemaphorePermit>>(room);
                }
                () = stop.cancelled(), if !ends => ends = true,
                frame = timeout(patience, reader.next(bytes_max)), if may_read => {
                    let frame = match frame {
                        Ok(frame) => frame?,
                        // Who waits for an answer is not idle.
                        Err(_) if !under_way.is_empty() => continue,
                        Err(_) => return Ok(()),
                    };
                    let Some(frame) = frame else { return Ok(()) };
                    let room = frame.room;
                    let (correlation, answer) = if self.service.takes_raw(&self.session) {
                        takes_more = false;
                        (0, self.service.raw(&self.session, frame.bytes))
                    } else {
                        let request = Request::parse(frame.bytes)
                            .map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad))?;
                        let correlation = request.correlation;
                        let Call { answer, lets_others_in } = self.service.call(&self.session, request);
                        takes_more = lets_others_in;
                        (correlation, answer)
                    };
                    under_way.push_back(async move { (correlation, answer.await, room) });
                }
            }
        }
    }
}

async fn send<W: AsyncWrite + Unpin>(to: &mut W, correlation: i32, answer: Answer) -> io::Result<()> {
    match answer {
        Answer::None => Ok(()),
        Answer::Close(why) => Err(io::Error::new(io::ErrorKind::InvalidData, why)),
        Answer::Raw(token) => {
            let length = i32::try_from(token.len()).map_err(|_| io::ErrorKind::InvalidData)?;
            to.write_all(&length.to_be_bytes()).await?;
            to.write_all(&token).await?;
            to.flush().await
        }
        Answer::Body { header_version, body, is_last } => {
            let head = framed(correlation, header_version, &body).ok_or(io::ErrorKind::InvalidData)?;
            let head = if header_version >= 1 { &head[..] } else { &head[..8] };
            to.write_all(head).await?;
            to.write_all(&body).await?;
            to.flush().await?;
            if is_last { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
        }
    }
}
