//! Where bridges may send: what the policy of their project says, asked when one is made or resumed, at each connection,
//! for a cluster names its brokers itself, and again while it runs.
//!
//! A bridge that pulls sends no records: nobody gets data by it, so it is not asked about.

use std::sync::Arc;
use std::time::Duration;

use candor_model::ProjectId;

use super::spec::{self, Direction, Spec};
use super::{BridgeError, BridgeState, Bridges, to_its_end};

/// How often is looked whether bridges may still send where they do.
const REVIEW_EVERY: Duration = Duration::from_secs(5);

/// Why records of a project may not go somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden {
    /// The clause of the policy.
    pub clause: &'static str,
    /// What is wrong and what to do.
    pub why: String,
}

/// Whether records of a project may go to a host and port.
pub type Egress = Arc<dyn Fn(ProjectId, &str, u16) -> Result<(), Forbidden> + Send + Sync>;

/// Whether a bridge may be: all servers that it begins with are asked about.
pub(super) fn check(egress: &Egress, project: ProjectId, spec: &Spec) -> Result<(), Forbidden> {
    if spec.direction == Direction::Pull {
        return Ok(());
    }
    let servers = spec.bootstrap.iter().filter_map(|text| spec::server(text));
    servers.into_iter().try_for_each(|(host, port)| egress(project, &host, port))
}

impl Bridges {
    /// Looks again now and then: policies begin to hold by themselves, and are applied on other nodes.
    pub(super) fn keep_reviewing(&self) {
        let (looking, stop) = (Arc::downgrade(&self.inner), self.inner.parts.stop.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(REVIEW_EVERY) => {}
                }
                let Some(inner) = looking.upgrade() else { return };
                Bridges { inner }.review().await;
            }
        });
    }

    /// Pauses those that send where the policy lets nothing go any more. One whose recipient comes back stays paused, for
    /// sending again is for a person to begin.
    pub async fn review(&self) {
        let (mut refused, egress) = (Vec::new(), &self.inner.parts.egress);
        {
            let all = self.inner.all.lock();
            for ((project, name), running) in all.iter() {
                let is_allowed = check(egress, *project, &running.stored.spec).is_ok();
                match (running.stored.is_paused, is_allowed) {
                    (false, false) => refused.push((*project, name.clone())),
                    (true, true) => running.progress.is_now(BridgeState::Paused),
                    _ => {}
                }
            }
        }
        for (project, name) in refused {
            tracing::warn!(bridge = name, "a bridge is paused: the policy lets nothing go where it sends");
            let (bridges, of) = (self.clone(), name.clone());
            if let Err(error) = to_its_end(async move { bridges.hold(project, &of, true).await }).await {
                tracing::warn!(bridge = name, %error, "a bridge that may not send could not be paused for good");
            }
        }
    }

    /// Refuses a bridge that would send where the policy of its project lets nothing go.
    pub(super) fn must_be_allowed(&self, project: ProjectId, spec: &Spec) -> Result<(), BridgeError> {
        check(&self.inner.parts.egress, project, spec).map_err(BridgeError::Forbidden)
    }
}

#[cfg(test)]
mod tests {
    use candor_meta::WriteScope;

    use super::super::{BridgeError, BridgeState, Spec};
    use crate::testing::House;

    const UNDECLARED: &str = "192.0.2.7";

    fn spec(name: &str, direction: &str, host: &str) -> Spec {
        let told = serde_json::json!({ "name": name, "direction": direction, "bootstrap": [format!("{host}:9092")] });
        serde_json::from_value(told).unwrap()
    }

    async fn state(house: &House, name: &str) -> (BridgeState, Option<String>) {
        let scope = house.tenancy.admin_read(house.scope.project()).await.unwrap().unwrap();
        let shown = house.streams.bridges().get(&scope, name).unwrap();
        (shown.state, shown.error)
    }

    async fn refused(house: &House, scope: &WriteScope, spec: Spec) -> bool {
        matches!(house.streams.bridges().create(scope, spec).await, Err(BridgeError::Forbidden(_)))
    }

    #[tokio::test]
    async fn what_is_sent_where_nobody_was_declared_is_refused_and_paused() {
        let house = House::new().await;
        let bridges = house.streams.bridges();
        bridges.create(&house.scope, spec("out", "push", UNDECLARED)).await.unwrap();
        house.undeclared.lock().push(UNDECLARED.to_owned());
        assert!(refused(&house, &house.scope, spec("more", "push", UNDECLARED)).await);
        assert!(!refused(&house, &house.scope, spec("here", "push", "127.0.0.1")).await);
        assert!(!refused(&house, &house.scope, spec("in", "pull", UNDECLARED)).await, "nothing goes there");
        // The recipient of one that runs is gone.
        bridges.review().await;
        let (paused, why) = state(&house, "out").await;
        assert_eq!((paused, why.as_deref()), (BridgeState::Paused, Some("nobody is declared")));
        let resumed = bridges.pause(&house.scope, "out", false).await;
        assert!(matches!(resumed, Err(BridgeError::Forbidden(one)) if one.clause == "recipient.endpoints"));
        assert!(matches!(state(&house, "in").await.0, BridgeState::Starting | BridgeState::Failing));
        // It comes back: the bridge may run again, and does when a person says so.
        house.undeclared.lock().clear();
        bridges.review().await;
        assert_eq!(state(&house, "out").await, (BridgeState::Paused, None));
        assert_ne!(bridges.pause(&house.scope, "out", false).await.unwrap().state, BridgeState::Paused);
    }
}
