//! What is collected.

use super::Order::{
    FalseIsStricter, FirstIsStrictest, LessIsStricter, MoreIsStricter, TrueIsStricter, Unordered,
};
use super::Takes::{Bool, Int, Terms, Text, Texts, Word, Words};
use super::Vocabulary::Region;
use super::{Key, item, key};

const UNKNOWN: super::Takes = Word(&["drop", "scrub"]);
const CONSENT: super::Takes = Word(&["opt_in", "opt_out", "implied"]);
const SWITCHES: super::Takes = Words(&["no_share", "no_replay", "no_id"]);

pub(super) const KEYS: &[Key] = &[
    key(
        "collect.unknown_fields.default",
        UNKNOWN,
        FirstIsStrictest,
        "what becomes of fields that are not declared",
    )
    .enforced("gate::unknown_fields")
    .clauses(&["LF-05", "LR-05", "BS-04"]),
    key("collect.unknown_fields.logs", UNKNOWN, FirstIsStrictest, "the same of log records")
        .enforced("gate::unknown_fields")
        .clauses(&["LF-05", "LR-05"]),
    key("collect.unknown_fields.errors", UNKNOWN, FirstIsStrictest, "the same of error events")
        .enforced("gate::unknown_fields")
        .clauses(&["LF-05", "LR-05"]),
    key("collect.unknown_fields.spans", UNKNOWN, FirstIsStrictest, "the same of spans")
        .enforced("gate::unknown_fields")
        .clauses(&["LF-05", "LR-05"]),
    key("collect.unknown_fields.replays", UNKNOWN, FirstIsStrictest, "the same of recordings")
        .enforced("sessions")
        .not_yet(),
    key(
        "collect.unknown_fields.user_traits",
        UNKNOWN,
        FirstIsStrictest,
        "what is said of a user beside who it is",
    )
    .enforced("gate::identity")
    .clauses(&["LF-01", "LR-33"]),
    key(
        "collect.fields.{signal}",
        Texts,
        LessIsStricter,
        "fields that are declared beside the documented ones",
    )
    .enforced("gate::unknown_fields")
    .clauses(&["LR-05"]),
    key(
        "collect.enrichment",
        Texts,
        LessIsStricter,
        "sources that records are completed from; there are none",
    )
    .enforced("policy::lint")
    .clauses(&["SE-01", "CF-02"]),
    key(
        "collect.ip.action",
        Word(&["drop", "generalise", "vault"]),
        FirstIsStrictest,
        "what becomes of addresses of people's machines",
    )
    .enforced("gate::collect::ip")
    .clauses(&["LF-01", "CF-05", "CF-10"]),
    key("collect.ip.v4", Int(0, 32), LessIsStricter, "how many bits of an IPv4 address stay")
        .enforced("gate::collect::ip")
        .clauses(&["CF-10"]),
    key("collect.ip.v6", Int(0, 128), LessIsStricter, "how many bits of an IPv6 address stay")
        .enforced("gate::collect::ip")
        .clauses(&["CF-10"]),
    key(
        "collect.ip.derive",
        Words(&["country"]),
        LessIsStricter,
        "what is kept in its place, where the sender states it",
    )
    .enforced("gate::collect::ip")
    .clauses(&["CF-10"]),
    key(
        "collect.user_agent",
        Word(&["drop", "family_only", "keep"]),
        FirstIsStrictest,
        "what stays of a browser's name",
    )
    .enforced("gate::collect::user_agent")
    .clauses(&["BS-04"]),
    key(
        "collect.location",
        Word(&["drop", "country", "coarse", "keep"]),
        FirstIsStrictest,
        "what stays of a place",
    )
    .enforced("gate::collect::location")
    .clauses(&["CF-09"]),
    key(
        "collect.device_ids",
        Word(&["drop", "pseudonym", "keep"]),
        FirstIsStrictest,
        "what stays of a device's number",
    )
    .enforced("gate::collect::device")
    .clauses(&["CF-09"]),
    key("collect.replay.text", Word(&["mask", "keep"]), FirstIsStrictest, "text of recorded pages")
        .enforced("sessions")
        .not_yet()
        .clauses(&["LR-02", "LR-03"]),
    key("collect.replay.inputs", Word(&["never", "allow_listed"]), FirstIsStrictest, "what people type")
        .enforced("sessions")
        .not_yet()
        .clauses(&["LR-02", "LR-03"]),
    key("collect.replay.media", Word(&["block", "keep"]), FirstIsStrictest, "pictures and videos")
        .enforced("sessions")
        .not_yet()
        .clauses(&["LR-02"]),
    key("collect.replay.request_headers", Texts, LessIsStricter, "headers of requests")
        .enforced("sessions")
        .not_yet()
        .clauses(&["LR-02"]),
    key("collect.replay.bodies", Word(&["off", "scrub"]), FirstIsStrictest, "bodies of requests")
        .enforced("sessions")
        .not_yet()
        .clauses(&["LR-02"]),
    key("collect.replay.console", Word(&["off", "scrub"]), FirstIsStrictest, "the console")
        .enforced("sessions")
        .not_yet()
        .clauses(&["LR-02"]),
    key("collect.replay.canvas", Word(&["off", "on"]), FirstIsStrictest, "canvases")
        .enforced("sessions")
        .not_yet()
        .clauses(&["LR-02"]),
    item(
        "collect.streams.{topic}",
        super::Order::Neutral,
        "a Kafka topic; `*` is every topic without an entry",
    ),
    key(
        "collect.streams.{topic}.opaque",
        Word(&["reject", "allow"]),
        FirstIsStrictest,
        "whether values that cannot be opened are taken",
    )
    .enforced("gate::streams"),
    key(
        "collect.streams.{topic}.values",
        Word(&["auto", "json", "text", "schema", "opaque"]),
        Unordered,
        "how values are opened",
    )
    .enforced("gate::streams"),
    key(
        "collect.streams.{topic}.subject_key",
        Text,
        Unordered,
        "where a value names its person: $.customer.id",
    )
    .enforced("gate::streams"),
    // Consent.
    key("consent.mode.default", CONSENT, FirstIsStrictest, "how people agree where no region says otherwise")
        .enforced("gate::consent")
        .clauses(&["LR-01", "LR-12", "SE-18"]),
    key("consent.mode.{region}", CONSENT, FirstIsStrictest, "how people of a region agree")
        .enforced("gate::consent")
        .clauses(&["LR-12"]),
    key(
        "consent.no_cookie",
        Word(&["anonymous", "identified"]),
        FirstIsStrictest,
        "people who turned cookies off",
    )
    .enforced("gate::consent")
    .clauses(&["LR-31", "BS-08"]),
    key("consent.signals.gpc", SWITCHES, MoreIsStricter, "what Global Privacy Control does")
        .enforced("gate::consent")
        .clauses(&["LR-29", "CF-20"]),
    key("consent.signals.dnt", SWITCHES, MoreIsStricter, "what Do Not Track does")
        .enforced("gate::consent")
        .clauses(&["LR-29", "CF-08"]),
    key(
        "consent.signals.beats_stored_consent",
        Bool,
        TrueIsStricter,
        "whether a browser's signal counts more than a stored yes",
    )
    .enforced("gate::consent")
    .clauses(&["CF-20"]),
    key(
        "consent.children.min_age",
        Int(0, 21),
        MoreIsStricter,
        "the age below which nothing is kept; 0 for none",
    )
    .enforced("gate::children")
    .clauses(&["LR-30", "BS-02", "CF-25"]),
    key(
        "consent.children.below",
        Word(&["erase", "drop", "keep"]),
        FirstIsStrictest,
        "what becomes of records of younger ones",
    )
    .enforced("gate::children")
    .clauses(&["LR-30", "BS-02", "CF-25"]),
    key("consent.children.parental_consent", Bool, FalseIsStricter, "whether a parent's consent lifts that")
        .enforced("gate::children")
        .clauses(&["BS-02"]),
    key("residency.countries", Terms(Region), LessIsStricter, "countries of the regions, for transfers"),
];
