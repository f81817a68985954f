//! Bodies, read within bounds of size and time, and decompressed.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;

use super::encoding::{Accept, Encoding, decode, encodings};
use super::{Permit, Refusal, Reservation};

/// How long a client may be silent in the middle of a body.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How long a whole body may take: a client that drips holds its memory no longer.
const BODY_TIME_MAX: Duration = Duration::from_secs(300);

/// Bodies beyond this are decompressed on a thread of their own, so that neighbours on this one do not wait.
const INLINE_BYTES_MAX: usize = 128 << 10;

impl Permit {
    /// Reads a body whole: within the limits of size, time and memory, and without its content encodings.
    pub async fn read<B>(&mut self, headers: &HeaderMap, body: B, accept: Accept) -> Result<Bytes, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
    {
        let read = self.read_decoded(headers, body, accept).await;
        let body = self.admission.counted(read)?;
        self.used(body.len());
        Ok(body)
    }

    async fn read_decoded<B>(
        &mut self,
        headers: &HeaderMap,
        body: B,
        accept: Accept,
    ) -> Result<Bytes, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
    {
        let stack = encodings(headers, accept)?;
        let limit = self.admission.inner.limits.body_bytes;
        let declared =
            headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if declared.is_some_and(|length: u64| length > limit as u64) {
            return Err(Refusal::BodyTooLarge { limit });
        }
        let received = tokio::time::timeout(BODY_TIME_MAX, self.receive(body, limit))
            .await
            .map_err(|_| Refusal::BodyTimeout)??;
        if stack.is_empty() {
            return Ok(received);
        }
        self.decode(stack, received).await
    }

    async fn receive<B>(&mut self, body: B, limit: usize) -> Result<Bytes, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
    {
        let mut body = pin!(body);
        let mut first: Option<Bytes> = None;
        let mut rest = BytesMut::new();
        let mut length = 0;
        loop {
            let frame =
                tokio::time::timeout(SILENCE_MAX, body.frame()).await.map_err(|_| Refusal::BodyTimeout)?;
            let Some(frame) = frame else { break };
            let Ok(data) = frame.map_err(|_| Refusal::BodyCut)?.into_data() else { continue };
            length += data.len();
            if length > limit {
                return Err(Refusal::BodyTooLarge { limit });
            }
            self.reservation.grow(data.len())?;
            // Most bodies are one chunk: those are not copied.
            match &mut first {
                None => first = Some(data),
                Some(first) => {
                    if rest.is_empty() {
                        rest.extend_from_slice(first);
                    }
                    rest.extend_from_slice(&data);
                }
            }
        }
        Ok(if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() })
    }

    async fn decode(&mut self, stack: Vec<Encoding>, received: Bytes) -> Result<Bytes, Refusal> {
        let bytes_max = self.admission.inner.limits.decoded_bytes;
        if received.len() <= INLINE_BYTES_MAX {
            return undo(&stack, received, bytes_max, &mut self.reservation);
        }
        // The thread holds the reservation meanwhile, so that a request that is given up frees what it took.
        let mut reservation = self.reservation.hand_over();
        let worker = tokio::task::spawn_blocking(move || {
            let decoded = undo(&stack, received, bytes_max, &mut reservation);
            (decoded, reservation)
        });
        let (decoded, reservation) = worker.await.map_err(|_| Refusal::BodyCut)?;
        self.reservation = reservation;
        decoded
    }
}

fn undo(
    stack: &[Encoding],
    received: Bytes,
    bytes_max: usize,
    reservation: &mut Reservation,
) -> Result<Bytes, Refusal> {
    let mut body = received;
    for encoding in stack {
        let decoded = decode(*encoding, &body, bytes_max, &mut |more| reservation.grow(more))?;
        reservation.shrink(body.len());
        body = Bytes::from(decoded);
    }
    Ok(body)
}
