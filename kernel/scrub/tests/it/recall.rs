//! How much of a labelled set is found. The set is Presidio's (MIT), made by a generator; it is read where it is.

use candor_scrub::{Counts, Kind, Scrubber};

use crate::clean::fixtures;

#[test]
fn presidios_sentences() {
    let path = fixtures().map(|folder| folder.join("presidio/synth_dataset_v2.json"));
    let Some(text) = path.and_then(|path| std::fs::read(path).ok()) else {
        println!("SKIPPED 1500 sentences of presidio: no fixtures");
        return;
    };
    let sentences: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("the set is JSON");
    let scrubber = Scrubber::default();
    for (label, kind, least) in
        [("CREDIT_CARD", Kind::Card, 0.99), ("IBAN_CODE", Kind::Iban, 0.95), ("US_SSN", Kind::Ssn, 0.99)]
    {
        let (mut wanted, mut found, mut missed, mut wrong) = (0, 0, Vec::new(), Vec::new());
        for sentence in &sentences {
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
            wanted += labelled.len();
            for value in &labelled {
                match out.contains(value) {
                    false => found += 1,
                    true => missed.push((*value).to_owned()),
                }
            }
            if labelled.is_empty() && counts.by_kind().any(|(struck, _)| struck == kind) {
                wrong.push(full.to_owned());
            }
        }
        let recall = f64::from(found) / wanted as f64;
        println!(
            "{label}: {found} of {wanted} found ({recall:.3}), {} sentences struck wrongly",
            wrong.len()
        );
        assert!(recall >= least, "{label}: {recall:.3}, missed {missed:?}");
        assert!(wrong.is_empty(), "{label} struck wrongly in {wrong:#?}");
    }
}
