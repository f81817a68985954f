//! Schemas and values of Avro.

use candor_model::json;

use crate::{DecodeError, Dependency, Kind, Level, Schema};

fn schema(text: &str) -> Schema {
    Schema::parse(Kind::Avro, text, &[]).unwrap()
}

const PERSON: &str = r#"{"type":"record","name":"Person","namespace":"shop","fields":[
  {"name":"name","type":"string"},
  {"name":"age","type":["null","int"],"default":null},
  {"name":"seen","type":{"type":"long","logicalType":"timestamp-millis"}},
  {"name":"worth","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
  {"name":"friends","type":{"type":"array","items":"Person"}},
  {"name":"tags","type":{"type":"map","values":"float"}},
  {"name":"kind","type":{"type":"enum","name":"Sort","symbols":["A","B"]}},
  {"name":"raw","type":{"type":"fixed","name":"Two","size":2}}]}"#;

#[test]
fn a_record_of_every_type_is_opened() {
    let bytes = b"\x06Ann\x02\x54\x80\xd0\xa8\xa9\xfa\x63\x04\xff\x85\x00\x02\x02x\xcd\xcc\xcc\x3d\x00\x02ab";
    let value = schema(PERSON).decode(bytes).unwrap();
    assert_eq!(
        json::to_string(&value),
        r#"{"name":"Ann","age":42,"seen":"2024-06-01T06:55:36.448000Z","worth":"-1.23","friends":[],"tags":{"x":0.1},"kind":"B","raw":"YWI="}"#
    );
    for end in 0..bytes.len() {
        assert_eq!(schema(PERSON).decode(&bytes[..end]), Err(DecodeError::Short), "{end}");
    }
    assert_eq!(schema(PERSON).decode(&[bytes.as_slice(), b"\0"].concat()), Err(DecodeError::Long));
}

#[test]
fn what_takes_no_bytes_is_bounded() {
    let nulls = schema(r#"{"type":"array","items":"null"}"#);
    let many = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0];
    assert_eq!(nulls.decode(&many), Err(DecodeError::TooMany));
    // A list of records of one field that takes none: its name stands in each.
    let name = "n".repeat(400);
    let records = schema(&format!(
        r#"{{"type":"array","items":{{"type":"record","name":"R","fields":[{{"name":"{name}","type":"null"}}]}}}}"#
    ));
    // Zigzag of a count, and the end.
    let list = |count: u32| {
        [&[(count << 1) as u8 | 0x80, (count >> 6) as u8 | 0x80, (count >> 13) as u8][..], b"\0"].concat()
    };
    assert_eq!(records.decode(&list(5_000)), Err(DecodeError::TooMany));
    assert!(records.decode(&list(300)).is_ok());
    let itself = schema(r#"{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}"#);
    assert_eq!(itself.decode(&[]), Err(DecodeError::TooDeep));
}

#[test]
fn a_schema_has_one_text() {
    for (text, canonical) in [
        ("string", r#""string""#),
        (r#""string""#, r#""string""#),
        (r#"{"type":"string"}"#, r#""string""#),
        (r#"{"type": {"type":"int"}}"#, r#""int""#),
        (r#"{ "name":"R", "fields":[{"type":"a.E","name":"x"}], "type":"record" , "namespace":"a"}"#, ""),
        (
            r#"{"fields":[{"type":{"type":"enum","symbols":["X"],"name":"a.E"},"name":"x","order":"ascending"}],
                "doc":"d", "own":1, "type":"record","name":"a.R"}"#,
            r#"{"type":"record","name":"R","namespace":"a","doc":"d","fields":[{"name":"x","type":{"type":"enum","name":"E","symbols":["X"]}}],"own":1}"#,
        ),
    ] {
        match Schema::parse(Kind::Avro, text, &[]) {
            Ok(schema) => {
                assert_eq!(schema.canonical(), canonical);
                let again = Schema::parse(Kind::Avro, schema.canonical(), &[]).unwrap();
                assert_eq!(again.canonical(), canonical);
            }
            Err(_) => assert_eq!(canonical, ""),
        }
    }
}

#[test]
fn what_is_no_schema_is_refused_by_its_place() {
    for (text, message) in [
        ("", "the schema is not JSON"),
        ("{", "the schema is not JSON"),
        (r#"{"type":"record","name":"R"}"#, "a record has no list \"fields\" at /"),
        (r#"{"type":"record","name":"R","fields":[{"name":"1x","type":"int"}]}"#, "is no name"),
        (r#"{"type":"array","items":"Other"}"#, "\"Other\" is neither defined"),
        (r#"["int","int"]"#, "a union holds this type twice at /1"),
        (r#"{"type":"enum","name":"E","symbols":["A","A"]}"#, "twice"),
        (r#"{"type":"fixed","name":"F","size":-1}"#, "no size"),
    ] {
        let error = Schema::parse(Kind::Avro, text, &[]).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn references_bring_names() {
    let part = Dependency {
        name: "shop.Part".to_owned(),
        text: r#"{"type":"record","name":"Part","namespace":"shop","fields":[{"name":"n","type":"int"}]}"#
            .into(),
    };
    let text = r#"{"type":"record","name":"Whole","namespace":"shop","fields":[{"name":"part","type":"shop.Part"}]}"#;
    let whole = Schema::parse(Kind::Avro, text, &[part]).unwrap();
    assert_eq!(json::to_string(&whole.decode(&[4]).unwrap()), r#"{"part":{"n":2}}"#);
    assert!(whole.canonical().contains(r#""type":"Part""#), "{}", whole.canonical());
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
}

#[test]
fn readers_and_writers() {
    let a = r#"{"name":"a","type":"int"}"#;
    let with_default = r#"{"name":"b","type":"string","default":""}"#;
    let without = r#"{"name":"b","type":"string"}"#;
    let letters = |symbols: &str| format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}]}}"#);
    for (reader, writer, error) in [
        (record(&format!("{a},{with_default}")), record(a), None),
        (record(&format!("{a},{without}")), record(a), Some("READER_FIELD_MISSING_DEFAULT_VALUE")),
        (record(a), record(&format!("{a},{without}")), None),
        (record(r#"{"name":"a","type":"long"}"#), record(a), None),
        (record(a), record(r#"{"name":"a","type":"long"}"#), Some("TYPE_MISMATCH")),
        (record(r#"{"name":"z","aliases":["a"],"type":"int"}"#), record(a), None),
        (record(r#"{"name":"a","type":["null","int"]}"#), record(a), None),
        (record(a), record(r#"{"name":"a","type":["null","int"]}"#), Some("TYPE_MISMATCH")),
        (r#"["null","int"]"#.into(), r#"["null","string"]"#.into(), Some("MISSING_UNION_BRANCH")),
        (letters(r#""A","B""#), letters(r#""A""#), None),
        (letters(r#""A""#), letters(r#""A","B""#), Some("MISSING_ENUM_SYMBOLS")),
        (r#"{"type":"enum","name":"E","symbols":["A"],"default":"A"}"#.into(), letters(r#""B""#), None),
        (
            r#"{"type":"fixed","name":"F","size":2}"#.into(),
            r#"{"type":"fixed","name":"F","size":3}"#.into(),
            Some("FIXED_SIZE_MISMATCH"),
        ),
        (
            r#"{"type":"fixed","name":"F","size":2}"#.into(),
            r#"{"type":"fixed","name":"G","size":2}"#.into(),
            Some("NAME_MISMATCH"),
        ),
        (r#""bytes""#.into(), r#""string""#.into(), None),
        (
            r#"{"type":"map","values":"int"}"#.into(),
            r#"{"type":"map","values":"double"}"#.into(),
            Some("TYPE_MISMATCH"),
        ),
    ] {
        let (reader, writer): (String, String) = (reader, writer);
        let found = schema(&reader).incompatibilities(&schema(&writer));
        assert_eq!(found.first().map(|one| one.error), error, "{reader} reads {writer}");
    }
}

#[test]
fn types_that_hold_themselves_are_compared() {
    let list = |of: &str| {
        format!(
            r#"{{"type":"record","name":"L","fields":[{{"name":"v","type":"{of}"}},{{"name":"next","type":["null","L"]}}]}}"#
        )
    };
    assert!(schema(&list("long")).incompatibilities(&schema(&list("int"))).is_empty());
    assert!(!schema(&list("int")).incompatibilities(&schema(&list("long"))).is_empty());
}

#[test]
fn levels_look_both_ways() {
    let old = schema(&record(r#"{"name":"a","type":"int"}"#));
    let new = schema(&record(r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#));
    for (level, fits) in [
        (Level::None, true),
        (Level::Backward, false),
        (Level::Forward, true),
        (Level::Full, false),
        (Level::FullTransitive, false),
    ] {
        assert_eq!(level.check(&new, &old).is_empty(), fits, "{}", level.name());
        assert_eq!(Level::from_name(&level.name().to_lowercase()), Some(level));
    }
    assert_eq!(
        Level::Backward.check(&new, &old),
        [
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/1' in the new \
          schema has no default value and is missing in the old schema', additionalInfo:'b'}"
        ]
    );
}

#[test]
fn texts_change_and_nothing_else() {
    let schema = schema(PERSON);
    let bytes =
        b"\x06Ann\x02\x54\x80\xd0\xa8\xa9\xfa\x63\x04\xff\x85\x00\x01\x0c\x02x\x00\x00\xc0\x7f\x00\x02ab";
    let before = schema.decode(bytes).unwrap();
    let mut after = before.clone();
    after.as_object_mut().unwrap().insert("name", "[name]");
    let patched = schema.patched(bytes, &before, &after).unwrap();
    assert_eq!(json::to_string(&schema.decode(&patched).unwrap()), json::to_string(&after));
    assert_eq!(
        &patched[7..],
        b"\x02\x54\x80\xd0\xa8\xa9\xfa\x63\x04\xff\x85\x00\x02\x02x\x00\x00\xc0\x7f\x00\x02ab".as_slice()
    );
    for (name, value) in [("age", "x"), ("kind", "A"), ("raw", "AAA="), ("worth", "0.00")] {
        let mut after = before.clone();
        after.as_object_mut().unwrap().insert(name, value);
        assert!(schema.patched(bytes, &before, &after).is_err(), "{name}");
    }
}

#[test]
fn values_are_written_and_opened_again() {
    let given = r#"{"name":"Ann","age":{"int":42},"seen":1717224936448,"worth":"ÿ\u0085","friends":[],"tags":{"x":0.1},"kind":"B","raw":"ab"}"#;
    let value = json::parse(given.as_bytes(), json::Leniency::STRICT).unwrap();
    let bytes = schema(PERSON).encode(&value).unwrap();
    assert_eq!(
        json::to_string(&schema(PERSON).decode(&bytes).unwrap()),
        r#"{"name":"Ann","age":42,"seen":"2024-06-01T06:55:36.448000Z","worth":"-1.23","friends":[],"tags":{"x":0.1},"kind":"B","raw":"YWI="}"#
    );
    // A branch that is not named, and a time as it is shown.
    for (before, after) in [(r#"{"int":42}"#, "42"), ("1717224936448", r#""2024-06-01T06:55:36.448Z""#)] {
        let plain = json::parse(given.replace(before, after).as_bytes(), json::Leniency::STRICT).unwrap();
        assert_eq!(schema(PERSON).encode(&plain), Ok(bytes.clone()), "{after}");
    }
    for (before, after, why) in [
        (r#""name":"Ann","#, "", "name: it is missing"),
        (r#""Ann""#, "1", "name: a string is expected"),
        (r#"{"int":42}"#, r#"{"int":"x"}"#, "age: an int is expected"),
        (r#"{"int":42}"#, "1.5", "age: an int is expected"),
        (r#""B""#, r#""C""#, "kind: it is no symbol of shop.Sort"),
        (r#""ab""#, r#""a""#, "raw: shop.Two has 2 bytes"),
        ("\u{ff}", "\u{100}", "worth: a character above U+00FF is no byte"),
        ("[]", r#"[{"name":2}]"#, "friends.0.name: a string is expected"),
        (r#""tags""#, r#""rags""#, "rags: shop.Person has no such field"),
    ] {
        let wrong = json::parse(given.replace(before, after).as_bytes(), json::Leniency::STRICT).unwrap();
        assert_eq!(schema(PERSON).encode(&wrong).unwrap_err().to_string(), why);
    }
}

#[test]
fn a_value_that_fits_no_branch_at_any_depth_is_bounded() {
    let itself = schema(
        r#"{"type":"record","name":"A","fields":[{"name":"r","type":["null","A",
           {"type":"record","name":"B","fields":[{"name":"r","type":["null","A","B"]}]}]}]}"#,
    );
    let deep = format!("{}1{}", r#"{"r":"#.repeat(50), "}".repeat(50));
    let value = json::parse(deep.as_bytes(), json::Leniency::STRICT).unwrap();
    assert!(itself.encode(&value).is_err());
}

#[test]
fn types_of_one_schema_under_two_names_are_defined_once() {
    let text: std::sync::Arc<str> = r#"{"type":"fixed","name":"shop.Part","size":4}"#.into();
    let of = |name: &str| Dependency { name: name.to_owned(), text: std::sync::Arc::clone(&text) };
    let given = r#"{"type":"array","items":"shop.Part"}"#;
    assert!(Schema::parse(Kind::Avro, given, &[of("shop.Part"), of("part")]).is_ok());
}
