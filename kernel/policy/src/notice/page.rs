//! The whole page.

use super::feed::VersionEntry;
use super::html::escape;
use super::{Evidence, Language, Notice, anchor};

/// The page's style, for a path of its own.
pub const STYLE: &str = include_str!("page.css");

/// The style as a Content Security Policy names it: `sha256-…`.
pub fn style_hash() -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes());
    format!("sha256-{}", data_encoding::BASE64.encode(digest.as_ref()))
}

/// What a page says of itself.
#[derive(Debug, Clone, Default)]
pub struct PageContext {
    /// The fingerprint of the policy.
    pub hash: String,
    /// The number of the version, where it is not the policy's own.
    pub version: Option<String>,
    /// From when it holds, where it is not the policy's own.
    pub effective: Option<String>,
    /// The same page in other languages, each with its path.
    pub languages: Vec<(Language, String)>,
    /// The versions there are.
    pub versions: Vec<VersionEntry>,
    /// The path of the feed; none where there is none.
    pub feed: Option<String>,
    /// The path of [`STYLE`]; none to write it into the page, for a policy with [`style_hash`].
    pub style: Option<String>,
}

impl Notice {
    /// As a whole page.
    pub fn to_page(&self, context: &PageContext, evidence: &Evidence) -> String {
        let words = self.language.words();
        let title = match &self.policy.controller.name {
            Some(name) => format!("{} · {}", words.title("page"), super::say::plain(name)),
            None => words.title("page").to_owned(),
        };
        let style = match &context.style {
            Some(path) => format!("<link rel=\"stylesheet\" href=\"{}\">", escape(path)),
            None => format!("<style>{STYLE}</style>"),
        };
        let feed = context.feed.as_ref().map(|path| {
            format!("<link rel=\"alternate\" type=\"application/atom+xml\" href=\"{}\">\n", escape(path))
        });
        format!(
            "<!doctype html>\n<html lang=\"{code}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n<title>{title}</title>\n{feed}{style}\n</head>\n<body>\n<main>\n\
             <h1>{title}</h1>\n{about}{fragment}{open}{legend}{versions}</main>\n</body>\n</html>\n",
            code = self.language.code(),
            title = escape(&title),
            feed = feed.unwrap_or_default(),
            about = self.about(context),
            fragment = self.to_html_fragment(evidence),
            open = self.open(),
            legend = self.legend(),
            versions = self.versions(context),
        )
    }

    /// Version, day, fingerprint, languages.
    fn about(&self, context: &PageContext) -> String {
        let words = self.language.words();
        let own = &self.policy.notice;
        let row = |name: &str, html: &str| format!("<dt>{}</dt><dd>{html}</dd>\n", escape(words.page(name)));
        let version = context.version.as_ref().or(own.version.as_ref());
        let effective = context.effective.as_ref().or(own.effective.as_ref());
        let mut html = "<dl>\n".to_owned();
        html.push_str(&row("version", &escape(version.map_or(words.page("unversioned"), String::as_str))));
        html.push_str(&row("effective", &escape(effective.map_or(words.page("undated"), String::as_str))));
        html.push_str(&row("hash", &format!("<code>{}</code>", escape(&context.hash))));
        let links = context.languages.iter().map(|(language, path)| {
            let (code, name) = (language.code(), language.words().word(language.code()).unwrap_or_default());
            format!("<a hreflang=\"{code}\" lang=\"{code}\" href=\"{}\">{}</a>", escape(path), escape(name))
        });
        let links: Vec<String> = links.collect();
        if !links.is_empty() {
            html.push_str(&row("languages", &links.join(", ")));
        }
        if let Some(path) = &context.feed {
            html.push_str(&row("feed", &format!("<a href=\"{0}\">{0}</a>", escape(path))));
        }
        html.push_str("</dl>\n");
        html
    }

    /// What is not in force.
    fn open(&self) -> String {
        let words = self.language.words();
        let items: String = self
            .not_in_force()
            .map(|sentence| {
                format!(
                    "<li><a href=\"#{}\">{}</a></li>\n",
                    escape(&anchor(&sentence.id)),
                    escape(&sentence.text)
                )
            })
            .collect();
        let body = match items.is_empty() {
            true => format!("<p>{}</p>\n", escape(words.page("all_in_force"))),
            false => format!("<p>{}</p>\n<ul>\n{items}</ul>\n", escape(words.page("open"))),
        };
        format!("<section id=\"open\">\n<h2>{}</h2>\n{body}</section>\n", escape(words.title("open")))
    }

    /// What the marks mean.
    fn legend(&self) -> String {
        let words = self.language.words();
        let lines = ["enforced", "measured", "attested"].map(|class| {
            format!(
                "<p class=\"marks\"><span class=\"mark {class}\">{}</span> {}</p>\n",
                escape(words.page(class)),
                escape(words.page(&format!("{class}_long"))),
            )
        });
        lines.concat()
    }

    /// The versions there are, and how to compare them.
    fn versions(&self, context: &PageContext) -> String {
        if context.versions.is_empty() {
            return String::new();
        }
        let words = self.language.words();
        let items = context.versions.iter().map(|version| {
            let number = escape(&version.version);
            let day = escape(version.effective.as_ref().unwrap_or(&version.published));
            format!("<li><a href=\"{}\">{number}</a> ({day})</li>\n", escape(&version.path))
        });
        format!(
            "<section id=\"versions\">\n<h2>{}</h2>\n<p>{}</p>\n<ul>\n{}</ul>\n</section>\n",
            escape(words.page("older")),
            escape(words.page("compare")),
            items.collect::<String>(),
        )
    }
}
