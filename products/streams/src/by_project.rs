//! What projects have under names, counted for each by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use candor_model::ProjectId;

/// Shared things by project and name.
pub(crate) struct ByProject<V> {
    projects: BTreeMap<ProjectId, BTreeMap<Arc<str>, Arc<V>>>,
}

impl<V> Default for ByProject<V> {
    fn default() -> ByProject<V> {
        ByProject { projects: BTreeMap::new() }
    }
}

impl<V> ByProject<V> {
    /// A project's thing of that name.
    pub(crate) fn get(&self, project: ProjectId, name: &str) -> Option<Arc<V>> {
        self.projects.get(&project)?.get(name).map(Arc::clone)
    }

    /// How many a project has.
    pub(crate) fn count(&self, project: ProjectId) -> usize {
        self.projects.get(&project).map_or(0, BTreeMap::len)
    }

    pub(crate) fn insert(&mut self, project: ProjectId, name: &Arc<str>, thing: &Arc<V>) {
        self.projects.entry(project).or_default().insert(Arc::clone(name), Arc::clone(thing));
    }

    pub(crate) fn remove(&mut self, project: ProjectId, name: &str) {
        let Some(theirs) = self.projects.get_mut(&project) else { return };
        theirs.remove(name);
        if theirs.is_empty() {
            self.projects.remove(&project);
        }
    }

    /// A project's, by name.
    pub(crate) fn of(&self, project: ProjectId) -> Vec<Arc<V>> {
        self.projects.get(&project).into_iter().flat_map(BTreeMap::values).map(Arc::clone).collect()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<V>> {
        self.projects.values().flat_map(BTreeMap::values).map(Arc::clone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_project_has_names_of_its_own() {
        let mut things = ByProject::default();
        for (project, name) in [(1, "a"), (1, "b"), (2, "a"), (1, "a")] {
            things.insert(ProjectId(project), &Arc::from(name), &Arc::new(project));
        }
        let counts = |things: &ByProject<i64>| [1, 2, 3].map(|project| things.count(ProjectId(project)));
        assert_eq!(counts(&things), [2, 1, 0]);
        assert_eq!(things.all().len(), 3);
        things.remove(ProjectId(2), "b");
        things.remove(ProjectId(3), "a");
        things.remove(ProjectId(1), "a");
        assert_eq!(counts(&things), [1, 1, 0]);
        assert_eq!(things.get(ProjectId(1), "a"), None);
        assert_eq!(things.get(ProjectId(2), "a").as_deref(), Some(&2));
        things.remove(ProjectId(2), "a");
        assert_eq!((things.of(ProjectId(2)).len(), things.of(ProjectId(1)).len()), (0, 1));
    }
}
