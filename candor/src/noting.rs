//! What goes into the ledger without anybody waiting for it: reads through doors that stay open or are fast, records that
//! the gate did not take, and rows whose time was over. All of it is counted in memory first, and alike of an hour is one
//! entry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use candor_lake::{LakeGrant, Served};
use candor_ledger::scan::{Code, Subjects};
use candor_ledger::{Action, Read};
use candor_meta::ReadScope;
use candor_model::{Object, OrgId, ProjectId, Signal, Value};
use candor_streams::reads::{ReadCount, Reader};

use crate::app::App;

/// How often what others counted is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What waits for its organisation to be known, at most: while metadata does not answer.
const WAITING_MAX: usize = 20_000;

/// Projects whose organisation is remembered.
const KNOWN_MAX: usize = 10_000;

/// An organisation that is found behind the read.
const UNKNOWN: OrgId = OrgId(0);

/// Who does what no user asks for.
const SYSTEM: &str = "system";

/// A topic, or a signal, as entries name it.
pub fn signal_of(topic: &str) -> String {
    match topic.strip_prefix("candor.").and_then(Signal::from_name) {
        Some(signal) => signal.name().to_owned(),
        None => format!("stream:{topic}"),
    }
}

/// A table of the lake as entries name it.
fn signal_of_table(table: &str) -> String {
    // What the log adds to tell a topic from one of the same name that was deleted says nothing here.
    table.split_once('#').map_or(table, |(name, _)| name).to_owned()
}

impl App {
    /// Counts a read that waits for nothing.
    pub fn count_read(
        &self,
        scope: &ReadScope,
        (action, purpose): (Action, &str),
        signal: String,
        rows: u64,
        subjects: Subjects,
    ) {
        let mut read = read(action, (scope.org(), scope.project()), scope.actor(), purpose);
        read.signal = signal;
        read.rows = rows;
        read.subjects = subjects;
        self.count(read);
    }

    /// Counts the fetch of a file with rows of a table, up to a place in it. Who reads a Parquet file reads its end once and
    /// then pieces of it, each with a request: rows are counted with the end.
    pub fn count_fetch(&self, grant: &LakeGrant, served: &Served, to: u64) {
        let mut read = read(Action::Export, (UNKNOWN, grant.project()), grant.actor(), "lake");
        read.signal = signal_of_table(&served.table);
        read.rows = if to >= served.file.length() { served.rows } else { 0 };
        self.unplaced.add(read);
    }

    fn count(&self, read: Read) {
        let is_read = matches!(read.action, Action::Read | Action::Export);
        let held = self.policies.of(read.project);
        if is_read && held.is_some_and(|held| !held.resolved.policy.governance.reads.ledger) {
            return;
        }
        self.books.ledger.count(read, |error| {
            tracing::warn!(error = crate::logging::chain(error), "what was done is not in the ledger yet");
        });
    }
}

fn read(action: Action, (org, project): (OrgId, ProjectId), actor: &str, purpose: &str) -> Read {
    Read {
        action,
        org,
        project,
        actor: actor.to_owned(),
        purpose: purpose.to_owned(),
        signal: String::new(),
        query: None,
        policy: None,
        clause: None,
        rows: 0,
        subjects: Subjects::default(),
    }
}

/// Looks at what others counted, until the server stops.
pub fn start(app: &Arc<App>) {
    let (app, stop) = (Arc::downgrade(app), app.stop.clone());
    tokio::spawn(async move {
        let mut noting = Noting::default();
        loop {
            let stops = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            let Some(app) = app.upgrade() else { return };
            noting.look(&app).await;
            if stops {
                // What a stop leaves counted in memory would be lost.
                if let Err(error) = app.books.ledger.tend().await {
                    tracing::warn!(
                        error = crate::logging::chain(&error),
                        "the ledger lacks the last seconds"
                    );
                }
                return;
            }
        }
    });
}

/// Reads whose organisation is not known yet.
#[derive(Debug, Default)]
pub struct Unplaced(Mutex<Vec<Read>>);

impl Unplaced {
    fn add(&self, read: Read) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.push(read);
        } else {
            tracing::warn!("more is done than can wait for metadata: the ledger lacks some of it");
        }
    }

    fn take(&self) -> Vec<Read> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Finds out whose projects they are.
#[derive(Default)]
struct Noting {
    orgs: HashMap<ProjectId, OrgId>,
}

impl Noting {
    async fn look(&mut self, app: &App) {
        for (project, key, rows) in app.gate.totals().take_refused() {
            let mut read = read(Action::Drop, (UNKNOWN, project), SYSTEM, "gate");
            read.clause = Some(key.to_owned());
            read.rows = rows;
            app.unplaced.add(read);
        }
        for (project, table, rows) in app.lake.take_gone() {
            let mut read = read(Action::Retention, (UNKNOWN, project), SYSTEM, "retention");
            read.clause = retention_clause(app, project, &table);
            read.signal = signal_of_table(&table);
            read.rows = rows;
            app.unplaced.add(read);
        }
        let streams = app.streams.as_ref().map(|streams| streams.reads().take()).unwrap_or_default();
        for (reader, count) in streams {
            app.unplaced.add(of_kafka(app, &reader, count));
        }
        for mut read in app.unplaced.take() {
            match self.org(app, read.project).await {
                Ok(Some(org)) => {
                    read.org = org;
                    app.count(read);
                }
                // The project was deleted meanwhile.
                Ok(None) => {}
                Err(()) => app.unplaced.add(read),
            }
        }
    }

    async fn org(&mut self, app: &App, project: ProjectId) -> Result<Option<OrgId>, ()> {
        if let Some(org) = self.orgs.get(&project) {
            return Ok(Some(*org));
        }
        let found = app.tenancy.project(project).await.map_err(|error| {
            tracing::debug!(
                error = crate::logging::chain(&error),
                "a project's organisation is not known yet"
            );
        })?;
        let org = found.map(|project| project.org);
        if self.orgs.len() >= KNOWN_MAX {
            self.orgs.clear();
        }
        self.orgs.extend(org.map(|org| (project, org)));
        Ok(org)
    }
}

/// The key of the policy by which rows of a table went; none where the operator's flag is what keeps them shorter.
fn retention_clause(app: &App, project: ProjectId, table: &str) -> Option<String> {
    let held = app.policies.of(project)?;
    let activity = held.resolved.policy.activity(&signal_of_table(table))?;
    let by_flag = Signal::from_name(table)
        .is_some_and(|signal| app.enforcement.retention.of(signal) < activity.retention.live.micros());
    (!by_flag).then(|| format!("activity.{}.retention.live", activity.id))
}

/// What a Kafka client read. Users and clients choose their names: of the user's there is a keyed digest, and the
/// client's is cleared as text about a record is.
fn of_kafka(app: &App, reader: &Reader, count: ReadCount) -> Read {
    let user = app.keyring.keyed_digest("ledger kafka user", reader.user.as_bytes());
    let purpose = match &reader.client {
        None => "kafka".to_owned(),
        Some(client) => format!("kafka:{}", cleared(app, reader.project, client)),
    };
    let mut read = read(Action::Read, (UNKNOWN, reader.project), &format!("kafka:{user}"), &purpose);
    read.signal = reader.topic.as_deref().map_or_else(|| "stream:*".to_owned(), signal_of);
    read.rows = count.records;
    read.subjects = count.subjects.iter().filter_map(|code| Code::parse(code)).collect();
    read
}

fn cleared(app: &App, project: ProjectId, text: &str) -> String {
    const NAME: &str = "client";
    let mut about = Object::default();
    about.insert(NAME, Value::from(text));
    app.gate.clear_about(project, &mut about);
    match about.get(NAME) {
        Some(Value::Str(text)) => text.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_tables_are_named_as_signals() {
        assert_eq!(signal_of("candor.logs"), "logs");
        assert_eq!(signal_of("candor.none"), "stream:candor.none");
        assert_eq!(signal_of("orders"), "stream:orders");
        assert_eq!(signal_of_table("errors"), "errors");
        assert_eq!(signal_of_table("stream:orders#2"), "stream:orders");
    }
}
