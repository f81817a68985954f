//! Hundreds of real events of many SDKs (`CANDOR_FIXTURES`, else `../shared/data` beside the repository): each must be
//! read, with columns that make sense. Without them the test says so and how many it would have read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candor_errors::event::columns;
use candor_model::json::{Leniency, parse};
use candor_model::{ErrorColumns, Value};

/// How many samples the corpus had when this was written.
pub const SAMPLES_KNOWN: usize = 190;

/// The folder of samples, where it is there.
pub fn folder() -> Option<PathBuf> {
    let folder = match std::env::var_os("CANDOR_FIXTURES") {
        Some(fixtures) => PathBuf::from(fixtures),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    Some(folder.join("event-samples")).filter(|folder| folder.is_dir())
}

/// Every sample: its name and its bytes.
pub fn samples() -> Vec<(String, Vec<u8>)> {
    let Some(folder) = folder() else {
        println!("SKIPPED: no event samples, {SAMPLES_KNOWN} cases");
        return Vec::new();
    };
    let mut samples = Vec::new();
    for set in ["bugsink", "glitchtip", "sentry"] {
        for entry in std::fs::read_dir(folder.join(set)).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let name = format!("{set}/{}", entry.file_name().to_string_lossy());
                samples.push((name, std::fs::read(path).unwrap()));
            }
        }
    }
    samples.sort();
    samples
}

fn read(bytes: &[u8]) -> (Value, ErrorColumns) {
    let event = parse(bytes, Leniency::LENIENT).unwrap();
    let columns = columns(&event);
    (event, columns)
}

#[test]
fn every_sample_has_its_columns() {
    let mut hashes: BTreeMap<String, usize> = BTreeMap::new();
    let samples = samples();
    for (name, bytes) in &samples {
        let (event, columns) = read(bytes);
        assert!(columns.timestamp.is_some(), "{name}: no timestamp");
        assert_eq!(columns.event_id.is_empty(), event.get("event_id").is_none(), "{name}: event id");
        assert!(["fatal", "error", "warning", "info", "debug"].contains(&columns.level.as_str()), "{name}");
        assert!(!columns.error_type.is_empty() || !columns.value.is_empty(), "{name}: says nothing");
        assert!(!columns.platform.is_empty() && !columns.environment.is_empty(), "{name}");
        assert!((1..=2).contains(&columns.group_hashes.len()), "{name}: {:?}", columns.group_hashes);
        for hash in &columns.group_hashes {
            assert!(hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}: {hash}");
        }
        *hashes.entry(columns.group_hashes[0].clone()).or_default() += 1;
    }
    println!("{} samples read, {} groups", samples.len(), hashes.len());
    assert!(samples.is_empty() || samples.len() >= SAMPLES_KNOWN, "samples are missing");
}

/// Files named `group_<G>_event_<E>.json` carry their group in the name.
#[test]
fn labelled_samples_group_as_labelled() {
    let labelled: Vec<(String, Vec<String>)> = samples()
        .into_iter()
        .filter_map(|(name, bytes)| {
            let group = name.split("group_").nth(1)?.split('_').next()?.to_owned();
            Some((group, read(&bytes).1.group_hashes))
        })
        .collect();
    let (mut both, mut ours, mut theirs) = (0, 0, 0);
    for (at, (group, hashes)) in labelled.iter().enumerate() {
        for (other_group, other_hashes) in labelled.iter().skip(at + 1) {
            let together = hashes.iter().any(|hash| other_hashes.contains(hash));
            let labelled = group == other_group;
            if together != labelled {
                println!("groups {group} and {other_group}: together {together}");
            }
            both += usize::from(together && labelled);
            ours += usize::from(together);
            theirs += usize::from(labelled);
        }
    }
    println!("{} labelled samples: {ours} pairs together, {theirs} labelled, {both} both", labelled.len());
    // No pair that is together may be labelled apart: joining what is two faults hides one.
    assert_eq!(both, ours);
}

/// One error in four browsers is one issue.
#[test]
fn browsers_group_together() {
    let of = |name: &str| {
        samples().into_iter().find(|(found, _)| found.ends_with(name)).map(|(_, bytes)| read(&bytes).1)
    };
    for set in ["javascript-xbrowser-", "javascript-xbrowser-http-"] {
        let groups: Vec<_> = ["chrome", "firefox", "edge", "safari"]
            .iter()
            .filter_map(|browser| of(&format!("/{set}{browser}.json")))
            .map(|columns| columns.group_hashes)
            .collect();
        for group in &groups {
            assert!(group.iter().any(|hash| groups[0].contains(hash)), "{set}: {groups:?}");
        }
    }
}
