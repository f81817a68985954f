//! Prints how fast JSON is parsed and written: `cargo run -p candor-model --example json_speed [FILE…]`. Without
//! files, a generated event is used. The crate is optimised in the dev profile too, so the figure means something.

use std::hint::black_box;
use std::time::{Duration, Instant};

use candor_model::json::{self, Leniency};

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
    let best = |work: &mut dyn FnMut() -> usize| {
        let (started, mut best) = (Instant::now(), Duration::MAX);
        while started.elapsed() < Duration::from_secs(1) {
            let round = Instant::now();
            black_box(work());
            best = best.min(round.elapsed());
        }
        input.len() as f64 / best.as_secs_f64() / 1e6
    };
    let parse = best(&mut || json::parse_body(black_box(input), Leniency::LENIENT).is_ok().into());
    let theirs = best(&mut || serde_json::from_slice::<serde_json::Value>(black_box(input)).is_ok().into());
    let write = best(&mut || json::to_string(black_box(&value)).len());
    println!(
        "{name}: {} bytes, parse {parse:.0} MB/s (serde_json {theirs:.0}), write {write:.0} MB/s",
        input.len()
    );
}
