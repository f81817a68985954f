//! Answers of OTLP over HTTP, in the encoding of the request: the empty `Export…ServiceResponse`, the same with a
//! partial success, or a `google.rpc.Status`.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::wire::{put_bytes, put_int};

/// What a request is about, with the name of its count of rejected items in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Logs,
    Traces,
    Metrics,
}

impl Kind {
    fn rejected(self) -> &'static str {
        match self {
            Kind::Logs => "rejectedLogRecords",
            Kind::Traces => "rejectedSpans",
            Kind::Metrics => "rejectedDataPoints",
        }
    }
}

/// How a request is encoded, and so its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// From the request's content type. Without one, which the specification does not allow, the body tells.
    /// None for types that OTLP does not have.
    pub(super) fn of(headers: &HeaderMap, body: &[u8]) -> Option<Encoding> {
        let Some(content_type) = headers.get(CONTENT_TYPE) else {
            return Some(if body.first() == Some(&b'{') { Encoding::Json } else { Encoding::Protobuf });
        };
        let essence = content_type.to_str().ok()?.split(';').next()?.trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(Encoding::Protobuf),
            "application/json" => Some(Encoding::Json),
            _ => None,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        })
    }
}

/// Items of a request that were not stored, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) count: u64,
    pub(super) message: String,
}

/// An `Export…ServiceResponse` in protobuf; without rejected items it is empty.
pub(super) fn protobuf_response(rejected: Option<&Rejected>) -> Vec<u8> {
    let mut response = Vec::new();
    if let Some(rejected) = rejected {
        let mut partial = Vec::new();
        put_int(&mut partial, 1, rejected.count);
        put_bytes(&mut partial, 2, rejected.message.as_bytes());
        put_bytes(&mut response, 1, &partial);
    }
    response
}

/// A success, with the partial success where something was rejected.
pub(super) fn success(encoding: Encoding, kind: Kind, rejected: Option<&Rejected>) -> Response {
    let body = match (encoding, rejected) {
        (Encoding::Protobuf, rejected) => protobuf_response(rejected),
        (Encoding::Json, None) => b"{}".to_vec(),
        (Encoding::Json, Some(Rejected { count, message })) => {
            // A 64-bit integer is text in protobuf's JSON.
            let partial = serde_json::json!({ kind.rejected(): count.to_string(), "errorMessage": message });
            serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
    };
    ([(CONTENT_TYPE, encoding.content_type())], body).into_response()
}

/// A failure: the HTTP status, the code of google.rpc that goes with it, and where a retry makes sense the wait.
pub(super) fn failure(
    encoding: Encoding,
    status: StatusCode,
    code: tonic::Code,
    message: &str,
    retry_after_s: Option<u32>,
) -> Response {
    let body = match encoding {
        Encoding::Protobuf => rpc_status(code, message, retry_after_s),
        Encoding::Json => {
            let mut body = serde_json::json!({ "code": code as i32, "message": message });
            if let (Some(seconds), Some(members)) = (retry_after_s, body.as_object_mut()) {
                let detail = serde_json::json!({ "@type": RETRY_INFO, "retryDelay": format!("{seconds}s") });
                members.insert("details".to_owned(), serde_json::json!([detail]));
            }
            body.to_string().into_bytes()
        }
    };
    let mut response = (status, [(CONTENT_TYPE, encoding.content_type())], body).into_response();
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The type of the detail that says when to come back.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// A `google.rpc.Status` in protobuf, with a `RetryInfo` where a retry makes sense.
pub(super) fn rpc_status(code: tonic::Code, message: &str, retry_after_s: Option<u32>) -> Vec<u8> {
    let mut status = Vec::new();
    put_int(&mut status, 1, code as u64);
    put_bytes(&mut status, 2, message.as_bytes());
    if let Some(seconds) = retry_after_s {
        let (mut delay, mut info, mut any) = (Vec::new(), Vec::new(), Vec::new());
        put_int(&mut delay, 1, u64::from(seconds));
        put_bytes(&mut info, 1, &delay);
        put_bytes(&mut any, 1, RETRY_INFO.as_bytes());
        put_bytes(&mut any, 2, &info);
        put_bytes(&mut status, 3, &any);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
    use prost::Message;

    #[test]
    fn a_partial_success_reads_as_generated_code_reads_it() {
        let rejected = Rejected { count: 3, message: "3 records dropped".into() };
        let read = ExportLogsServiceResponse::decode(protobuf_response(Some(&rejected)).as_slice()).unwrap();
        let partial = read.partial_success.unwrap();
        assert_eq!((partial.rejected_log_records, partial.error_message.as_str()), (3, "3 records dropped"));
        assert!(protobuf_response(None).is_empty());
    }

    #[test]
    fn a_status_has_googles_fields() {
        #[derive(Clone, PartialEq, Message)]
        struct Any {
            #[prost(string, tag = "1")]
            type_url: String,
            #[prost(bytes = "vec", tag = "2")]
            value: Vec<u8>,
        }
        #[derive(Clone, PartialEq, Message)]
        struct Status {
            #[prost(int32, tag = "1")]
            code: i32,
            #[prost(string, tag = "2")]
            message: String,
            #[prost(message, repeated, tag = "3")]
            details: Vec<Any>,
        }
        let read = Status::decode(rpc_status(tonic::Code::Unavailable, "later", Some(5)).as_slice()).unwrap();
        assert_eq!((read.code, read.message.as_str()), (14, "later"));
        assert_eq!(read.details[0].type_url, RETRY_INFO);
        assert_eq!(read.details[0].value, [0x0a, 0x02, 0x08, 0x05]);
    }

    #[test]
    fn the_encoding_is_the_content_types() {
        let of = |content_type: &str, body: &[u8]| {
            let mut headers = HeaderMap::new();
            if !content_type.is_empty() {
                headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
            }
            Encoding::of(&headers, body)
        };
        assert_eq!(of("application/json; charset=utf-8", b""), Some(Encoding::Json));
        assert_eq!(of("Application/X-Protobuf", b"{"), Some(Encoding::Protobuf));
        assert_eq!(of("text/plain", b"{"), None);
        assert_eq!(of("", b"{\"resourceLogs\":[]}"), Some(Encoding::Json));
        assert_eq!(of("", b"\x0a\x00"), Some(Encoding::Protobuf));
    }
}
