//! The first account: made through a one-time link that the server prints, or by whoever holds the local admin key.

use candor_meta::tenancy::Role;
use candor_meta::{SqlError, Tenancy, params};

use crate::accounts::normalise_email;
use crate::{People, PeopleError, User, secret};

/// What the first account is made of.
pub struct FirstAccount<'a> {
    /// The e-mail address.
    pub email: &'a str,
    /// The password.
    pub password: &'a str,
    /// The name that the first organisation takes; none leaves it as it is.
    pub org: Option<&'a str>,
}

impl People {
    /// True while no account exists.
    pub async fn setup_needed(&self) -> Result<bool, PeopleError> {
        Ok(self.count().await? == 0)
    }

    /// A new one-time token for the first account; an older one stops working. `None` once an account exists.
    pub async fn issue_setup_token(&self) -> Result<Option<String>, PeopleError> {
        if !self.setup_needed().await? {
            return Ok(None);
        }
        let token = secret::generate(&*self.inner.random);
        let digest = secret::digest(&token).ok_or(PeopleError::SetupToken)?;
        let now = self.inner.clock.now();
        self.inner
            .database
            .execute(
                "INSERT INTO people_setup (id, digest, created_at) VALUES (1, ?, ?)
                 ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, created_at = excluded.created_at",
                params![digest, now.0],
            )
            .await?;
        Ok(Some(token))
    }

    /// Makes the first account with the token of the setup link: the owner of the first organisation, which takes
    /// the name given.
    pub async fn set_up(
        &self,
        tenancy: &Tenancy,
        token: &str,
        new: &FirstAccount<'_>,
    ) -> Result<User, PeopleError> {
        // Cheap refusals come before the costly hash, and a wrong token before both.
        let digest = secret::digest(token).ok_or(PeopleError::SetupToken)?;
        let rows = self
            .inner
            .database
            .query("SELECT 1 FROM people_setup WHERE id = 1 AND digest = ?", params![digest.clone()])
            .await?;
        if rows.is_empty() {
            let needed = self.setup_needed().await?;
            return Err(if needed { PeopleError::SetupToken } else { PeopleError::SetupDone });
        }
        self.create_first(tenancy, Some(digest), new).await
    }

    /// Makes the first account for the holder of the local admin key.
    pub async fn set_up_as_admin(
        &self,
        tenancy: &Tenancy,
        new: &FirstAccount<'_>,
    ) -> Result<User, PeopleError> {
        self.create_first(tenancy, None, new).await
    }

    async fn create_first(
        &self,
        tenancy: &Tenancy,
        token: Option<Vec<u8>>,
        new: &FirstAccount<'_>,
    ) -> Result<User, PeopleError> {
        let email = normalise_email(new.email)?;
        let hash = self.inner.hasher.hash(new.password).await?;
        let org = tenancy.default_org().await?;
        let now = self.inner.clock.now();
        let mut tx = self.inner.database.begin().await?;
        if !tx.query("SELECT 1 FROM people_users LIMIT 1", &[]).await?.is_empty() {
            return Err(PeopleError::SetupDone);
        }
        if let Some(digest) = token {
            let used =
                tx.execute("DELETE FROM people_setup WHERE id = 1 AND digest = ?", params![digest]).await?;
            if used == 0 {
                return Err(PeopleError::SetupToken);
            }
        } else {
            tx.execute("DELETE FROM people_setup", &[]).await?;
        }
        let rows = tx
            .query(
                "INSERT INTO people_users (email, password, created_at) VALUES (?, ?, ?) RETURNING id, email",
                params![email, hash, now.0],
            )
            .await
            .map_err(|error| match error {
                SqlError::Unique(_) => PeopleError::EmailTaken,
                other => PeopleError::Sql(other),
            })?;
        let user = rows.first().map(User::from_row).transpose()?.ok_or(PeopleError::SetupToken)?;
        if let Some(name) = new.org.filter(|name| *name != org.name) {
            Tenancy::rename_org_in(&mut tx, org.id, name).await?;
        }
        Tenancy::set_member_in(&mut tx, org.id, user.id, Role::Owner).await?;
        tx.execute(
            "INSERT INTO people_audit (at, actor, action, target) VALUES (?, ?, ?, ?)",
            params![now.0, "setup", "user.create", user.actor()],
        )
        .await?;
        tx.commit().await?;
        Ok(user)
    }
}
