//! How much is found of what others labelled, and how much is struck wrongly, by detector. The cases of others are read
//! where they are; misses are told by their place among them, never by what they are.

mod analyzer;
mod literal;
mod secrets;
mod sentences;

use candor_scrub::{Action, Detector, Rule, Rules, Scope, Scrubber};

/// What was found, missed and struck wrongly.
#[derive(Default)]
struct Score {
    found: usize,
    missed: Vec<String>,
    wrong: Vec<String>,
}

impl Score {
    fn wanted(&self) -> usize {
        self.found + self.missed.len()
    }

    fn recall(&self) -> f64 {
        self.found as f64 / self.wanted().max(1) as f64
    }

    fn precision(&self) -> f64 {
        self.found as f64 / (self.found + self.wrong.len()).max(1) as f64
    }

    /// Prints the figures; says what is less than these.
    fn report(&self, name: &str, recall: f64, precision: f64) -> Vec<String> {
        const LISTED: usize = 40;
        let listed = |cases: &[String]| cases.iter().take(LISTED).cloned().collect::<Vec<_>>().join(" ");
        println!(
            "{name}: recall {:.3} ({} of {}), precision {:.3} ({} wrong)",
            self.recall(),
            self.found,
            self.wanted(),
            self.precision(),
            self.wrong.len()
        );
        if !self.missed.is_empty() {
            println!("  missed: {}", listed(&self.missed));
        }
        if !self.wrong.is_empty() {
            println!("  wrong: {}", listed(&self.wrong));
        }
        let mut less = Vec::new();
        if self.wanted() == 0 {
            less.push(format!("{name}: no cases"));
        }
        if self.recall() < recall {
            less.push(format!("{name}: recall {:.3}, less than {recall}", self.recall()));
        }
        if self.precision() < precision {
            less.push(format!("{name}: precision {:.3}, less than {precision}", self.precision()));
        }
        less
    }
}

/// Only these detectors.
pub(crate) fn only(detectors: &[Detector]) -> Scrubber {
    Scrubber::new(Rules::of(vec![Rule {
        id: "one".to_owned(),
        detectors: detectors.to_vec(),
        action: Action::Remove,
        scope: Scope::Everywhere,
    }]))
    .expect("fine rules")
}
