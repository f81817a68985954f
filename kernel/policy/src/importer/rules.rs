//! Sentry's rules, built in and own, as what ours find and do.

use serde_json::Value as Json;

use super::config::Config;

/// Deepest nesting of rules that name rules.
const DEPTH_MAX: usize = 8;

/// What a rule finds.
pub(super) enum Find {
    /// Names of detectors.
    Detector(Vec<&'static str>),
    /// A regular expression.
    Pattern(String),
    /// Whatever is there.
    Whole,
}

/// A rule as ours.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) find: Find,
    pub(super) action: String,
    /// Members of these names alone.
    pub(super) below: Option<Vec<String>>,
    /// What is otherwise than there.
    pub(super) note: Option<&'static str>,
}

/// Why not, and what to do.
type Refusal = (String, &'static str);

/// Types of rules with their detectors, and what is done where a rule does not say.
const TYPES: &[(&str, &[&str], &str)] = &[
    ("creditcard", &["card"], "mask"),
    ("iban", &["iban"], "replace:[iban]"),
    ("usssn", &["ssn_us"], "mask"),
    ("email", &["email"], "replace:[email]"),
    ("ip", &["ip"], "replace:[ip]"),
    ("imei", &["imei"], "replace:[imei]"),
    ("mac", &["mac"], "replace:[mac]"),
    ("userpath", &["user_path"], "replace:[user]"),
    ("pemkey", &["private_key"], "replace:[pemkey]"),
    ("urlauth", &["url_credentials"], "replace:[auth]"),
    ("password", &["secrets:names"], "remove"),
    ("bearer", &["secrets:shapes"], "replace:Bearer [token]"),
];

/// What Sentry calls common.
const COMMON: &[&str] =
    &["ip", "email", "creditcard", "iban", "userpath", "pemkey", "urlauth", "usssn", "password", "bearer"];

/// As UUIDs are written.
const UUID: &str = r"(?i)\b[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\b";

/// Most names that are followed for one application, over all levels.
const STEPS_MAX: usize = 1000;

/// What a name in an application comes to: several for a rule that names others.
pub(super) fn resolve(config: &Config, name: &str) -> Vec<Result<Found, Refusal>> {
    let mut following = Following { config, steps: 0, found: Vec::new() };
    following.name(name, None, 0);
    following.found
}

struct Following<'a> {
    config: &'a Config,
    steps: usize,
    found: Vec<Result<Found, Refusal>>,
}

impl Following<'_> {
    fn refuse(&mut self, why: String, write: &'static str) {
        self.found.push(Err((why, write)));
    }

    fn name(&mut self, name: &str, action: Option<&str>, depth: usize) {
        self.steps += 1;
        if depth > DEPTH_MAX || self.steps == STEPS_MAX {
            return self
                .refuse(format!("`{name}` is named by rules that name rules, too deep"), "name it directly");
        }
        if self.steps > STEPS_MAX {
            return;
        }
        if let Some(built_in) = name.strip_prefix('@') {
            return built_in_rule(name, built_in, action, &mut self.found);
        }
        let config = self.config;
        let Some(rule) = config.rules.get(name) else {
            return self.refuse(format!("there is no rule `{name}`"), "define it, or leave it out");
        };
        let own = match redaction(rule, action) {
            Ok(own) => own,
            Err(refusal) => return self.found.push(Err(refusal)),
        };
        let kind = rule.get("type").and_then(Json::as_str).unwrap_or_default();
        if !matches!(kind, "multiple" | "alias") {
            return self.found.push(one(name, kind, rule, own));
        }
        let single = rule.get("rule").into_iter();
        let several = rule.get("rules").and_then(Json::as_array).into_iter().flatten();
        for inner in single.chain(several).filter_map(Json::as_str) {
            self.name(inner, own.as_deref(), depth + 1);
        }
    }
}

/// A rule that names no other.
fn one(name: &str, kind: &str, rule: &Json, own: Option<String>) -> Result<Found, Refusal> {
    match kind {
        "anything" => Ok(made(name, Find::Whole, own, "remove")),
        "uuid" => Ok(made(name, Find::Pattern(UUID.to_owned()), own, "replace:[uuid]")),
        "pattern" => pattern(name, rule, own),
        "redact_pair" | "redactPair" => pair(name, rule, own),
        kind => match TYPES.iter().find(|(own, ..)| *own == kind) {
            Some((_, detectors, usual)) => Ok(made(name, Find::Detector(detectors.to_vec()), own, usual)),
            None => Err((format!("`{name}` is of a type that is not known: {kind:?}"), "write it by hand")),
        },
    }
}

fn made(name: &str, find: Find, action: Option<String>, usual: &str) -> Found {
    // There it is a hash without a key, which whoever guesses the value undoes.
    let note = action.as_deref().filter(|action| *action == "pseudonym").map(|_| {
        "a hash becomes a code under a key of the instance: other values than before, and none that can be guessed"
    });
    let action = action.unwrap_or_else(|| usual.to_owned());
    Found { name: name.to_owned(), find, action, below: None, note }
}

/// `@email:mask`.
fn built_in_rule(name: &str, built_in: &str, action: Option<&str>, found: &mut Vec<Result<Found, Refusal>>) {
    let (kind, method) =
        built_in.split_once(':').map_or((built_in, None), |(kind, method)| (kind, Some(method)));
    let action = match method {
        None => Ok(action.map(str::to_owned)),
        // `filter` is what its authors call replacing by their usual text.
        Some("replace" | "filter") => Ok(None),
        Some("remove") => Ok(Some("remove".to_owned())),
        Some("mask") => Ok(Some("mask".to_owned())),
        Some("hash") => Ok(Some("pseudonym".to_owned())),
        Some(_) => {
            Err((format!("there is no built-in rule `{name}`"), "see the list in Sentry's documentation"))
        }
    };
    let action = match action {
        Ok(action) => action,
        Err(refusal) => return found.push(Err(refusal)),
    };
    let of = |kind: &str| TYPES.iter().find(|(own, ..)| *own == kind);
    match (kind, of(kind)) {
        ("common", _) => {
            found.extend(COMMON.iter().filter_map(|kind| of(kind)).map(|(_, detectors, usual)| {
                Ok(made(name, Find::Detector(detectors.to_vec()), action.clone(), usual))
            }))
        }
        ("anything", _) => found.push(Ok(made(name, Find::Whole, action, "replace:[Filtered]"))),
        ("uuid", _) => found.push(Ok(made(name, Find::Pattern(UUID.to_owned()), action, "replace:[uuid]"))),
        (_, Some((_, detectors, usual))) => {
            found.push(Ok(made(name, Find::Detector(detectors.to_vec()), action, usual)));
        }
        (_, None) => {
            found.push(Err((
                format!("there is no built-in rule `{name}`"),
                "see the list in Sentry's documentation",
            )));
        }
    }
}

/// What a rule says is to be done; none where it leaves that to its type.
fn redaction(rule: &Json, outer: Option<&str>) -> Result<Option<String>, Refusal> {
    let redaction = rule.get("redaction");
    let text = redaction.and_then(|redaction| redaction.get("text")).and_then(Json::as_str);
    match redaction.and_then(|redaction| redaction.get("method")).and_then(Json::as_str) {
        None | Some("default") => Ok(outer.map(str::to_owned)),
        Some("remove") => Ok(Some("remove".to_owned())),
        Some("mask") => Ok(Some("mask".to_owned())),
        Some("hash") => Ok(Some("pseudonym".to_owned())),
        Some("replace") => Ok(Some(format!("replace:{}", text.unwrap_or("[Filtered]")))),
        Some(other) => Err((format!("there is no way to redact called {other:?}"), "write the rule by hand")),
    }
}

fn pattern(name: &str, rule: &Json, action: Option<String>) -> Result<Found, Refusal> {
    let Some(pattern) = rule.get("pattern").and_then(Json::as_str).filter(|pattern| !pattern.is_empty())
    else {
        return Err((format!("`{name}` has no pattern"), "write one"));
    };
    let mut found = made(name, Find::Pattern(pattern.to_owned()), action, "replace:[Filtered]");
    let groups = rule.get("replaceGroups").or_else(|| rule.get("replace_groups")).and_then(Json::as_array);
    // The whole match is group 0.
    if groups.is_some_and(|groups| groups.iter().any(|group| group.as_u64() != Some(0))) {
        found.note = Some("it strikes groups of its match alone; here the whole match is struck");
    }
    Ok(found)
}

/// Values of members whose names match. Ours name members, so that a list of whole names can be said and no more.
fn pair(name: &str, rule: &Json, action: Option<String>) -> Result<Found, Refusal> {
    let pattern = rule.get("keyPattern").or_else(|| rule.get("key_pattern")).and_then(Json::as_str);
    let inner = pattern.map(|pattern| pattern.strip_prefix("(?i)").unwrap_or(pattern));
    let inner = inner.and_then(|pattern| pattern.strip_prefix('^')?.strip_suffix('$'));
    let inner =
        inner.map(|inner| inner.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(inner));
    let inner = inner.map(|inner| inner.strip_prefix("?:").unwrap_or(inner));
    let plain = |name: &str| {
        !name.is_empty() && name.chars().all(|sign| sign.is_alphanumeric() || matches!(sign, '_' | '-' | ' '))
    };
    match inner {
        Some(inner) if inner.split('|').all(plain) => {
            let mut found = made(name, Find::Whole, action, "remove");
            found.below = Some(inner.split('|').map(str::to_owned).collect());
            Ok(found)
        }
        _ => Err((
            format!("`{name}` looks for parts of the names of members, which a selector cannot"),
            "name the members in the selector of a rule, as in `password || 'api key'`",
        )),
    }
}
