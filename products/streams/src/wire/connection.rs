//! One connection: frames in, answers out, in order.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::frame::{FrameReader, Held, Room};
use super::request::{Answer, Request, framed};
use super::{Call, Service};

/// Requests of one connection under way at once.
const UNDER_WAY_MAX: usize = 64;

/// One request of who has not proved yet who it is, bytes. So short a frame takes no room of others.
const UNKNOWN_BYTES_MAX: usize = 60 << 10;

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
        let (read, mut writer) = tokio::io::split(stream);
        let mut reader = FrameReader::new(read, self.room.clone(), self.limits.transfer);
        let mut under_way = FuturesOrdered::new();
        let mut takes_more = true;
        let mut ends = false;
        let mut muted_until: Option<Instant> = None;
        loop {
            let is_muted = muted_until.is_some();
            let may_read = !ends && !is_muted && takes_more && under_way.len() < UNDER_WAY_MAX;
            if ends && under_way.is_empty() {
                return Ok(());
            }
            let is_known = self.service.knows(&self.session);
            let bytes_max = if is_known { self.limits.request_bytes } else { UNKNOWN_BYTES_MAX };
            let may_idle = is_known && reader.is_between();
            let patience = if may_idle { self.limits.idle } else { self.limits.transfer };
            tokio::select! {
                biased;
                Some((correlation, answer, room)) = under_way.next(), if !under_way.is_empty() => {
                    takes_more |= under_way.is_empty();
                    let mute = Answer::mute(&answer);
                    timeout(self.limits.transfer, send(&mut writer, correlation, answer)).await??;
                    drop::<Held>(room);
                    if !mute.is_zero() {
                        muted_until = muted_until.max(Some(Instant::now() + mute));
                    }
                }
                () = stop.cancelled(), if !ends => ends = true,
                () = sleep_until(muted_until.unwrap_or_else(Instant::now)), if is_muted => muted_until = None,
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
        Answer::None(_) => Ok(()),
        Answer::Close(why) => Err(io::Error::new(io::ErrorKind::InvalidData, why)),
        Answer::Raw(token) => {
            let length = i32::try_from(token.len()).map_err(|_| io::ErrorKind::InvalidData)?;
            let mut framed = Bytes::copy_from_slice(&length.to_be_bytes()).chain(token);
            to.write_all_buf(&mut framed).await?;
            to.flush().await
        }
        Answer::Body { header_version, body, is_last, .. } => {
            let head = framed(correlation, header_version, &body).ok_or(io::ErrorKind::InvalidData)?;
            to.write_all_buf(&mut head.chain(body)).await?;
            to.flush().await?;
            if is_last { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::{BoxFuture, ready};
    use tokio::io::AsyncReadExt;

    use super::super::Rope;
    use super::*;

    const MUTE: Duration = Duration::from_secs(5);

    /// Answers with nothing, and wants each client to wait.
    struct Slow;

    impl Service for Slow {
        type Session = ();

        fn call(self: &Arc<Self>, _: &Arc<()>, _: Request) -> Call {
            let answer =
                Answer::Body { header_version: 0, body: Rope::default(), is_last: false, mute: MUTE };
            Call { answer: ready(answer).boxed(), lets_others_in: false }
        }

        fn takes_raw(&self, _: &()) -> bool {
            false
        }

        fn raw(self: &Arc<Self>, _: &Arc<()>, _: Bytes) -> BoxFuture<'static, Answer> {
            ready(Answer::Close("nobody asked")).boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_muted_connection_is_answered_and_not_read_from() {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let connection = Connection {
            service: Arc::new(Slow),
            session: Arc::new(()),
            limits: Limits::default(),
            room: Room::new(1 << 20),
        };
        tokio::spawn(connection.serve(server, CancellationToken::new()));
        let began = Instant::now();
        // ApiVersions of version 0 without a client's name, twice.
        for correlation in 1..=2_u8 {
            let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, correlation, 0xff, 0xff];
            client.write_all(&request).await.unwrap();
        }
        let mut answer = [0; 8];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!((answer, began.elapsed()), ([0, 0, 0, 4, 0, 0, 0, 1], Duration::ZERO));
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0, 0, 0, 4, 0, 0, 0, 2]);
        assert!((MUTE..MUTE * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
    }
}
