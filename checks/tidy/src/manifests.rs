//! What crates may use, read from their manifests.

use toml::{Table, Value};

use crate::{files, text};

/// The kernel from the bottom up: a crate uses only those before it.
pub const KERNEL: &[&str] = &[
    "candor-model",
    "candor-records",
    "candor-schemas",
    "candor-scrub",
    "candor-policy",
    "candor-store",
    "candor-meta",
    "candor-keyring",
    "candor-ledger",
    "candor-gate",
    "candor-log",
    "candor-lake",
    "candor-query",
];

/// On top of the kernel; none uses another.
pub const PARTS: &[&str] =
    &["candor-logs", "candor-errors", "candor-streams", "candor-people", "candor-notices"];

/// Engines, and the crates that may name them.
const OWNERS: &[(&str, &[&str])] =
    &[("datafusion", &["candor-lake", "candor-query"]), ("sqlx", &["candor-meta"])];

/// A crate's manifest.
pub struct Manifest {
    /// Where.
    pub path: String,
    /// The package.
    pub name: String,
    /// The whole.
    pub table: Table,
}

/// Every crate of the workspace.
pub fn all() -> Vec<Manifest> {
    files("Cargo.toml")
        .into_iter()
        .filter_map(|path| {
            let table: Table = text(&path).parse().ok()?;
            if table.contains_key("workspace") {
                // A client of ours from outside, which is a workspace of its own.
                return None;
            }
            let name = table.get("package")?.get("name")?.as_str()?.to_owned();
            Some(Manifest { path, name, table })
        })
        .collect()
}

fn dependencies(manifest: &Manifest, section: &str) -> Vec<(String, Value)> {
    let table = manifest.table.get(section).and_then(Value::as_table);
    table.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Arrows that point the wrong way.
pub fn wrong_arrows() -> Vec<String> {
    let mut faults = Vec::new();
    for manifest in all() {
        let level = KERNEL.iter().position(|name| *name == manifest.name);
        for (used, _) in dependencies(&manifest, "dependencies") {
            let used_level = KERNEL.iter().position(|name| *name == used);
            let wrong = match (level, used_level) {
                (Some(own), Some(other)) => other >= own,
                (Some(_), None) => used.starts_with("candor-") || used == "candor",
                (None, None) => PARTS.contains(&used.as_str()) && PARTS.contains(&manifest.name.as_str()),
                (None, Some(_)) => false,
            };
            if wrong {
                faults.push(format!("{}: {} must not use {used}", manifest.path, manifest.name));
            }
            for (engine, owners) in OWNERS {
                if used.starts_with(engine) && !owners.contains(&manifest.name.as_str()) {
                    faults.push(format!("{}: only {owners:?} name {engine}", manifest.path));
                }
            }
        }
    }
    faults
}

/// Versions outside the workspace's one place, and crates that leave the workspace's lints.
pub fn not_of_the_workspace() -> Vec<String> {
    let mut faults = Vec::new();
    for manifest in all() {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (used, value) in dependencies(&manifest, section) {
                if value.get("workspace").and_then(Value::as_bool) != Some(true) {
                    faults.push(format!("{}: {used} names a version of its own", manifest.path));
                }
            }
        }
        let lints = manifest.table.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(Value::as_bool) != Some(true) {
            faults.push(format!("{}: lints.workspace is not set", manifest.path));
        }
    }
    faults
}
