//! The tables of issues in `meta.db`, and the one transaction that moves them and the positions together.

use std::collections::{HashMap, HashSet};

use candor_meta::{Database, Migration, Param, SqlError, Tx, params};
use candor_model::{Partition, ProjectId};

use super::sketch::Sketch;
use super::state::{Delta, HOUR_US, Pending, Progress, ProjectIssues, State};

/// Hours of the trend that are kept: 90 days.
const TREND_HOURS_MAX: i64 = 90 * 24;
/// Rows of one `INSERT`, and ids of one `IN`. SQLite takes 32,766 parameters, PostgreSQL 65,535.
const ROWS_PER_STATEMENT: usize = 100;

const OWNER: &str = "errors";

/// The tables.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        owner: OWNER,
        version: 1,
        sql: "
        CREATE TABLE issue (
            project BIGINT NOT NULL,
            id BIGINT NOT NULL,
            title TEXT NOT NULL,
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            culprit TEXT NOT NULL,
            level TEXT NOT NULL,
            platform TEXT NOT NULL,
            status TEXT NOT NULL,
            status_at BIGINT NOT NULL,
            regressed_at BIGINT,
            first_seen BIGINT NOT NULL,
            last_seen BIGINT NOT NULL,
            last_arrival BIGINT NOT NULL,
            events BIGINT NOT NULL,
            users BIGINT NOT NULL,
            user_sketch BLOB,
            first_release TEXT NOT NULL,
            last_release TEXT NOT NULL,
            environment TEXT NOT NULL,
            last_event TEXT NOT NULL,
            PRIMARY KEY (project, id)
        );
        CREATE INDEX issue_by_last_seen ON issue (project, last_seen);
        CREATE TABLE issue_hash (
            project BIGINT NOT NULL,
            hash TEXT NOT NULL,
            issue BIGINT NOT NULL,
            PRIMARY KEY (project, hash)
        );
        CREATE TABLE issue_hour (
            project BIGINT NOT NULL,
            issue BIGINT NOT NULL,
            hour BIGINT NOT NULL,
            events BIGINT NOT NULL,
            PRIMARY KEY (project, issue, hour)
        );
        CREATE INDEX issue_hour_by_age ON issue_hour (hour);
        CREATE TABLE issue_position (
            project BIGINT NOT NULL,
            part BIGINT NOT NULL,
            next_offset BIGINT NOT NULL,
            PRIMARY KEY (project, part)
        )
    ",
    },
    Migration {
        owner: OWNER,
        version: 2,
        sql: "
        CREATE TABLE event_attachment (
            project BIGINT NOT NULL,
            name TEXT NOT NULL,
            event_id TEXT NOT NULL,
            PRIMARY KEY (project, name)
        )
    ",
    },
    // `about` says of what came without its event what an event says of its own.
    Migration {
        owner: OWNER,
        version: 3,
        sql: "
        ALTER TABLE event_attachment ADD COLUMN about TEXT;
        CREATE INDEX event_attachment_by_event ON event_attachment (project, event_id)
    ",
    },
];

/// Why the database did not take what happened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// Another process moved the position: what we hold in memory is not what is stored.
    #[error("the position of project {0} was moved by another process")]
    Moved(ProjectId),
}

/// Reads what memory holds: hashes, the greatest issue numbers, positions.
pub(crate) async fn load(database: &Database) -> Result<State, SqlError> {
    let mut state = State::default();
    let mut maps: HashMap<ProjectId, ProjectIssues> = HashMap::new();
    for row in database.query("SELECT project, MAX(id) FROM issue GROUP BY project", &[]).await? {
        maps.entry(ProjectId(row.int(0)?)).or_default().last = row.int(1)?;
    }
    for row in database.query("SELECT project, hash, issue FROM issue_hash", &[]).await? {
        let issues = maps.entry(ProjectId(row.int(0)?)).or_default();
        std::sync::Arc::make_mut(&mut issues.map).insert(row.text(1)?.to_owned(), row.int(2)?);
        issues.last = issues.last.max(row.int(2)?);
    }
    state.projects = maps;
    for row in database.query("SELECT project, part, next_offset FROM issue_position", &[]).await? {
        let partition = Partition(u32::try_from(row.int(1)?).unwrap_or_default());
        let next = u64::try_from(row.int(2)?).unwrap_or_default();
        state.progress.insert((ProjectId(row.int(0)?), partition), Progress { next, end: next });
    }
    Ok(state)
}

/// Writes what happened, with the positions up to which it happened, in one transaction.
pub(crate) async fn write(database: &Database, pending: &Pending) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    for ((project, partition), (from, next)) in &pending.positions {
        move_position(&mut tx, *project, *partition, *from, *next).await?;
    }
    for chunk in pending.hashes.chunks(ROWS_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO issue_hash (project, hash, issue) VALUES {} ON CONFLICT (project, hash) DO NOTHING",
            tuples(3, chunk.len())
        );
        let values: Vec<Param> = chunk
            .iter()
            .flat_map(|(project, hash, issue)| [project.0.into(), hash.as_str().into(), (*issue).into()])
            .collect();
        tx.execute(&sql, &values).await?;
    }
    for chunk in pending.attachments.chunks(ROWS_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO event_attachment (project, name, event_id) VALUES {} ON CONFLICT (project, name) DO NOTHING",
            tuples(3, chunk.len())
        );
        let values: Vec<Param> = chunk
            .iter()
            .flat_map(|(project, name, event)| {
                [project.0.into(), name.as_str().into(), event.as_str().into()]
            })
            .collect();
        tx.execute(&sql, &values).await?;
    }
    let mut sketches = read_sketches(&mut tx, pending).await?;
    for ((project, issue), delta) in &pending.issues {
        let sketch = sketches.remove(&(*project, *issue)).unwrap_or_default();
        write_issue(&mut tx, *project, *issue, delta, sketch).await?;
    }
    write_hours(&mut tx, pending).await?;
    tx.commit().await?;
    Ok(())
}

/// Moves a position, where it still stands where we believe it to.
async fn move_position(
    tx: &mut Tx,
    project: ProjectId,
    partition: Partition,
    from: u64,
    next: u64,
) -> Result<(), StoreError> {
    let number = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
    let part = i64::from(partition.0);
    let moved = match from {
        0 => {
            let sql = "INSERT INTO issue_position (project, part, next_offset) VALUES (?, ?, ?)
                       ON CONFLICT (project, part) DO UPDATE SET next_offset = excluded.next_offset
                       WHERE issue_position.next_offset = 0";
            tx.execute(sql, params![project.0, part, number(next)]).await?
        }
        from => {
            let sql = "UPDATE issue_position SET next_offset = ? WHERE project = ? AND part = ? AND next_offset = ?";
            tx.execute(sql, params![number(next), project.0, part, number(from)]).await?
        }
    };
    if moved == 1 { Ok(()) } else { Err(StoreError::Moved(project)) }
}

/// The sketches of the issues whose count of persons may change.
async fn read_sketches(
    tx: &mut Tx,
    pending: &Pending,
) -> Result<HashMap<(ProjectId, i64), Sketch>, SqlError> {
    let mut wanted: HashMap<ProjectId, Vec<i64>> = HashMap::new();
    for ((project, issue), delta) in &pending.issues {
        if delta.users.count() > 0 {
            wanted.entry(*project).or_default().push(*issue);
        }
    }
    let mut sketches = HashMap::new();
    for (project, issues) in wanted {
        for chunk in issues.chunks(ROWS_PER_STATEMENT) {
            let marks = vec!["?"; chunk.len()].join(", ");
            let sql = format!("SELECT id, user_sketch FROM issue WHERE project = ? AND id IN ({marks})");
            let values: Vec<Param> =
                std::iter::once(project.0).chain(chunk.iter().copied()).map(Param::from).collect();
            for row in tx.query(&sql, &values).await? {
                if let Ok(bytes) = row.blob(1) {
                    sketches.insert((project, row.int(0)?), Sketch::decode(bytes));
                }
            }
        }
    }
    Ok(sketches)
}

/// A resolved issue opens again only for what arrived after it was resolved: what was on its way does not count.
const UPSERT: &str = "
    INSERT INTO issue (project, id, title, kind, value, culprit, level, platform, status, status_at, first_seen,
        last_seen, last_arrival, events, users, user_sketch, first_release, last_release, environment, last_event)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'unresolved', 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (project, id) DO UPDATE SET
        title = CASE WHEN excluded.last_seen >= issue.last_seen THEN excluded.title ELSE issue.title END,
        kind = CASE WHEN excluded.last_seen >= issue.last_seen THEN excluded.kind ELSE issue.kind END,
        value = CASE WHEN excluded.last_seen >= issue.last_seen THEN excluded.value ELSE issue.value END,
        culprit = CASE WHEN excluded.last_seen >= issue.last_seen THEN excluded.culprit ELSE issue.culprit END,
        level = CASE WHEN excluded.last_seen >= issue.last_seen THEN excluded.level ELSE issue.level END,
        platform = CASE WHEN excluded.last_seen >= issue.last_seen THEN excluded.platform ELSE issue.platform END,
        last_release = CASE WHEN excluded.last_seen >= issue.last_seen THEN excluded.last_release ELSE issue.last_release END,
        environment = CASE WHEN excluded.last_seen >= issue.last_seen THEN excluded.environment ELSE issue.environment END,
        last_event = CASE WHEN excluded.last_seen >= issue.last_seen THEN excluded.last_event ELSE issue.last_event END,
        first_release = CASE WHEN issue.first_release = '' THEN excluded.first_release ELSE issue.first_release END,
        regressed_at = CASE WHEN issue.status = 'resolved' AND excluded.last_arrival > issue.status_at
            THEN excluded.last_arrival ELSE issue.regressed_at END,
        status_at = CASE WHEN issue.status = 'resolved' AND excluded.last_arrival > issue.status_at
            THEN excluded.last_arrival ELSE issue.status_at END,
        status = CASE WHEN issue.status = 'resolved' AND excluded.last_arrival > issue.status_at
            THEN 'unresolved' ELSE issue.status END,
        first_seen = CASE WHEN excluded.first_seen < issue.first_seen THEN excluded.first_seen ELSE issue.first_seen END,
        last_seen = CASE WHEN excluded.last_seen > issue.last_seen THEN excluded.last_seen ELSE issue.last_seen END,
        last_arrival = CASE WHEN excluded.last_arrival > issue.last_arrival
            THEN excluded.last_arrival ELSE issue.last_arrival END,
        events = issue.events + excluded.events,
        users = excluded.users,
        user_sketch = excluded.user_sketch";

/// As [`UPSERT`] where no person is named: the count of persons is left alone.
fn upsert(with_users: bool) -> String {
    match with_users {
        true => UPSERT.to_owned(),
        false => UPSERT
            .replace("users = excluded.users,", "users = issue.users,")
            .replace("user_sketch = excluded.user_sketch", "user_sketch = issue.user_sketch"),
    }
}

async fn write_issue(
    tx: &mut Tx,
    project: ProjectId,
    issue: i64,
    delta: &Delta,
    mut sketch: Sketch,
) -> Result<(), SqlError> {
    let with_users = delta.users.count() > 0;
    sketch.merge(&delta.users);
    let face = &delta.face;
    let users = i64::try_from(sketch.count()).unwrap_or(i64::MAX);
    let values = params![
        project.0,
        issue,
        face.title.as_str(),
        face.kind.as_str(),
        face.value.as_str(),
        face.culprit.as_str(),
        face.level.as_str(),
        face.platform.as_str(),
        delta.first_seen,
        delta.last_seen,
        delta.last_arrival,
        delta.count,
        users,
        with_users.then(|| sketch.encode()),
        delta.first_release.as_str(),
        face.release.as_str(),
        face.environment.as_str(),
        face.event_id.as_str(),
    ];
    tx.execute(&upsert(with_users), values).await?;
    Ok(())
}

async fn write_hours(tx: &mut Tx, pending: &Pending) -> Result<(), SqlError> {
    let rows: Vec<[i64; 4]> = pending
        .issues
        .iter()
        .flat_map(|((project, issue), delta)| {
            delta.hours.iter().map(|(hour, count)| [project.0, *issue, *hour, *count])
        })
        .collect();
    for chunk in rows.chunks(ROWS_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO issue_hour (project, issue, hour, events) VALUES {}
             ON CONFLICT (project, issue, hour) DO UPDATE SET events = issue_hour.events + excluded.events",
            tuples(4, chunk.len())
        );
        let values: Vec<Param> = chunk.iter().flatten().map(|number| Param::from(*number)).collect();
        tx.execute(&sql, &values).await?;
    }
    Ok(())
}

/// Removes every row of a project.
pub(crate) async fn forget_project(database: &Database, project: ProjectId) -> Result<(), SqlError> {
    let mut tx = database.begin().await?;
    for table in ["issue", "issue_hash", "issue_hour", "issue_position", "event_attachment"] {
        tx.execute(&format!("DELETE FROM {table} WHERE project = ?"), params![project.0]).await?;
    }
    tx.commit().await
}

/// Issues that are retired in one transaction; the rest waits for the next time.
const RETIRED_AT_ONCE: usize = 10_000;

/// Removes issues whose newest event arrived before `kept_since_us`, with what belongs to them, and says which. A
/// project's newest issue stays, so that no number is given twice.
pub(crate) async fn retire(
    database: &Database,
    kept_since_us: i64,
) -> Result<HashMap<ProjectId, HashSet<i64>>, SqlError> {
    let mut tx = database.begin().await?;
    let sql = format!(
        "SELECT project, id FROM issue WHERE last_arrival < ?
         AND EXISTS (SELECT 1 FROM issue AS newer WHERE newer.project = issue.project AND newer.id > issue.id)
         LIMIT {RETIRED_AT_ONCE}"
    );
    let mut retired: HashMap<ProjectId, HashSet<i64>> = HashMap::new();
    for row in tx.query(&sql, params![kept_since_us]).await? {
        retired.entry(ProjectId(row.int(0)?)).or_default().insert(row.int(1)?);
    }
    for (project, issues) in &retired {
        let issues: Vec<i64> = issues.iter().copied().collect();
        for chunk in issues.chunks(ROWS_PER_STATEMENT) {
            let marks = vec!["?"; chunk.len()].join(", ");
            let values: Vec<Param> =
                std::iter::once(project.0).chain(chunk.iter().copied()).map(Param::from).collect();
            for (table, column) in [("issue_hash", "issue"), ("issue_hour", "issue"), ("issue", "id")] {
                let sql = format!("DELETE FROM {table} WHERE project = ? AND {column} IN ({marks})");
                tx.execute(&sql, &values).await?;
            }
        }
    }
    tx.commit().await?;
    Ok(retired)
}

/// Forgets the trend of long ago.
pub(crate) async fn forget_old_hours(database: &Database, now_us: i64) -> Result<u64, SqlError> {
    let oldest = now_us.div_euclid(HOUR_US) - TREND_HOURS_MAX;
    database.execute("DELETE FROM issue_hour WHERE hour < ?", params![oldest]).await
}

/// `(?, ?), (?, ?)`.
fn tuples(columns: usize, rows: usize) -> String {
    let tuple = format!("({})", vec!["?"; columns].join(", "));
    vec![tuple.as_str(); rows].join(", ")
}
