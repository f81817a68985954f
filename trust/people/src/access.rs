//! What an account may see of persons in an organisation, beside what [`candor_meta::tenancy::Role`] lets it change.
//!
//! The two are apart on purpose: who makes projects need not know who is behind a code. Nobody reveals by being an
//! owner; an owner gives the role, to themselves too, and that is in the audit.

use candor_meta::tenancy::Tenancy;
use candor_meta::{SqlError, params};
use candor_model::OrgId;

use crate::accounts::normalise_email;
use crate::{People, PeopleError};

/// What an account may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadRole {
    /// Runs the instance: no rows.
    Operator,
    /// Sees rows, with codes in place of persons. What everybody has who was given nothing else.
    Viewer,
    /// May open the value behind a code, for a reason.
    Responder,
    /// The same, and sees whom each entry of the ledger concerned, and why.
    PrivacyOfficer,
}

impl ReadRole {
    /// Every role.
    pub const ALL: [ReadRole; 4] =
        [ReadRole::Operator, ReadRole::Viewer, ReadRole::Responder, ReadRole::PrivacyOfficer];

    /// The word that is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            ReadRole::Operator => "operator",
            ReadRole::Viewer => "viewer",
            ReadRole::Responder => "responder",
            ReadRole::PrivacyOfficer => "privacy-officer",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<ReadRole> {
        ReadRole::ALL.into_iter().find(|role| role.name() == name)
    }

    /// True where rows may be read.
    pub fn may_read(self) -> bool {
        self >= ReadRole::Viewer
    }

    /// True where values behind codes may be opened.
    pub fn may_reveal(self) -> bool {
        self >= ReadRole::Responder
    }

    /// True where reasons and persons of ledger entries may be read.
    pub fn sees_details(self) -> bool {
        self == ReadRole::PrivacyOfficer
    }
}

/// A member, as owners see the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The account's number.
    pub id: i64,
    /// The e-mail address.
    pub email: String,
    /// What the account may see.
    pub role: ReadRole,
}

impl People {
    /// What an account may see in an organisation. Whether it belongs there is asked of [`Tenancy`].
    pub async fn read_role(&self, user: i64, org: OrgId) -> Result<ReadRole, PeopleError> {
        let sql = "SELECT role FROM people_read_roles WHERE user_id = ? AND org_id = ?";
        let rows = self.inner.database.query(sql, params![user, org.0]).await?;
        let Some(row) = rows.first() else { return Ok(ReadRole::Viewer) };
        Ok(ReadRole::from_name(row.text(0)?).ok_or(SqlError::Column(0))?)
    }

    /// Gives a member of an organisation a role; `actor` gave it. Gives the account's number, or none where no member has
    /// that address.
    pub async fn set_read_role(
        &self,
        tenancy: &Tenancy,
        actor: &str,
        email: &str,
        org: OrgId,
        role: ReadRole,
    ) -> Result<Option<i64>, PeopleError> {
        let email = normalise_email(email)?;
        let now = self.inner.clock.now();
        let sql = "SELECT id FROM people_users WHERE email = ?";
        let rows = self.inner.database.query(sql, params![email]).await?;
        let Some(user) = rows.first().map(|row| row.int(0)).transpose()? else { return Ok(None) };
        if tenancy.role_of(user, org).await?.is_none() {
            return Ok(None);
        }
        let mut tx = self.inner.database.begin().await?;
        tx.execute(
            "INSERT INTO people_read_roles (user_id, org_id, role) VALUES (?, ?, ?) \
             ON CONFLICT (user_id, org_id) DO UPDATE SET role = excluded.role",
            params![user, org.0, role.name()],
        )
        .await?;
        tx.execute(
            "INSERT INTO people_audit (at, actor, action, target) VALUES (?, ?, ?, ?)",
            params![now.0, actor, format!("role.{}", role.name()), format!("user:{user}")],
        )
        .await?;
        tx.commit().await?;
        Ok(Some(user))
    }

    /// The members of an organisation and what each may see.
    pub async fn members(&self, tenancy: &Tenancy, org: OrgId) -> Result<Vec<Member>, PeopleError> {
        let mut members = Vec::new();
        for (id, _) in tenancy.members(org).await? {
            let sql = "SELECT email FROM people_users WHERE id = ?";
            let rows = self.inner.database.query(sql, params![id]).await?;
            let Some(row) = rows.first() else { continue };
            let email = row.text(0)?.to_owned();
            members.push(Member { id, email, role: self.read_role(id, org).await? });
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_sees_what_the_one_before_it_sees() {
        let rights = |role: ReadRole| (role.may_read(), role.may_reveal(), role.sees_details());
        assert_eq!(
            ReadRole::ALL.map(rights),
            [(false, false, false), (true, false, false), (true, true, false), (true, true, true)]
        );
        for role in ReadRole::ALL {
            assert_eq!(ReadRole::from_name(role.name()), Some(role));
        }
        assert_eq!(ReadRole::from_name("owner"), None);
    }
}
