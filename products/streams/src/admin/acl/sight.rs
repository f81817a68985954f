//! Which topics clients may see, where many are asked about at once.

use std::collections::HashMap;

use candor_model::ProjectId;

use super::{ALL, Acls, Operation, Pattern, Permission, ResourceType, Rule};
use crate::auth::credentials::ANONYMOUS;

/// What users of a project may see. Cheap to make and to clone.
#[derive(Clone)]
pub(crate) struct Sights {
    /// None where everybody sees everything.
    of: Option<(Acls, ProjectId)>,
    changes: u64,
}

/// What one user may see: its rules about topics, gathered once, so that each topic is looked up and not searched for.
pub(crate) struct Sight {
    sees_all: bool,
    /// Where no rule says anything.
    by_default: bool,
    /// Rules about a topic, by its name.
    exact: HashMap<String, Vec<Rule>>,
    /// Rules about many topics.
    wide: Vec<Rule>,
}

impl Sights {
    pub fn new(acls: &Acls, project: ProjectId) -> Sights {
        // Before any rule is read: who remembers an older number looks again.
        Sights { of: Some((acls.clone(), project)), changes: acls.changes() }
    }

    /// Those of a world without rules.
    #[cfg(test)]
    pub fn everything() -> Sights {
        Sights { of: None, changes: 0 }
    }

    /// Another number where rules have changed.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What a user may see.
    pub fn of(&self, user: &str) -> Sight {
        let mut sight = Sight { sees_all: true, by_default: false, exact: HashMap::new(), wide: Vec::new() };
        let Some((acls, project)) = &self.of else { return sight };
        if acls.inner.credentials.is_owner(*project, user) {
            return sight;
        }
        sight.sees_all = false;
        sight.by_default = user == ANONYMOUS;
        let principal = format!("User:{user}");
        let rules = acls.inner.rules.read();
        for rule in rules.get(project).into_iter().flatten() {
            let says = rule.resource == ResourceType::Topic
                && rule.decides(Operation::Describe)
                && rule.is_about(&principal, &rule.host);
            if !says {
                continue;
            }
            match rule.pattern == Pattern::Literal && rule.name != ALL {
                true => sight.exact.entry(rule.name.clone()).or_default().push(rule.clone()),
                false => sight.wide.push(rule.clone()),
            }
        }
        sight
    }
}

impl Sight {
    /// Whether the user sees a topic from there: an address as rules have it.
    pub fn sees(&self, host: &str, topic: &str) -> bool {
        if self.sees_all {
            return true;
        }
        let exact = self.exact.get(topic).into_iter().flatten();
        let wide = self.wide.iter().filter(|rule| rule.names(topic));
        let mut sees = self.by_default;
        for rule in exact.chain(wide).filter(|rule| rule.host == ALL || rule.host == host) {
            match rule.permission {
                Permission::Deny => return false,
                Permission::Allow => sees = true,
            }
        }
        sees
    }
}
