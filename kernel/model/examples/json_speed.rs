//! Prints how fast JSON is parsed and written: `cargo run --release -p candor-model --example json_speed [FILE…]`. Without
//! files, a generated event is used. The crate is optimised in the dev profile too, so the figure means something.

use std::hint::black_box;

use candor_model::json::{self, Leniency};
use candor_testbed::speed::megabytes_a_second;

fn main() {
    let files: Vec<String> = std::env::args().skip(1).collect();
    for file in &files {
        // An example is no part of the product: it may read files by itself.
        #[allow(clippy::disallowed_methods)]
        match std::fs::read(file) {
            Ok(input) => measure(file, &input),
            Err(error) => eprintln!("{file}: {error}"),
        }
    }
    if files.is_empty() {
        measure("otlp-like", otlp_like().as_bytes());
    }
}

fn otlp_like() -> String {
    let record = r#"{"timeUnixNano":"1767323045678000000","severityNumber":9,"severityText":"INFO","body":{"stringValue":"GET /cart/items/1234 answered 200 in 12 ms for a \"returning\" customer"},"attributes":[{"key":"http.request.method","value":{"stringValue":"GET"}},{"key":"http.response.status_code","value":{"intValue":"200"}},{"key":"duration","value":{"doubleValue":12.25}},{"key":"ok","value":{"boolValue":true}}],"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}"#;
    format!("[{}]", vec![record; 2000].join(","))
}

fn measure(name: &str, input: &[u8]) {
    let value = match json::parse_body(input, Leniency::LENIENT) {
        Ok(value) => value,
        Err(error) => return eprintln!("{name}: {error}"),
    };
    let parse = megabytes_a_second(input.len(), || (), |()| json::parse_body(input, Leniency::LENIENT));
    let theirs =
        megabytes_a_second(input.len(), || (), |()| serde_json::from_slice::<serde_json::Value>(input));
    let write = megabytes_a_second(input.len(), || (), |()| json::to_string(black_box(&value)));
    println!(
        "{name}: {} bytes, parse {parse:.0} MB/s (serde_json {theirs:.0}), write {write:.0} MB/s",
        input.len()
    );
}
