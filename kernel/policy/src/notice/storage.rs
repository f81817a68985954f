//! What this program's own pages keep in a browser.

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::words::Words;

/// Something that is kept in a browser.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Kept {
    /// Its name, or how its name begins.
    pub name: &'static str,
    /// `cookie`, `local` or `session`.
    pub kind: &'static str,
    #[serde(skip)]
    why: &'static str,
    #[serde(skip)]
    time: &'static str,
}

/// All of it.
pub const STORED: &[Kept] = &[
    Kept { name: "candor_session", kind: "cookie", why: "candor_session", time: "candor_session_time" },
    Kept { name: "theme", kind: "local", why: "theme", time: "kept" },
    Kept { name: "rail", kind: "local", why: "rail", time: "kept" },
    Kept { name: "zone", kind: "local", why: "zone", time: "kept" },
    Kept { name: "policy …", kind: "session", why: "draft", time: "tab" },
];

impl Kept {
    /// Its cells: name, kind, what for, how long.
    pub(super) fn cells(self, words: &Words) -> [&str; 4] {
        [self.name, words.page(self.kind), words.storage(self.why), words.storage(self.time)]
    }
}

pub(super) fn table(words: &Words) -> Json {
    let rows = STORED.iter().map(|kept| {
        let [name, kind, why, time] = kept.cells(words);
        json!({ "name": name, "kind": kind, "why": why, "time": time })
    });
    Json::Array(rows.collect())
}
