//! What an account may see of persons in an organisation, beside what [`candor_meta::tenancy::Role`] lets it change.
//!
//! The two are apart on purpose: who makes projects need not know who is behind a code. Nobody reveals by being an
//! owner; an owner gives the role, to themselves too, and that is in the audit. What a role sees the policy says
//! (`governance.reads.roles`), and it is looked up at each read.

use candor_meta::tenancy::Tenancy;
use candor_meta::{SqlError, params};
use candor_model::OrgId;

use crate::accounts::normalise_email;
use crate::{People, PeopleError};

/// What an account is, where it is about persons. What each may see the policy says: [`ReadRole::sees`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadRole {
    /// Runs the instance.
    Operator,
    /// Looks at rows. What everybody has who was given nothing else.
    Viewer,
    /// Answers persons and incidents.
    Responder,
    /// Watches over it.
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

    /// The role of that name, as policies write it: `dpo` is the privacy officer there.
    pub fn from_policy(name: &str) -> Option<ReadRole> {
        if name == POLICY_OFFICER { Some(ReadRole::PrivacyOfficer) } else { ReadRole::from_name(name) }
    }

    /// What the role sees by `governance.reads.roles`. One that the policy leaves out sees codes, but for who runs the
    /// instance: nothing. Where the policy gives one role under two names, the stricter of both counts.
    pub fn sees<'a>(self, roles: impl IntoIterator<Item = (&'a str, &'a str)>) -> Sees {
        let own = roles.into_iter().filter(|(name, _)| ReadRole::from_policy(name) == Some(self));
        let said = own.map(|(_, word)| Sees::from_policy(word)).min();
        said.unwrap_or(if self == ReadRole::Operator { Sees::Nothing } else { Sees::Codes })
    }
}

/// What policies call the privacy officer: the data protection officer.
const POLICY_OFFICER: &str = "dpo";

/// What somebody sees of persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sees {
    /// No rows.
    Nothing,
    /// Rows, with codes in place of persons.
    Codes,
    /// Rows, and the value behind a code that they open.
    Revealed,
    /// The same, and whom each entry of the ledger concerned, and why.
    All,
}

impl Sees {
    /// As policies write it. A word that this version does not know gives codes.
    fn from_policy(word: &str) -> Sees {
        match word {
            "reveal" => Sees::Revealed,
            "all" => Sees::All,
            _ => Sees::Codes,
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Sees::Nothing => "nothing",
            Sees::Codes => "tokens",
            Sees::Revealed => "reveal",
            Sees::All => "all",
        }
    }

    /// True where rows may be read.
    pub fn rows(self) -> bool {
        self >= Sees::Codes
    }

    /// True where values behind codes may be opened.
    pub fn values(self) -> bool {
        self >= Sees::Revealed
    }

    /// True where reasons and persons of ledger entries may be read.
    pub fn details(self) -> bool {
        self == Sees::All
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

    const STRICT: [(&str, &str); 3] = [("viewer", "tokens"), ("responder", "reveal"), ("dpo", "all")];

    #[test]
    fn each_role_sees_what_the_policy_says() {
        let sees = |roles: &[(&'static str, &'static str)]| {
            ReadRole::ALL.map(|role| role.sees(roles.iter().copied()))
        };
        assert_eq!(sees(&STRICT), [Sees::Nothing, Sees::Codes, Sees::Revealed, Sees::All]);
        assert_eq!(sees(&[]), [Sees::Nothing, Sees::Codes, Sees::Codes, Sees::Codes]);
        let other = [
            ("operator", "tokens"),
            ("viewer", "all"),
            ("responder", "tokens"),
            ("privacy-officer", "reveal"),
        ];
        assert_eq!(sees(&other), [Sees::Codes, Sees::All, Sees::Codes, Sees::Revealed]);
        // Named twice, and by a word of a later version.
        assert_eq!(
            ReadRole::PrivacyOfficer.sees([("dpo", "all"), ("privacy-officer", "tokens")]),
            Sees::Codes
        );
        assert_eq!(ReadRole::Viewer.sees([("viewer", "everything")]), Sees::Codes);
    }

    #[test]
    fn who_sees_more_sees_what_those_before_see() {
        let rights = [Sees::Nothing, Sees::Codes, Sees::Revealed, Sees::All]
            .map(|sees| (sees.rows(), sees.values(), sees.details()));
        assert_eq!(
            rights,
            [(false, false, false), (true, false, false), (true, true, false), (true, true, true)]
        );
    }

    #[test]
    fn roles_have_names() {
        for role in ReadRole::ALL {
            assert_eq!(ReadRole::from_name(role.name()), Some(role));
        }
        assert_eq!(ReadRole::from_name("owner"), None);
        assert_eq!(ReadRole::from_policy("dpo"), Some(ReadRole::PrivacyOfficer));
    }
}
