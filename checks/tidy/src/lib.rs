//! The house rules that no compiler knows, as a test over the tree: layers, module docs, file lengths, who may name
//! what, links. Quick to run alone: `cargo test -p candor-tidy`.
#![allow(clippy::disallowed_methods, reason = "it reads the sources")]

pub mod manifests;
pub mod prose;
pub mod sources;

use std::path::{Path, PathBuf};

/// The workspace's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map(Path::to_owned).unwrap_or_default()
}

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] = &[
    "target",
    "node_modules",
    "dist",
    ".git",
    ".venv",
    ".bin",
    ".lib",
    ".librdkafka",
    ".peers",
    "candor-data",
];

/// Files below a folder whose name ends so, as paths from the root, sorted.
pub fn files(ending: &str) -> Vec<String> {
    let root = root();
    let mut found = Vec::new();
    let mut waiting = vec![root.clone()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    waiting.push(path);
                }
            } else if name.ends_with(ending) {
                let relative = path.strip_prefix(&root).unwrap_or(&path);
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// A file's text.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_default()
}

/// Fails with every fault, one a line.
///
/// # Panics
/// Where there are faults.
pub fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}\n", faults.len(), faults.join("\n"));
}
