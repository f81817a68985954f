//! Accounts: an e-mail address and a password.

use candor_meta::{Row, SqlError};

use crate::{People, PeopleError};

/// Longest e-mail address (RFC 5321's path less its brackets).
const EMAIL_BYTES_MAX: usize = 254;

/// A person with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The account's number.
    pub id: i64,
    /// The e-mail address, in lower case.
    pub email: String,
}

impl User {
    /// As it stands in audits and ledgers: `user:3`.
    pub fn actor(&self) -> String {
        format!("user:{}", self.id)
    }

    pub(crate) fn from_row(row: &Row) -> Result<User, SqlError> {
        Ok(User { id: row.int(0)?, email: row.text(1)?.to_owned() })
    }
}

/// The form under which an address is stored and compared.
pub(crate) fn normalise_email(email: &str) -> Result<String, PeopleError> {
    let email = email.trim().to_lowercase();
    let (local, domain) = email.split_once('@').ok_or(PeopleError::Email)?;
    let clean = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control());
    if email.len() > EMAIL_BYTES_MAX || domain.contains('@') || !clean(local) || !clean(domain) {
        return Err(PeopleError::Email);
    }
    Ok(email)
}

impl People {
    /// How many accounts there are.
    pub async fn count(&self) -> Result<i64, PeopleError> {
        let rows = self.inner.database.query("SELECT COUNT(*) FROM people_users", &[]).await?;
        Ok(rows.first().map(|row| row.int(0)).transpose()?.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_in_one_form() {
        assert_eq!(normalise_email("  Ada@Example.COM ").expect("is one"), "ada@example.com");
        for bad in ["", "ada", "@example.com", "ada@", "a@b@c", "a da@example.com", "ada@exa\nmple.com"] {
            assert!(normalise_email(bad).is_err(), "{bad:?}");
        }
        assert!(normalise_email(&format!("{}@example.com", "x".repeat(250))).is_err());
    }
}
