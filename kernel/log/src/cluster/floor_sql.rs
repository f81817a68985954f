//! The floors of policies in the sequencer's database: a commit on any node looks at them.
//!
//! A commit reads the floors in its transaction and holds the table's lock until it ends; raising one waits for all that
//! read before. So what was committed under a policy was committed before its floor was raised, whichever node did it.

use std::collections::BTreeSet;

use candor_meta::{Engine, Param, Tx, params};
use candor_model::{PolicyEpoch, ProjectId};

use super::sequencer::{Proposal, SequencerError};
use super::sql::{ROWS_MAX, SqlSequencer, rows_of};
use crate::floors::Floors;

pub(super) const SCHEMA: &str = "
CREATE TABLE log_policy_floor (project INTEGER PRIMARY KEY, epoch INTEGER NOT NULL);
";

/// In place of a project: the floor of all. Projects are numbered from 1.
const OF_ALL: i64 = 0;

/// The floors of the projects that a segment has something of.
pub(super) async fn floors_of(tx: &mut Tx, proposal: &Proposal) -> Result<Floors, SequencerError> {
    let mut floors = Floors::default();
    let projects = proposal.parts.iter().map(|part| part.topic.project.0);
    let projects: Vec<i64> = projects.chain([OF_ALL]).collect::<BTreeSet<_>>().into_iter().collect();
    for projects in projects.chunks(ROWS_MAX) {
        let list = rows_of(projects.len(), 1);
        let sql = format!("SELECT project, epoch FROM log_policy_floor WHERE project IN {list}");
        let params: Vec<Param> = projects.iter().map(|project| Param::from(*project)).collect();
        for row in tx.query(&sql, &params).await? {
            let project = Some(row.int(0)?).filter(|project| *project != OF_ALL).map(ProjectId);
            floors.raise(project, PolicyEpoch(u32::try_from(row.int(1)?).unwrap_or(u32::MAX)));
        }
    }
    Ok(floors)
}

impl SqlSequencer {
    /// Raises a floor, of a project or of all. On return nothing is committed below it any more.
    pub async fn raise_floor(
        &self,
        project: Option<ProjectId>,
        epoch: PolicyEpoch,
    ) -> Result<(), SequencerError> {
        let mut tx = self.database.begin().await?;
        if self.database.engine() == Engine::Postgres {
            tx.execute("LOCK TABLE log_policy_floor IN ACCESS EXCLUSIVE MODE", &[]).await?;
        }
        let project = project.map_or(OF_ALL, |project| project.0);
        tx.execute(
            "INSERT INTO log_policy_floor (project, epoch) VALUES (?, ?) ON CONFLICT (project) DO UPDATE \
             SET epoch = excluded.epoch WHERE log_policy_floor.epoch < excluded.epoch",
            params![project, i64::from(epoch.0)],
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }
}
