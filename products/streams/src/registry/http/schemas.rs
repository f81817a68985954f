//! Schemas by their ids, and what there is.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::{Book, RegistryError, Stored};
use super::Call;
use super::answer::{Answer, json, list, ok};
use super::body::{Begins, Part, Shown, text_of};

/// What a list of schemas shall have.
pub(super) struct Wanted {
    pub subjects: Begins,
    pub hidden_too: bool,
    /// Of each subject its latest version alone.
    pub latest_only: bool,
    pub part: Part,
    pub descriptors: bool,
}

impl Wanted {
    /// The list, as text: what is not in the part that is wanted is not looked at.
    pub(super) fn listed(&self, book: &Book) -> Result<String, RegistryError> {
        let seen = book.subjects().filter(|(name, _)| self.subjects.fits(name)).flat_map(|(subject, all)| {
            let seen = all.iter().filter(|(_, of)| self.hidden_too || !of.is_deleted);
            let most = if self.latest_only { 1 } else { usize::MAX };
            let first = seen.clone().count().saturating_sub(most);
            seen.skip(first).map(move |(version, of)| (subject, *version, of))
        });
        let seen =
            seen.filter_map(|(subject, version, of)| Some((subject, version, of, book.schema(of.id)?)));
        list(self.part.of(seen).map(|(subject, version, of, stored)| {
            let text = text_of(book, stored, self.descriptors);
            Shown::version(subject, version, stored, text, of.is_deleted)
        }))
    }
}

impl Call<'_> {
    fn by_id<'b>(&self, book: &'b Book, id: &str) -> Result<&'b Arc<Stored>, RegistryError> {
        let found = id.parse::<i32>().ok().and_then(|id| book.schema(id));
        found.ok_or_else(|| RegistryError::no_schema_id(id.escape_debug()))
    }

    /// `GET /schemas/ids/{id}`
    pub(super) async fn schema_by_id(&self, id: &str) -> Answer {
        let book = self.book();
        let stored = self.by_id(&book, id)?;
        let text = self.text(&book, stored).await?;
        ok(&Shown::schema(stored, Cow::Borrowed(&text)))
    }

    /// `GET /schemas/ids/{id}/schema`
    pub(super) async fn schema_text_by_id(&self, id: &str) -> Answer {
        let book = self.book();
        let stored = self.by_id(&book, id)?;
        Ok(json(self.text(&book, stored).await?.to_string()))
    }

    /// `GET /schemas/ids/{id}/subjects`
    pub(super) fn subjects_of_id(&self, id: &str) -> Answer {
        let book = self.book();
        let id = self.by_id(&book, id)?.id;
        let all: BTreeSet<&str> = book.uses(id, self.is("deleted")).map(|(subject, _)| subject).collect();
        self.paged(all.into_iter())
    }

    /// `GET /schemas/ids/{id}/versions`
    pub(super) fn versions_of_id(&self, id: &str) -> Answer {
        let book = self.book();
        let id = self.by_id(&book, id)?.id;
        let all = book.uses(id, self.is("deleted"));
        self.paged(
            all.map(|(subject, version)| serde_json::json!({ "subject": subject, "version": version })),
        )
    }

    /// `GET /schemas/guids/{guid}`
    pub(super) async fn schema_by_guid(&self, guid: &str) -> Answer {
        let book = self.book();
        let stored =
            book.schema_of_guid(guid).ok_or_else(|| RegistryError::no_schema_id(guid.escape_debug()))?;
        let text = self.text(&book, stored).await?;
        ok(&Shown::schema(stored, Cow::Borrowed(&text)))
    }

    /// `GET /schemas/guids/{guid}/ids`
    pub(super) fn ids_of_guid(&self, guid: &str) -> Answer {
        let book = self.book();
        let stored =
            book.schema_of_guid(guid).ok_or_else(|| RegistryError::no_schema_id(guid.escape_debug()))?;
        ok(&[serde_json::json!({ "context": ".", "id": stored.id })])
    }

    /// `GET /schemas`
    pub(super) async fn schemas(&self) -> Answer {
        let wanted = Wanted {
            subjects: self.begins(""),
            hidden_too: self.is("deleted"),
            latest_only: self.is("latestOnly"),
            part: self.part(),
            descriptors: self.wants_descriptors(),
        };
        Ok(json(self.parts.registry.aside(&self.book(), move |book| wanted.listed(book)).await?))
    }

    /// `GET /contexts`
    pub(super) fn contexts(&self) -> Answer {
        let all = self.book().contexts();
        self.paged(all.iter().map(|context| context.name()))
    }

    /// `GET /v1/metadata/id`
    pub(super) fn cluster(&self) -> Answer {
        let clusters = serde_json::json!({ "kafka-cluster": "candor", "schema-registry-cluster": "candor" });
        ok(&serde_json::json!({ "scope": { "path": [], "clusters": clusters }, "id": "" }))
    }
}
