//! The presets: policies to build on.

use serde::Serialize;

/// A preset.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Preset {
    /// As `extends` names it.
    pub name: &'static str,
    /// What it is, in a line.
    pub what: &'static str,
    /// The file.
    #[serde(skip)]
    pub text: &'static str,
    /// The prefix of the clauses of the policy that it is modelled on; none for our own.
    pub clauses: Option<&'static str>,
    /// It builds on nothing.
    #[serde(skip)]
    pub(crate) is_root: bool,
    /// The policy that it is modelled on does not say how long data is kept: a file has to.
    #[serde(skip)]
    pub(crate) leaves_retention_open: bool,
}

/// Every preset.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "preset:default",
        what: "what a first start writes: strict, but that undeclared topics and browsers' records are taken as before",
        text: include_str!("presets/default.toml"),
        clauses: None,
        is_root: false,
        leaves_retention_open: false,
    },
    Preset {
        name: "preset:strict",
        what: "the strictest of the five on every point",
        text: include_str!("presets/strict.toml"),
        clauses: None,
        is_root: true,
        leaves_retention_open: false,
    },
    Preset {
        name: "preset:logflare",
        what: "modelled on Logflare's policy",
        text: include_str!("presets/logflare.toml"),
        clauses: Some("LF"),
        is_root: false,
        leaves_retention_open: true,
    },
    Preset {
        name: "preset:logrocket-2018",
        what: "modelled on LogRocket's policy of May 2018",
        text: include_str!("presets/logrocket-2018.toml"),
        clauses: Some("LR"),
        is_root: false,
        leaves_retention_open: false,
    },
    Preset {
        name: "preset:better-stack-2022",
        what: "modelled on Better Stack's policy of November 2022",
        text: include_str!("presets/better-stack-2022.toml"),
        clauses: Some("BS"),
        is_root: false,
        leaves_retention_open: false,
    },
    Preset {
        name: "preset:sentry-2013",
        what: "modelled on Sentry's policy of January 2013",
        text: include_str!("presets/sentry-2013.toml"),
        clauses: Some("SE"),
        is_root: false,
        leaves_retention_open: false,
    },
    Preset {
        name: "preset:confluent-2015",
        what: "modelled on Confluent's policy of December 2015",
        text: include_str!("presets/confluent-2015.toml"),
        clauses: Some("CF"),
        is_root: false,
        leaves_retention_open: false,
    },
];

/// The file of a preset: `preset:strict`, or `strict`.
pub fn preset(name: &str) -> Option<&'static str> {
    named(name).map(|preset| preset.text)
}

/// The preset of a name.
pub(crate) fn named(name: &str) -> Option<&'static Preset> {
    let name = name.strip_prefix("preset:").unwrap_or(name);
    PRESETS.iter().find(|preset| preset.name.strip_prefix("preset:") == Some(name))
}
