//! Names that clients choose: of groups, transactions, topics, subjects, and of the clients themselves. They are stored as
//! they are and stand in answers, so one that spells a card is not taken at all.

use std::sync::LazyLock;

use candor_scrub::{Action, Detector, Rule, Rules, Scope, Scrubber};

/// What names are looked through for, under every policy: what a checksum or a shape of its own proves. A word like
/// `password` in a name says what it is about.
static NAMES: LazyLock<Scrubber> = LazyLock::new(|| {
    let detectors = vec![
        Detector::Card,
        Detector::Iban,
        Detector::SsnUs,
        Detector::PrivateKey,
        Detector::SecretShape,
        Detector::UrlCredentials,
    ];
    let rule = Rule { id: "names".to_owned(), detectors, action: Action::Remove, scope: Scope::Everywhere };
    Scrubber::new(Rules::of(vec![rule])).unwrap_or_default()
});

/// False for a name that holds payment data or a secret, and must not be stored.
pub fn may_name(name: &str) -> bool {
    NAMES.scrub_str(name, &mut candor_scrub::Counts::new()).is_none()
}

/// True for an id of decimal digits alone whose first or last sixteen are a card's. Ids are random and hexadecimal: one in
/// millions has no letter, and a real one that spells a card there is not seen in a lifetime.
pub fn spells_card(id: &str) -> bool {
    let is_long = id.len() == 2 * CARD_DIGITS && id.bytes().all(|byte| byte.is_ascii_digit());
    is_long && !(id.get(..CARD_DIGITS).is_none_or(may_name) && id.get(CARD_DIGITS..).is_none_or(may_name))
}

/// Digits of most cards.
const CARD_DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_no_payment_data_and_no_secret() {
        for bad in [
            "4111111111111111",
            "orders.4111-1111-1111-1111",
            "group of 4111 1111 1111 1111",
            "DE89370400440532013000",
            "ssn 536-90-4399",
            "AKIAIOSFODNN7EXAMPLE",
            "https://u:hunter2@x.example/",
        ] {
            assert!(!may_name(bad), "{bad}");
        }
        for good in [
            "",
            "orders",
            "password-reset.v2",
            "auth:token-refresher",
            "connect-jdbc_sink-1",
            "payments-7f9c4d5b6-x2x9q-StreamThread-1-consumer",
            "console-consumer-83412",
            "billing-550e8400-e29b-41d4-a716-446655440000-1",
            "user-events-value",
            "1732345678901234",
            "2026-11-23T10-00-00.000000",
            ":.staging:com.example.Order",
            "rdkafka-9d0a1c7e5f3b4d2880aa6be10c7f55d3",
            "jane@example.com",
        ] {
            assert!(may_name(good), "{good}");
        }
    }

    #[test]
    fn an_id_that_spells_a_card() {
        let card = "4111111111111111";
        assert!(
            spells_card(&format!("{card}0000000000000000"))
                && spells_card(&format!("1234567890123456{card}"))
        );
        for fine in [
            "00000000000000000000000000000017",
            "5b8efff798038103d269b633813fc60c",
            "41111111111111110000000000000abc",
            card,
            "",
            "ééééééééééééééééé",
        ] {
            assert!(!spells_card(fine), "{fine}");
        }
    }
}
