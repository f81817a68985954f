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
use candor_model::limits::BODY_BYTES_MAX;
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
            let entry = match door::enter_grpc(&logs, "otlp", request.headers(), request.extensions()).await {
                Ok(entry) => entry,
                Err(refusal) => return Ok(status(&Failure::Refused(refusal)).into_http()),
            };
            let mut grpc = Grpc::new(Raw)
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd)
                .send_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(BODY_BYTES_MAX);
            Ok(grpc.unary(Call(Some((logs, entry, S::KIND))), request).await)
        })
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
            entry.body = request.into_inner();
            let outcome = match entry.permit.reserve(entry.body.len()) {
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

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
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

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}
