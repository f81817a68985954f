//! The feed of versions (Atom, RFC 4287).

use super::html::escape;

/// A version of the policy.
#[derive(Debug, Clone)]
pub struct VersionEntry {
    /// The number that people are told.
    pub version: String,
    /// The fingerprint of the policy.
    pub hash: String,
    /// When it was published (RFC 3339).
    pub published: String,
    /// From which day on it is to hold.
    pub effective: Option<String>,
    /// What changed, in a few sentences of plain text.
    pub summary: String,
    /// Where it is read, below the base: `/privacy/versions/7`.
    pub path: String,
}

/// The feed, the newest version first; `base` is the origin: `https://status.example`.
pub fn feed(versions: &[VersionEntry], base: &str) -> String {
    let base = base.trim_end_matches('/');
    let author = base.split_once("://").map_or(base, |(_, host)| host);
    let mut sorted: Vec<&VersionEntry> = versions.iter().collect();
    sorted.sort_by(|one, other| other.published.cmp(&one.published));
    let updated = sorted.first().map_or("1970-01-01T00:00:00Z", |version| version.published.as_str());
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n\
         <id>{base}/privacy/feed.xml</id>\n<title>Privacy policy</title>\n<updated>{updated}</updated>\n\
         <author><name>{author}</name></author>\n\
         <link rel=\"self\" type=\"application/atom+xml\" href=\"{base}/privacy/feed.xml\"/>\n\
         <link rel=\"alternate\" type=\"text/html\" href=\"{base}/privacy\"/>\n",
        base = escape(base),
        updated = escape(updated),
        author = escape(author),
    );
    for version in sorted {
        let effective = version.effective.as_ref().map(|day| format!(" In force from {day}."));
        text.push_str(&format!(
            "<entry>\n<id>urn:sha256:{hash}</id>\n<title>Version {number}</title>\n<updated>{published}</updated>\n\
             <link rel=\"alternate\" type=\"text/html\" href=\"{base}{path}\"/>\n<summary>{summary}</summary>\n</entry>\n",
            hash = escape(&version.hash),
            number = escape(&version.version),
            published = escape(&version.published),
            base = escape(base),
            path = escape(&version.path),
            summary = escape(&format!("{}{}", version.summary, effective.unwrap_or_default())),
        ));
    }
    text.push_str("</feed>\n");
    text
}
