//! Rules over the Rust sources.

use crate::{files, text};

/// Longest file, lines: what one reads in one sitting.
pub const LINES_MAX: usize = 500;

/// Files that are longer, with their length when they were let in. The list only shrinks: a file that has become
/// shorter than its entry must have the entry lowered, or taken out.
pub const LONGER: &[(&str, usize)] =
    &[("kernel/lake/src/catalog/commit.rs", 530), ("kernel/query/src/language/parse.rs", 549)];

/// Where files may be touched: the crate for it, the one module for it, and what does not ship.
const MAY_TOUCH_FILES: &[&str] =
    &["kernel/store/", "candor/src/files.rs", "candor/build.rs", "checks/", "bench/"];

/// A source, with what of it ships.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// What is outside of tests, line by line with their numbers.
    fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        shipped(&self.text)
    }
}

/// The lines of a source that are not of items for tests, numbered from 1. It relies on rustfmt: an item begins below
/// its attributes and ends with a line that is indented as it is.
pub fn shipped(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = Item::Shipped;
    text.lines().enumerate().filter_map(move |(number, line)| {
        let (indent, code) = (line.len() - line.trim_start().len(), line.trim());
        inside = match inside {
            Item::Shipped | Item::Ended if code.starts_with("#[cfg(test)]") => Item::Announced,
            Item::Shipped | Item::Ended => Item::Shipped,
            Item::Announced if code.is_empty() || code.starts_with("#[") || code.starts_with("//") => {
                Item::Announced
            }
            Item::Announced if code.ends_with([';', ',', '}']) => Item::Ended,
            Item::Announced => Item::Within(indent),
            Item::Within(of) if indent == of && (code.starts_with('}') || code.ends_with(';')) => Item::Ended,
            Item::Within(of) => Item::Within(of),
        };
        matches!(inside, Item::Shipped).then_some((number + 1, line))
    })
}

/// Where a line stands.
enum Item {
    Shipped,
    /// Below `#[cfg(test)]`.
    Announced,
    /// In an item for tests, indented so far.
    Within(usize),
    /// The last line of one.
    Ended,
}

fn shipped_sources() -> Vec<Source> {
    files(".rs")
        .into_iter()
        .filter(|path| path.contains("/src/") && !path.ends_with("/tests.rs") && !path.contains("/tests/"))
        .map(|path| Source { text: text(&path), path })
        .collect()
}

/// Files without a first word on what they are for.
pub fn without_docs() -> Vec<String> {
    shipped_sources()
        .iter()
        .filter(|source| !source.text.trim_start().starts_with("//!"))
        .map(|source| format!("{}: begins without module docs", source.path))
        .collect()
}

/// Files that are too long, and entries of [`LONGER`] that could shrink.
pub fn too_long() -> Vec<String> {
    let mut faults = Vec::new();
    for path in files(".rs") {
        let lines = text(&path).lines().count();
        match LONGER.iter().find(|(longer, _)| *longer == path) {
            None if lines > LINES_MAX => faults.push(format!("{path}: {lines} lines, more than {LINES_MAX}")),
            Some((_, let_in)) if lines > *let_in => {
                faults.push(format!("{path}: grew from {let_in} to {lines} lines"))
            }
            Some((_, let_in)) if lines < *let_in => {
                faults.push(format!("{path}: has {lines} lines now, lower its entry of {let_in}"));
            }
            _ => {}
        }
    }
    let gone = LONGER.iter().filter(|(path, _)| text(path).is_empty());
    faults.extend(gone.map(|(path, _)| format!("{path}: is gone, take its entry out")));
    faults
}

/// Files touched outside of where that belongs.
pub fn stray_file_access() -> Vec<String> {
    lines_with(&["std::fs", "tokio::fs"], |path| {
        MAY_TOUCH_FILES.iter().any(|allowed| path.starts_with(allowed))
    })
}

/// Work left over.
pub fn leftovers() -> Vec<String> {
    // Split so that this file does not find itself.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
    ];
    lines_with(&words, |_| false)
}

fn lines_with(words: &[&str], is_allowed: impl Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for source in shipped_sources() {
        if is_allowed(&source.path) {
            continue;
        }
        for (number, line) in source.shipped() {
            let code = !line.trim_start().starts_with("//") || words.iter().any(|word| word.len() <= 5);
            if code && words.iter().any(|word| line.contains(word)) {
                faults.push(format!("{}:{}: {}", source.path, number, line.trim()));
            }
        }
    }
    faults
}

/// Sources that no module declares: dead, though they look alive.
pub fn undeclared() -> Vec<String> {
    let mut faults = Vec::new();
    for path in files(".rs") {
        let Some((folder, file)) = path.rsplit_once('/') else { continue };
        let stem = file.trim_end_matches(".rs");
        if !path.contains("/src/") || path.contains("/src/bin/") || matches!(file, "lib.rs" | "main.rs") {
            continue;
        }
        let (parent, name) = if stem == "mod" {
            match folder.rsplit_once('/') {
                Some((above, name)) => (above.to_owned(), name.to_owned()),
                None => continue,
            }
        } else {
            (folder.to_owned(), stem.to_owned())
        };
        let parents = [
            format!("{parent}/mod.rs"),
            format!("{parent}/lib.rs"),
            format!("{parent}/main.rs"),
            format!("{parent}.rs"),
        ];
        let declared = parents.iter().any(|parent| {
            let parent = text(parent);
            parent.contains(&format!("mod {name};")) || parent.contains(&format!("#[path = \"{file}\"]"))
        });
        if !declared {
            faults.push(format!("{path}: no module declares it"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::shipped;

    #[test]
    fn what_stands_below_a_test_is_shipped_too() {
        let text = "\
use a;
#[cfg(test)]
use b;
#[cfg(test)]
mod broken;
struct S {
    one: u8,
    #[cfg(test)]
    two: u8,
    three: u8,
}
#[cfg(test)]
#[derive(Debug)]
/// Words.
pub fn long(
    a: u8,
) -> u8 {
    if a > 1 {
        a
    }
}
fn shipped() {
    #[cfg(test)]
    let x = long(
        1,
    );
    work();
}
#[cfg(test)]
mod tests {
    fn one() {}
}
fn below() {}
";
        let lines: Vec<(usize, &str)> = shipped(text).map(|(number, line)| (number, line.trim())).collect();
        let expected = [
            (1, "use a;"),
            (6, "struct S {"),
            (7, "one: u8,"),
            (10, "three: u8,"),
            (11, "}"),
            (22, "fn shipped() {"),
            (27, "work();"),
            (28, "}"),
            (33, "fn below() {}"),
        ];
        assert_eq!(lines, expected);
    }
}
