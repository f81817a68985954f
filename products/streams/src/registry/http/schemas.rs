//! Schemas by their ids, and what there is.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::{Book, RegistryError, Stored};
use super::Call;
use super::answer::{Answer, json, ok};
use super::body::Shown;

impl Call<'_> {
    fn by_id<'b>(&self, book: &'b Book, id: &str) -> Result<&'b Arc<Stored>, RegistryError> {
        let found = id.parse::<i32>().ok().and_then(|id| book.schema(id));
        found.ok_or_else(|| RegistryError::no_schema_id(id.escape_debug()))
    }

    /// `GET /schemas/ids/{id}`
    pub(super) fn schema_by_id(&self, id: &str) -> Answer {
        let book = self.book();
        let stored = self.by_id(&book, id)?;
        ok(&Shown::schema(stored, self.text(&book, stored)))
    }

    /// `GET /schemas/ids/{id}/schema`
    pub(super) fn schema_text_by_id(&self, id: &str) -> Answer {
        let book = self.book();
        let stored = self.by_id(&book, id)?;
        Ok(json(self.text(&book, stored)))
    }

    /// `GET /schemas/ids/{id}/subjects`
    pub(super) fn subjects_of_id(&self, id: &str) -> Answer {
        let book = self.book();
        let id = self.by_id(&book, id)?.id;
        let all: BTreeSet<&str> = book.uses(id, self.is("deleted")).map(|(subject, _)| subject).collect();
        ok(&self.page(all.into_iter().collect()))
    }

    /// `GET /schemas/ids/{id}/versions`
    pub(super) fn versions_of_id(&self, id: &str) -> Answer {
        let book = self.book();
        let id = self.by_id(&book, id)?.id;
        let all = book.uses(id, self.is("deleted"));
        let all = all
            .map(|(subject, version)| serde_json::json!({ "subject": subject, "version": version }))
            .collect();
        ok(&self.page(all))
    }

    /// `GET /schemas/guids/{guid}`
    pub(super) fn schema_by_guid(&self, guid: &str) -> Answer {
        let book = self.book();
        let stored =
            book.schema_of_guid(guid).ok_or_else(|| RegistryError::no_schema_id(guid.escape_debug()))?;
        ok(&Shown::schema(stored, self.text(&book, stored)))
    }

    /// `GET /schemas/guids/{guid}/ids`
    pub(super) fn ids_of_guid(&self, guid: &str) -> Answer {
        let book = self.book();
        let stored =
            book.schema_of_guid(guid).ok_or_else(|| RegistryError::no_schema_id(guid.escape_debug()))?;
        ok(&[serde_json::json!({ "context": ".", "id": stored.id })])
    }

    /// `GET /schemas`
    pub(super) fn schemas(&self) -> Answer {
        let book = self.book();
        let mut all = Vec::new();
        for (subject, versions) in book.subjects().filter(|(name, _)| self.begins(name, "")) {
            let seen = versions.iter().filter(|(_, of)| self.is("deleted") || !of.is_deleted);
            let mut seen: Vec<_> = seen.collect();
            if self.is("latestOnly") {
                seen = seen.split_off(seen.len().saturating_sub(1));
            }
            for (version, of) in seen {
                if let Some(stored) = book.schema(of.id) {
                    let text = self.text(&book, stored);
                    all.push(Shown::version(subject, *version, stored, text, of.is_deleted));
                }
            }
        }
        ok(&self.page(all))
    }

    /// `GET /contexts`
    pub(super) fn contexts(&self) -> Answer {
        let all = self.book().contexts();
        ok(&self.page(all.iter().map(|context| context.name()).collect()))
    }

    /// `GET /v1/metadata/id`
    pub(super) fn cluster(&self) -> Answer {
        let clusters = serde_json::json!({ "kafka-cluster": "candor", "schema-registry-cluster": "candor" });
        ok(&serde_json::json!({ "scope": { "path": [], "clusters": clusters }, "id": "" }))
    }
}
