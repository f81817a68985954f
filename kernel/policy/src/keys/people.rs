//! Who a record is about, and the rights of those people.

use super::Order::{FalseIsStricter, FirstIsStrictest, LessIsStricter, Neutral, TrueIsStricter, Unordered};
use super::Takes::{Bool, Span, Word, Words};
use super::{Key, key};

const IDENTIFIERS: super::Takes =
    Words(&["user.id", "user.email", "user.name", "device.id", "session.id", "replay.id"]);

pub(super) const KEYS: &[Key] = &[
    key("identity.keys", IDENTIFIERS, Unordered, "which fields make a person's code")
        .enforced("gate::identity")
        .clauses(&["CF-04"]),
    key("identity.ip_is_identity", Bool, FalseIsStricter, "whether an address makes a code")
        .enforced("policy::lint")
        .clauses(&["BS-05", "CF-05"]),
    key("identity.pseudonym.alg", Word(&["hmac-sha256"]), FirstIsStrictest, "how codes are made")
        .enforced("keyring::codes"),
    key(
        "identity.pseudonym.scope",
        Word(&["site", "project"]),
        FirstIsStrictest,
        "within what a code is the same",
    )
    .enforced("keyring::codes")
    .clauses(&["LR-32"]),
    key(
        "identity.pseudonym.vault",
        Word(&["none", "per_subject_key"]),
        FirstIsStrictest,
        "where the values go",
    )
    .enforced("gate::identity")
    .clauses(&["SE-09"]),
    key("identity.cross_domain", Word(&["forbid"]), FirstIsStrictest, "finding one person on several sites")
        .enforced("keyring::codes")
        .clauses(&["LR-32", "LR-33"]),
    key(
        "identity.technical_to_identity",
        Word(&["forbid", "allow"]),
        FirstIsStrictest,
        "finding a person by technical data",
    )
    .enforced("gate::identity")
    .clauses(&["BS-05", "LR-04"]),
    // Rights.
    key("rights.deadline.default", Span, LessIsStricter, "by when a request is answered").clauses(&["LR-27"]),
    key("rights.deadline.{region}", Span, LessIsStricter, "the same of a region").clauses(&["BS-22"]),
    key("rights.ack", Span, LessIsStricter, "by when a request is confirmed"),
    key(
        "rights.verify",
        Words(&["email_link", "controller_jwt"]),
        Unordered,
        "how people prove who they are",
    )
    .clauses(&["LR-21", "BS-27"]),
    key(
        "rights.refuse_codes",
        Words(&[
            "manifestly_unfounded",
            "legal_claims",
            "identity_failed",
            "freedom_of_expression",
            "public_interest",
        ]),
        LessIsStricter,
        "why a request may be refused",
    )
    .clauses(&["LR-20", "LR-22", "LR-25", "BS-24"]),
    key("rights.access.format", Words(&["json-ld", "html", "ndjson"]), Neutral, "how a copy is given")
        .clauses(&["LR-19", "BS-23"]),
    key("rights.access.include_access_log", Bool, TrueIsStricter, "whether it says who read it"),
    key(
        "rights.rectification",
        Word(&["self_service", "on_request"]),
        FirstIsStrictest,
        "how data is put right",
    )
    .clauses(&["SE-17"]),
    key("rights.restriction", Word(&["store_only", "none"]), FirstIsStrictest, "what a restriction does")
        .clauses(&["LR-17", "BS-25"]),
    key("rights.erasure.hide", Span, LessIsStricter, "by when erased data is hidden")
        .enforced("rights::erasure")
        .not_yet(),
    key("rights.erasure.keys", Span, LessIsStricter, "by when its keys are destroyed")
        .enforced("rights::erasure")
        .not_yet(),
    key("rights.erasure.live", Span, LessIsStricter, "by when its bytes are gone")
        .measured("erasure")
        .not_yet(),
    key("rights.erasure.backups", Word(&["shred", "exempt"]), FirstIsStrictest, "whether copies go, too")
        .enforced("rights::erasure")
        .not_yet()
        .clauses(&["LR-22"]),
    key("rights.erasure.receipt", Word(&["signed", "none"]), FirstIsStrictest, "what is given as a proof")
        .enforced("rights::erasure")
        .not_yet(),
];
