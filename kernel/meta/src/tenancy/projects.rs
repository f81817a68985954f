//! Projects: made, found, listed, deleted.

use candor_model::{OrgId, ProjectId, Timestamp};

use super::keys::ProjectKeys;
use super::names::{check_name, split_path};
use super::{Tenancy, TenancyError};
use crate::{Row, SqlError, params};

/// A project as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The number.
    pub id: ProjectId,
    /// The organisation.
    pub org: OrgId,
    /// The organisation's name.
    pub org_name: String,
    /// The name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

const COLUMNS: &str = "SELECT p.id, p.org_id, o.name, p.name, p.created_at \
                       FROM project p JOIN org o ON o.id = p.org_id WHERE p.deleted_at IS NULL";

impl Tenancy {
    /// Makes a project with its first keys. `path` is `name`, in the default organisation, or `org/name`.
    pub async fn create_project(&self, path: &str) -> Result<(Project, ProjectKeys), TenancyError> {
        let (org_name, name) = split_path(path);
        check_name(name)?;
        let org = match org_name {
            Some(org_name) => self.org_named(org_name).await?.ok_or(TenancyError::NoSuchOrg)?,
            None => self.default_org().await?,
        };
        let now = self.inner.clock.now();
        let keys = ProjectKeys::generate(self.inner.random.as_ref());
        let mut tx = self.inner.database.begin().await?;
        let rows = tx
            .query(
                "INSERT INTO project (org_id, name, created_at) VALUES (?, ?, ?) RETURNING id",
                params![org.id.0, name, now.0],
            )
            .await
            .map_err(TenancyError::from_insert)?;
        let id = ProjectId(rows.first().ok_or(SqlError::Column(0))?.int(0)?);
        keys.store(&mut tx, id, now).await?;
        tx.commit().await?;
        // A key that was refused a moment ago may be the one just made (seeded randomness in tests).
        self.inner.cache.invalidate();
        let project = Project { id, org: org.id, org_name: org.name, name: name.to_owned(), created_at: now };
        Ok((project, keys))
    }

    /// The project of a path: `name`, in the default organisation, or `org/name`.
    pub async fn resolve(&self, path: &str) -> Result<Option<Project>, TenancyError> {
        let (org_name, name) = split_path(path);
        let sql = match org_name {
            Some(_) => format!("{COLUMNS} AND p.name = ? AND o.name = ?"),
            None => format!("{COLUMNS} AND p.name = ? AND o.id = (SELECT min(id) FROM org)"),
        };
        let mut values = params![name].to_vec();
        values.extend(org_name.map(crate::Param::from));
        let rows = self.inner.database.query(&sql, &values).await?;
        Ok(rows.first().map(project).transpose()?)
    }

    /// The project of a number.
    pub async fn project(&self, id: ProjectId) -> Result<Option<Project>, TenancyError> {
        let sql = format!("{COLUMNS} AND p.id = ?");
        let rows = self.inner.database.query(&sql, params![id.0]).await?;
        Ok(rows.first().map(project).transpose()?)
    }

    /// Every project, or those of one organisation.
    pub async fn projects(&self, org: Option<OrgId>) -> Result<Vec<Project>, TenancyError> {
        let rows = match org {
            Some(org) => {
                let sql = format!("{COLUMNS} AND p.org_id = ? ORDER BY p.id");
                self.inner.database.query(&sql, params![org.0]).await?
            }
            None => self.inner.database.query(&format!("{COLUMNS} ORDER BY p.id"), &[]).await?,
        };
        Ok(rows.iter().map(project).collect::<Result<_, _>>()?)
    }

    /// Marks a project deleted: its keys stop working and no scope opens it. Its number is never given again; its
    /// data is collected by those who hold it.
    pub async fn delete_project(&self, id: ProjectId) -> Result<(), TenancyError> {
        let now = self.inner.clock.now();
        let changed = self
            .inner
            .database
            .execute(
                "UPDATE project SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL",
                params![now.0, id.0],
            )
            .await?;
        self.inner.cache.invalidate();
        if changed == 0 { Err(TenancyError::NoSuchProject) } else { Ok(()) }
    }

    /// The numbers of deleted projects, whose data is to be collected.
    pub async fn deleted_projects(&self) -> Result<Vec<ProjectId>, TenancyError> {
        let sql = "SELECT id FROM project WHERE deleted_at IS NOT NULL ORDER BY id";
        let rows = self.inner.database.query(sql, &[]).await?;
        Ok(rows.iter().map(|row| row.int(0).map(ProjectId)).collect::<Result<_, _>>()?)
    }
}

fn project(row: &Row) -> Result<Project, SqlError> {
    Ok(Project {
        id: ProjectId(row.int(0)?),
        org: OrgId(row.int(1)?),
        org_name: row.text(2)?.to_owned(),
        name: row.text(3)?.to_owned(),
        created_at: Timestamp(row.int(4)?),
    })
}
