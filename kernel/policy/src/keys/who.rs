//! Who is responsible, what is done and why: notice, controller, sites, activities, recipients, sharing.

use super::Order::{FirstIsStrictest, LessIsStricter, MoreIsStricter, Neutral, Unordered};
use super::Takes::{Date, Int, Number, Span, Term, Terms, Text, Texts, Word, Words};
use super::Vocabulary::{
    DataCategory, DataSubject, DataUse, LegalBasis, Purpose, RecipientRole, Region, Transfer,
};
use super::{Key, item, key};

/// Whether something may be done with data of persons; the strictest first.
const PERMISSION: super::Takes = Word(&["never", "with_consent", "allowed"]);

pub(super) const KEYS: &[Key] = &[
    key("candor_policy", Int(1, 1), Neutral, "the version of the language").enforced("policy::read"),
    key("extends", Text, Neutral, "the preset that this file builds on").enforced("policy::read"),
    key("without", Texts, Neutral, "items of the preset that do not hold here: recipient.aws")
        .enforced("policy::read"),
    key("data_ownership", Word(&["tenant", "vendor"]), FirstIsStrictest, "whose the data is")
        .clauses(&["LF-11"]),
    // What the notice itself says.
    key("notice.version", Text, Neutral, "the version that people are told")
        .enforced("notices::page")
        .clauses(&["LR-37"]),
    key("notice.effective", Date, Neutral, "from which day on it is to hold")
        .enforced("notices::page")
        .clauses(&["LR-37", "SE-19"]),
    key("notice.languages", Words(&["en", "de"]), Neutral, "in which languages it is published")
        .enforced("notices::page"),
    key("notice.contact", Text, Neutral, "where people write to").clauses(&["LR-36"]),
    key("notice.authority", Text, Neutral, "the supervisory authority for complaints").clauses(&["LR-36"]),
    key("controller.name", Text, Neutral, "who decides on what is collected"),
    key("controller.country", Term(Region), Neutral, "where that is"),
    key("controller.dpo", Text, Neutral, "the data protection officer's address"),
    key(
        "controller.role.{project}",
        Word(&["processor", "controller"]),
        Neutral,
        "whether a project's data is one's own or a customer's",
    )
    .clauses(&["LR-08", "LR-26", "BS-19"]),
    // Web properties.
    item("site.[name]", Neutral, "a web property: people are told apart within it alone"),
    key("site.[name].name", Text, Neutral, "its name").required().enforced("gate::site").clauses(&["LR-32"]),
    key("site.[name].origins", Texts, Neutral, "its origins: https://shop.example")
        .required()
        .enforced("gate::site")
        .clauses(&["LR-32"]),
    // What is done.
    item("activity.[id]", LessIsStricter, "what is done with records, why, and how long they are kept"),
    key("activity.[id].id", Text, Neutral, "its name").required().enforced("policy::lint"),
    key("activity.[id].title", Text, Neutral, "its heading on the page"),
    key(
        "activity.[id].signals",
        Texts,
        LessIsStricter,
        "logs, errors, spans, metrics, checks, replays, stream:NAME, stream:*",
    )
    .required()
    .enforced("gate::activity")
    .clauses(&["SE-03"]),
    key("activity.[id].subjects", Terms(DataSubject), LessIsStricter, "whom it is about").clauses(&["BS-23"]),
    key("activity.[id].data_categories", Terms(DataCategory), LessIsStricter, "what kinds of data")
        .clauses(&["LF-03", "BS-03", "SE-04", "CF-01"]),
    key("activity.[id].data_uses", Terms(DataUse), LessIsStricter, "what it is used for")
        .clauses(&["LF-06", "BS-06", "SE-05"]),
    key("activity.[id].purpose", Term(Purpose), Unordered, "why").clauses(&["BS-09"]),
    key("activity.[id].legal_basis", Term(LegalBasis), Unordered, "what allows it: eu-gdpr:A6-1-f")
        .required()
        .enforced("gate::consent")
        .clauses(&["BS-09"]),
    key("activity.[id].retention.live", Span, LessIsStricter, "how long it is kept")
        .required()
        .measured("retention")
        .clauses(&["BS-11", "BS-18", "CF-24"]),
    key("activity.[id].retention.max_lag", Span, LessIsStricter, "how much later its bytes are gone")
        .required()
        .measured("retention")
        .clauses(&["LR-24"]),
    key("activity.[id].retention.backups", Span, LessIsStricter, "how long copies are kept").required(),
    key(
        "activity.[id].retention.basis",
        Word(&["fixed", "account"]),
        FirstIsStrictest,
        "for a fixed time, or as long as an account",
    )
    .required()
    .clauses(&["CF-24"]),
    // Where it is.
    key("residency.regions", Texts, LessIsStricter, "where data is kept")
        .clauses(&["LR-28", "BS-15", "CF-22"]),
    key("residency.replicas", Texts, LessIsStricter, "where copies are kept").clauses(&["BS-15"]),
    key("residency.viewers", Terms(Region), LessIsStricter, "from where it may be read").clauses(&["LR-10"]),
    // Who gets it.
    item("recipient.[id]", LessIsStricter, "somebody else who gets data"),
    key("recipient.[id].id", Text, Neutral, "a short name").required(),
    key("recipient.[id].name", Text, Neutral, "who it is").required().clauses(&["LR-35", "BS-13"]),
    key("recipient.[id].country", Term(Region), Unordered, "where").required().clauses(&["LR-35"]),
    key("recipient.[id].role", Term(RecipientRole), Unordered, "processor, sub-processor, third party")
        .required()
        .clauses(&["LR-18"]),
    key("recipient.[id].uses", Terms(DataUse), LessIsStricter, "for what").clauses(&["CF-15"]),
    key("recipient.[id].endpoints", Texts, LessIsStricter, "the addresses that data may go to")
        .enforced("policy::egress")
        .clauses(&["LF-02", "LF-10", "LR-35"]),
    key("recipient.[id].transfer", Term(Transfer), Unordered, "what allows the transfer: eu-gdpr:A46-2-c")
        .clauses(&["BS-16"]),
    key(
        "recipient.[id].fields",
        Texts,
        LessIsStricter,
        "what of a record it gets; all of it where nothing is named",
    )
    .enforced("policy::egress")
    .clauses(&["LR-06"]),
    key("sharing.sale", PERMISSION, FirstIsStrictest, "selling data").clauses(&["LF-02", "SE-06"]),
    key("sharing.ads", PERMISSION, FirstIsStrictest, "sharing for advertisements")
        .clauses(&["SE-11", "CF-12", "CF-15"]),
    key("sharing.partners", PERMISSION, FirstIsStrictest, "sharing with partners")
        .clauses(&["LF-07", "SE-16", "CF-14"]),
    key("sharing.affiliates", PERMISSION, FirstIsStrictest, "sharing within a group of companies")
        .clauses(&["CF-13", "BS-21"]),
    key("sharing.events", PERMISSION, FirstIsStrictest, "sharing single records").clauses(&["SE-13"]),
    key("sharing.publish_support_requests", PERMISSION, FirstIsStrictest, "publishing requests for support")
        .clauses(&["LR-07", "LR-14"]),
    key("sharing.aggregates.to", Texts, LessIsStricter, "who gets sums over many people")
        .clauses(&["SE-14", "CF-18"]),
    key("sharing.aggregates.k", Int(0, 1_000_000), MoreIsStricter, "the least people behind a sum")
        .enforced("sharing::aggregates")
        .not_yet()
        .clauses(&["LF-08", "CF-18"]),
    key("sharing.aggregates.epsilon_year", Number(0.0), LessIsStricter, "the noise budget of a year")
        .enforced("sharing::aggregates")
        .not_yet()
        .clauses(&["CF-18"]),
];
