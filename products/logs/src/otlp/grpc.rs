//! OTLP over gRPC: the three `Export` calls, with messages handed to the parser as they came.
//!
//! Generated services would decode into messages first; these hand over the bytes. The key is looked at before the
//! message is read, so that a stranger cannot make the server take one in.

use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use candor_gate::admission::Reservation;
use candor_model::limits::BODY_BYTES_MAX;
use http::HeaderValue;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::http::{Failure, store};
use super::reply::{Encoding, Kind, protobuf_response, rpc_status};
use crate::Logs;
use crate::door::{self, Entry};

/// The services of OTLP.
pub(crate) fn services(logs: &Arc<Logs>) -> Routes {
    Routes::new(Export::<LogsService>::new(logs))
        .add_service(Export::<TraceService>::new(logs))
        .add_service(Export::<MetricsService>::new(logs))
}

/// A service of OTLP's collector: its name and what it takes.
trait Service: Clone + Send + Sync + 'static {
    const NAME: &'static str;
    const KIND: Kind;
}

macro_rules! service {
    ($type:ident, $name:literal, $kind:expr) => {
        #[derive(Debug, Clone)]
        struct $type;
        impl Service for $type {
            const NAME: &'static str = $name;
            const KIND: Kind = $kind;
        }
    };
}

service!(LogsService, "opentelemetry.proto.collector.logs.v1.LogsService", Kind::Logs);
service!(TraceService, "opentelemetry.proto.collector.trace.v1.TraceService", Kind::Traces);
service!(MetricsService, "opentelemetry.proto.collector.metrics.v1.MetricsService", Kind::Metrics);

struct Export<S> {
    logs: Arc<Logs>,
    service: PhantomData<fn() -> S>,
}

impl<S> Export<S> {
    fn new(logs: &Arc<Logs>) -> Export<S> {
        Export { logs: Arc::clone(logs), service: PhantomData }
    }
}

impl<S> Clone for Export<S> {
    fn clone(&self) -> Export<S> {
        Export::new(&self.logs)
    }
}

impl<S: Service> NamedService for Export<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service> tower::Service<http::Request<tonic::body::Body>> for Export<S> {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let logs = Arc::clone(&self.logs);
        Box::pin(async move {
            if request.uri().path().strip_prefix('/') != Some(&format!("{}/Export", S::NAME)) {
                return Ok(Status::unimplemented("no such method").into_http());
            }
            let entry = match door::enter_grpc(&logs, request.headers(), request.extensions()).await {
                Ok(entry) => entry,
                Err(refusal) => return Ok(status(&Failure::Refused(refusal)).into_http()),
            };
            let meter = entry.permit.meter();
            let request = request.map(|body| tonic::body::Body::new(Metered { body, meter }));
            let mut grpc = Grpc::new(Raw)
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd)
                .send_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(BODY_BYTES_MAX);
            let mut response = grpc.unary(Call(Some((logs, entry, S::KIND))), request).await;
            if let Some(status) = response.headers_mut().get_mut(Status::GRPC_STATUS)
                && *status == OUT_OF_RANGE
            {
                *status = RESOURCE_EXHAUSTED;
            }
            Ok(response)
        })
    }
}

/// What tonic says of a message that is larger than allowed. OTLP's clients try such a request again, for ever the same;
/// collectors give the other.
const OUT_OF_RANGE: HeaderValue = HeaderValue::from_static("11");
const RESOURCE_EXHAUSTED: HeaderValue = HeaderValue::from_static("8");

/// A body whose bytes count as in the house while its message is put together.
struct Metered {
    body: tonic::body::Body,
    meter: Reservation,
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(refusal) = self.meter.grow(data.len())
        {
            return Poll::Ready(Some(Err(status(&Failure::Refused(refusal)))));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// One call of a service's only method.
struct Call(Option<(Arc<Logs>, Entry, Kind)>);

impl UnaryService<Bytes> for Call {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let call = self.0.take();
        Box::pin(async move {
            let Some((logs, mut entry, kind)) = call else {
                return Err(Status::internal("a call was made twice"));
            };
            let outcome = match entry.take_message("otlp", request.into_inner()) {
                Ok(()) => store(&logs, &entry, kind, Encoding::Protobuf).await,
                Err(refusal) => Err(Failure::Refused(refusal)),
            };
            match outcome {
                Ok(rejected) => Ok(Response::new(protobuf_response(rejected.as_ref()).into())),
                Err(failure) => Err(status(&failure)),
            }
        })
    }
}

/// A failure as gRPC says it; with a `RetryInfo` where a retry makes sense.
fn status(failure: &Failure) -> Status {
    let (code, _) = failure.codes();
    let message = failure.to_string();
    match failure.retry_after_s() {
        Some(seconds) => {
            let details = rpc_status(code, &message, Some(seconds));
            Status::with_details(code, message, details.into())
        }
        None => Status::new(code, message),
    }
}

/// Messages as their bytes.
struct Raw;

/// Takes one message; tonic would read over further ones, and the call would be answered as if they were stored.
#[derive(Default)]
struct OneMessage {
    taken: bool,
}

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = OneMessage;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> OneMessage {
        OneMessage::default()
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for OneMessage {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        if std::mem::replace(&mut self.taken, true) {
            return Err(Status::invalid_argument("a call of this method has one message"));
        }
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}
