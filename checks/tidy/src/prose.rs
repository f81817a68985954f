//! Rules over the documents.

use std::path::Path;

use crate::{files, root, text};

/// Relative links that lead nowhere.
pub fn broken_links() -> Vec<String> {
    let mut faults = Vec::new();
    for path in files(".md") {
        let content = text(&path);
        let folder = Path::new(&path).parent().map(Path::to_owned).unwrap_or_default();
        for target in links(&content) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            if !root().join(&folder).join(file).exists() {
                faults.push(format!("{path}: links to {target}, which is not there"));
            }
        }
    }
    faults
}

/// The targets of `[…](…)` outside of code fences.
fn links(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        found.extend(line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
    }
    found
}
