//! What the scrubber promises: what it takes out, what it leaves, and that doing it twice is doing it once.
#![allow(clippy::disallowed_methods, reason = "fixtures are read as they lie")]

mod clean;
mod fuzz;
mod hostile;
mod money;
mod personal;
mod places;
mod recall;
mod secrets;
mod values;

use candor_scrub::{Counts, Scrubber};
use expect_test::Expect;

/// Scrubs each line of `inputs` and compares what comes out.
fn check(inputs: &str, expected: Expect) {
    let scrubber = Scrubber::default();
    let mut out = String::new();
    for line in inputs.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut counts = Counts::new();
        out.push_str(&scrubber.scrub_str(line, &mut counts).unwrap_or_else(|| format!("same: {line}")));
        out.push('\n');
    }
    expected.assert_eq(&out);
}

/// Scrubbed text; the text itself where nothing was found.
fn scrubbed(text: &str) -> String {
    Scrubber::default().scrub_str(text, &mut Counts::new()).unwrap_or_else(|| text.to_owned())
}
