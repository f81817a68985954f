//! What real clients sent (see `tests/captured/README.md`), and the records it becomes.

use expect_test::{Expect, expect};

use crate::drops::{DropReason, Parsed};
use crate::{better_stack, logflare, otlp, shown};

fn check<R, E: std::fmt::Debug>(
    records: Result<impl Iterator<Item = Result<R, DropReason>>, E>,
    show: fn(&R) -> String,
    expected: Expect,
) {
    let parsed = Parsed::collect(records.unwrap());
    assert!(parsed.drops.is_empty(), "{}", parsed.drops);
    expected.assert_eq(&parsed.records.iter().map(show).collect::<String>());
}

/// Records that are alike but for when they were sent and what is drawn at random.
fn same<R, E: std::fmt::Debug>(
    one: [Result<impl Iterator<Item = Result<R, DropReason>>, E>; 2],
    other: [Result<impl Iterator<Item = Result<R, DropReason>>, E>; 2],
    show: fn(&R) -> String,
) {
    let told = |records: &R| show(records).split(' ').map(masked).collect::<Vec<_>>().join(" ");
    for (one, other) in one.into_iter().zip(other) {
        let [one, other]: [Vec<String>; 2] = [
            one.unwrap().map(|record| told(&record.unwrap())).collect(),
            other.unwrap().map(|record| told(&record.unwrap())).collect(),
        ];
        assert!(!one.is_empty());
        assert_eq!(one, other);
    }
}

/// A word without the times, ids and keys in it.
fn masked(word: &str) -> String {
    const DRAWN: [&str; 5] = ["time=", "observed=", "trace=", "span=", "parent="];
    if let Some(name) = DRAWN.iter().find(|name| word.starts_with(**name)) {
        return format!("{name}…");
    }
    let drawn = |rest: &str| rest.len() > 20 && rest.chars().skip(1).take(20).all(|c| c.is_ascii_hexdigit());
    match word.match_indices('k').find(|(at, _)| drawn(&word[*at..])) {
        Some((at, _)) => format!("{}k…{}", &word[..at], masked(&word[at + 21..])),
        None => word.to_owned(),
    }
}

macro_rules! captured {
    ($name:literal) => {
        include_bytes!(concat!("../tests/captured/", $name)).as_slice()
    };
}

#[test]
fn opentelemetry_python_logs() {
    check(
        otlp::binary::logs(captured!("python-logs.pb")),
        shown::log,
        expect![[r#"
        time=2026-11-22T01:30:02.720589826Z observed=2026-11-22T01:30:02.720590826Z level=13/WARN service=check-python host=box-1 trace=0af7651916cd43dd8448eb211c80319c span=b7ad6b7169203331
        body="order k2186e0d163974cfbae06 is late"
        check.id="k2186e0d163974cfbae06"
        int=7
        big=9007199254740993
        double=0.5
        bool=true
        text="grüße 😀"
        list=["a","b"]
        nested={"a":{"b":[1,2]}}
        password="hunter2-hunter2"
        user.id="u-k2186e0d163974cfbae06"
        card="4111111111111111"
        otel.flags=1
        telemetry.sdk.language="python"
        telemetry.sdk.name="opentelemetry"
        telemetry.sdk.version="1.45.2"
        service.instance.id="28d4f596-f1c9-4433-a140-91b4754657ec"
        service.name="check-python"
        service.version="1.2.3"
        host.name="box-1"
        deployment.environment.name="checks"
        otel.scope.name="checks.clients"
        otel.scope.version="0.1"
        otel.scope.team="checks"
    "#]],
    );
    check(
        otlp::binary::logs(captured!("python-structured.pb")),
        shown::log,
        expect![[r#"
        time=2026-11-22T01:30:02.73619178Z observed=2026-11-22T01:30:02.73623188Z level=19/ERROR3 service=check-python host=box-1
        body={"message":"structured","check":"kc4bdf6d5483a49b0bd4e"}
        check.id="kc4bdf6d5483a49b0bd4e"
        otel.event_name="check.event"
        telemetry.sdk.language="python"
        telemetry.sdk.name="opentelemetry"
        telemetry.sdk.version="1.45.2"
        service.instance.id="28d4f596-f1c9-4433-a140-91b4754657ec"
        service.name="check-python"
        service.version="1.2.3"
        host.name="box-1"
        deployment.environment.name="checks"
        otel.scope.name="checks.clients"
        otel.scope.version="0.1"
        otel.scope.team="checks"
    "#]],
    );
}

#[test]
fn opentelemetry_python_spans() {
    check(
        otlp::binary::spans(captured!("python-child-span.pb")),
        shown::span,
        expect![[r#"
        time=2026-11-22T01:30:02.78127879Z duration=118770 trace=d541e92737955f95aa8f1152d4c96718 span=2baff2025ed3c743 parent=fc054a0299f8e764 name=query op=client status=error service=check-python release=1.2.3
        check.id="k9eed4d60048743eb92d2"
        db.statement="SELECT 1"
        otel.status_description="timed out"
        otel.flags=256
        otel.events=[{"timestamp":"2026-01-01T00:00:00.123456789Z","name":"retry","attributes":{"attempt":2}}]
        otel.links=[{"trace_id":"11111111111111111111111111111111","span_id":"2222222222222222","flags":768,"attributes":{"why":"batch"}}]
        telemetry.sdk.language="python"
        telemetry.sdk.name="opentelemetry"
        telemetry.sdk.version="1.45.2"
        service.instance.id="28d4f596-f1c9-4433-a140-91b4754657ec"
        service.name="check-python"
        service.version="1.2.3"
        host.name="box-1"
        deployment.environment.name="checks"
        otel.scope.name="checks.clients"
        otel.scope.version="0.1"
    "#]],
    );
}

#[test]
fn opentelemetry_node_logs_in_json() {
    check(
        otlp::text::logs(captured!("node-logs.json")),
        shown::log,
        expect![[r#"
        time=2026-11-22T01:30:04.447Z observed=2026-11-22T01:30:04.448Z level=13/WARN service=check-node host=box-2 trace=0af7651916cd43dd8448eb211c80319c span=b7ad6b7169203331
        body="order k1ca888a681b316b47c11 is late"
        check.id="k1ca888a681b316b47c11"
        int=7
        negative=-3
        double=0.5
        bool=true
        text="grüße 😀"
        list=["a","b"]
        nested={"a":{"b":[1,2]}}
        bytes="/wA="
        password="hunter2-hunter2"
        user.id="u-k1ca888a681b316b47c11"
        card="4111111111111111"
        otel.flags=1
        service.name="check-node"
        service.version="1.2.3"
        host.name="box-2"
        otel.scope.name="checks.clients"
        otel.scope.version="0.1"
    "#]],
    );
    check(
        otlp::text::logs(captured!("node-structured.json")),
        shown::log,
        expect![[r#"
        time=2026-11-22T01:30:04.447Z observed=2026-11-22T01:30:04.453Z level=19/ERROR3 service=check-node host=box-2
        body={"message":"structured","n":1}
        check.id="k5108c21d2ac2ccca2169"
        otel.event_name="check.event"
        service.name="check-node"
        service.version="1.2.3"
        host.name="box-2"
        otel.scope.name="checks.clients"
        otel.scope.version="0.1"
    "#]],
    );
}

#[test]
fn opentelemetry_node_spans() {
    check(
        otlp::text::spans(captured!("node-spans-1.json")),
        shown::span,
        expect![[r#"
        time=2026-11-22T01:30:04.612Z duration=10000000 trace=8cce7298c250d2017a809e68629e05b4 span=ddf5698bb91f1a0c parent=8e97e9454e2399df name=query op=client status=error service=check-node release=1.2.3
        check.id="k09db425879ab77e49cf6"
        db.statement="SELECT 1"
        otel.status_description="timed out"
        otel.flags=257
        otel.events=[{"timestamp":"2026-01-01T00:00:00.123Z","name":"retry","attributes":{"attempt":2}}]
        otel.links=[{"trace_id":"11111111111111111111111111111111","span_id":"2222222222222222","flags":257,"attributes":{"why":"batch"}}]
        service.name="check-node"
        service.version="1.2.3"
        host.name="box-2"
        otel.scope.name="checks.clients"
        otel.scope.version="0.1"
    "#]],
    );
    check(
        otlp::text::spans(captured!("node-spans-2.json")),
        shown::span,
        expect![[r#"
        time=2026-11-22T01:30:04.611Z duration=20000000 trace=8cce7298c250d2017a809e68629e05b4 span=8e97e9454e2399df name=GET /cart op=server status=unset service=check-node release=1.2.3
        check.id="kc208cdb3b1cc18900ed5"
        http.response.status_code=200
        otel.flags=257
        service.name="check-node"
        service.version="1.2.3"
        host.name="box-2"
        otel.scope.name="checks.clients"
        otel.scope.version="0.1"
    "#]],
    );
}

/// The same calls by the same client, once in JSON and once in protobuf.
#[test]
fn opentelemetry_node_says_the_same_in_protobuf() {
    same(
        [otlp::text::logs(captured!("node-logs.json")), otlp::text::logs(captured!("node-structured.json"))],
        [otlp::binary::logs(captured!("node-logs.pb")), otlp::binary::logs(captured!("node-structured.pb"))],
        shown::log,
    );
    same(
        [
            otlp::text::spans(captured!("node-spans-1.json")),
            otlp::text::spans(captured!("node-spans-2.json")),
        ],
        [
            otlp::binary::spans(captured!("node-spans-1.pb")),
            otlp::binary::spans(captured!("node-spans-2.pb")),
        ],
        shown::span,
    );
}

#[test]
fn pino_logflare() {
    check(
        logflare::events(captured!("pino-logflare.json")),
        shown::log,
        expect![[r#"
        time=2026-11-22T01:30:04.881Z level=13/warning host=vm
        body="pino kef1aea75d6a5d12071ce"
        metadata.check.id="kef1aea75d6a5d12071ce"
        metadata.order.id=7
        metadata.order.items=[{"sku":"a"}]
        metadata.password="hunter2-hunter2"
        metadata.context.host="vm"
        metadata.context.pid=1402
        metadata.level="warning"
        time=2026-11-22T01:30:04.883Z level=17/error host=vm
        body="pino failed k9aa59367c145d679b353"
        metadata.check.id="k9aa59367c145d679b353"
        metadata.err.type="Error"
        metadata.err.message="broken"
        metadata.err.stack="Error: broken\n    at pinoLogflare (file:///app/logs.mjs:113:45)\n    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)\n    at async file:///app/logs.mjs:166:3"
        metadata.context.host="vm"
        metadata.context.pid=1402
        metadata.level="error"
    "#]],
    );
}

#[test]
fn logtail_python() {
    check(
        better_stack::events(captured!("logtail-python.msgpack")),
        shown::log,
        expect![[r#"
        time=2026-11-22T01:30:02.828398Z level=9/info
        body="logtail k387806894ebe495488f7"
        level="info"
        severity=2
        context.runtime.function="logtail"
        context.runtime.file="logs.py"
        context.runtime.line=159
        context.runtime.thread_id=139990978456448
        context.runtime.thread_name="MainThread"
        context.runtime.logger_name="checks.63a05c1edda5494eaefa0232e9fafe35"
        context.system.pid=1320
        context.system.process_name="MainProcess"
        filename="logs.py"
        stack_info=null
        order.id=7
        order.n=[1,{"a":null}]
        check.id="k387806894ebe495488f7"
        password="hunter2-hunter2"
        time=2026-11-22T01:30:02.829774Z level=17/error
        body="logtail failed ka74a323221714584b2f4\nTraceback (most recent call last):\n  File \"/app/logs.py\", line 164, in logtail\n    raise ValueError(\"broken\")\nValueError: broken"
        level="error"
        severity=4
        context.runtime.function="logtail"
        context.runtime.file="logs.py"
        context.runtime.line=166
        context.runtime.thread_id=139990978456448
        context.runtime.thread_name="MainThread"
        context.runtime.logger_name="checks.63a05c1edda5494eaefa0232e9fafe35"
        context.system.pid=1320
        context.system.process_name="MainProcess"
        filename="logs.py"
        stack_info=null
        check.id="ka74a323221714584b2f4"
    "#]],
    );
}

#[test]
fn logtail_node() {
    check(
        better_stack::events(captured!("logtail-node.msgpack")),
        shown::log,
        expect![[r#"
        time=2026-11-22T01:30:05.301Z level=13/warn
        body="logtail k38bbf4e579d5fa97321c"
        level="warn"
        context.runtime.file="/app/logs.mjs"
        context.runtime.type=null
        context.runtime.method=null
        context.runtime.function="logtail"
        context.runtime.line=132
        context.runtime.column=18
        context.system.pid=1402
        context.system.main_file=""
        check.id="k38bbf4e579d5fa97321c"
        order.id=7
        order.items=[{"sku":"a"}]
        password="hunter2-hunter2"
    "#]],
    );
    // It flushes with an empty list.
    check(better_stack::events(b"\x90"), shown::log, expect![[r#""#]]);
    check(better_stack::events(b"[]"), shown::log, expect![[r#""#]]);
}
