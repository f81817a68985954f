//! The page that people read.

use candor_policy::keys::{self, Class};
use candor_policy::notice::{
    Evidence, Figure, Language, PageContext, STYLE, SentenceChangeKind, VersionEntry, compare, compile, feed,
    gpc, record_of_processing, style_hash, subprocessors,
};
use candor_policy::{ChangeClass, Policy, read};
use expect_test::{expect, expect_file};

use crate::files::{SHOP, WHOLE};

/// Keys whose features are not built. It shrinks as they are: nothing is ever added to it.
const NOT_IN_FORCE: &[&str] = &[
    "sharing.aggregates.k",
    "sharing.aggregates.epsilon_year",
    "collect.unknown_fields.replays",
    "collect.replay.text",
    "collect.replay.inputs",
    "collect.replay.media",
    "collect.replay.request_headers",
    "collect.replay.bodies",
    "collect.replay.console",
    "collect.replay.canvas",
    "rights.erasure.hide",
    "rights.erasure.keys",
    "rights.erasure.live",
    "rights.erasure.backups",
    "rights.erasure.receipt",
    "governance.security.second_factor",
];

fn policy(text: &str) -> Policy {
    read("policy.toml", text).unwrap_or_else(|faults| panic!("{faults:?}")).policy
}

fn preset(name: &str) -> Policy {
    policy(&format!("candor_policy = 1\nextends = \"preset:{name}\"\n"))
}

fn context() -> PageContext {
    PageContext {
        hash: "ab12".to_owned(),
        languages: vec![
            (Language::En, "/privacy".to_owned()),
            (Language::De, "/privacy?language=de".to_owned()),
        ],
        versions: vec![version("1", "2026-11-20T09:00:00Z")],
        feed: Some("/privacy/feed.xml".to_owned()),
        ..PageContext::default()
    }
}

fn version(number: &str, published: &str) -> VersionEntry {
    VersionEntry {
        version: number.to_owned(),
        hash: format!("{number}f"),
        published: published.to_owned(),
        effective: Some("2026-12-01".to_owned()),
        summary: "Logs are kept <shorter> & safer.".to_owned(),
        path: format!("/privacy/versions/{number}"),
    }
}

#[test]
fn what_is_not_in_force_is_on_the_list() {
    let open: Vec<&str> = keys::not_in_force().map(|key| key.path).collect();
    assert_eq!(open, NOT_IN_FORCE);
    assert_eq!(keys::VALUES_NOT_IN_FORCE, [("consent.children.below", "erase")]);
}

/// What is enforced or measured says by what.
#[test]
fn every_key_that_is_not_a_promise_names_what_stands_behind_it() {
    for key in keys::all() {
        assert_eq!(key.class == Class::Attested, key.by.is_empty(), "{}", key.path);
    }
}

#[test]
fn the_pages_of_the_presets_read_like_this() {
    for (name, file) in
        [("default", expect_file!["../pages/default.md"]), ("strict", expect_file!["../pages/strict.md"])]
    {
        let policy = preset(name);
        let texts = Language::ALL.map(|language| compile(&policy, language).to_markdown(&Evidence::new()));
        file.assert_eq(&texts.join("\n"));
    }
    let whole = Language::ALL.map(|language| compile(&policy(WHOLE), language).to_markdown(&Evidence::new()));
    expect_file!["../pages/whole.md"].assert_eq(&whole.join("\n"));
    let page = compile(&preset("strict"), Language::En).to_page(&context(), &Evidence::new());
    expect_file!["../pages/strict.html"].assert_eq(&page);
}

/// No sentence has a hole, says what no page may say, or runs another's text as its own.
#[test]
fn every_preset_has_a_page() {
    for preset in candor_policy::PRESETS {
        if preset.name == "preset:logflare" {
            continue;
        }
        let policy = policy(&format!("candor_policy = 1\nextends = \"{}\"\n", preset.name));
        for language in Language::ALL {
            let notice = compile(&policy, language);
            assert!(
                notice
                    .sections
                    .iter()
                    .all(|section| !section.sentences.is_empty() && !section.title.is_empty())
            );
            let mut seen = std::collections::BTreeSet::new();
            for sentence in notice.sentences() {
                let text = &sentence.text;
                assert!(seen.insert(&sentence.id), "{}", sentence.id);
                assert!(!sentence.keys.is_empty(), "{}", sentence.id);
                assert!(!text.contains(['{', '}']) && text.ends_with('.') && !text.contains("  "), "{text}");
                assert!(!text.contains(": .") && !text.contains(" .") && !text.contains("()"), "{text}");
                let low = text.to_lowercase();
                for claim in ["compliant", "konform", "anonymous", "anonym"] {
                    assert!(!low.contains(claim), "{text}");
                }
            }
            let page = notice.to_page(&context(), &Evidence::new());
            for foreign in ["<script", "javascript:", "src=", "http://", "https://", " onclick", " style="] {
                assert!(!page.contains(foreign), "{foreign}");
            }
        }
    }
}

/// A signal that is ignored is said to be.
#[test]
fn ignored_signals_are_told() {
    let text = |name: &str| compile(&preset(name), Language::En).to_markdown(&Evidence::new());
    assert!(text("confluent-2015").contains("We ignore the signal Do Not Track"));
    assert!(text("confluent-2015").contains("We ignore the signal Global Privacy Control"));
    assert!(!text("strict").contains("We ignore"));
    assert_eq!(gpc(&preset("confluent-2015"), "2026-12-01")["gpc"], false);
    expect![[r#"{"gpc":true,"lastUpdate":"2026-12-01"}"#]]
        .assert_eq(&gpc(&preset("strict"), "2026-12-01").to_string());
}

#[test]
fn names_are_text_and_never_markup() {
    let hostile = "<img src=x onerror=alert(1)>\\u202e*_[a](//b.example)|`'&\\\"";
    let text = SHOP
        .replace("\"The Shop\"", &format!("\"{hostile}\""))
        .replace("\"PagerCo\"", &format!("\"{hostile}\""))
        .replace("title = \"Faults\"", &format!("title = \"{hostile}\""));
    let policy = policy(&text);
    let notice = compile(&policy, Language::En);
    let page = notice.to_page(&context(), &Evidence::new());
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt; *_[a](//b.example)|`&#39;&amp;&quot;"));
    assert!(!page.contains("<img") && !page.contains('\u{202e}'));
    let markdown = notice.to_markdown(&Evidence::new());
    assert!(
        markdown.contains("\\<img src=x onerror=alert(1)\\> \\*\\_\\[a\\](//b.example)\\|\\`'\\&\""),
        "{markdown}"
    );
    assert!(!markdown.replace("\\<", "").contains('<'));
    let text = feed(&[version("<1>", "2026-11-20T09:00:00Z")], "https://a.example/<x>");
    assert!(!text.contains("<1>") && !text.contains("<x>") && !text.contains("<shorter>"));
}

#[test]
fn figures_stand_beside_their_sentences() {
    let notice = compile(&preset("strict"), Language::En);
    let mut evidence = Evidence::new();
    let open = notice.to_html_fragment(&evidence);
    let measured = notice.sentences().filter(|sentence| sentence.class == Class::Measured).count();
    assert!(measured >= 6);
    assert_eq!(open.matches("not measured yet").count(), measured);
    let figure = Figure {
        text: "oldest row 29 d".to_owned(),
        number: Some(29.0),
        at: "03:00".to_owned(),
        ledger: Some(48_211),
    };
    evidence.insert("activity.errors.retention.live", figure);
    let told = notice.to_html_fragment(&evidence);
    assert!(told.contains("oldest row 29 d (03:00, ledger entry 48211)"));
    assert_eq!(told.matches("not measured yet").count(), measured - 1);
    let json = notice.to_json(&evidence);
    assert!(json.to_string().contains("\"ledger\":48211"));
}

#[test]
fn two_versions_are_compared_by_their_sentences() {
    let old = policy(SHOP);
    let new =
        policy(&SHOP.replace("live = \"14d\"", "live = \"7d\"").replace("id = \"pager\"", "id = \"paging\""));
    for language in Language::ALL {
        let (old, new) = (compile(&old, language), compile(&new, language));
        let changes = compare(&old, &new);
        let live =
            changes.iter().find(|change| change.id == "activity.faults.retention.live").expect("is there");
        assert_eq!(live.kind, SentenceChangeKind::Changed);
        assert_eq!(live.keys, [("activity.faults.retention.live".to_owned(), ChangeClass::Tightening)]);
        let kinds =
            |kind| changes.iter().filter(move |change| change.kind == kind).map(|change| change.id.as_str());
        assert!(kinds(SentenceChangeKind::Added).all(|id| id.starts_with("recipient.paging.")));
        assert!(kinds(SentenceChangeKind::Removed).all(|id| id.starts_with("recipient.pager.")));
        assert_eq!(kinds(SentenceChangeKind::Added).count(), kinds(SentenceChangeKind::Removed).count());
        assert!(changes.iter().all(|change| !change.keys.is_empty()));
        assert_eq!(compare(&old, &old), []);
    }
}

#[test]
fn records_for_machines() {
    let policy = policy(SHOP);
    let record = serde_json::to_string_pretty(&record_of_processing(&policy)).expect("is JSON");
    expect_file!["../pages/shop.ropa.json"].assert_eq(&record);
    let others = subprocessors(&policy);
    assert_eq!(others["subprocessors"][0]["name"], "PagerCo");
    assert_eq!(others["subprocessors"][0]["inEea"], false);
    let text = feed(
        &[version("1", "2026-11-20T09:00:00Z"), version("2", "2026-11-22T09:00:00Z")],
        "https://status.example/",
    );
    expect_file!["../pages/feed.atom"].assert_eq(&text);
}

/// The style that a page carries is the one that its policy names.
#[test]
fn the_style_has_its_hash() {
    let page = compile(&preset("strict"), Language::De).to_page(&context(), &Evidence::new());
    assert!(page.contains(&format!("<style>{STYLE}</style>")));
    assert!(page.contains("<html lang=\"de\">"));
    assert!(style_hash().starts_with("sha256-") && style_hash().len() == 51);
    let apart = PageContext { style: Some("/privacy/style.css".to_owned()), ..context() };
    let page = compile(&preset("strict"), Language::De).to_page(&apart, &Evidence::new());
    assert!(!page.contains("<style") && page.contains("href=\"/privacy/style.css\""));
}
