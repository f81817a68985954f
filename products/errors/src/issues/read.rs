//! What the screen asks about issues.

use std::collections::HashMap;

use candor_meta::{Param, ReadScope, Row, SqlError, params};
use candor_model::Timestamp;
use serde::Serialize;

use super::state::HOUR_US;
use super::{Issues, IssuesError, search};

/// Issues in one answer.
pub const LIST_MAX: usize = 500;
/// Hours of the trend.
pub const TREND_HOURS: usize = 24;

const COLUMNS: &str = "id, title, kind, value, culprit, level, platform, status, events, users, first_seen, last_seen, \
    first_release, last_release, environment, last_event, regressed_at";

/// What became of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It is open.
    Unresolved,
    /// It was mended; a new event opens it again.
    Resolved,
    /// Nobody wants to see it, whatever comes.
    Archived,
}

impl Status {
    /// As it stands in the API and the database.
    pub fn name(self) -> &'static str {
        match self {
            Status::Unresolved => "unresolved",
            Status::Resolved => "resolved",
            Status::Archived => "archived",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Status> {
        [Status::Unresolved, Status::Resolved, Status::Archived]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

/// An issue, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// The number in its project.
    pub id: i64,
    /// Type and first line of the value.
    pub title: String,
    /// The exception's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The exception's value, or the message.
    pub value: String,
    /// Where.
    pub culprit: String,
    /// `fatal`, `error`, `warning`, `info`, `debug`.
    pub level: String,
    /// The platform.
    pub platform: String,
    /// `unresolved`, `resolved`, `archived`.
    pub status: String,
    /// Events.
    pub count: i64,
    /// Different persons.
    pub users: i64,
    /// RFC 3339.
    pub first_seen: String,
    /// RFC 3339.
    pub last_seen: String,
    /// The release of the first event that had one.
    pub first_release: String,
    /// The release of the newest event.
    pub release: String,
    /// The environment of the newest event.
    pub environment: String,
    /// The newest event.
    pub last_event: String,
    /// When it opened again after it had been resolved, RFC 3339.
    pub regressed_at: Option<String>,
    /// Events in each of the last 24 hours, the current one last.
    pub trend: Vec<i64>,
}

/// Which issues.
#[derive(Debug, Clone, Default)]
pub struct IssueQuery {
    /// Only of this status.
    pub status: Option<Status>,
    /// The search box.
    pub search: String,
    /// The order.
    pub order: Order,
    /// At most so many; 0 for [`LIST_MAX`].
    pub limit: usize,
    /// Where the last page ended: how many to skip.
    pub offset: usize,
}

/// In which order issues are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The one with the newest event first.
    #[default]
    LastSeen,
    /// The newest first.
    FirstSeen,
    /// The most events first.
    Events,
    /// The most persons first.
    Users,
}

impl Order {
    /// The order of that name in the API.
    pub fn from_name(name: &str) -> Option<Order> {
        Some(match name {
            "last_seen" => Order::LastSeen,
            "first_seen" => Order::FirstSeen,
            "count" => Order::Events,
            "users" => Order::Users,
            _ => return None,
        })
    }

    fn column(self) -> &'static str {
        match self {
            Order::LastSeen => "last_seen",
            Order::FirstSeen => "first_seen",
            Order::Events => "events",
            Order::Users => "users",
        }
    }
}

impl Issues {
    /// The issues of a project, with everything that was acknowledged so far.
    pub async fn list(&self, scope: &ReadScope, query: &IssueQuery) -> Result<Vec<Issue>, IssuesError> {
        self.settle().await?;
        let project = scope.project().0;
        let mut conditions = vec!["project = ?".to_owned()];
        let mut values = vec![Param::Int(project)];
        if let Some(status) = query.status {
            conditions.push("status = ?".to_owned());
            values.push(Param::from(status.name()));
        }
        let (searched, parameters) = search::conditions(&query.search);
        conditions.extend(searched);
        values.extend(parameters);
        let limit = if query.limit == 0 { LIST_MAX } else { query.limit.min(LIST_MAX) };
        let offset = i64::try_from(query.offset).unwrap_or(i64::MAX);
        let sql = format!(
            "SELECT {COLUMNS} FROM issue WHERE {} ORDER BY {} DESC, id DESC LIMIT {limit} OFFSET {offset}",
            conditions.join(" AND "),
            query.order.column()
        );
        let rows = self.database().query(&sql, &values).await?;
        let mut issues = rows.iter().map(issue).collect::<Result<Vec<Issue>, SqlError>>()?;
        self.add_trends(project, &mut issues).await?;
        Ok(issues)
    }

    /// How many issues of a project have each status.
    pub async fn counts(&self, scope: &ReadScope) -> Result<Vec<(Status, i64)>, IssuesError> {
        self.settle().await?;
        let sql = "SELECT status, COUNT(*) FROM issue WHERE project = ? GROUP BY status";
        let mut counts = Vec::new();
        for row in self.database().query(sql, params![scope.project().0]).await? {
            if let Some(status) = Status::from_name(row.text(0)?) {
                counts.push((status, row.int(1)?));
            }
        }
        Ok(counts)
    }

    /// One issue; none where the project has no such.
    pub async fn get(&self, scope: &ReadScope, id: i64) -> Result<Option<Issue>, IssuesError> {
        self.settle().await?;
        let project = scope.project().0;
        let sql = format!("SELECT {COLUMNS} FROM issue WHERE project = ? AND id = ?");
        let rows = self.database().query(&sql, params![project, id]).await?;
        let mut issues = rows.iter().map(issue).collect::<Result<Vec<Issue>, SqlError>>()?;
        self.add_trends(project, &mut issues).await?;
        Ok(issues.pop())
    }

    /// The hashes that belong to an issue, for SQL over `errors.group_hashes`.
    pub async fn hashes(&self, scope: &ReadScope, id: i64) -> Result<Vec<String>, IssuesError> {
        self.settle().await?;
        let sql = "SELECT hash FROM issue_hash WHERE project = ? AND issue = ? ORDER BY hash";
        let rows = self.database().query(sql, params![scope.project().0, id]).await?;
        Ok(rows
            .iter()
            .map(|row| row.text(0).map(str::to_owned))
            .collect::<Result<Vec<String>, SqlError>>()?)
    }

    /// Sets the status; false where the project has no such issue. What arrived before now does not open it again.
    pub async fn set_status(&self, scope: &ReadScope, id: i64, status: Status) -> Result<bool, IssuesError> {
        self.settle().await?;
        let sql = "UPDATE issue SET status = ?, status_at = ? WHERE project = ? AND id = ?";
        let values = params![status.name(), self.now().0, scope.project().0, id];
        Ok(self.database().execute(sql, values).await? > 0)
    }

    async fn add_trends(&self, project: i64, issues: &mut [Issue]) -> Result<(), SqlError> {
        let now = self.now().0.div_euclid(HOUR_US);
        let first = now - (TREND_HOURS as i64 - 1);
        let mut trends: HashMap<i64, Vec<i64>> = HashMap::new();
        for chunk in issues.chunks(100) {
            let marks = vec!["?"; chunk.len()].join(", ");
            let sql = format!(
                "SELECT issue, hour, events FROM issue_hour WHERE project = ? AND hour >= ? AND issue IN ({marks})"
            );
            let mut values = vec![Param::Int(project), Param::Int(first)];
            values.extend(chunk.iter().map(|issue| Param::Int(issue.id)));
            for row in self.database().query(&sql, &values).await? {
                let trend = trends.entry(row.int(0)?).or_insert_with(|| vec![0; TREND_HOURS]);
                // A clock that runs ahead by minutes may reach into the next hour: it counts for this one.
                let at = usize::try_from((row.int(1)?).min(now) - first).unwrap_or_default();
                if let Some(slot) = trend.get_mut(at) {
                    *slot += row.int(2)?;
                }
            }
        }
        for issue in issues {
            issue.trend = trends.remove(&issue.id).unwrap_or_else(|| vec![0; TREND_HOURS]);
        }
        Ok(())
    }
}

fn issue(row: &Row) -> Result<Issue, SqlError> {
    let text = |column| row.text(column).map(str::to_owned);
    let time = |column| row.int(column).map(|micros| Timestamp(micros).to_string());
    Ok(Issue {
        id: row.int(0)?,
        title: text(1)?,
        kind: text(2)?,
        value: text(3)?,
        culprit: text(4)?,
        level: text(5)?,
        platform: text(6)?,
        status: text(7)?,
        count: row.int(8)?,
        users: row.int(9)?,
        first_seen: time(10)?,
        last_seen: time(11)?,
        first_release: text(12)?,
        release: text(13)?,
        environment: text(14)?,
        last_event: text(15)?,
        regressed_at: row.opt_int(16)?.map(|micros| Timestamp(micros).to_string()),
        trend: Vec::new(),
    })
}
