//! OTLP over gRPC, call by call: messages in frames, statuses in trailers.

use axum::body::Body;
use candor_gate::admission::Limits;
use candor_log::AppendError;
use http::Request;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use prost::Message;

use crate::house::{Answer, House, gzip};
use crate::otlp_http::request;

const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// A message in its frame.
fn framed(compressed: bool, message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u32).to_be_bytes();
    [&[u8::from(compressed)][..], &length[..], message].concat()
}

async fn call(house: &House, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let bearer = format!("Bearer {}", house.token);
    let mut call = Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        call = call.header("authorization", bearer);
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        call = call.header(*name, *value);
    }
    house.send(house.grpc.clone(), call.body(Body::from(body)).unwrap()).await
}

/// The status of a call, from its trailers or, where there was no message, its headers.
fn status(answer: &Answer) -> i32 {
    let status = answer.trailers.get("grpc-status").or_else(|| answer.headers.get("grpc-status")).unwrap();
    status.to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn logs_and_traces_are_stored_plain_and_compressed() {
    let house = House::new().await;
    let answer = call(&house, LOGS, &[("x-source", "web")], framed(false, &request(&["one", "two"]))).await;
    assert_eq!((status(&answer), answer.body.as_slice()), (0, &[0, 0, 0, 0, 0][..]));
    let logs = house.logs();
    assert_eq!((logs.len(), logs[1].body.to_text().as_str(), logs[0].source.as_str()), (2, "two", "web"));

    let zipped = framed(true, &gzip(&request(&["zipped"])));
    let answer =
        call(&house, LOGS, &[("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip")], zipped).await;
    assert_eq!((status(&answer), house.bodies()), (0, vec!["zipped".to_owned()]));
    let zstd = zstd::encode_all(&request(&["zstd"])[..], 1).unwrap();
    let answer = call(&house, LOGS, &[("grpc-encoding", "zstd")], framed(true, &zstd)).await;
    assert_eq!((status(&answer), house.bodies()), (0, vec!["zstd".to_owned()]));

    // ResourceSpans { scope_spans: ScopeSpans { spans: Span { name: "n" } } }
    let spans = [0x0a, 0x07, 0x12, 0x05, 0x12, 0x03, 0x2a, 0x01, b'n'];
    assert_eq!(status(&call(&house, TRACES, &[], framed(false, &spans)).await), 0);
    assert_eq!(house.spans()[0].name, "n");
}

#[tokio::test]
async fn what_is_not_stored_is_said() {
    let house = House::new().await;
    let mut body = request(&["good"]);
    body.extend([0x0a, 0x08, 0x12, 0x06, 0x12, 0x02, 0x08, 0x01, 0x12, 0x00]);
    let answer = call(&house, LOGS, &[], framed(false, &body)).await;
    let partial = ExportLogsServiceResponse::decode(&answer.body[5..]).unwrap().partial_success.unwrap();
    assert_eq!((status(&answer), partial.rejected_log_records), (0, 1));

    let data = Some(Data::Gauge(Gauge { data_points: vec![NumberDataPoint::default(); 4] }));
    let scope_metrics =
        vec![ScopeMetrics { metrics: vec![Metric { data, ..Metric::default() }], ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    let body = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
    let answer = call(&house, METRICS, &[], framed(false, &body)).await;
    let partial = ExportMetricsServiceResponse::decode(&answer.body[5..]).unwrap().partial_success.unwrap();
    assert_eq!((status(&answer), partial.rejected_data_points), (0, 4));
    assert_eq!(partial.error_message, "metrics are not stored yet");
}

#[tokio::test]
async fn a_message_counts_while_it_comes() {
    let house = House::with(Limits { in_flight_bytes: 64 << 10, ..Limits::default() }).await;
    let message = request(&["x".repeat(100 << 10).as_str()]);
    // It never ends: what has come of it is refused before the rest is there.
    let answer = call(&house, LOGS, &[], framed(false, &message)[..80 << 10].to_vec()).await;
    assert_eq!(status(&answer), 14);
    assert_eq!(status(&call(&house, LOGS, &[], framed(false, &request(&["x"]))).await), 0);
}

#[tokio::test]
async fn failures_have_their_codes() {
    let house = House::new().await;
    let good = framed(false, &request(&["x"]));
    for key in ["", "Bearer wrong"] {
        assert_eq!(status(&call(&house, LOGS, &[("authorization", key)], good.clone()).await), 16);
    }
    assert_eq!(status(&call(&house, LOGS, &[], framed(false, b"\x0a\x05abc")).await), 3);
    assert_eq!(status(&call(&house, &LOGS.replace("Export", "Import"), &[], good.clone()).await), 12);
    assert_eq!(status(&call(&house, "/other.Service/Export", &[], good.clone()).await), 12);
    assert_eq!(status(&call(&house, LOGS, &[("grpc-encoding", "snappy")], framed(true, b"x")).await), 12);
    assert!([3, 13].contains(&status(
        &call(&house, LOGS, &[("grpc-encoding", "gzip")], framed(true, b"no gzip")).await
    )));
    // A length that lies, and a small message that unfolds to 64 MB.
    // Clients try again what is out of range (11), but not what is simply too much (8) and gives no time to wait.
    let lying = call(&house, LOGS, &[], vec![0, 0x7f, 0xff, 0xff, 0xff]).await;
    assert_eq!((status(&lying), lying.headers.get("grpc-status-details-bin")), (8, None));
    let bomb = framed(true, &gzip(&vec![0; 64 << 20]));
    assert_eq!(status(&call(&house, LOGS, &[("grpc-encoding", "gzip")], bomb).await), 8);
    // Of two messages none is stored, rather than one in silence.
    assert_eq!(status(&call(&house, LOGS, &[], [good.clone(), good.clone()].concat()).await), 3);
    assert!(house.logs().is_empty());

    for (failure, code) in
        [(AppendError::Overloaded, 8), (AppendError::Full, 14), (AppendError::Unavailable, 14)]
    {
        house.fail(failure);
        let answer = call(&house, LOGS, &[], good.clone()).await;
        assert_eq!(status(&answer), code);
        let details =
            answer.trailers.get("grpc-status-details-bin").or(answer.headers.get("grpc-status-details-bin"));
        let details = data_encoding::BASE64_NOPAD
            .decode(details.unwrap().to_str().unwrap().trim_end_matches('=').as_bytes());
        assert!(String::from_utf8_lossy(&details.unwrap()).contains("google.rpc.RetryInfo"));
    }
}
