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
}

impl Enforcement {
    /// Puts what holds into force: from the return on nothing is stored that was cleared under another policy.
    pub async fn put_in_force(&self) -> Result<()> {
        let held = self.policies.all();
        let (mut instance, mut projects) = (None, HashMap::new());
        let (mut kept, mut kept_by) = (Kept::from(self.retention), HashMap::new());
        for one in &held {
            let compiled = compiled(one)?;
            let times = times(&one.resolved.policy, self.retention);
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
        for one in &held {
            let project = match one.version.owner {
                Owner::Instance => None,
                Owner::Project(project) => Some(project),
            };
            self.log.set_policy_floor(project, one.version.epoch).await?;
        }
        self.lake.keep(Keeping { instance: kept, projects: kept_by });
        Ok(())
    }

    /// Lets begin what was announced, when its day has come.
    pub async fn run(self, stop: tokio_util::sync::CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            match self.policies.begin_due().await {
                Ok(begun) if begun.is_empty() => {}
                Ok(begun) => {
                    for version in &begun {
                        tracing::info!(
                            epoch = version.epoch.0,
                            owner = subject(version.owner),
                            "a policy begins to hold"
                        );
                    }
                    if let Err(error) = self.put_in_force().await {
                        tracing::error!(error = %error, "a policy that holds could not be put into force");
                    }
                    for version in &begun {
                        let event = event(Action::PolicyActivate, "system", version);
                        if let Err(error) = self.ledger.append(event).await {
                            tracing::warn!(
                                error = crate::logging::chain(&error),
                                "the ledger does not say that a policy begins"
                            );
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(error = crate::logging::chain(&error), "policies are not looked at")
                }
            }
        }
    }
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
