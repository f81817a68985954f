//! Presidio's labelled sentences (MIT), made by a generator.

use candor_scrub::{Counts, Detector};

use super::{Score, only};
use crate::clean::fixtures;

#[test]
fn labelled_sentences() {
    let path = fixtures("presidio").map(|folder| folder.join("synth_dataset_v2.json"));
    let Some(text) = path.and_then(|path| std::fs::read(path).ok()) else {
        println!("SKIPPED 1500 sentences of presidio: no fixtures");
        return;
    };
    let sentences: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("the set is JSON");
    let mut less = Vec::new();
    for (label, detector, recall, precision) in [
        ("CREDIT_CARD", Detector::Card, 0.99, 1.0),
        ("IBAN_CODE", Detector::Iban, 0.95, 1.0),
        ("US_SSN", Detector::SsnUs, 0.99, 1.0),
        ("EMAIL_ADDRESS", Detector::Email, 0.99, 0.99),
        ("IP_ADDRESS", Detector::Ip, 0.99, 0.99),
        ("PHONE_NUMBER", Detector::Phone, 0.0, 0.0),
    ] {
        let scrubber = only(&[detector]);
        let mut score = Score::default();
        for (index, sentence) in sentences.iter().enumerate() {
            let full = sentence["full_text"].as_str().expect("a text");
            let labelled: Vec<&str> = sentence["spans"]
                .as_array()
                .expect("spans")
                .iter()
                .filter(|span| span["entity_type"] == label)
                .filter_map(|span| span["entity_value"].as_str())
                .collect();
            let mut counts = Counts::new();
            let out = scrubber.scrub_str(full, &mut counts).unwrap_or_else(|| full.to_owned());
            for value in &labelled {
                match out.contains(value) {
                    false => score.found += 1,
                    true => score.missed.push(index.to_string()),
                }
            }
            let extra = (counts.total() as usize).saturating_sub(labelled.len());
            score.wrong.extend((0..extra).map(|_| index.to_string()));
        }
        less.extend(score.report(label, recall, precision));
    }
    assert!(less.is_empty(), "{less:#?}");
}
