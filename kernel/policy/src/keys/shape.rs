//! The register as a tree, to walk a file by.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::{Key, all};

/// What may stand at a place.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    pub(crate) key: Option<&'static Key>,
    pub(crate) members: BTreeMap<&'static str, Shape>,
    /// For names of the writer's choice.
    pub(crate) free: Option<Box<Shape>>,
    /// For a list of tables: the member that names an item.
    pub(crate) items: Option<(&'static str, Box<Shape>)>,
}

impl Shape {
    /// What stands under a name, or for a list of tables under an item's.
    pub(crate) fn child(&self, name: &str) -> Option<&Shape> {
        let item = self.items.as_ref().map(|(_, shape)| &**shape);
        self.members.get(name).or(self.free.as_deref()).or(item)
    }

    fn place(&mut self, segment: &'static str) -> &mut Shape {
        if let Some(name) = segment.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return &mut self.items.get_or_insert_with(|| (name, Box::default())).1;
        }
        if segment.starts_with('{') {
            return self.free.get_or_insert_default();
        }
        self.members.entry(segment).or_default()
    }
}

/// The register as a tree.
pub(crate) fn shape() -> &'static Shape {
    static SHAPE: OnceLock<Shape> = OnceLock::new();
    SHAPE.get_or_init(|| {
        let mut root = Shape::default();
        for key in all() {
            let mut at = &mut root;
            for segment in key.path.split('.') {
                at = at.place(segment);
            }
            at.key = Some(key);
        }
        root
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_found_and_none_is_there_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for key in all() {
            assert!(seen.insert(key.path), "{} is there twice", key.path);
            let path: Vec<String> = key.path.split('.').map(str::to_owned).collect();
            assert_eq!(super::super::of(&path).map(|found| found.path), Some(key.path));
        }
    }
}
