//! Files and messages of Protocol Buffers.

use candor_model::Value;
use candor_model::json::to_string;
use data_encoding::BASE64;

use super::wire::Writer;
use crate::{Budget, DecodeError, Dependency, Kind, Schema};

fn schema(text: &str) -> Schema {
    Schema::parse(Kind::Protobuf, text, &[]).unwrap()
}

const ORDER: &str = r#"
// What a shop sells.
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/struct.proto";
option java_package = "com.example";
message Order {
  enum State { OPEN = 0; PAID = 1 [deprecated = true]; }
  message Line { string sku = 1; sint32 count = 2; }
  reserved 40 to 42, 50 to max;
  reserved "old";
  string id = 1 [json_name = "ID"];
  repeated Line lines = 2;
  map<string, Line> by_name = 3;
  State state = 4;
  google.protobuf.Timestamp at = 5;
  oneof way { string post = 6; bool digital = 7; }
  repeated int32 numbers = 8;
  bytes raw = 9;
  optional double price = 10;
  google.protobuf.Value more = 11;
  uint64 big = 12;
}
message Other { Order.Line line = 1; repeated .shop.Order more = 2; }
service Shop { rpc Buy (Order) returns (stream Other); }
"#;

/// An order, with its message's index before it.
fn order() -> Vec<u8> {
    let mut out = Writer(vec![0]);
    out.text(1, "o1");
    out.message(2, |line| {
        line.text(1, "apple");
        line.number(2, 5);
    });
    out.message(3, |entry| {
        entry.text(1, "k");
        entry.message(2, |line| line.text(1, "pear"));
    });
    out.number(4, 1);
    out.message(5, |at| at.number(1, 1_732_282_000));
    out.text(6, "by sea");
    out.number(7, 1);
    out.bytes(8, &[1, 2, 0x80, 1]);
    out.bytes(9, b"ab");
    out.message(11, |value| value.text(3, "any"));
    out.number(12, -1);
    out.number(99, 1);
    out.0
}

#[test]
fn a_message_of_every_type_is_opened() {
    let schema = schema(ORDER);
    let value = schema.decode(&order()).unwrap();
    assert_eq!(
        to_string(&value),
        concat!(
            r#"{"id":"o1","lines":[{"sku":"apple","count":-3}],"by_name":{"k":{"sku":"pear","count":0}},"state":"PAID","#,
            r#""at":"2024-11-22T13:26:40.000000Z","digital":true,"numbers":[1,2,128],"raw":"YWI=","more":"any","#,
            r#""big":18446744073709551615}"#
        )
    );
    // The second message, and the first within the first.
    let mut other = Writer(vec![2, 2]);
    other.message(1, |line| line.text(1, "x"));
    assert_eq!(to_string(&schema.decode(&other.0).unwrap()), r#"{"line":{"sku":"x","count":0}}"#);
    let mut line = Writer(vec![4, 0, 0]);
    line.text(1, "y");
    assert_eq!(to_string(&schema.decode(&line.0).unwrap()), r#"{"sku":"y","count":0}"#);
    for none in [&[2, 8][..], &[1], &[4, 0, 2], &[0xff; 12]] {
        assert!(schema.decode(none).is_err(), "{none:?}");
    }
    assert_eq!(schema.decode(&[2, 8]), Err(DecodeError::NoMessage));
}

#[test]
fn a_file_has_one_text_and_one_descriptor() {
    let first = schema(ORDER);
    assert_eq!(schema(first.canonical()).canonical(), first.canonical());
    assert!(
        first.canonical().starts_with("syntax = \"proto3\";\npackage shop;\n\nimport "),
        "{}",
        first.canonical()
    );
    // Through a descriptor and back types have their full names, as after normalizing.
    let descriptor = BASE64.encode(&first.descriptor().unwrap());
    let again = schema(&descriptor);
    assert_eq!(again.descriptor(), first.descriptor());
    assert_eq!(again.normalized(), first.normalized());
    assert_eq!(again.decode(&order()), first.decode(&order()));
    assert!(first.incompatibilities(&again).is_empty());
}

#[test]
fn proto2_has_groups_defaults_and_extensions() {
    let text = r#"message A { required int32 n = 1 [default = -7]; optional group G = 2 { optional string s = 1; }
        extensions 100 to 199; optional string t = 3 [default = "a\"b"]; }
        extend A { optional string more = 100; }"#;
    let schema = schema(text);
    assert_eq!(super::tests::schema(schema.canonical()).canonical(), schema.canonical());
    let bytes = [0, 0x08, 0x05, 0x13, 0x0a, 0x01, b'x', 0x14];
    assert_eq!(to_string(&schema.decode(&bytes).unwrap()), r#"{"n":5,"g":{"s":"x"}}"#);
    assert!(schema.decode(&bytes[..7]).is_err());
}

#[test]
fn imports_are_references_or_known() {
    let part = Dependency {
        name: "part.proto".to_owned(),
        text: "syntax = \"proto3\"; package p; message Part { int32 n = 1; }".into(),
    };
    let text = "syntax = \"proto3\"; import \"part.proto\"; import \"confluent/meta.proto\"; message W { p.Part part = 1; }";
    let whole = Schema::parse(Kind::Protobuf, text, &[part]).unwrap();
    assert_eq!(to_string(&whole.decode(&[0, 0x0a, 2, 8, 3]).unwrap()), r#"{"part":{"n":3}}"#);
    let error = Schema::parse(Kind::Protobuf, text, &[]).unwrap_err().to_string();
    assert!(error.contains("part.proto"), "{error}");
    for (bad, message) in [
        ("", ""),
        ("package .p; message A {}", "a name is expected"),
        ("message A { B b = 1; }", "\"B\" is neither"),
        ("message A { int32 a = 1; int32 b = 1; }", "the number 1 is taken"),
        ("message A { int32 a = 0; }", "line 1"),
        ("message A {", "line 1"),
        ("syntax = \"proto3\"; enum E { A = 1; }", "is 0"),
        ("message A {} message A {}", "defined twice"),
        ("\n\nmessage A { int32 a = 1 [default = ]; }", "line 3"),
        ("/* open", "does not end"),
    ] {
        match Schema::parse(Kind::Protobuf, bad, &[]) {
            Ok(_) => assert_eq!(message, "", "{bad}"),
            Err(error) => assert!(error.to_string().contains(message), "{bad}: {error}"),
        }
    }
}

#[test]
fn readers_and_writers() {
    let file =
        |body: &str| format!("syntax = \"proto3\"; message A {{ {body} }} message B {{}} message C {{}}");
    for (reader, writer, error) in [
        ("string a = 1; int32 b = 2;", "string a = 1;", None),
        ("string a = 1;", "string a = 1; int32 b = 2;", None),
        ("string z = 1;", "string a = 1;", None),
        ("int64 a = 1;", "int32 a = 1;", None),
        ("bytes a = 1;", "string a = 1;", None),
        ("string a = 1;", "int32 a = 1;", Some("FIELD_SCALAR_KIND_CHANGED")),
        ("B a = 1;", "C a = 1;", Some("FIELD_NAMED_TYPE_CHANGED")),
        ("B a = 1;", "int32 a = 1;", Some("FIELD_KIND_CHANGED")),
        ("repeated int32 a = 1;", "int32 a = 1;", Some("FIELD_NUMERIC_LABEL_CHANGED")),
        ("repeated string a = 1;", "string a = 1;", None),
        ("oneof o { string a = 1; }", "string a = 1;", None),
        (
            "oneof o { string a = 1; string b = 2; }",
            "string a = 1; string b = 2;",
            Some("MULTIPLE_FIELDS_MOVED_TO_ONEOF"),
        ),
        ("oneof o { string a = 1; }", "oneof o { string a = 1; string b = 2; }", Some("ONEOF_FIELD_REMOVED")),
        ("message I {} I i = 1;", "message I { int32 n = 1; } I i = 1;", None),
        ("", "message I { int32 n = 1; } I i = 1;", Some("MESSAGE_REMOVED")),
        (
            "message I { string n = 1; } I i = 1;",
            "message I { int32 n = 1; } I i = 1;",
            Some("FIELD_SCALAR_KIND_CHANGED"),
        ),
        ("map<string, string> m = 1;", "map<string, int32> m = 1;", Some("FIELD_SCALAR_KIND_CHANGED")),
    ] {
        let found = schema(&file(reader)).incompatibilities(&schema(&file(writer)));
        assert_eq!(found.first().map(|one| one.error), error, "{reader} reads {writer}");
    }
    let required = "message A { required int32 a = 1; }";
    assert_eq!(schema(required).incompatibilities(&schema("message A {}"))[0].error, "REQUIRED_FIELD_ADDED");
    assert_eq!(
        schema("message A {}").incompatibilities(&schema(required))[0].error,
        "REQUIRED_FIELD_REMOVED"
    );
}

#[test]
fn texts_change_and_nothing_else() {
    let schema = schema(ORDER);
    let bytes = order();
    let before = schema.decode(&bytes).unwrap();
    let text = to_string(&before);
    for (old, new) in
        [("o1", "[id]"), ("apple", ""), ("\"k\"", "\"key\""), ("pear", "[fruit]"), ("any", "[more]")]
    {
        let changed = text.replace(old, new);
        let after = candor_model::json::parse(changed.as_bytes(), Default::default()).unwrap();
        let patched = schema.patched(&bytes, &before, &after).unwrap();
        assert_eq!(to_string(&schema.decode(&patched).unwrap()), changed);
    }
    for (old, new) in [("PAID", "OPEN"), ("YWI=", "AAA="), ("-3", "3"), ("2024", "2025")] {
        let after = candor_model::json::parse(text.replace(old, new).as_bytes(), Default::default()).unwrap();
        assert!(schema.patched(&bytes, &before, &after).is_err(), "{old}");
    }
}

#[test]
fn what_changes_in_a_long_list_costs_what_the_list_does() {
    // With the message itself and the members beside the list as many values as one may have.
    const ITEMS: usize = candor_model::limits::RECORD_NODES_MAX - 10;
    let text = r#"syntax = "proto3"; message M { repeated string names = 1; map<string, string> of = 2; string end = 3; }"#;
    let schema = super::link::Schema::parse(text, &[]).unwrap();
    let mut bytes = vec![0];
    for n in 0..ITEMS {
        bytes.extend([0x0a, 0x02, b'a' + (n % 26) as u8, b'x']);
    }
    bytes.extend([0x1a, 0x01, b'e']);
    let before = schema.decode(&bytes).unwrap();
    let mut after = before.clone();
    let names = after.as_object_mut().unwrap().get_mut("names").unwrap();
    let Value::Array(names) = names else { panic!("a list") };
    // The last differs, so that whoever compares the list compares all of it.
    names[ITEMS - 1] = Value::from("[gone]");
    let mut budget = Budget::new(bytes.len());
    let patched = schema.patched_within(&bytes, (&before, &after), &mut budget).unwrap();
    assert!(schema.decode(&patched).unwrap() == after);
    assert!(budget.compared <= 4 * ITEMS, "{} values were held against each other", budget.compared);
}

#[test]
fn messages_are_written_and_opened_again() {
    let schema = schema(ORDER);
    let value = schema.decode(&order()).unwrap();
    assert_eq!(schema.decode(&schema.encode(&value).unwrap()).unwrap(), value);
    let read = |text: &str| {
        candor_model::json::parse(text.as_bytes(), candor_model::json::Leniency::STRICT).unwrap()
    };
    let written = |text: &str| schema.encode(&read(text)).map_err(|error| error.to_string());
    // Names in camel case, numbers as text, enums by number, null for what is not there.
    let one = written(
        r#"{"byName":{"k":{"sku":"pear","count":"-3"}},"state":1,"big":"18446744073709551615","price":null}"#,
    );
    let other =
        written(r#"{"by_name":{"k":{"sku":"pear","count":-3}},"state":"PAID","big":18446744073709551615}"#);
    assert_eq!(one, other);
    for (text, why) in [
        (r#"{"id":1}"#, "id: a value of string is expected"),
        (r#"{"lines":[{"sku":"a"},{"count":2147483648}]}"#, "lines.1.count: a value of sint32 is expected"),
        (r#"{"lines":{}}"#, "lines: a list is expected"),
        (r#"{"by_name":{"k":1}}"#, "by_name.k: an object that is a shop.Order.Line is expected"),
        (r#"{"state":"GONE"}"#, "state: a name or number of the enum is expected"),
        (r#"{"post":"a","digital":true}"#, "digital: another one of its oneof is there already"),
        (r#"{"raw":"%"}"#, "raw: base64 is expected"),
        (r#"{"at":"soon"}"#, "at: a time of RFC 3339 is expected"),
        (r#"{"none":1}"#, "none: shop.Order has no such field"),
        ("[]", "an object that is a shop.Order is expected"),
    ] {
        assert_eq!(written(text), Err(why.to_owned()), "{text}");
    }
}

#[test]
fn a_file_of_two_paths_is_read_once() {
    let text: std::sync::Arc<str> = "syntax = \"proto3\"; package p; message Part { int32 n = 1; }".into();
    let of = |name: &str| Dependency { name: name.to_owned(), text: std::sync::Arc::clone(&text) };
    let given =
        "syntax = \"proto3\"; import \"a.proto\"; import \"b.proto\"; message Whole { p.Part part = 1; }";
    assert!(Schema::parse(Kind::Protobuf, given, &[of("a.proto"), of("b.proto")]).is_ok());
}
