//! The parser against serde_json over mutated input; see [`candor_testbed::fuzz`] for how long.

use candor_model::json::{self, Leniency};
use candor_model::random::Seeded;
use candor_model::{Random, Value};
use candor_testbed::fuzz::{Body, fuzz};

/// Seeds for mutation: every construct once.
const CORPUS: &[&str] = &[
    r#"{"timestamp":"2026-01-02T03:04:05.678Z","level":"info","msg":"user \"jane\" did\n it","n":-12.5e3,"ok":true}"#,
    r#"[0,-0,1,-1,9223372036854775807,9223372036854775808,18446744073709551615,18446744073709551616,-9223372036854775808,-9223372036854775809]"#,
    r#"[1e5,1E+5,1e-5,0.1,123.456,1e308,1e309,5e-324,1e-999]"#,
    r#"{"a":{"b":{"c":[[],{},[{}],""]}},"a":"\u00e9\ud83d\ude00\ud83d\u0000","é":"žš😀"}"#,
    r#"[NaN,Infinity,-Infinity,null,true,false]"#,
    "{\n\t\"x\" : [ 1 , 2 ]\r\n}\n{\"y\":2}",
];

fn mutated(random: &Seeded) -> Vec<u8> {
    let pick = |below: usize| (random.next_u64() % below.max(1) as u64) as usize;
    let seed = CORPUS.get(pick(CORPUS.len())).copied().unwrap_or_default();
    let mut bytes = seed.as_bytes().to_vec();
    for _ in 0..pick(6) {
        let at = pick(bytes.len());
        match pick(6) {
            0 => drop(bytes.splice(at..at, [pick(256) as u8])),
            1 if !bytes.is_empty() => drop(bytes.remove(at)),
            2 if !bytes.is_empty() => bytes[at] = b"{}[]\",:\\ue0-+.1 \n"[pick(17)],
            3 => bytes.truncate(at),
            4 => {
                let end = (at + pick(12)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = pick(bytes.len());
                drop(bytes.splice(to..to, piece));
            }
            _ if !bytes.is_empty() => bytes[at] ^= 1 << pick(8),
            _ => {}
        }
    }
    bytes
}

/// Our value as serde_json would have it; None where serde_json has no such value.
fn converted(value: &Value) -> Option<serde_json::Value> {
    Some(match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        Value::UInt(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::BigInt(digits) => digits.parse::<f64>().ok()?.into(),
        Value::Str(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(converted).collect::<Option<Vec<_>>>()?.into(),
        Value::Object(object) => {
            let mut map = serde_json::Map::new();
            for (key, value) in object.iter() {
                map.insert(key.to_owned(), converted(value)?);
            }
            map.into()
        }
    })
}

#[test]
fn agrees_with_serde_json_on_mutated_input() {
    let accepted = std::cell::Cell::new(0u64);
    let cases = fuzz(
        |case| Body(mutated(&Seeded::new(case))),
        |Body(input)| {
            let strict = json::parse(input, Leniency::STRICT);
            let theirs = serde_json::from_slice::<serde_json::Value>(input);
            assert_eq!(strict.is_ok(), theirs.is_ok(), "{strict:?} {theirs:?}");
            if let (Ok(ours), Ok(theirs)) = (&strict, theirs) {
                accepted.set(accepted.get() + 1);
                // serde_json without its `float_roundtrip` may be one unit off, so compare through text it made.
                let ours = converted(ours).expect("finite");
                assert!(same(&ours, &theirs), "{ours} against {theirs}");
            }

            let lenient = json::parse(input, Leniency::LENIENT);
            assert!(lenient.is_ok() || strict.is_err(), "lenient takes what strict takes");
            if let Ok(value) = lenient {
                let text = json::to_string(&value);
                let again = json::parse(text.as_bytes(), Leniency::STRICT).expect("own text parses");
                assert_eq!(json::to_string(&again), text, "writing is stable");
            }

            // The walkers end, and their offsets only grow.
            let mut last = None;
            for (offset, _) in json::documents(input, Leniency::LENIENT) {
                assert!(last < Some(offset), "offsets grow");
                last = Some(offset);
            }
            json::elements(input, Leniency::LENIENT).map(Iterator::count);
        },
    );
    let accepted = accepted.get();
    assert!(
        accepted * 20 > cases || cases < 100,
        "the corpus still yields valid input: {accepted} of {cases}"
    );
}

fn same(ours: &serde_json::Value, theirs: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (ours, theirs) {
        (Number(ours), Number(theirs)) => match (ours.as_f64(), theirs.as_f64()) {
            (Some(a), Some(b)) => ours == theirs || (a - b).abs() <= a.abs() * f64::EPSILON * 2.0,
            _ => false,
        },
        (Array(ours), Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b))
        }
        (Object(ours), Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(key, a)| theirs.get(key).is_some_and(|b| same(a, b)))
        }
        _ => ours == theirs,
    }
}
