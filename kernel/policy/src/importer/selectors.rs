//! Sentry's selectors as ours, which are written alike.

use candor_scrub::Selector;

/// Old names for kinds of values, from before selectors had types.
const OLD_NAMES: &[(&str, &str)] = &[
    ("freeform", "$string"),
    ("text", "$string"),
    ("databag", "$object"),
    ("email", "user.email"),
    ("ip", "user.ip_address"),
];

/// The selector of ours that holds where this one does.
pub(super) fn ours(selector: &str) -> Result<String, String> {
    let known = OLD_NAMES.iter().find(|(old, _)| *old == selector).map(|(_, new)| *new);
    let selector = known.unwrap_or(selector);
    Selector::parse(selector).map_err(|error| error.to_string())?;
    Ok(selector.to_owned())
}

/// A selector narrowed to members of these names.
pub(super) fn below(at: &str, names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{}'", name.replace('\'', "''"))).collect();
    let names = match quoted.as_slice() {
        [one] => one.clone(),
        several => format!("({})", several.join(" || ")),
    };
    match at.trim() {
        "**" | "$string" => names,
        at => format!("({at}) && {names}"),
    }
}
