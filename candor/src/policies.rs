//! The policies at work: what holds is what the gate clears by, what the log takes and what the tables keep.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use candor_gate::{Compiled, Gate, compile};
use candor_lake::{Keeping, Kept, Lake, Retention, TopicKept};
use candor_ledger::{Action, Event, Ledger};
use candor_log::Log;
use candor_meta::Database;
use candor_model::{Clock, PolicyEpoch};
use candor_notices::{Held, NoticesError, Owner, Policies, Version};
use candor_policy::Policy;

use crate::app::App;
use crate::files;
use crate::http::Problem;

/// How often it is looked whether what was announced begins to hold.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Earlier policies that are looked at, newest first.
const EARLIER_MAX: usize = 256;

/// What a first start writes.
const FIRST: (&str, &str) = (
    "policy.toml",
    "# The policy that a first start writes. Change it: `candor policy show`, `candor policy apply FILE`.\n\
     candor_policy = 1\n\
     extends = \"preset:default\"\n",
);

/// As audits name a policy: `policy:instance`, `policy:3`.
pub fn subject(owner: Owner) -> String {
    match owner {
        Owner::Instance => "policy:instance".to_owned(),
        Owner::Project(project) => format!("policy:{project}"),
    }
}

/// What the ledger says of a version that begins, or is announced.
pub fn event(action: Action, actor: impl Into<String>, version: &Version) -> Event {
    let mut event =
        Event::new(action, actor, format!("epoch {} of {}", version.epoch.0, subject(version.owner)));
    event.clause = Some("governance.changes".to_owned());
    event.policy = Some(version.hash.clone());
    event
}

/// Opens the policies. A file that was named seeds the first start; later it is compared, and a difference is said
/// aloud.
pub async fn open(meta: Database, clock: Arc<dyn Clock>, file: Option<&Path>) -> Result<Policies> {
    let named = match file {
        Some(path) => {
            let text = files::read_text(path)
                .with_context(|| format!("cannot read the policy {}", path.display()))?;
            Some((path.display().to_string(), text))
        }
        None => None,
    };
    let seed = named.as_ref().map_or(FIRST, |(name, text)| (name.as_str(), text.as_str()));
    let policies = Policies::open(meta, clock, seed).await.context("cannot open the policies")?;
    if let (Some((name, text)), Some(held)) = (&named, policies.own(Owner::Instance)) {
        match candor_policy::read(name, text) {
            Ok(read) if read.policy.hash() == held.version.hash => {}
            Ok(read) => {
                let differs = candor_policy::diff(&held.resolved.policy, &read.policy).len();
                tracing::warn!(
                    file = %name,
                    keys = differs,
                    "the policy in force is NOT the one of --policy: to make it so, `candor policy apply` it"
                );
            }
            Err(faults) => {
                let first = faults.first().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(file = %name, first, "the file of --policy is no policy; the one in force stays");
            }
        }
    }
    Ok(policies)
}

/// A policy, told from those before and after it.
type Mark = (Owner, PolicyEpoch);

/// What is in force.
#[derive(Debug, Default)]
pub struct Standing {
    marks: Vec<Mark>,
    failed: bool,
}

impl Standing {
    /// Something is about to be put into force. Until it is, it is not known what is: also where that is given up half-way.
    /// True where an earlier try had failed.
    fn begin(&mut self) -> bool {
        std::mem::replace(&mut self.failed, true)
    }

    /// It is in force. Gives what was not before.
    fn done(&mut self, marks: Vec<Mark>) -> Vec<Mark> {
        self.failed = false;
        let before = std::mem::replace(&mut self.marks, marks);
        self.marks.iter().filter(|mark| !before.contains(mark)).copied().collect()
    }

    /// True where other policies hold than are in force, or it is not known which are.
    fn lags(&self, holds: &[Mark]) -> bool {
        self.failed || self.marks != holds
    }
}

/// What policies change, where they hold.
#[derive(Clone)]
pub struct Enforcement {
    /// What holds.
    pub policies: Policies,
    /// Clears by it.
    pub gate: Arc<Gate>,
    /// Takes nothing that was cleared under an older one.
    pub log: Log,
    /// Keeps as long as it says.
    pub lake: Lake,
    /// Says that it holds.
    pub ledger: Ledger,
    /// What the operator's flags allow at the most.
    pub retention: Retention,
    /// What of it is done.
    pub standing: Arc<tokio::sync::Mutex<Standing>>,
}

impl Enforcement {
    /// Puts what holds into force: from the return on nothing is stored that was cleared under another policy.
    pub async fn put_in_force(&self) -> Result<()> {
        self.put().await.map(|_| ())
    }

    /// The same. Gives what an earlier try had failed to put into force.
    async fn put(&self) -> Result<Vec<Mark>> {
        // Of two at once the later one sees what holds later: it must not be overtaken.
        let mut standing = self.standing.lock().await;
        let held = self.policies.all();
        let had_failed = standing.begin();
        self.put_all(&held).await?;
        let new = standing.done(marks(&held));
        Ok(if had_failed { new } else { Vec::new() })
    }

    async fn put_all(&self, held: &[Arc<Held>]) -> Result<()> {
        let (mut instance, mut projects) = (None, HashMap::new());
        let (mut kept, mut kept_by) = (Kept::from(self.retention), HashMap::new());
        for one in held {
            let compiled = compiled(one)?;
            let mut times = times(&one.resolved.policy, self.retention);
            times.earlier = self.earlier(&one.version, &times).await?;
            match one.version.owner {
                Owner::Instance => (instance, kept) = (Some(compiled), times),
                Owner::Project(project) => {
                    projects.insert(project, compiled);
                    kept_by.insert(project, times);
                }
            }
        }
        let instance = instance.context("no policy of the instance holds")?;
        self.gate.set_policies(instance, projects);
        for one in held {
            let project = match one.version.owner {
                Owner::Instance => None,
                Owner::Project(project) => Some(project),
            };
            self.log.set_policy_floor(project, one.version.epoch).await?;
        }
        self.lake.keep(Keeping { instance: kept, projects: kept_by });
        Ok(())
    }

    /// What earlier policies of the same owner said, where any of it is stricter than what holds: what came under them
    /// keeps that.
    async fn earlier(&self, holds: &Version, now: &Kept) -> Result<Vec<(i64, Kept)>> {
        let mut earlier: Vec<(i64, Kept)> = Vec::new();
        for version in self.policies.versions(holds.owner).await?.into_iter().take(EARLIER_MAX) {
            let (Some(_), Some(ended)) = (version.activated_at, version.ended_at) else { continue };
            let policy = match candor_policy::read("policy.toml", &version.source) {
                Ok(read) => read.policy,
                Err(_) => {
                    tracing::warn!(
                        epoch = version.epoch.0,
                        "an earlier policy cannot be read: it binds nothing"
                    );
                    continue;
                }
            };
            let said = times(&policy, self.retention);
            // Of the same said twice the later one holds longer.
            if said.is_stricter_than(now) && !earlier.iter().any(|(_, other)| *other == said) {
                earlier.push((ended.0, said));
            }
        }
        Ok(earlier)
    }

    /// Lets begin what was announced, when its day has come, and puts into force what could not be before.
    pub async fn run(self, stop: tokio_util::sync::CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let begun = self.policies.begin_due().await.unwrap_or_else(|error| {
                tracing::warn!(error = crate::logging::chain(&error), "policies are not looked at");
                Vec::new()
            });
            for version in &begun {
                let owner = subject(version.owner);
                tracing::info!(epoch = version.epoch.0, owner, "a policy begins to hold");
            }
            let lags = self.standing.lock().await.lags(&marks(&self.policies.all()));
            let late = match lags {
                false => Vec::new(),
                true => self.put().await.unwrap_or_else(|error| {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "a policy that holds could not be put into force: it is tried again"
                    );
                    Vec::new()
                }),
            };
            // Whoever applied what is in force only now was told that it failed.
            let late = self.policies.all().into_iter().map(|held| held.version.clone()).filter(|version| {
                let is_known = begun.iter().any(|begun| begun.epoch == version.epoch);
                !is_known && late.contains(&(version.owner, version.epoch))
            });
            for version in begun.iter().cloned().chain(late) {
                let event = event(Action::PolicyActivate, "system", &version);
                if let Err(error) = self.ledger.append(event).await {
                    tracing::warn!(
                        error = crate::logging::chain(&error),
                        "the ledger does not say that a policy begins"
                    );
                }
            }
        }
    }
}

/// What tells policies from those before and after them, sorted.
fn marks(held: &[Arc<Held>]) -> Vec<Mark> {
    let mut marks: Vec<Mark> = held.iter().map(|held| (held.version.owner, held.version.epoch)).collect();
    marks.sort_unstable_by_key(|(owner, epoch)| (*owner, epoch.0));
    marks
}

fn compiled(held: &Held) -> Result<Compiled> {
    let PolicyEpoch(epoch) = held.version.epoch;
    compile(&held.resolved.policy, held.version.epoch)
        .with_context(|| format!("the policy of epoch {epoch} cannot be enforced"))
}

/// How long a policy keeps what, within what the operator allows.
fn times(policy: &Policy, most: Retention) -> Kept {
    let of = |signal: &str| policy.activity(signal).map(|activity| &activity.retention);
    let live = |signal: &str| of(signal).map_or(0, |retention| retention.live.micros());
    let lag = |signal: &str| of(signal).map_or(0, |retention| retention.max_lag.micros());
    let topic = |name: &str| {
        let signal = format!("stream:{name}");
        TopicKept { live_us: Some(live(&signal)), lag_us: lag(&signal) }
    };
    let named = policy.activities.iter().flat_map(|activity| &activity.signals);
    let named = named.filter_map(|signal| signal.strip_prefix("stream:")).filter(|name| *name != "*");
    Kept {
        live: Retention { logs_us: live("logs"), errors_us: live("errors"), spans_us: live("spans") }
            .shorter(most),
        lag: Retention { logs_us: lag("logs"), errors_us: lag("errors"), spans_us: lag("spans") },
        topics: named.map(|name| (Arc::from(name), topic(name))).collect(),
        rest: topic(""),
        earlier: Vec::new(),
    }
}

impl App {
    /// Compiles a policy as the gate would take it, for whoever tries it out.
    pub fn compiled(&self, policy: &Policy) -> Result<Compiled, Problem> {
        compile(policy, PolicyEpoch(0)).map_err(|error| Problem::bad_request(error.to_string()))
    }
}

impl From<NoticesError> for Problem {
    fn from(error: NoticesError) -> Problem {
        match error {
            NoticesError::Sql(error) => error.into(),
            other => Problem::internal(&other),
        }
    }
}

#[cfg(test)]
mod tests {
    use candor_model::ProjectId;

    use super::*;

    #[test]
    fn what_could_not_be_put_into_force_is_tried_until_it_is() {
        let mut standing = Standing::default();
        let first = vec![(Owner::Instance, PolicyEpoch(1))];
        let second = vec![(Owner::Instance, PolicyEpoch(1)), (Owner::Project(ProjectId(3)), PolicyEpoch(4))];
        assert!(standing.lags(&first), "nothing is in force at a start");
        assert!(!standing.begin());
        assert_eq!(standing.done(first.clone()), first);
        assert!(!standing.lags(&first));
        assert!(standing.lags(&second));

        // Metadata fails twice between storing a version and raising the floor.
        assert!(!standing.begin());
        assert!(standing.begin());
        assert!(standing.lags(&second));
        assert!(standing.lags(&first), "half of it may have been done");
        assert!(standing.begin());
        assert_eq!(standing.done(second.clone()), second[1..]);
        assert!(!standing.lags(&second));
        assert!(!standing.begin());
        assert_eq!(standing.done(second), []);
    }
}
