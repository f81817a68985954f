//! The detectors and the names that policies know them by.

use super::{Kind, PATTERNS_MAX};

/// A way to find something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Detector {
    /// Payment cards: issuer ranges and Luhn's checksum.
    Card,
    /// IBANs: the length of the country and the checksum of ISO 13616.
    Iban,
    /// US social security numbers: in the groups that they are printed in, or beside a name that says so.
    SsnUs,
    /// Private keys in PEM, whole or cut, and as bare DER in base64.
    PrivateKey,
    /// What a name calls a secret: members, headers, cookies, parameters, `password=…` in text.
    SecretName,
    /// What looks like a credential by itself: JWT, `AKIA…`, `ghp_…`, `Bearer …` and their like.
    SecretShape,
    /// `scheme://user:password@host`.
    UrlCredentials,
    /// E-mail addresses in text.
    Email,
    /// Telephone numbers: international ones (E.164), national ones in their printed form or beside a word for them.
    Phone,
    /// Addresses of the Internet Protocol, versions 4 and 6, not versions of software.
    Ip,
    /// Addresses of network cards.
    Mac,
    /// Numbers of mobile devices, in their printed form or beside a word for them.
    Imei,
    /// Names of users in paths: `/home/jane`, `C:\Users\jane`.
    UserPath,
    /// The whole text, whatever it is: for rules that cut or blank what is at their place.
    Whole,
    /// A user's own pattern, by its place among [`crate::Rules::patterns`].
    Pattern(u8),
}

/// Detectors with their names and what they find; patterns have names of their own.
const NAMES: [(Detector, &str, Kind); 14] = [
    (Detector::Card, "card", Kind::Card),
    (Detector::Iban, "iban", Kind::Iban),
    (Detector::SsnUs, "ssn_us", Kind::Ssn),
    (Detector::PrivateKey, "private_key", Kind::PrivateKey),
    (Detector::SecretName, "secrets:names", Kind::Secret),
    (Detector::SecretShape, "secrets:shapes", Kind::Secret),
    (Detector::UrlCredentials, "url_credentials", Kind::UrlCredentials),
    (Detector::Email, "email", Kind::Email),
    (Detector::Phone, "phone", Kind::Phone),
    (Detector::Ip, "ip", Kind::Ip),
    (Detector::Mac, "mac", Kind::Mac),
    (Detector::Imei, "imei", Kind::Imei),
    (Detector::UserPath, "user_path", Kind::UserPath),
    (Detector::Whole, "whole", Kind::Secret),
];

/// Names for several detectors at once.
const GROUPS: [(&str, &[Detector]); 3] = [
    (
        "secrets:all",
        &[Detector::PrivateKey, Detector::SecretName, Detector::SecretShape, Detector::UrlCredentials],
    ),
    ("payment:all", &[Detector::Card, Detector::Iban]),
    (
        "pii:all",
        &[
            Detector::SsnUs,
            Detector::Email,
            Detector::Phone,
            Detector::Ip,
            Detector::Mac,
            Detector::Imei,
            Detector::UserPath,
        ],
    ),
];

impl Detector {
    /// Every detector but users' own.
    pub const ALL: [Detector; NAMES.len()] = {
        let mut all = [Detector::Card; NAMES.len()];
        let mut index = 0;
        while index < all.len() {
            all[index] = NAMES[index].0;
            index += 1;
        }
        all
    };

    /// Places of a table over all detectors.
    pub(crate) const PLACES: usize = NAMES.len() + PATTERNS_MAX;

    /// Its place in such a table; beyond it for a pattern that cannot be.
    #[inline]
    pub(crate) const fn place(self) -> usize {
        match self {
            Detector::Card => 0,
            Detector::Iban => 1,
            Detector::SsnUs => 2,
            Detector::PrivateKey => 3,
            Detector::SecretName => 4,
            Detector::SecretShape => 5,
            Detector::UrlCredentials => 6,
            Detector::Email => 7,
            Detector::Phone => 8,
            Detector::Ip => 9,
            Detector::Mac => 10,
            Detector::Imei => 11,
            Detector::UserPath => 12,
            Detector::Whole => 13,
            Detector::Pattern(index) => NAMES.len() + index as usize,
        }
    }

    /// The name in a policy.
    pub fn name(self) -> &'static str {
        NAMES.get(self.place()).map_or("pattern", |(_, name, _)| name)
    }

    /// What it finds.
    pub fn kind(self) -> Kind {
        NAMES.get(self.place()).map_or(Kind::Pattern, |(_, _, kind)| *kind)
    }

    /// The detector of that name in a policy.
    pub fn by_name(name: &str) -> Option<Detector> {
        NAMES.iter().find(|(_, own, _)| *own == name).map(|(detector, _, _)| *detector)
    }

    /// The detectors of a name for several: `secrets:all`, `pii:all`, `payment:all`.
    pub fn group(name: &str) -> Option<&'static [Detector]> {
        GROUPS.iter().find(|(own, _)| *own == name).map(|(_, detectors)| *detectors)
    }

    /// Every name that [`Detector::by_name`] and [`Detector::group`] know.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, name, _)| *name).chain(GROUPS.iter().map(|(name, _)| *name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_of_places() {
        for (place, (detector, name, _)) in NAMES.into_iter().enumerate() {
            assert_eq!(detector.place(), place);
            assert_eq!(Detector::by_name(name), Some(detector));
            assert_eq!(Detector::group(name), None);
        }
        assert!(GROUPS.iter().all(|(name, _)| Detector::by_name(name).is_none()));
        assert_eq!(Detector::Pattern(3).name(), "pattern");
        assert_eq!(Detector::Pattern(63).place(), Detector::PLACES - 1);
    }
}
