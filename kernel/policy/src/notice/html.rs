//! The page's sentences as HTML: no script, nothing of another host, every text escaped.

use super::markdown::{class_word, figures};
use super::words::Words;
use super::{Evidence, Notice, STORED, Sentence, anchor};

impl Notice {
    /// As sections of HTML, to stand in a page.
    pub fn to_html_fragment(&self, evidence: &Evidence) -> String {
        let words = self.language.words();
        let mut html = String::new();
        for section in self.sections.iter().filter(|section| !section.sentences.is_empty()) {
            html.push_str(&format!(
                "<section id=\"{id}\">\n<h2><a href=\"#{id}\">{title}</a></h2>\n<ul>\n",
                id = section.id,
                title = escape(&section.title),
            ));
            for sentence in &section.sentences {
                html.push_str(&self::sentence(words, sentence, evidence));
            }
            html.push_str("</ul>\n</section>\n");
        }
        html.push_str(&storage(words));
        html
    }
}

fn sentence(words: &Words, sentence: &Sentence, evidence: &Evidence) -> String {
    let anchor = escape(&anchor(&sentence.id));
    let class = class_word(sentence.class);
    let mut html = format!(
        "<li id=\"{anchor}\"><p>{text}</p>\n<p class=\"marks\"><span class=\"mark {class}\" title=\"{long}\">{badge}</span>",
        text = escape(&sentence.text),
        badge = escape(words.page(class)),
        long = escape(words.page(&format!("{class}_long"))),
    );
    if !sentence.not_in_force.is_empty() {
        html.push_str(&format!(" <span class=\"mark open\">{}</span>", escape(words.page("not_in_force"))));
    }
    for figure in figures(words, sentence, evidence) {
        html.push_str(&format!(" <span class=\"figure\">{}</span>", escape(&figure)));
    }
    html.push_str(&format!(" <a class=\"key\" href=\"#{anchor}\">{}</a></p></li>\n", escape(&sentence.id)));
    html
}

/// What the program's own pages keep in a browser.
fn storage(words: &Words) -> String {
    let mut html = format!(
        "<section id=\"storage\">\n<h2><a href=\"#storage\">{}</a></h2>\n<p>{}</p>\n<div class=\"wide\"><table>\n<thead><tr>",
        escape(words.title("storage")),
        escape(words.page("storage_intro")),
    );
    for name in ["storage_name", "storage_kind", "storage_why", "storage_time"] {
        html.push_str(&format!("<th scope=\"col\">{}</th>", escape(words.page(name))));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for kept in STORED {
        let [name, rest @ ..] = kept.cells(words);
        html.push_str(&format!("<tr><th scope=\"row\"><code>{}</code></th>", escape(name)));
        for cell in rest {
            html.push_str(&format!("<td>{}</td>", escape(cell)));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n</section>\n");
    html
}

/// Text as HTML and XML show it, in attributes as well.
pub(super) fn escape(text: &str) -> String {
    let mut found = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => found.push_str("&amp;"),
            '<' => found.push_str("&lt;"),
            '>' => found.push_str("&gt;"),
            '"' => found.push_str("&quot;"),
            '\'' => found.push_str("&#39;"),
            '\n' | '\t' => found.push(letter),
            // XML has no way to write them.
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => found.push(' '),
            letter => found.push(letter),
        }
    }
    found
}
