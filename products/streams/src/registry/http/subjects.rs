//! Subjects and their versions.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::{Deleted, Registered, RegistryError, Subject};
use super::Call;
use super::answer::{Answer, Refusal, json, ok};
use super::body::Shown;
use crate::admin::acl::Operation;

/// A version as a path names it: a number, or `latest`, which is below zero.
pub(super) fn version(text: &str) -> Result<i32, RegistryError> {
    if text == "latest" || text == "-1" {
        return Ok(-1);
    }
    text.parse::<i32>().ok().filter(|version| *version > 0).ok_or_else(|| {
        RegistryError::new(
            42202,
            format!(
                "The specified version '{}' is not a valid version id. Allowed values are between [1, 2^31-1] and the \
                 string \"latest\"",
                text.escape_debug()
            ),
        )
    })
}

impl Call<'_> {
    fn how(&self) -> Deleted {
        if self.is("permanent") { Deleted::ForGood } else { Deleted::Softly }
    }

    /// `GET /subjects`
    pub(super) fn subjects(&self) -> Answer {
        let book = self.book();
        let fits = |all: &super::super::book::Versions| {
            let is_hidden = all.values().all(|of| of.is_deleted);
            if self.is("deletedOnly") { is_hidden } else { !is_hidden || self.is("deleted") }
        };
        let begins = self.begins(":*:");
        let all = book.subjects().filter(|(name, all)| fits(all) && begins.fits(name));
        // In another context's paths every context's subjects would be strange.
        let own =
            all.filter(|(name, _)| self.context.is_default() || name.starts_with(&self.context.prefix()));
        self.paged(own.map(|(name, _)| name))
    }

    /// `GET /subjects/{subject}/versions`
    pub(super) fn versions(&self, subject: &str) -> Answer {
        let (book, subject) = (self.book(), self.subject(subject)?);
        let fits = |is_deleted: bool| {
            if self.is("deletedOnly") { is_deleted } else { !is_deleted || self.is("deleted") }
        };
        let versions = book.versions(subject.full()).into_iter().flatten();
        let versions: Vec<i32> =
            versions.filter(|(_, of)| fits(of.is_deleted)).map(|(version, _)| *version).collect();
        if versions.is_empty() {
            return Err(RegistryError::no_subject(subject.full()).into());
        }
        self.paged(versions.into_iter())
    }

    /// `POST /subjects/{subject}/versions`
    pub(super) async fn register(&self, subject: &str) -> Answer {
        let subject = self.subject(subject)?;
        self.must_on(&subject, Operation::Write)?;
        let given = self.given()?;
        let Registered { version, stored } =
            self.parts.registry.register(self.caller.project, subject, given).await?;
        // Without the text: clients keep what they are answered, and have sent it in the form that they want.
        ok(&serde_json::json!({ "id": stored.id, "version": version, "guid": stored.guid() }))
    }

    /// `POST /subjects/{subject}`
    pub(super) async fn look_up(&self, subject: &str) -> Answer {
        let subject = self.subject(subject)?;
        let (registry, project) = (&self.parts.registry, self.caller.project);
        let found = registry.find(project, subject.clone(), self.given()?, self.is("deleted")).await?;
        let Registered { version, stored } = &found;
        let text = self.text(&self.book(), stored).await?;
        ok(&Shown::version(subject.full(), *version, stored, Cow::Borrowed(&text), false))
    }

    /// `GET /subjects/{subject}/versions/{version}`
    pub(super) async fn version(&self, subject: &str, version: &str) -> Answer {
        let book = self.book();
        let subject = self.subject(subject)?;
        let (version, stored) = self.one(&book, &subject, version)?;
        let of = book.versions(subject.full()).and_then(|versions| versions.get(&version));
        let is_deleted = of.is_some_and(|of| of.is_deleted);
        let text = self.text(&book, stored).await?;
        ok(&Shown::version(subject.full(), version, stored, Cow::Borrowed(&text), is_deleted))
    }

    /// `GET /subjects/{subject}/versions/{version}/schema`
    pub(super) async fn version_text(&self, subject: &str, version: &str) -> Answer {
        let book = self.book();
        let subject = self.subject(subject)?;
        let (_, stored) = self.one(&book, &subject, version)?;
        Ok(json(self.text(&book, stored).await?.to_string()))
    }

    fn one<'b>(
        &self,
        book: &'b super::super::Book,
        subject: &Subject,
        text: &str,
    ) -> Result<(i32, &'b Arc<super::super::Stored>), Refusal> {
        let number = version(text)?;
        let hidden_too = self.is("deleted");
        let is_there = book
            .versions(subject.full())
            .is_some_and(|versions| versions.values().any(|of| hidden_too || !of.is_deleted));
        if !is_there {
            return Err(RegistryError::no_subject(subject.full()).into());
        }
        let found = book.version(subject.full(), number, hidden_too);
        let (number, stored) = found.ok_or_else(|| RegistryError::no_version(number))?;
        Ok((number, stored))
    }

    /// `GET /subjects/{subject}/versions/{version}/referencedby`
    pub(super) fn referenced_by(&self, subject: &str, version: &str) -> Answer {
        let book = self.book();
        let subject = self.subject(subject)?;
        let (version, _) = self.one(&book, &subject, version)?;
        let ids: BTreeSet<i32> =
            book.referenced_by(subject.full(), version, self.is("deleted")).into_iter().collect();
        ok(&ids)
    }

    /// `DELETE /subjects/{subject}`
    pub(super) async fn delete_subject(&self, subject: &str) -> Answer {
        let subject = self.subject(subject)?;
        self.must_on(&subject, Operation::Delete)?;
        ok(&self.parts.registry.delete_subject(self.caller.project, subject, self.how()).await?)
    }

    /// `DELETE /subjects/{subject}/versions/{version}`
    pub(super) async fn delete_version(&self, subject: &str, text: &str) -> Answer {
        let subject = self.subject(subject)?;
        self.must_on(&subject, Operation::Delete)?;
        let version = version(text)?;
        let registry = &self.parts.registry;
        ok(&registry.delete_version(self.caller.project, subject, version, self.how()).await?)
    }

    /// `POST /compatibility/subjects/{subject}/versions[/{version}]`
    pub(super) async fn compare(&self, subject: &str, text: Option<&str>) -> Answer {
        let subject = self.subject(subject)?;
        let version = text.map(version).transpose()?;
        let registry = &self.parts.registry;
        let found = registry.compare(self.caller.project, subject, self.given()?, version).await?;
        let is_compatible = found.is_empty();
        match self.is("verbose") {
            true => ok(&serde_json::json!({ "is_compatible": is_compatible, "messages": found })),
            false => ok(&serde_json::json!({ "is_compatible": is_compatible })),
        }
    }
}
