//! Values that name schemas: what the gate opens of them, and what readers are shown.

use std::sync::Arc;

use candor_gate::{Part, ValuesMode};
use candor_model::json;
use candor_records::Codec;
use candor_schemas::{Kind, Schema};

use crate::Bed;
use crate::streams::{One, Sent, batch, clear, refused, stored, stream};

const CARD: &str = "4111111111111111";

fn bed(kind: Kind, schema: &str) -> Bed {
    let bed = Bed::new();
    bed.gate.set_schemas(Arc::new(One(Arc::new(Schema::parse(kind, schema, &[]).unwrap()))));
    bed
}

fn framed(id: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    [&[0, 0, 0, 0, id], payload.as_ref()].concat()
}

fn sent(value: Vec<u8>) -> Sent {
    Sent { value: Some(value), ..Sent::default() }
}

fn said(bed: &Bed, mode: ValuesMode, part: Part, bytes: &[u8]) -> Option<String> {
    bed.gate.shown(bed.scope.project(), (mode, part), bytes).map(|(_, value)| json::to_string(&value))
}

#[test]
fn what_came_before_its_schema_is_shown_as_the_rules_have_it() {
    // The gate knows no schema as yet.
    let before = Bed::new();
    let value = framed(7, [&[CARD.len() as u8 * 2][..], CARD.as_bytes()].concat());
    assert_eq!(stored(&before, ValuesMode::Auto, &[sent(value.clone())]), [sent(value.clone())]);
    let bed = bed(Kind::Avro, r#"{"type":"record","name":"R","fields":[{"name":"note","type":"string"}]}"#);
    for part in [Part::Key, Part::Value] {
        let shown = said(&bed, ValuesMode::Auto, part, &value).unwrap();
        assert!(shown.contains("note") && !shown.contains(CARD), "{shown}");
    }
    // What was cleared as it came is shown as it is stored.
    let cleared = stored(&bed, ValuesMode::Auto, &[sent(value.clone())]).remove(0).value.unwrap();
    assert_eq!(
        said(&bed, ValuesMode::Auto, Part::Value, &cleared),
        said(&bed, ValuesMode::Auto, Part::Value, &value)
    );
}

#[test]
fn readers_open_what_the_topic_says() {
    let bed = bed(Kind::Json, "{}");
    let value = framed(7, "{}");
    for mode in ValuesMode::ALL {
        let by_schema = matches!(mode, ValuesMode::Auto | ValuesMode::Schema);
        assert_eq!(said(&bed, mode, Part::Value, &value).is_some(), by_schema, "{mode:?}");
        assert_eq!(said(&bed, mode, Part::Key, &value).is_some(), mode.opens(), "{mode:?}");
    }
}

#[test]
fn json_that_names_a_schema_is_cleared_however_it_can_be_read() {
    let bed = bed(Kind::Json, "{}");
    let deep = format!("{}\"{CARD}\"{}", "[".repeat(80), "]".repeat(80));
    let broken = format!("{{\"card\": \"{CARD}\"");
    for mode in [ValuesMode::Auto, ValuesMode::Schema] {
        for text in [&deep, &broken] {
            let value = framed(7, text);
            assert_eq!(said(&bed, mode, Part::Value, &value), None);
            let stored = stored(&bed, mode, &[sent(value.clone())]).remove(0).value.unwrap();
            assert!(stored.starts_with(&value[..5]));
            assert!(!String::from_utf8_lossy(&stored).contains(CARD), "{mode:?} {text}");
        }
    }
    // Its schema is not known yet.
    let stored = stored(&bed, ValuesMode::Auto, &[sent(framed(8, format!("{{\"card\": \"{CARD}\"}}")))]);
    let stored = stored[0].value.as_deref().unwrap();
    assert!(stored.starts_with(b"\0\0\0\0\x08{\"card\": \"") && stored.ends_with(b"\"}"));
    assert!(!String::from_utf8_lossy(stored).contains(CARD));
}

#[test]
fn a_batch_that_schemas_make_too_much_of_is_refused() {
    let name = "n".repeat(250);
    let bed = bed(
        Kind::Avro,
        &format!(
            r#"{{"type":"array","items":{{"type":"record","name":"R","fields":[{{"name":"{name}","type":"null"}}]}}}}"#
        ),
    );
    // A thousand items that take no bytes.
    let value = framed(7, [0xd0, 0x0f, 0]);
    assert!(said(&bed, ValuesMode::Auto, Part::Value, &value).unwrap().len() > 200_000);
    let few = vec![sent(value.clone()); 10];
    assert!(clear(&bed, stream(&batch(Codec::None, &few))).is_ok());
    let many = vec![sent(value); 600];
    assert_eq!(refused(clear(&bed, stream(&batch(Codec::None, &many)))), (10, Vec::new()));
}
