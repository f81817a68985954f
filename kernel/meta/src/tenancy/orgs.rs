//! Organisations and who belongs to them.

use candor_model::OrgId;

use super::names::check_name;
use super::{Tenancy, TenancyError};
use crate::{Row, SqlError, Tx, params};

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Org {
    /// The number.
    pub id: OrgId,
    /// The name.
    pub name: String,
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Member,
    /// Makes and deletes projects, rotates keys, invites.
    Admin,
    /// Everything, other owners included.
    Owner,
}

impl Role {
    /// The word that is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Role::Member => "member",
            Role::Admin => "admin",
            Role::Owner => "owner",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Role> {
        [Role::Member, Role::Admin, Role::Owner].into_iter().find(|role| role.name() == name)
    }
}

impl Tenancy {
    /// The organisation in which bare project names are looked up: the first.
    pub async fn default_org(&self) -> Result<Org, TenancyError> {
        let rows = self.inner.database.query("SELECT id, name FROM org ORDER BY id LIMIT 1", &[]).await?;
        rows.first().map(org).transpose()?.ok_or(TenancyError::NoSuchOrg)
    }

    /// The organisation of that name.
    pub async fn org_named(&self, name: &str) -> Result<Option<Org>, TenancyError> {
        let rows =
            self.inner.database.query("SELECT id, name FROM org WHERE name = ?", params![name]).await?;
        Ok(rows.first().map(org).transpose()?)
    }

    /// Every organisation.
    pub async fn orgs(&self) -> Result<Vec<Org>, TenancyError> {
        let rows = self.inner.database.query("SELECT id, name FROM org ORDER BY id", &[]).await?;
        Ok(rows.iter().map(org).collect::<Result<_, _>>()?)
    }

    /// Makes an organisation.
    pub async fn create_org(&self, name: &str) -> Result<Org, TenancyError> {
        check_name(name)?;
        let now = self.inner.clock.now();
        let rows = self
            .inner
            .database
            .query(
                "INSERT INTO org (name, created_at) VALUES (?, ?) RETURNING id, name",
                params![name, now.0],
            )
            .await
            .map_err(TenancyError::from_insert)?;
        Ok(rows.first().map(org).transpose()?.ok_or(SqlError::Column(0))?)
    }

    /// Renames an organisation.
    pub async fn rename_org(&self, id: OrgId, name: &str) -> Result<(), TenancyError> {
        let mut tx = self.inner.database.begin().await?;
        Tenancy::rename_org_in(&mut tx, id, name).await?;
        Ok(tx.commit().await?)
    }

    /// Renames an organisation in a transaction of the caller's.
    pub async fn rename_org_in(tx: &mut Tx, id: OrgId, name: &str) -> Result<(), TenancyError> {
        check_name(name)?;
        let changed = tx
            .execute("UPDATE org SET name = ? WHERE id = ?", params![name, id.0])
            .await
            .map_err(TenancyError::from_insert)?;
        if changed == 0 { Err(TenancyError::NoSuchOrg) } else { Ok(()) }
    }

    /// Makes a user a member, or changes the role, in a transaction of the caller's: who makes the account makes
    /// the membership with it.
    pub async fn set_member_in(tx: &mut Tx, org: OrgId, user: i64, role: Role) -> Result<(), TenancyError> {
        tx.execute(
            "INSERT INTO membership (org_id, user_id, role) VALUES (?, ?, ?) \
             ON CONFLICT (org_id, user_id) DO UPDATE SET role = excluded.role",
            params![org.0, user, role.name()],
        )
        .await?;
        Ok(())
    }

    /// Ends a membership in a transaction of the caller's. False where there was none.
    pub async fn remove_member_in(tx: &mut Tx, org: OrgId, user: i64) -> Result<bool, TenancyError> {
        let removed = tx
            .execute("DELETE FROM membership WHERE org_id = ? AND user_id = ?", params![org.0, user])
            .await?;
        Ok(removed > 0)
    }

    /// The members of an organisation: user ids and roles.
    pub async fn members(&self, org: OrgId) -> Result<Vec<(i64, Role)>, TenancyError> {
        let rows = self
            .inner
            .database
            .query("SELECT user_id, role FROM membership WHERE org_id = ? ORDER BY user_id", params![org.0])
            .await?;
        Ok(rows.iter().map(|row| Ok((row.int(0)?, role(row, 1)?))).collect::<Result<_, SqlError>>()?)
    }

    /// The organisations that a user belongs to.
    pub async fn orgs_of(&self, user: i64) -> Result<Vec<(Org, Role)>, TenancyError> {
        let rows = self
            .inner
            .database
            .query(
                "SELECT o.id, o.name, m.role FROM membership m JOIN org o ON o.id = m.org_id \
                 WHERE m.user_id = ? ORDER BY o.id",
                params![user],
            )
            .await?;
        Ok(rows.iter().map(|row| Ok((org(row)?, role(row, 2)?))).collect::<Result<_, SqlError>>()?)
    }

    /// What a user may do in an organisation; none for a stranger.
    pub async fn role_of(&self, user: i64, org: OrgId) -> Result<Option<Role>, TenancyError> {
        let rows = self
            .inner
            .database
            .query("SELECT role FROM membership WHERE org_id = ? AND user_id = ?", params![org.0, user])
            .await?;
        Ok(rows.first().map(|row| role(row, 0)).transpose()?)
    }
}

fn org(row: &Row) -> Result<Org, SqlError> {
    Ok(Org { id: OrgId(row.int(0)?), name: row.text(1)?.to_owned() })
}

fn role(row: &Row, column: usize) -> Result<Role, SqlError> {
    Role::from_name(row.text(column)?).ok_or(SqlError::Column(column))
}
