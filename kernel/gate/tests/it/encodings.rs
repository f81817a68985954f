//! Streams of text in other encodings than UTF-8, and of what is hardly text: what a rule strikes does not come through.

use candor_gate::{RecordRefusal, StreamBatch, ValuesMode};
use candor_model::{Subject, SubjectKind};
use candor_records::Codec;

use crate::Bed;
use crate::streams::{Sent, batch, clear, header, refused, stored, stream, value};

const DIRTY: [(&str, &str); 4] = [
    ("4111 1111 1111 1111", "[card]"),
    ("4111111111111111", "[card]"),
    ("DE89370400440532013000", "[iban]"),
    ("password=hunter2", "password=[secret]"),
];

fn bytes(value: impl Into<Vec<u8>>) -> Sent {
    Sent { value: Some(value.into()), ..Sent::default() }
}

fn utf16(text: &str, is_little: bool) -> Vec<u8> {
    let bytes = |unit: u16| if is_little { unit.to_le_bytes() } else { unit.to_be_bytes() };
    text.encode_utf16().flat_map(bytes).collect()
}

fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(character).unwrap()).collect()
}

/// What is stored of a part of a record, wherever it stands.
fn everywhere(bed: &Bed, mode: ValuesMode, part: &[u8]) -> Vec<u8> {
    let records = [
        bytes(part),
        Sent { key: Some(part.to_vec()), ..value("v") },
        Sent { headers: vec![(b"note".to_vec(), Some(part.to_vec()))], ..value("v") },
    ];
    let stored = stored(bed, mode, &records);
    let parts = [&stored[0].value, &stored[1].key, &stored[2].headers[0].1];
    assert!(parts.iter().all(|one| *one == parts[0]), "{part:?}: {stored:?}");
    parts[0].clone().unwrap()
}

#[test]
fn utf16_is_text() {
    let bed = Bed::new();
    for (dirty, clean) in DIRTY {
        let text = |it: &str| format!("Žluťoučký harmlesscanary {it} ");
        for is_little in [true, false] {
            let encode = |it: &str| utf16(&text(it), is_little);
            for mark in [&[][..], &utf16("\u{feff}", is_little)] {
                let sent = [mark, &encode(dirty)].concat();
                assert_eq!(
                    everywhere(&bed, ValuesMode::Auto, &sent),
                    [mark, &encode(clean)].concat(),
                    "{dirty}"
                );
                let of_text = stored(&bed, ValuesMode::Text, &[bytes(sent)]);
                assert_eq!(of_text[0].value, Some([mark, &encode(clean)].concat()));
            }
        }
    }
    // Without a mark, most of it in another script: what stands in it is blanked at its length.
    let cyrillic = |number: &str| utf16(&format!("номеркартызаказчика {number}"), true);
    let out = everywhere(&bed, ValuesMode::Auto, &cyrillic("4111111111111111"));
    assert_eq!(out, cyrillic("****************"));
}

#[test]
fn utf16_may_be_json() {
    let bed = Bed::new();
    let sent = r#" { "n" : 1.50, "password" : "hunter2" }"#;
    let clean = r#" { "n" : 1.50, "password" : "[secret]" }"#;
    for mode in [ValuesMode::Auto, ValuesMode::Text, ValuesMode::Json] {
        let stored = stored(&bed, mode, &[bytes(utf16(sent, true))]);
        assert_eq!(stored[0].value, Some(utf16(clean, true)), "{mode:?}");
    }
    let number = batch(Codec::None, &[bytes(utf16(r#"{"card":4111111111111111}"#, false))]);
    assert_eq!(refused(clear(&bed, stream(&number))).1, [(0, RecordRefusal::Type)]);
}

#[test]
fn text_of_one_byte_a_character_is_text() {
    let bed = Bed::new();
    for (dirty, clean) in DIRTY {
        let text = |it: &str| latin(&format!("Müller harmlesscanary {it} à"));
        assert_eq!(everywhere(&bed, ValuesMode::Auto, &text(dirty)), text(clean));
        assert_eq!(stored(&bed, ValuesMode::Text, &[bytes(text(dirty))])[0].value, Some(text(clean)));
        // UTF-8 that was cut within a character, and that has a stray byte in it.
        for stray in [&b"\xc3"[..], b"\xff\xe2\x82"] {
            let text = |it: &str| [format!("Žluťoučký {it} ").as_bytes(), stray].concat();
            assert_eq!(everywhere(&bed, ValuesMode::Auto, &text(dirty)), text(clean));
        }
    }
    assert_eq!(everywhere(&bed, ValuesMode::Auto, b"\xff\xc3\x28harmless\xa0"), b"\xff\xc3\x28harmless\xa0");
    // A name of a header, and what it says of its value.
    let named = |name: &[u8], value: &[u8]| Sent {
        headers: vec![(name.to_vec(), Some(value.to_vec()))],
        ..value_of_nothing()
    };
    let sent = [named(b"\xfc 4111111111111111", b"x"), named(b"password", b"h\xfcnter2")];
    let clean = [named(b"\xfc [card]", b"x"), named(b"password", b"[secret]")];
    assert_eq!(stored(&bed, ValuesMode::Auto, &sent), clean);
}

fn value_of_nothing() -> Sent {
    Sent::default()
}

#[test]
fn whom_text_of_another_encoding_names_stands_beside_it() {
    let bed = Bed::new();
    let text = "POST /a?email=m%C3%BCller%40example.com&user_id=m\u{fc}ller done";
    let records = [bytes(latin(text)), bytes(utf16(text, true)), value(text)];
    let cleared = clear(&bed, stream(&batch(Codec::None, &records))).unwrap();
    let mut opened = cleared.admitted.subjects().open();
    let codes: Vec<Vec<String>> =
        (0..3).map(|delta| opened.of(delta).into_iter().map(str::to_owned).collect()).collect();
    assert!(!codes[0].is_empty() && codes.iter().all(|one| *one == codes[0]), "{codes:?}");
    let subject = Subject { kind: SubjectKind::User, value: "müller".to_owned() };
    let code = bed.keyring.code(bed.scope.project(), None, &subject);
    assert!(codes[0].contains(&code), "{codes:?}");
}

#[test]
fn in_what_is_mostly_text_nothing_moves() {
    let bed = Bed::new();
    let card = "4111111111111111";
    let stars = "*".repeat(card.len());
    for (before, behind) in [
        ("card\0", ""),
        ("card ", "\0\0\0\0\0\0\0\0"),
        ("\u{2}order 17 paid by card of somebody ", "\u{8}"),
        ("harmlesscanary\u{0} of more than a few words ", "\u{7f}\u{6}and on it goes for some time"),
    ] {
        let text = |it: &str| format!("{before}{it}{behind}").into_bytes();
        assert_eq!(everywhere(&bed, ValuesMode::Auto, &text(card)), text(&stars), "{before:?}");
    }
    // A message of Protocol Buffers whose text is long: its lengths stay right.
    let message = |it: &str| {
        [&b"\x0a\x31the order was paid with a "[..], it.as_bytes(), b"... ...\x12\x04done"].concat()
    };
    assert_eq!(everywhere(&bed, ValuesMode::Auto, &message(card)), message(&stars));
    // What stands in it has the name of its header.
    let named = |it: &str| header("password", &format!("{it}\u{3}"));
    let long = "correct horse battery";
    assert_eq!(stored(&bed, ValuesMode::Auto, &[named(long)]), [named(&"*".repeat(long.len()))]);
    // Text of 16 bits a character within something binary.
    let dump = |it: &str| [&[1, 2, 0xff, 3, 0xfe][..], &utf16(it, true), &[0xff, 0, 0, 9]].concat();
    assert_eq!(
        everywhere(&bed, ValuesMode::Auto, &dump("card 4111111111111111")),
        dump(&format!("card {stars}"))
    );
    let dump = |it: &str| [&[1, 2, 0xff, 3, 0xfe][..], &utf16(it, false), &[0xff, 9]].concat();
    assert_eq!(
        everywhere(&bed, ValuesMode::Auto, &dump("card 4111111111111111")),
        dump(&format!("card {stars}"))
    );
}

#[test]
fn a_topic_of_json_takes_json_and_text() {
    let bed = Bed::new();
    let json = |sent: Sent| {
        let sent = batch(Codec::None, &[value("{}"), sent]);
        clear(&bed, StreamBatch { values: ValuesMode::Json, ..stream(&sent) })
    };
    let text = [
        "password=hunter2",
        r#"{"password":"hunter2"#,
        "[1, 2, password=hunter2 ",
        "\u{feff}{\"password\":\"hunter2\"}",
    ];
    for text in text.map(str::to_owned) {
        let stored = stored(&bed, ValuesMode::Json, &[value(&text)]);
        let stored = String::from_utf8(stored[0].value.clone().unwrap()).unwrap();
        assert!(!stored.contains("hunter2"), "{stored}");
    }
    for binary in [vec![0xff, 0, 7], vec![0; 3], b"mostly text, and then something\x02".to_vec()] {
        assert_eq!(refused(json(bytes(binary))), (87, vec![(1, RecordRefusal::Json)]));
    }
    for fine in [Sent::default(), bytes(""), value("text"), bytes(b"\0\0\0\0\x07{\"a\":1}".to_vec())] {
        assert!(json(fine.clone()).is_ok(), "{fine:?}");
    }
    let framed = |it: &str| bytes([&b"\0\0\0\0\x07"[..], it.as_bytes()].concat());
    let stored = stored(&bed, ValuesMode::Json, &[framed(r#"{"password":"hunter2"}"#)]);
    assert_eq!(stored, [framed(r#"{"password":"[secret]"}"#)]);
    assert!(RecordRefusal::Json.to_string().contains("`candor.values`"));
    // A policy that takes nothing that is not opened takes no other text there.
    let bed = Bed::under("[collect.streams]\n\"orders.1\" = { values = \"json\", opaque = \"reject\" }");
    let sent = batch(Codec::None, &[value("text"), value("{}")]);
    assert_eq!(refused(clear(&bed, stream(&sent))), (87, vec![(0, RecordRefusal::Json)]));
}

#[test]
fn where_nothing_may_stay_closed_guesses_open_nothing() {
    let bed = Bed::under("[collect.streams]\n\"orders.1\" = { opaque = \"reject\" }");
    let send = |value: Vec<u8>| clear(&bed, stream(&batch(Codec::None, &[bytes(value)])));
    for guessed in
        [latin("Müller"), b"mostly text, and then something\x02".to_vec(), 65_i64.to_be_bytes().to_vec()]
    {
        assert_eq!(refused(send(guessed.clone())).1, [(0, RecordRefusal::Opaque)], "{guessed:?}");
    }
    assert!(send(utf16("harmless", true)).is_ok(), "UTF-16 is no guess");
}

/// What OTLP calls `bytesValue` comes as base64.
#[test]
fn bytes_of_an_attribute_are_looked_through() {
    let bed = Bed::new();
    let text = "Müller paid with 4111 1111 1111 1111 à";
    let marked = format!("\u{feff}{text}");
    let all =
        [utf16(text, true), utf16(text, false), utf16(&marked, true), utf16(&marked, false), latin(text)];
    for bytes in all {
        let sent = format!(r#"{{"payload": "{}"}}"#, data_encoding::BASE64.encode(&bytes));
        assert_eq!(bed.attributes(&sent).0, "payload=[card]", "{bytes:?}");
    }
}
