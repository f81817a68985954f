//! Cases of gitleaks and secretlint (both MIT): texts with a secret in them, and texts that only look so.

use std::collections::BTreeMap;
use std::path::Path;

use candor_scrub::{Counts, Detector};

use super::{Score, only};
use crate::clean::fixtures;

fn secrets() -> candor_scrub::Scrubber {
    only(Detector::group("secrets:all").expect("there is such a group"))
}

#[test]
fn gitleaks_cases() {
    let Some(folder) = fixtures("gitleaks") else {
        println!("SKIPPED 220 rules of gitleaks: no fixtures");
        return;
    };
    let text = std::fs::read(folder.join("cases.json")).expect("the cases are there");
    let cases: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("the cases are JSON");
    let scrubber = secrets();
    let mut score = Score::default();
    let mut by_rule: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (index, case) in cases.iter().enumerate() {
        let (text, secret) =
            (case["text"].as_str().expect("a text"), case["secret"].as_str().expect("a text"));
        let rule = case["rule"].as_str().expect("a rule");
        let out = scrubber.scrub_str(text, &mut Counts::new());
        if case["positive"] == false {
            if out.is_some() {
                score.wrong.push(format!("{rule}:{index}"));
            }
            continue;
        }
        if secret.is_empty() {
            // Found by the name of a file.
            continue;
        }
        let row = by_rule.entry(rule).or_default();
        row.0 += 1;
        if out.is_some_and(|out| !out.contains(secret)) {
            score.found += 1;
        } else {
            row.1 += 1;
            score.missed.push(format!("{rule}:{index}"));
        }
    }
    for (rule, (wanted, missed)) in by_rule.iter().filter(|(_, (_, missed))| *missed > 0) {
        println!("  {rule}: {missed} of {wanted} missed");
    }
    // Their texts that are no secret of one rule may be another's; so that figure is only told.
    assert_eq!(score.report("gitleaks", 0.95, 0.0), [""; 0]);
}

#[test]
fn secretlints_cases() {
    let Some(folder) = fixtures("secretlint") else {
        println!("SKIPPED 120 cases of secretlint: no fixtures");
        return;
    };
    let scrubber = secrets();
    let paths = only(&[Detector::UserPath]);
    let mut score = Score::default();
    let mut folders: Vec<_> = subfolders(&folder).iter().flat_map(|rule| subfolders(rule)).collect();
    folders.sort();
    for case in folders {
        let Ok(output) = std::fs::read(case.join("output.json")) else { continue };
        let output: serde_json::Value = serde_json::from_slice(&output).expect("the results are JSON");
        let name = case.strip_prefix(&folder).expect("it is below").to_string_lossy().replace(' ', "_");
        let Some(text) = output["sourceContent"].as_str().filter(|text| !text.is_empty()) else { continue };
        let scrubber = if name.starts_with("no-homedir") { &paths } else { &scrubber };
        let out = scrubber.scrub_str(text, &mut Counts::new()).unwrap_or_else(|| text.to_owned());
        let messages = output["messages"].as_array().expect("messages");
        if messages.is_empty() && name.contains("/ok.") && out != text {
            score.wrong.push(name.clone());
        }
        for message in messages {
            let data = message["data"].as_object().expect("data");
            let Some(secret) = data.values().filter_map(|value| value.as_str()).next() else { continue };
            // What names a file, an account or a tenant is no secret.
            const NAMES: [&str; 5] =
                ["PrivateKeyP12", "PrivateKeyJSON", "AWSAccountID", "AzureTenantId", "AzureClientId"];
            if NAMES.iter().any(|id| message["messageId"] == *id) {
                continue;
            }
            match out.contains(secret) {
                false => score.found += 1,
                true => score.missed.push(name.clone()),
            }
        }
    }
    assert_eq!(score.report("secretlint", 0.95, 0.0), [""; 0]);
}

fn subfolders(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}
