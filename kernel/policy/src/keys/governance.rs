//! How the house is run.

use super::Order::{FalseIsStricter, FirstIsStrictest, LessIsStricter, MoreIsStricter, TrueIsStricter};
use super::Takes::{Bool, Int, Texts, Word, Words};
use super::{Key, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "governance.legal_requests.approvers",
        Int(0, 9),
        MoreIsStricter,
        "how many approve a disclosure to authorities",
    )
    .clauses(&["LF-12", "CF-17"]),
    key(
        "governance.legal_requests.notify_subject",
        Word(&["unless_gagged", "never"]),
        FirstIsStrictest,
        "whether the person is told",
    )
    .clauses(&["BS-14"]),
    key(
        "governance.legal_requests.report",
        Word(&["yearly", "never"]),
        FirstIsStrictest,
        "whether there is a report",
    ),
    key("governance.breach.authority_hours", Int(1, 8760), LessIsStricter, "by when the authority is told")
        .clauses(&["BS-29"]),
    key(
        "governance.breach.processor_to_controller_hours",
        Int(1, 8760),
        LessIsStricter,
        "by when a customer is told",
    ),
    key(
        "governance.breach.subjects",
        Word(&["always", "high_risk"]),
        FirstIsStrictest,
        "which people are told",
    )
    .clauses(&["BS-29", "CF-23"]),
    key(
        "governance.changes.notice",
        Words(&["email", "banner", "feed", "page"]),
        MoreIsStricter,
        "how changes are announced",
    )
    .clauses(&["LF-14", "LR-37", "SE-19", "CF-26"]),
    key(
        "governance.changes.prior_days",
        Int(0, 365),
        MoreIsStricter,
        "days between the announcement of a change that loosens and its beginning",
    )
    .enforced("notices::apply")
    .clauses(&["LF-14", "BS-01", "LR-11", "CF-26"]),
    key(
        "governance.changes.subprocessor_days",
        Int(0, 365),
        MoreIsStricter,
        "the same for somebody else who gets data",
    )
    .enforced("notices::apply")
    .clauses(&["BS-13"]),
    key(
        "governance.changes.loosening_applies_to",
        Word(&["new_data"]),
        FirstIsStrictest,
        "what a loosened rule holds for",
    )
    .enforced("gate::epochs")
    .clauses(&["LF-14"]),
    key(
        "governance.transfer_of_control.notice_days",
        Int(0, 365),
        MoreIsStricter,
        "days before data goes to a new owner",
    )
    .clauses(&["LF-13", "LR-16", "BS-17", "CF-16"]),
    key(
        "governance.transfer_of_control.choices",
        Words(&["export", "erase"]),
        MoreIsStricter,
        "what people may choose then",
    )
    .clauses(&["BS-17"]),
    key("governance.reads.ledger", Bool, TrueIsStricter, "whether reads of personal data are on record")
        .enforced("books::note")
        .clauses(&["LR-09", "BS-12"]),
    key(
        "governance.reads.reveal_needs_reason",
        Bool,
        TrueIsStricter,
        "whether showing a value takes a reason",
    )
    .enforced("api::ledger::reveal")
    .clauses(&["LR-09"]),
    key(
        "governance.reads.roles.{role}",
        Word(&["tokens", "reveal", "all"]),
        FirstIsStrictest,
        "what a role sees of people",
    )
    .enforced("people::access")
    .clauses(&["LR-09", "BS-12", "SE-02"]),
    key(
        "governance.telemetry.self",
        Word(&["off"]),
        FirstIsStrictest,
        "what the program itself reports to its makers",
    )
    .enforced("candor")
    .clauses(&["CF-11"]),
    key(
        "governance.telemetry.email_open_tracking",
        Bool,
        FalseIsStricter,
        "whether mails tell that they were opened",
    )
    .enforced("policy::lint")
    .clauses(&["CF-06"]),
    key("governance.telemetry.third_party_embeds", Texts, LessIsStricter, "what of others pages load")
        .enforced("policy::lint")
        .clauses(&["CF-07", "SE-15"]),
    key(
        "governance.security.tls",
        Word(&["required", "optional"]),
        FirstIsStrictest,
        "encryption on the way",
    )
    .clauses(&["LR-15", "BS-28"]),
    key(
        "governance.security.second_factor",
        Word(&["required", "optional"]),
        FirstIsStrictest,
        "a second factor at sign-in",
    )
    .enforced("people::second_factor")
    .not_yet()
    .clauses(&["LR-15"]),
    key(
        "governance.security.at_rest",
        Word(&["per_file_keys", "off"]),
        FirstIsStrictest,
        "encryption on the disk",
    )
    .enforced("store::frames")
    .clauses(&["BS-28", "SE-09"]),
];

/// Nothing of this section is neutral: how a house is run is a promise.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_an_order() {
        assert!(KEYS.iter().all(|key| key.order != super::super::Order::Neutral));
    }
}
