//! What is struck.

use super::Order::{FirstIsStrictest, LessIsStricter, MoreIsStricter, Neutral, TrueIsStricter, Unordered};
use super::Takes::{Bool, Text, Texts, Word, Words};
use super::{Key, item, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "scrub.on_error",
        Word(&["drop_event"]),
        FirstIsStrictest,
        "what becomes of a record that a rule cannot be applied to",
    )
    .enforced("gate::scrub"),
    key("scrub.keys_too", Bool, TrueIsStricter, "whether names are looked into as well")
        .enforced("gate::scrub"),
    key(
        "scrub.decode",
        Words(&["json", "url", "base64"]),
        MoreIsStricter,
        "encodings that are looked through",
    )
    .enforced("gate::scrub"),
    item("scrub.rule.[id]", MoreIsStricter, "what is struck, where, and what takes its place"),
    key("scrub.rule.[id].id", Text, Neutral, "its name").required().enforced("gate::scrub"),
    key("scrub.rule.[id].at", Text, Unordered, "where: `**`, `extra.'free_text'`, `$user && !user.email`")
        .required()
        .enforced("gate::scrub")
        .clauses(&["SE-10", "SE-12"]),
    key("scrub.rule.[id].detect", Texts, MoreIsStricter, "what: card, iban, ssn_us, email, secrets:all, …")
        .enforced("gate::scrub")
        .clauses(&["SE-10", "SE-12", "CF-09"]),
    key("scrub.rule.[id].pattern", Text, Unordered, "a regular expression in place of a detector")
        .enforced("gate::scrub"),
    key(
        "scrub.rule.[id].action",
        Text,
        Unordered,
        "remove, replace:TEXT, mask:4, truncate:200, pseudonym, generalise, drop_field, drop_event, alert",
    )
    .required()
    .enforced("gate::scrub")
    .clauses(&["SE-10"]),
    item("scrub.allow.[at]", LessIsStricter, "where detectors find what is meant to be there"),
    key("scrub.allow.[at].at", Text, Unordered, "where").required().enforced("gate::scrub"),
    key("scrub.allow.[at].detect", Texts, LessIsStricter, "which detectors")
        .required()
        .enforced("gate::scrub"),
    key("scrub.allow.[at].reason", Text, Neutral, "why, and who looked").required(),
];
