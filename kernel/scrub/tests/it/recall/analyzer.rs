//! The test cases of Presidio's recognisers (MIT): texts with how many finds are expected, and where.

use candor_scrub::{Counts, Detector};

use super::literal::{Literal, cases};
use super::{Score, only};
use crate::clean::fixtures;

/// A find is expected where its score could reach this; what is below is a guess of theirs.
const SCORE_MIN: f64 = 0.4;

struct Case {
    text: String,
    count: usize,
    /// Where, in characters; empty where nobody says.
    places: Vec<(usize, usize)>,
}

/// A list of pairs of numbers.
fn pairs(literal: &Literal) -> Option<Vec<(f64, f64)>> {
    let Literal::List(items) = literal else { return None };
    let pair = |item: &Literal| match item {
        Literal::List(two) => match two.as_slice() {
            [Literal::Number(first), Literal::Number(second)] => Some((*first, *second)),
            [Literal::Number(first), Literal::Text(_)] => Some((*first, 1.0)),
            _ => None,
        },
        _ => None,
    };
    items.iter().map(pair).collect()
}

fn case(items: &[Literal]) -> Option<Case> {
    let [Literal::Text(text), Literal::Number(count), rest @ ..] = items else { return None };
    let pairs: Vec<Vec<(f64, f64)>> = rest.iter().filter_map(pairs).collect();
    let places =
        pairs.iter().find(|list| list.iter().any(|(_, end)| *end > 1.0)).cloned().unwrap_or_default();
    let scores = pairs.iter().find(|list| !list.is_empty() && list.iter().all(|(_, most)| *most <= 1.0));
    let is_guess = |index: usize| {
        scores.is_some_and(|scores| scores.get(index).is_some_and(|(_, most)| *most <= SCORE_MIN))
    };
    let guesses = (0..*count as usize).filter(|index| is_guess(*index)).count();
    let places = places
        .iter()
        .enumerate()
        .filter(|(index, _)| !is_guess(*index))
        .map(|(_, (start, end))| (*start as usize, *end as usize))
        .collect();
    Some(Case { text: text.clone(), count: *count as usize - guesses, places })
}

fn score(detector: Detector, source: &str) -> Score {
    let scrubber = only(&[detector]);
    let mut score = Score::default();
    for (index, case) in cases(source).iter().filter_map(|items| case(items)).enumerate() {
        let mut counts = Counts::new();
        let out = scrubber.scrub_str(&case.text, &mut counts).unwrap_or_else(|| case.text.clone());
        let struck = counts.total() as usize;
        let survives = |(start, end): &(usize, usize)| {
            let value: String = case.text.chars().skip(*start).take(end - start).collect();
            out.contains(&value)
        };
        let missed = match case.places.len() == case.count {
            true => case.places.iter().filter(|place| survives(place)).count(),
            false => case.count.saturating_sub(struck),
        };
        score.found += case.count - missed;
        score.missed.extend((0..missed).map(|_| index.to_string()));
        let extra = struck.saturating_sub(case.count - missed);
        score.wrong.extend((0..extra).map(|_| index.to_string()));
    }
    score
}

#[test]
fn recognisers_cases() {
    let Some(folder) = fixtures("presidio-analyzer") else {
        println!("SKIPPED 7 recognisers of presidio: no fixtures");
        return;
    };
    let mut less = Vec::new();
    for (name, detector, recall, precision) in [
        // One of sixteen is of an airline's scheme, whose numbers begin with 1 as many ids do: only where a word says so.
        ("credit_card", Detector::Card, 0.93, 0.98),
        ("iban", Detector::Iban, 0.99, 0.98),
        ("us_ssn", Detector::SsnUs, 0.99, 0.98),
        ("email", Detector::Email, 0.99, 0.98),
        // One of 84 wants an address in five numbers with dots, as object identifiers are written.
        ("ip", Detector::Ip, 0.98, 0.98),
        ("mac", Detector::Mac, 0.99, 0.98),
        ("phone", Detector::Phone, 0.9, 0.9),
    ] {
        let path = folder.join(format!("test_{name}_recognizer.py"));
        let source = std::fs::read_to_string(path).expect("the cases are there");
        less.extend(score(detector, &source).report(name, recall, precision));
    }
    assert!(less.is_empty(), "{less:#?}");
}
