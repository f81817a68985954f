//! Under which policies what comes may have been cleared.
//!
//! Between the gate and the log a policy may change: what was cleared under one that holds no more is refused, and its
//! caller clears it again.

use std::collections::HashMap;

use candor_model::{PolicyEpoch, ProjectId};

use crate::Log;

/// The oldest policies that still hold. They only rise.
#[derive(Debug, Clone, Default)]
pub(crate) struct Floors {
    all: PolicyEpoch,
    projects: HashMap<ProjectId, PolicyEpoch>,
}

impl Floors {
    /// Raises the floor of a project or of all.
    pub fn raise(&mut self, project: Option<ProjectId>, epoch: PolicyEpoch) {
        let floor = match project {
            Some(project) => self.projects.entry(project).or_default(),
            None => &mut self.all,
        };
        *floor = epoch.max(*floor);
    }

    /// True where what was cleared under that policy may still be stored.
    pub fn admit(&self, project: ProjectId, epoch: PolicyEpoch) -> bool {
        epoch >= self.all && self.projects.get(&project).is_none_or(|floor| epoch >= *floor)
    }
}

/// The floor was not raised; what was cleared under older policies may still be stored.
#[derive(Debug, thiserror::Error)]
#[error("the log did not learn of the policy")]
pub struct FloorError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Log {
    /// From its return on nothing is stored that was cleared under an older policy: of a project, or of all. Appends of
    /// such are refused with [`crate::Rejected::Outdated`].
    ///
    /// The epochs of all policies are of one sequence: a project's floor is the greater of its own and that of all, and
    /// a floor never falls. On a journal it is to be said anew after each start, before anything is cleared; a cluster
    /// remembers it, for all nodes.
    pub async fn set_policy_floor(
        &self,
        project: Option<ProjectId>,
        epoch: PolicyEpoch,
    ) -> Result<(), FloorError> {
        if let Some(cluster) = &self.inner.cluster {
            let raised = cluster.sequencer.raise_floor(project, epoch).await;
            return raised.map_err(|error| FloorError(Box::new(error)));
        }
        self.inner.shared.state.write().floors.raise(project, epoch);
        // A group that is being written was settled before. Without threads there is none between two commits.
        if self.inner.blocking_threads {
            let (reply, answer) = tokio::sync::oneshot::channel();
            let is_open = self.inner.queue.run(Box::new(move |_| {
                let _ = reply.send(());
            }));
            if is_open {
                // An error means that the log ended meanwhile.
                let _ = answer.await;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greater_of_two_floors_holds_and_neither_falls() {
        let mut floors = Floors::default();
        let admitted = |floors: &Floors| {
            let of = |project| (0..6).filter(|n| floors.admit(ProjectId(project), PolicyEpoch(*n))).count();
            (of(1), of(2))
        };
        assert_eq!(admitted(&floors), (6, 6));
        floors.raise(None, PolicyEpoch(2));
        floors.raise(Some(ProjectId(1)), PolicyEpoch(4));
        assert_eq!(admitted(&floors), (2, 4));
        floors.raise(None, PolicyEpoch(1));
        floors.raise(Some(ProjectId(1)), PolicyEpoch(3));
        assert_eq!(admitted(&floors), (2, 4));
        floors.raise(None, PolicyEpoch(5));
        assert_eq!(admitted(&floors), (1, 1));
    }
}
