//! JSON: goldens, and the documents walker.

use candor_model::json::{self, Leniency};
use expect_test::{Expect, expect};

fn check(leniency: Leniency, inputs: &[&[u8]], expected: Expect) {
    let mut seen = String::new();
    for input in inputs {
        let outcome = match json::parse(input, leniency) {
            Ok(value) => format!("{value:?}"),
            Err(error) => format!("error: {error}"),
        };
        seen.push_str(&format!("{} => {outcome}\n", input.escape_ascii()));
    }
    expected.assert_eq(&seen);
}

#[test]
fn numbers() {
    check(
        Leniency::STRICT,
        &[
            b"0",
            b"-0",
            b"-1",
            b"9223372036854775807",
            b"-9223372036854775808",
            b"9223372036854775808",
            b"18446744073709551615",
            b"18446744073709551616",
            b"-9223372036854775809",
            b"4111111111111111",
            b"123456789012345678901234567890",
            b"1.0",
            b"1e3",
            b"-1.5E-3",
            b"1e-400",
            b"1e400",
            b"01",
            b"-",
            b"1.",
            b"1e",
            b".5",
            b"+1",
            b"0x10",
            b"NaN",
            b"-Infinity",
        ],
        expect![[r#"
            0 => Int(0)
            -0 => Float(-0.0)
            -1 => Int(-1)
            9223372036854775807 => Int(9223372036854775807)
            -9223372036854775808 => Int(-9223372036854775808)
            9223372036854775808 => UInt(9223372036854775808)
            18446744073709551615 => UInt(18446744073709551615)
            18446744073709551616 => BigInt("18446744073709551616")
            -9223372036854775809 => BigInt("-9223372036854775809")
            4111111111111111 => Int(4111111111111111)
            123456789012345678901234567890 => BigInt("123456789012345678901234567890")
            1.0 => Float(1.0)
            1e3 => Float(1000.0)
            -1.5E-3 => Float(-0.0015)
            1e-400 => Float(0.0)
            1e400 => error: number beyond the range of a double at byte 0
            01 => error: leading zero in a number at byte 0
            - => error: unexpected end at byte 1
            1. => error: unexpected end at byte 2
            1e => error: unexpected end at byte 2
            .5 => error: expected a value at byte 0
            +1 => error: expected a value at byte 0
            0x10 => error: unexpected text after the value at byte 1
            NaN => error: expected a value at byte 0
            -Infinity => error: expected a digit at byte 1
        "#]],
    );
    check(
        Leniency::LENIENT,
        &[b"[NaN,Infinity,-Infinity]", b"1e400", b"Nan", b"-I", b"-Infinit"],
        expect![[r#"
            [NaN,Infinity,-Infinity] => Array([Float(NaN), Float(inf), Float(-inf)])
            1e400 => Float(inf)
            Nan => error: expected a value at byte 0
            -I => error: expected a value at byte 1
            -Infinit => error: expected a value at byte 1
        "#]],
    );
}

#[test]
fn strings() {
    let inputs: &[&[u8]] = &[
        br#""""#,
        br#""a\"\\\/\b\f\n\r\tz""#,
        br#""\u00e9\u20AC\ud83d\ude00""#,
        "\"žluťoučký kůň 😀\"".as_bytes(),
        br#""\ud83d""#,
        br#""a\ud83dz""#,
        br#""\ud83d\u0041""#,
        br#""\ude00\ud83d\ude00""#,
        b"\"a\xffb\"",
        b"\"\xed\xa0\xbd \\n \xc3\"",
        b"{\"k\xff\":1}",
        b"\"a\nb\"",
        b"\"\x00\"",
        br#""\x41""#,
        br#""\u12g4""#,
        br#""\u12"#,
        br#""\"#,
        br#""abc"#,
        b"\"\\ud83d\\u12",
    ];
    check(
        Leniency::STRICT,
        inputs,
        expect![[r#"
            \"\" => Str("")
            \"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\" => Str("a\"\\/\u{8}\u{c}\n\r\tz")
            \"\\u00e9\\u20AC\\ud83d\\ude00\" => Str("é€😀")
            \"\xc5\xbelu\xc5\xa5ou\xc4\x8dk\xc3\xbd k\xc5\xaf\xc5\x88 \xf0\x9f\x98\x80\" => Str("žluťoučký kůň 😀")
            \"\\ud83d\" => error: lone surrogate at byte 3
            \"a\\ud83dz\" => error: lone surrogate at byte 4
            \"\\ud83d\\u0041\" => error: lone surrogate at byte 3
            \"\\ude00\\ud83d\\ude00\" => error: lone surrogate at byte 3
            \"a\xffb\" => error: invalid UTF-8 at byte 2
            \"\xed\xa0\xbd \\n \xc3\" => error: invalid UTF-8 at byte 1
            {\"k\xff\":1} => error: invalid UTF-8 at byte 3
            \"a\nb\" => error: control character in a string at byte 2
            \"\x00\" => error: control character in a string at byte 1
            \"\\x41\" => error: unknown escape at byte 2
            \"\\u12g4\" => error: expected four hexadecimal digits at byte 5
            \"\\u12 => error: unexpected end at byte 5
            \"\\ => error: unexpected end at byte 2
            \"abc => error: unexpected end at byte 4
            \"\\ud83d\\u12 => error: unexpected end at byte 11
        "#]],
    );
    check(
        Leniency::LENIENT,
        inputs.get(4..11).expect("there are that many"),
        expect![[r#"
            \"\\ud83d\" => Str("�")
            \"a\\ud83dz\" => Str("a�z")
            \"\\ud83d\\u0041\" => Str("�A")
            \"\\ude00\\ud83d\\ude00\" => Str("�😀")
            \"a\xffb\" => Str("a�b")
            \"\xed\xa0\xbd \\n \xc3\" => Str("��� \n �")
            {\"k\xff\":1} => Object(Object([("k�", Int(1))]))
        "#]],
    );
}

#[test]
fn structure() {
    check(
        Leniency::STRICT,
        &[
            b"",
            b"  \n",
            b"\xef\xbb\xbf {}",
            b" [ ] ",
            br#"{"a":1,"b":[true,false,null],"a":2}"#,
            b"[1,]",
            b"[,1]",
            b"[1 2]",
            b"{\"a\"}",
            b"{\"a\":}",
            b"{\"a\":1,}",
            b"{a:1}",
            b"[1",
            b"{",
            b"{\"a\":1 \"b\":2}",
            b"truex",
            b"tru",
            b"nul",
            b"{} {}",
            b"]",
        ],
        expect![[r#"
             => error: unexpected end at byte 0
              \n => error: unexpected end at byte 3
            \xef\xbb\xbf {} => Object(Object([]))
             [ ]  => Array([])
            {\"a\":1,\"b\":[true,false,null],\"a\":2} => Object(Object([("a", Int(1)), ("b", Array([Bool(true), Bool(false), Null])), ("a", Int(2))]))
            [1,] => error: expected a value at byte 3
            [,1] => error: expected a value at byte 1
            [1 2] => error: expected `,` or `]` at byte 3
            {\"a\"} => error: expected `:` at byte 4
            {\"a\":} => error: expected a value at byte 5
            {\"a\":1,} => error: expected a key at byte 7
            {a:1} => error: expected a key at byte 1
            [1 => error: unexpected end at byte 2
            { => error: unexpected end at byte 1
            {\"a\":1 \"b\":2} => error: expected `,` or `}` at byte 7
            truex => error: unexpected text after the value at byte 4
            tru => error: expected a value at byte 0
            nul => error: expected a value at byte 0
            {} {} => error: unexpected text after the value at byte 3
            ] => error: expected a value at byte 0
        "#]],
    );
}

#[test]
fn bounds() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(json::parse(nested(64).as_bytes(), Leniency::STRICT).is_ok());
    let error = json::parse(nested(65).as_bytes(), Leniency::STRICT).expect_err("one too deep");
    assert_eq!(error.what, "nested too deep");
    let deep = "{\"a\":".repeat(5_000_000);
    assert_eq!(
        json::parse(deep.as_bytes(), Leniency::STRICT).expect_err("far too deep").what,
        "nested too deep"
    );

    let wide = |items: usize| format!("[{}1]", "1,".repeat(items - 1));
    assert!(json::parse(wide(199_999).as_bytes(), Leniency::STRICT).is_ok());
    let error = json::parse(wide(200_000).as_bytes(), Leniency::STRICT).expect_err("one too many");
    assert_eq!(error.what, "too many members");
    assert!(json::parse_body(wide(200_000).as_bytes(), Leniency::STRICT).is_ok());
}

fn check_documents(input: &str, expected: Expect) {
    let mut seen = String::new();
    for (offset, document) in json::documents(input.as_bytes(), Leniency::LENIENT) {
        let outcome = match document {
            Ok(value) => json::to_string(&value),
            Err(error) => format!("error: {error}"),
        };
        seen.push_str(&format!("{offset}: {outcome}\n"));
    }
    expected.assert_eq(&seen);
}

#[test]
fn documents_resume_after_a_bad_line() {
    check_documents(
        "{\"a\":1}\r\n\n{\"a\":2\n{\"a\":3}\nnot json\n{\"a\":4} trailing\n{\"a\":5}",
        expect![[r#"
            0: {"a":1}
            10: error: expected `,` or `}` at byte 17
            17: {"a":3}
            25: error: expected a value at byte 25
            34: {"a":4}
            42: error: expected a value at byte 42
            51: {"a":5}
        "#]],
    );
    check_documents(
        "\u{feff}{\"a\":1}{\"a\":2}[3]\"4\"5 6\n{\n  \"a\": 7\n}\n\u{1e}{\"a\":8}\n\u{1e}{\"a",
        expect![[r#"
            3: {"a":1}
            10: {"a":2}
            17: [3]
            20: "4"
            23: 5
            25: 6
            27: {"a":7}
            41: {"a":8}
            50: error: unexpected end at byte 53
        "#]],
    );
    check_documents("", expect![""]);
    check_documents(" \n\n ", expect![""]);
    check_documents("x", expect!["0: error: expected a value at byte 0\n"]);
}

#[test]
fn elements_come_one_by_one() {
    let check = |input: &str, expected: Expect| {
        let seen = match json::elements(input.as_bytes(), Leniency::LENIENT) {
            None => "not a list".to_owned(),
            Some(elements) => elements
                .map(|item| match item {
                    Ok(value) => json::to_string(&value),
                    Err(error) => format!("error: {error}"),
                })
                .collect::<Vec<_>>()
                .join(" | "),
        };
        expected.assert_eq(&seen);
    };
    check(" [ ] ", expect![""]);
    check("[1, {\"a\":[]} ,\"x\"]\n", expect![[r#"1 | {"a":[]} | "x""#]]);
    check("[1,]", expect!["1 | error: expected a value at byte 3"]);
    check("[1 2]", expect!["1 | error: expected `,` or `]` at byte 3"]);
    check("[1] 2", expect!["1 | error: unexpected text after the value at byte 4"]);
    check("[1", expect!["1 | error: unexpected end at byte 2"]);
    check("[", expect!["error: unexpected end at byte 1"]);
    check("{}", expect!["not a list"]);
}
