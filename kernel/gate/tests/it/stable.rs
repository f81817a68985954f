//! What is stored has been cleared for good: read back and scrubbed again, as a stricter policy will have it, nothing
//! changes.

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;
use candor_gate::codec;
use candor_model::json::{self, Leniency};
use candor_model::random::Seeded;
use candor_model::{ErrorRecord, LogRecord, Object, Random, Records, Signal, SpanRecord, Value};
use candor_scrub::{Counts, Scrubber};
use candor_testbed::fuzz::fuzz;

use crate::{Bed, error};

const NAMES: &[&str] = &[
    "password",
    "passwords",
    "token",
    "tokens",
    "cookies",
    "Cookie",
    "authorization",
    "session",
    "card",
    "ssn",
    "api_key",
    "name",
    "value",
    "key",
    "data",
    "trace_id",
    "message",
    "user.id",
    "user.email",
    "user",
    "client.address",
    "email",
    "[secret]",
    "[card]#2",
    "rawHeaders",
    "headers",
    "id",
    "offset",
    "--password",
    "https://u:p@host/Cookie",
    "Cooroot:x@tcp(h)kie",
    "card 4111111111111111",
    "{\\\"password\\\":\\\"hunter2\\",
];

const TEXTS: &[&str] = &[
    "card 4111 1111 1111 1111 declined",
    "password=hunter2&token=abc",
    "alice@example.com",
    "u-4711",
    "512",
    "536904399",
    "1.2.3",
    "null",
    "Token{abc",
    "a=b; c=d",
    "Bearer abcdef0123456789",
    "Authorization: Basic dXNlcjpwYXNz",
    r#"{"password":"hunter2","tokens":512}"#,
    "GET /a?cc=%34111111111111111",
    "https://jane:hunter2@host/x",
    "DE89370400440532013000",
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "41111111111111115",
    "",
    "NDExMTExMTExMTExMTExMQ==",
    "user:aaaaaaaaaaaaaaaaaaaaaaaaaa",
    "token user:bbbbbbbbbbbbbbbbbbbbbbbbbb",
    "***",
    "${PASSWORD}",
    "x=y",
];

struct Maker(Seeded);

impl Maker {
    fn pick(&self, below: usize) -> usize {
        (self.0.next_u64() % below.max(1) as u64) as usize
    }

    fn of(&self, list: &[&'static str]) -> &'static str {
        list[self.pick(list.len())]
    }

    fn text(&self) -> String {
        let mut text = match self.pick(3) {
            0 => self.of(TEXTS).to_owned(),
            1 => format!("{} {}", self.of(TEXTS), self.of(TEXTS)),
            _ => format!("{}{}{}", self.of(NAMES), ["=", ": ", ":", " "][self.pick(4)], self.of(TEXTS)),
        };
        if self.pick(3) == 0 {
            let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
            if let Some(place) = places.get(self.pick(places.len())) {
                text.insert(*place, char::from(b"\"\\=:;,&%@ 4x\n"[self.pick(13)]));
            }
        }
        text
    }

    fn name(&self) -> String {
        if self.pick(8) == 0 { self.text() } else { self.of(NAMES).to_owned() }
    }

    fn scalar(&self) -> Value {
        match self.pick(12) {
            0 => Value::Bool(true),
            1 => Value::Int(
                [512, 536_904_399, 4_111_111_111_111_111, -7, 4_131_034_282_458_809_939][self.pick(5)],
            ),
            2 => Value::UInt(u64::MAX - 3),
            3 => Value::Float(
                [0.5, 512.0, 4_111_111_111_111_111.0, 41_111_111_111_111_115.0, 1e300][self.pick(5)],
            ),
            4 => Value::BigInt("41111111111111110000000".into()),
            5 => Value::Null,
            _ => self.text().into(),
        }
    }

    fn tree(&self, depth: usize) -> Value {
        match self.pick(if depth < 3 { 6 } else { 3 }) {
            0..=2 => self.scalar(),
            3 => Value::Array((0..self.pick(4)).map(|_| self.tree(depth + 1)).collect()),
            _ => self.object(|| self.tree(depth + 1)).into(),
        }
    }

    fn object(&self, value: impl Fn() -> Value) -> Object {
        (0..self.pick(5)).map(|_| (self.name(), value())).collect()
    }

    /// A text where an id should be, an id, or none.
    fn id(&self) -> String {
        match self.pick(4) {
            0 => self.text(),
            1 => "4111111111111111".to_owned(),
            2 => format!("{:016x}", self.0.next_u64()),
            _ => String::new(),
        }
    }
}

/// Columns of text scrubbed again as text; those named are left out.
fn check_texts(scrubber: &Scrubber, rows: &RecordBatch, without: &[&str]) {
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let Some(texts) = column.as_string_opt::<i32>() else { continue };
        if without.contains(&field.name().as_str()) {
            continue;
        }
        for text in texts.iter().flatten() {
            let is_id = field.name().ends_with("_id") && text.bytes().all(|b| b.is_ascii_hexdigit());
            if !is_id {
                assert_eq!(scrubber.scrub_str(text, &mut Counts::new()), None, "{}: {text:?}", field.name());
            }
        }
    }
}

/// A map scrubbed again: its names, and its values under them, as text or as the JSON that it is.
fn check_map(scrubber: &Scrubber, rows: &RecordBatch, column: &str, is_json: bool) {
    let map = rows.column_by_name(column).unwrap().as_map();
    for row in 0..map.len() {
        let entries = map.value(row);
        let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
        for (key, value) in keys.iter().zip(values) {
            let (key, Some(value)) = (key.unwrap(), value) else { continue };
            assert_eq!(scrubber.scrub_key(key, &mut Counts::new()), None, "{key:?}");
            match is_json {
                true => check_json(scrubber, value, Some(key)),
                false => {
                    let again = scrubber.scrub_field(key, value, &mut Counts::new());
                    assert_eq!(again, None, "{key:?}: {value:?}");
                }
            }
        }
    }
}

fn check_json(scrubber: &Scrubber, text: &str, key: Option<&str>) {
    let Ok(mut value) = json::parse(text.as_bytes(), Leniency::LENIENT) else {
        // A placeholder took the place of the whole.
        let again = scrubber.scrub_field(key.unwrap_or_default(), text, &mut Counts::new());
        return assert_eq!(again, None, "{key:?}: {text:?}");
    };
    scrubber.scrub_value(&mut value, key, &mut Counts::new());
    assert_eq!(json::to_string(&value), text, "under {key:?}");
}

/// The rows as they are read from the log.
fn stored(bed: &Bed, signal: Signal, records: Records) -> RecordBatch {
    let admitted = bed.clear(records).admitted.unwrap();
    let rows = codec::decode(signal, admitted.batch()).unwrap();
    assert_eq!(Some(&rows), admitted.rows());
    rows
}

#[test]
fn logs_and_spans_are_cleared_for_good() {
    let (bed, scrubber) = (Bed::new(), Scrubber::default());
    fuzz(
        |case| {
            let make = Maker(Seeded::new(case));
            let scalars = make.pick(3) > 0;
            LogRecord {
                severity_text: make.text(),
                body: if scalars { make.scalar() } else { Value::Array(vec![make.tree(0), make.tree(0)]) },
                service_name: make.text(),
                host_name: make.text(),
                trace_id: make.id(),
                span_id: make.id(),
                source: make.text(),
                attributes: match scalars {
                    true => make.object(|| make.scalar()),
                    false => make.object(|| Value::Array(vec![make.tree(0)])),
                },
                ..LogRecord::default()
            }
        },
        |record| {
            let is_json = matches!(record.body, Value::Array(_));
            let rows = stored(&bed, Signal::Logs, Records::Logs(vec![record.clone()]));
            check_texts(&scrubber, &rows, &["subject", "body"]);
            check_map(&scrubber, &rows, "attributes", is_json);
            let bodies = rows.column_by_name("body").unwrap().as_string::<i32>();
            for body in bodies.iter().flatten() {
                match is_json {
                    true => check_json(&scrubber, body, None),
                    false => assert_eq!(scrubber.scrub_str(body, &mut Counts::new()), None, "{body:?}"),
                }
            }

            let span = SpanRecord {
                trace_id: record.trace_id.clone(),
                name: record.host_name.clone(),
                op: record.severity_text.clone(),
                status: record.source.clone(),
                release: record.service_name.clone(),
                attributes: record.attributes.clone(),
                ..SpanRecord::default()
            };
            let rows = stored(&bed, Signal::Spans, Records::Spans(vec![span]));
            check_texts(&scrubber, &rows, &["subject"]);
            check_map(&scrubber, &rows, "attributes", is_json);
        },
    );
}

#[test]
fn errors_are_cleared_for_good() {
    let (bed, scrubber) = (Bed::new(), Scrubber::default());
    fuzz(
        |case| {
            let make = Maker(Seeded::new(case));
            let mut event = make.object(|| make.tree(0));
            event.insert("message", make.text());
            event.insert("user", make.object(|| make.scalar()));
            event.insert("tags", make.object(|| make.scalar()));
            event.insert("extra", make.tree(0));
            event.insert("contexts", make.tree(0));
            let headers =
                (0..make.pick(3)).map(|_| Value::Array(vec![make.name().into(), make.text().into()]));
            event.insert(
                "request",
                Object::from_iter([("headers".to_owned(), Value::Array(headers.collect()))]),
            );
            Value::from(event)
        },
        |event| {
            let record = ErrorRecord { event: event.clone(), ..error("{}") };
            let rows = stored(&bed, Signal::Errors, Records::Errors(vec![record]));
            for column in ["event", "contexts"] {
                let key = (column == "contexts").then_some(column);
                let texts = rows.column_by_name(column).unwrap().as_string::<i32>();
                texts.iter().flatten().for_each(|text| check_json(&scrubber, text, key));
            }
        },
    );
}
