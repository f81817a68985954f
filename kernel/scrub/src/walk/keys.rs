//! Names of members: scrubbed as text, and kept apart where that made them alike.

use std::collections::{HashMap, HashSet};

use candor_model::Object;

use super::Walk;
use super::place::{Place, types_of};
use crate::names::{self, Meaning};
use crate::plan::Tools;
use crate::remark::Segment;
use crate::rules::Kind;
use crate::scan;
use crate::selector::{Name, Types};
use crate::{Counts, Run};

/// What scrubbing names changed.
#[derive(Default)]
pub(super) struct Renamed {
    /// Members whose name was replaced, with what it meant before.
    pub(super) came: Vec<(usize, Meaning)>,
    /// Members that go because of what was found in their name.
    pub(super) gone: Vec<usize>,
}

/// Scrubs the names of members and keeps them distinct.
pub(super) fn scrub<'w>(walk: &mut Walk<'w, '_>, object: &mut Object, above: &Place<'w>) -> Renamed {
    let mut renamed = Renamed::default();
    let compiled = walk.compiled;
    if !compiled.rules.keys_too {
        return renamed;
    }
    for (index, (key, member)) in object.0.iter_mut().enumerate() {
        if walk.skips_plain && scan::is_plain(key.as_bytes()) {
            continue;
        }
        let first_note = walk.notes();
        // A name is text, whatever stands under it.
        let types = types_of(member).and(Types::STRING);
        let place = walk.way.below(above, Name::Key(key), types);
        let plan = place.as_ref().map_or(&*above.plan, |place| &*place.plan);
        let replacement = Tools { compiled, plan }.scrub_key(key, walk.run);
        if let Some(place) = place {
            walk.way.leave(&place);
        }
        if std::mem::take(&mut walk.run.drops_field) {
            renamed.gone.push(index);
        }
        if let Some(replacement) = replacement {
            renamed.came.push((index, names::meaning(key.as_bytes())));
            *key = replacement;
        }
        if let Some(remarks) = walk.run.remarks.as_deref_mut() {
            remarks.in_key(first_note);
            remarks.below(first_note, || Segment::Key(key.clone()));
        }
    }
    if !renamed.came.is_empty() {
        let indexes: Vec<usize> = renamed.came.iter().map(|(index, _)| *index).collect();
        keep_distinct(Tools { compiled, plan: &above.plan }, object, &indexes);
    }
    renamed
}

/// Numbers names that became equal to others when they were replaced, so that no member hides another.
fn keep_distinct(tools: Tools<'_>, object: &mut Object, renamed: &[usize]) {
    let mut all: HashSet<String> = object.0.iter().map(|(key, _)| key.clone()).collect();
    let others = object.0.iter().enumerate().filter(|(index, _)| renamed.binary_search(index).is_err());
    let mut held: HashSet<String> = others.map(|(_, (key, _))| key.clone()).collect();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for index in renamed {
        let Some((key, _)) = object.0.get_mut(*index) else { continue };
        if held.insert(key.clone()) {
            continue;
        }
        // Where the number would read as part of a secret, the name is given up whole.
        for stem in [key.clone(), Kind::Secret.placeholder().to_owned()] {
            let number = numbers.entry(stem.clone()).or_insert(1);
            let name = loop {
                *number += 1;
                let name = format!("{stem}#{number}");
                if !all.contains(&name) {
                    break name;
                }
            };
            if tools.scrub_key(&name, &mut Run::new(&mut Counts::new())).is_none() {
                all.insert(name.clone());
                *key = name;
                break;
            }
        }
    }
}
