//! From a text to a policy.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use crate::fault::{Fault, Place};
use crate::model::Policy;
use crate::tree::{Node, Source};
use crate::{check, flat, merge, presets};

/// Larger than any policy that a person reads.
const BYTES_MAX: usize = 1 << 20;

/// What a file builds on where it names nothing: what it does not say is as strict as can be.
const BASE: &str = "preset:strict";

/// A key of the preset to which the file gives another value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Override {
    /// Where in the file.
    #[serde(flatten)]
    pub place: Place,
    /// The key.
    pub key: String,
    /// What the preset says; null where it says nothing.
    pub preset: Json,
    /// What the file says.
    pub file: Json,
}

/// A policy, whole, and where each key comes from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What it says.
    pub policy: Policy,
    /// The preset that it builds on.
    pub extends: Option<String>,
    /// Where the file says something else than the preset.
    pub overrides: Vec<Override>,
    /// The file.
    pub(crate) file: String,
    /// Where each key was written, by its path.
    places: BTreeMap<String, Place>,
}

impl Resolved {
    /// True where the file itself has written a key, and not its preset.
    pub(crate) fn is_of_file(&self, key: &str) -> bool {
        self.places.get(key).is_some_and(|place| place.file == self.file)
    }

    /// Where a key was written; of what nobody wrote, the beginning.
    pub fn place(&self, key: &str) -> Place {
        let mut at = key;
        loop {
            if let Some(place) = self.places.get(at) {
                return place.clone();
            }
            match at.rsplit_once('.') {
                Some((before, _)) => at = before,
                None => return Place { file: self.file.clone(), line: 1, column: 1 },
            }
        }
    }
}

/// Reads a policy file: its own faults, all at once, or the policy that it and its preset make.
pub fn read(name: &str, text: &str) -> Result<Resolved, Vec<Fault>> {
    let source = Source::new(name, text);
    let whole = |why: String, write: &str| {
        vec![Fault { place: source.place(0), key: String::new(), why, write: write.to_owned() }]
    };
    if text.len() > BYTES_MAX {
        return Err(whole(format!("the file is larger than {BYTES_MAX} bytes"), "shorten it"));
    }
    let file = Node::read(&source)?;
    let mut faults = check::faults_of_part(&file);
    let version = file.table().and_then(|members| members.get("candor_policy"));
    if version.is_none() {
        faults.extend(whole(
            "it does not say which version of the language it is in".to_owned(),
            "write `candor_policy = 1`",
        ));
    }
    let extends = file.table().and_then(|members| members.get("extends")?.text()).map(str::to_owned);
    let is_root = presets::PRESETS.iter().any(|preset| preset.name == name && preset.is_root);
    let base = extends.as_deref().or((!is_root).then_some(BASE));
    let preset = match base {
        None => None,
        Some(base) => match presets::named(base) {
            Some(preset) => Some((preset.name, preset.text)),
            None => {
                let known: Vec<&str> = presets::PRESETS.iter().map(|preset| preset.name).collect();
                let node = file.table().and_then(|members| members.get("extends")).unwrap_or(&file);
                let (why, write) = (format!("there is no {base:?}"), check::nearest(base, &known));
                faults.push(Fault { place: node.place(), key: "extends".to_owned(), why, write });
                None
            }
        },
    };
    if !faults.is_empty() {
        faults.sort_by_key(|fault| (fault.place.line, fault.place.column));
        return Err(faults);
    }
    let mut overrides = Vec::new();
    let extends_name = preset.map(|(base, _)| base.to_owned());
    let merged = match preset {
        None => file,
        Some((base, text)) => {
            let below = below(base, text)?;
            let missing = merge::missing(&below, &file);
            if !missing.is_empty() {
                return Err(missing.into_iter().map(|node| not_in_preset(node, base)).collect());
            }
            overrides = overridden(&below, &file);
            merge::over(below, file)
        }
    };
    let faults = check::faults(&merged);
    if !faults.is_empty() {
        return Err(faults);
    }
    let places =
        flat::nodes(&merged).into_iter().map(|(path, node)| (path.join("."), node.place())).collect();
    let mut json = merged.json();
    if let Some(members) = json.as_object_mut() {
        members.remove("extends");
        members.remove("without");
    }
    let policy = serde_json::from_value(json).map_err(|error| {
        whole(
            format!("it is not complete: {error}"),
            "extend a preset: what a file does not say is then as there",
        )
    })?;
    Ok(Resolved { policy, extends: extends_name, overrides, file: name.to_owned(), places })
}

fn not_in_preset(node: &Node, preset: &str) -> Fault {
    Fault {
        place: node.place(),
        key: "without".to_owned(),
        why: format!("{preset} has no `{}`", node.text().unwrap_or_default()),
        write: "name a key, or an item by its name, as in `recipient.aws`".to_owned(),
    }
}

/// A preset as a tree, laid over those that it extends itself.
fn below(name: &str, text: &str) -> Result<Node, Vec<Fault>> {
    let source = Source::new(name, text);
    let node = Node::read(&source)?;
    let extends = node
        .table()
        .and_then(|members| members.get("extends")?.text())
        .and_then(|base| Some((base.to_owned(), presets::preset(base)?)));
    let is_root = presets::PRESETS.iter().any(|preset| preset.name == name && preset.is_root);
    match extends {
        Some((base, text)) => Ok(merge::over(below(&base, text)?, node)),
        None if is_root => Ok(node),
        None => Ok(merge::over(below(BASE, presets::preset(BASE).unwrap_or_default())?, node)),
    }
}

/// What a file says differently.
fn overridden(preset: &Node, file: &Node) -> Vec<Override> {
    let below = flat::nodes(preset);
    flat::nodes(file)
        .into_iter()
        .filter(|(path, _)| {
            !matches!(path.first().map(String::as_str), Some("extends" | "candor_policy" | "without"))
        })
        .filter(|(path, _)| crate::keys::of(path).is_some_and(|key| key.takes.is_some()))
        .filter_map(|(path, node)| {
            let preset = below.get(&path).map_or(Json::Null, |node| node.json());
            let own = node.json();
            (preset != own).then(|| Override { place: node.place(), key: path.join("."), preset, file: own })
        })
        .collect()
}
