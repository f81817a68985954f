//! What of transactions outlives the process, as steps that storage takes.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use candor_meta::SqlError;
use candor_model::ProjectId;

use super::state::{Phase, Places, Transaction};

/// A transactional id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub project: ProjectId,
    pub id: Arc<str>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// All of it but its places and groups.
    Head {
        key: Key,
        head: Box<Transaction>,
    },
    /// More places and groups.
    Grow {
        key: Key,
        places: Places,
        groups: BTreeSet<Arc<str>>,
    },
    /// It has no places and groups any more.
    Clear {
        key: Key,
    },
    /// All of it.
    Drop {
        key: Key,
    },
    DropProject(ProjectId),
}

impl Step {
    /// The steps from one state to the next.
    pub fn between(key: &Key, before: Option<&Transaction>, next: &Transaction) -> Vec<Step> {
        let mut steps = Vec::new();
        let goes_on = before.is_some_and(|before| before.phase == next.phase);
        if !goes_on || next.phase != Phase::Ongoing {
            let head = Transaction { places: Places::new(), groups: BTreeSet::new(), ..next.clone() };
            steps.push(Step::Head { key: key.clone(), head: Box::new(head) });
        }
        match next.phase {
            Phase::Ongoing => {
                // What an attempt left behind that was thought to have failed would do no harm; it goes all the same.
                if !goes_on {
                    steps.push(Step::Clear { key: key.clone() });
                }
                let before = before.filter(|_| goes_on);
                let places = added(before.map(|before| &before.places), &next.places);
                let groups =
                    before.map_or_else(|| next.groups.clone(), |before| &next.groups - &before.groups);
                steps.push(Step::Grow { key: key.clone(), places, groups });
            }
            phase if phase.is_ending() => {}
            _ => steps.push(Step::Clear { key: key.clone() }),
        }
        steps
    }
}

/// Places that were not there before.
fn added(before: Option<&Places>, next: &Places) -> Places {
    let Some(before) = before else { return next.clone() };
    let mut added = Places::new();
    for (topic, parts) in next {
        let mut parts = parts.clone();
        if let Some(before) = before.get(topic) {
            parts.partitions = &parts.partitions - &before.partitions;
        }
        if !parts.partitions.is_empty() {
            added.insert(topic.clone(), parts);
        }
    }
    added
}

/// Where steps go.
#[async_trait]
pub(super) trait Storage: Send + Sync {
    /// Takes all steps, in order, or none. Once it returns they are on stable storage. After an error that is
    /// transient they may be, too: steps are harmless to repeat.
    async fn apply(&self, steps: &[Step]) -> Result<(), SqlError>;

    /// Everything.
    async fn load(&self) -> Result<Vec<(Key, Transaction)>, SqlError>;
}
