//! Whom the records of a stream are about: told beside the batch, by the codes of signals.

use std::sync::Arc;

use candor_gate::{ClearedStream, StreamBatch, ValuesMode};
use candor_model::LogRecord;
use candor_records::Codec;
use candor_schemas::{Kind, Schema};

use crate::streams::{One, Sent, batch, clear, keyed, refused, stream, value};
use crate::{Bed, object};

/// The codes beside a batch, record by record.
fn codes(cleared: &ClearedStream, records: u32) -> Vec<Vec<String>> {
    let mut opened = cleared.admitted.subjects().open();
    (0..records).map(|delta| opened.of(delta).into_iter().map(str::to_owned).collect()).collect()
}

#[test]
fn whom_a_record_names_stands_beside_it_by_the_codes_of_signals() {
    let bed = Bed::new();
    let record = LogRecord {
        attributes: object(
            r#"{"user.id":"u-17","user.email":"Ada@Example.com","session.id":"s-9","device.id":"d-3"}"#,
        ),
        ..LogRecord::default()
    };
    let row = bed.log(record);
    let of_row = |name: &str| row.iter().find(|(column, _)| column == name).unwrap().1.clone();
    let records = [
        value(r#"{"user":{"id":"u-17","email":"ada@example.com"},"session":{"id":"s-9"},"device_id":"d-3"}"#),
        value("nobody"),
        Sent { headers: vec![(b"user_id".to_vec(), Some(b"u-17".to_vec()))], ..value("v") },
        keyed(r#"{"userId":"u-17"}"#, r#"{"n":1}"#),
        value("POST /a?email=ada%40example.com&x=1 done"),
        value(r#"{"note":"card 4111 1111 1111 1111","user_id":"u-17"}"#),
        value(r#"{"user_id":"4111 1111 1111 1111"}"#),
    ];
    let all: Vec<String> = of_row("subjects").split(", ").map(str::to_owned).collect();
    let user = vec![of_row("subject")];
    let email = vec![all[1].clone()];
    for codec in Codec::ALL {
        let sent = batch(codec, &records);
        let cleared = clear(&bed, stream(&sent)).unwrap();
        let expected =
            vec![all.clone(), vec![], user.clone(), user.clone(), email.clone(), user.clone(), vec![]];
        assert_eq!(codes(&cleared, 7), expected, "{codec:?}");
        assert!(cleared.admitted.vault().is_empty(), "what stays in the record is not in the vault");
    }
    // What names somebody is no change.
    let sent = batch(Codec::Zstd, &records[..5]);
    let cleared = clear(&bed, stream(&sent)).unwrap();
    assert_eq!(cleared.admitted.batch().as_ptr(), sent.as_ptr());
    assert_eq!(cleared.report, candor_gate::GateReport::default());
    // What is not opened names nobody.
    let cleared = clear(&bed, StreamBatch { values: ValuesMode::Opaque, ..stream(&sent) }).unwrap();
    assert!(cleared.admitted.subjects().is_empty());
    let cleared = clear(&bed, StreamBatch { values: ValuesMode::Text, ..stream(&sent) }).unwrap();
    assert_eq!(codes(&cleared, 1), [all], "a text may hold JSON");
}

#[test]
fn persons_are_found_in_values_that_have_a_schema() {
    let bed = Bed::new();
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"user_id","type":"string"}]}"#;
    let schema = Arc::new(Schema::parse(Kind::Avro, schema, &[]).unwrap());
    bed.gate.set_schemas(Arc::new(One(schema)));
    let sent = Sent { value: Some(b"\0\0\0\0\x07\x08u-17".to_vec()), ..Sent::default() };
    let cleared = clear(&bed, stream(&batch(Codec::None, &[sent]))).unwrap();
    let plain = clear(&bed, stream(&batch(Codec::None, &[value(r#"{"user_id":"u-17"}"#)]))).unwrap();
    assert_eq!(codes(&cleared, 1), codes(&plain, 1));
    assert_eq!(codes(&cleared, 1)[0].len(), 1);
}

#[test]
fn a_batch_that_unfolds_to_too_many_persons_is_refused() {
    let bed = Bed::new();
    let records: Vec<Sent> = (0..4_200)
        .map(|record| {
            let members: Vec<String> = (0..64).map(|n| format!(r#"{{"user_id":"{record}-{n}"}}"#)).collect();
            value(&format!("[{}]", members.join(",")))
        })
        .collect();
    let one = clear(&bed, StreamBatch { max_bytes: 64 << 20, ..stream(&batch(Codec::Zstd, &records[..99])) });
    assert_eq!(codes(&one.unwrap(), 99)[98].len(), 64);
    let all = StreamBatch { max_bytes: 64 << 20, ..stream(&batch(Codec::Zstd, &records)) };
    assert_eq!(refused(clear(&bed, all)).0, 10);
}
