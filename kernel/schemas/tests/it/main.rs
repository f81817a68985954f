//! Schemas and values as nobody should send them: an error, never a panic, and no more work than the bounds say.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use candor_model::Random;
use candor_model::random::Seeded;
use candor_schemas::{Dependency, Kind, Level, Schema, decode_framed, schema_id};
use candor_testbed::fuzz::{Body, fuzz};

const AVRO: &str = r#"{"type":"record","name":"R","namespace":"n","aliases":["Old"],"fields":[
    {"name":"a","type":["null","string",{"type":"map","values":"R"}],"default":null},
    {"name":"b","type":{"type":"array","items":{"type":"long","logicalType":"timestamp-nanos"}}},
    {"name":"c","type":{"type":"fixed","name":"F","size":3,"logicalType":"decimal","precision":5,"scale":2}},
    {"name":"d","type":{"type":"enum","name":"E","symbols":["X","Y"],"default":"X"}},
    {"name":"e","type":["double","float","int","boolean","bytes"]}]}"#;

const JSON: &str = r##"{"$id":"r.json","type":"object","properties":{"a":{"type":["string","null"],"maxLength":4},
    "b":{"$ref":"#/$defs/x"},"c":{"oneOf":[{"const":1},{"enum":["a"]}]}},"required":["a"],
    "patternProperties":{"^x":{"type":"number","minimum":1}},"additionalProperties":{"$ref":"part.json"},
    "$defs":{"x":{"type":"array","items":[{"$ref":"#"}],"additionalItems":false,"not":{"type":"null"}}}}"##;

const PROTOBUF: &str = r#"syntax = "proto3"; package p; import "part.proto"; import "google/protobuf/struct.proto";
    import "google/protobuf/timestamp.proto";
    message A { string s = 1; repeated sint64 n = 2; map<string, A> m = 3; oneof o { bool x = 4; p2.Part y = 5; }
    E e = 6; google.protobuf.Value v = 7; google.protobuf.Timestamp t = 8; optional float f = 9; message I { A a = 1; }
    repeated I i = 10 [deprecated = true]; reserved 12 to 14, 20 to max; }
    enum E { Z = 0; Y = -1; }"#;

fn dependencies(kind: Kind) -> Vec<Dependency> {
    let of = |name: &str, text: &str| vec![Dependency { name: name.to_owned(), text: text.into() }];
    match kind {
        Kind::Avro => Vec::new(),
        Kind::Json => of("part.json", r#"{"type":"integer"}"#),
        Kind::Protobuf => {
            of("part.proto", "package p2; message Part { optional group G = 1 { optional fixed32 n = 1; } }")
        }
    }
}

fn sample(kind: Kind) -> &'static str {
    match kind {
        Kind::Avro => AVRO,
        Kind::Json => JSON,
        Kind::Protobuf => PROTOBUF,
    }
}

/// A schema's text with pieces changed, doubled and left out.
fn damaged(random: &Seeded, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..1 + random.next_u64() % 4 {
        if bytes.is_empty() {
            break;
        }
        let at = (random.next_u64() as usize) % bytes.len();
        let end = (at + 1 + (random.next_u64() as usize) % 30).min(bytes.len());
        match random.next_u64() % 4 {
            0 => bytes[at] = b"{}[]\",:;=<>.0a \\"[(random.next_u64() % 16) as usize],
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                let to = (random.next_u64() as usize) % bytes.len();
                bytes.splice(to..to, piece);
            }
            _ => bytes.truncate(end),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn damaged_schemas_are_errors_or_schemas() {
    let whole: Vec<Schema> = Kind::ALL
        .iter()
        .map(|kind| Schema::parse(*kind, sample(*kind), &dependencies(*kind)).unwrap())
        .collect();
    fuzz(
        |case| {
            let random = Seeded::new(case);
            let kind = Kind::ALL[(random.next_u64() % 3) as usize];
            (kind, damaged(&random, sample(kind)))
        },
        |(kind, text)| {
            let Ok(schema) = Schema::parse(*kind, text, &dependencies(*kind)) else { return };
            // What was taken is taken again in its own form, which does not change any more.
            let again = Schema::parse(*kind, schema.canonical(), &dependencies(*kind)).unwrap();
            assert_eq!(again.canonical(), schema.canonical());
            let normalized = schema.normalized().unwrap();
            let normalized = Schema::parse(*kind, &normalized, &dependencies(*kind)).unwrap();
            assert_eq!(normalized.normalized().unwrap(), normalized.canonical());
            if let Some(descriptor) = schema.descriptor() {
                let descriptor = data_encoding::BASE64.encode(&descriptor);
                // Names that only text may have, as a path of an import with a quote, need not come back.
                if !descriptor.is_empty() {
                    let _ = Schema::parse(*kind, &descriptor, &dependencies(*kind));
                }
            }
            for other in &whole {
                for level in Level::ALL {
                    let _ = level.check(&schema, other);
                }
            }
        },
    );
}

#[test]
fn damaged_values_are_errors_or_values() {
    let schemas: Vec<Arc<Schema>> = Kind::ALL
        .iter()
        .map(|kind| Arc::new(Schema::parse(*kind, sample(*kind), &dependencies(*kind)).unwrap()))
        .collect();
    fuzz(
        |case| {
            let random = Seeded::new(case);
            let mut bytes = vec![0; 5 + (random.next_u64() % 200) as usize];
            random.fill(&mut bytes);
            // Small numbers are lengths and tags that may fit.
            for byte in &mut bytes {
                if !random.next_u64().is_multiple_of(4) {
                    *byte &= 0x1f;
                }
            }
            bytes[..5].copy_from_slice(&[0, 0, 0, 0, 1 + (case % 3) as u8]);
            Body(bytes)
        },
        |Body(bytes)| {
            let id = schema_id(bytes).unwrap();
            let lookup = |id: i32| schemas.get(id as usize - 1).map(Arc::clone);
            let _ = decode_framed(lookup, bytes);
            let _ = schemas[id as usize - 1].decode(&bytes[5..]);
        },
    );
}

#[test]
fn what_is_framed_is_known_by_its_first_bytes() {
    assert_eq!(schema_id(&[0, 0, 0, 1, 2, 9]), Some(258));
    for none in [&b""[..], &[0, 0, 0, 0], &[1, 0, 0, 0, 1], &[0, 0, 0, 0, 0], &[0, 0xff, 0, 0, 0]] {
        assert_eq!(schema_id(none), None, "{none:?}");
    }
    assert!(decode_framed(|_| None, &[0, 0, 0, 0, 1, 2]).is_none());
}

#[test]
fn what_is_longer_than_a_record_is_not_opened() {
    let schema = Arc::new(Schema::parse(Kind::Json, "{}", &[]).unwrap());
    let framed = |length: usize| {
        let text = format!("\"{}\"", "a".repeat(length - 2));
        decode_framed(|_| Some(Arc::clone(&schema)), &[b"\0\0\0\0\x01", text.as_bytes()].concat())
    };
    let most = candor_model::limits::RECORD_BYTES_MAX;
    assert!(framed(most).is_some());
    assert!(framed(most + 1).is_none());
}

#[test]
fn large_schemas_are_compared_in_bounded_time() {
    let branches: Vec<String> = (0..8_000)
        .map(|at| format!(r#"{{"type":"record","name":"R{at}","fields":[{{"name":"f","type":"int"}}]}}"#))
        .collect();
    let avro = Schema::parse(Kind::Avro, &format!("[{}]", branches.join(",")), &[]).unwrap();
    let members: Vec<String> = (0..20_000).map(|at| format!(r#""p{at}":{{"type":"integer"}}"#)).collect();
    let patterns: Vec<String> = (0..1000).map(|at| format!(r#""(x{at}|y)+$":{{}}"#)).collect();
    let json = format!(
        r#"{{"properties":{{{}}},"patternProperties":{{{}}}}}"#,
        members.join(","),
        patterns.join(",")
    );
    let json = Schema::parse(Kind::Json, &json, &[]).unwrap();
    let empty =
        Schema::parse(Kind::Json, &format!(r#"{{"patternProperties":{{{}}}}}"#, patterns.join(",")), &[])
            .unwrap();
    let began = Instant::now();
    let _ = (avro.incompatibilities(&avro), json.incompatibilities(&json));
    let _ = (json.incompatibilities(&empty), empty.incompatibilities(&json));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn long_chains_of_types_end() {
    let count = 10_000;
    let messages: Vec<String> =
        (0..count).map(|at| format!("message M{at} {{ M{} n = 1; }}", (at + 1) % count)).collect();
    let proto =
        Schema::parse(Kind::Protobuf, &format!("syntax = \"proto3\"; {}", messages.join("\n")), &[]).unwrap();
    let defs: Vec<String> = (0..count)
        .map(|at| format!(r##""d{at}":{{"items":{{"$ref":"#/$defs/d{}"}}}}"##, (at + 1) % count))
        .collect();
    let json = format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{}}}}}"##, defs.join(","));
    let json = Schema::parse(Kind::Json, &json, &[]).unwrap();
    let records: Vec<String> = (0..count)
        .map(|at| {
            let of = if at == 0 { "null".to_owned() } else { format!("R{}", at - 1) };
            format!(r#"{{"type":"record","name":"R{at}","fields":[{{"name":"f","type":"{of}"}}]}}"#)
        })
        .collect();
    let avro = Schema::parse(Kind::Avro, &format!("[{}]", records.join(",")), &[]).unwrap();
    for schema in [proto, json, avro] {
        let found = schema.incompatibilities(&schema);
        assert!(found.iter().all(|one| one.error == "TOO_LARGE"), "{:?}", found.first());
    }
}
