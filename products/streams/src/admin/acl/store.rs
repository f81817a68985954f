//! The table of rules.

use std::collections::{BTreeSet, HashMap};

use candor_meta::{Migration, Param, SqlError, Tx, params};
use candor_model::ProjectId;

use super::{Operation, Pattern, Permission, ResourceType, Rule};

pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    owner: "streams_acls",
    version: 1,
    sql: "
CREATE TABLE stream_acl (
    project BIGINT NOT NULL,
    resource BIGINT NOT NULL,
    pattern BIGINT NOT NULL,
    name TEXT NOT NULL,
    principal TEXT NOT NULL,
    host TEXT NOT NULL,
    operation BIGINT NOT NULL,
    permission BIGINT NOT NULL,
    PRIMARY KEY (project, resource, pattern, name, principal, host, operation, permission)
);
",
}];

/// All rules. A row of a later version that says what this one does not know is an error: leaving a denial out would
/// let somebody in.
pub(super) async fn load(mut tx: Tx) -> Result<HashMap<ProjectId, BTreeSet<Rule>>, SqlError> {
    let sql =
        "SELECT project, resource, pattern, name, principal, host, operation, permission FROM stream_acl";
    let mut all: HashMap<ProjectId, BTreeSet<Rule>> = HashMap::new();
    for row in tx.query(sql, &[]).await? {
        let number = |column| Ok::<_, SqlError>(i8::try_from(row.int(column)?).unwrap_or(0));
        let rule = Rule {
            resource: ResourceType::from_wire(number(1)?).ok_or(SqlError::Column(1))?,
            pattern: match number(2)? {
                3 => Pattern::Literal,
                4 => Pattern::Prefixed,
                _ => return Err(SqlError::Column(2)),
            },
            name: row.text(3)?.to_owned(),
            principal: row.text(4)?.to_owned(),
            host: row.text(5)?.to_owned(),
            operation: Operation::from_wire(number(6)?).ok_or(SqlError::Column(6))?,
            permission: match number(7)? {
                2 => Permission::Deny,
                3 => Permission::Allow,
                _ => return Err(SqlError::Column(7)),
            },
        };
        all.entry(ProjectId(row.int(0)?)).or_default().insert(rule);
    }
    Ok(all)
}

fn columns(project: ProjectId, rule: &Rule) -> Vec<Param> {
    params![
        project.0,
        i64::from(rule.resource.wire()),
        rule.pattern as i64,
        &rule.name,
        &rule.principal,
        &rule.host,
        i64::from(rule.operation.wire()),
        rule.permission as i64
    ]
    .to_vec()
}

pub(super) async fn insert(tx: &mut Tx, project: ProjectId, rule: &Rule) -> Result<(), SqlError> {
    tx.execute(
        "INSERT INTO stream_acl (project, resource, pattern, name, principal, host, operation, permission) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        &columns(project, rule),
    )
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, project: ProjectId, rule: &Rule) -> Result<(), SqlError> {
    tx.execute(
        "DELETE FROM stream_acl WHERE project = ? AND resource = ? AND pattern = ? AND name = ? \
         AND principal = ? AND host = ? AND operation = ? AND permission = ?",
        &columns(project, rule),
    )
    .await?;
    Ok(())
}

pub(super) async fn forget(tx: &mut Tx, project: ProjectId) -> Result<(), SqlError> {
    tx.execute("DELETE FROM stream_acl WHERE project = ?", params![project.0]).await?;
    Ok(())
}
