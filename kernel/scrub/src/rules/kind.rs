//! What can be found.

/// What was found. It names the placeholder that the reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A payment card's number.
    Card,
    /// An international bank account number.
    Iban,
    /// A US social security number.
    Ssn,
    /// A password, token, cookie or other credential.
    Secret,
    /// A private key.
    PrivateKey,
    /// User name and password in a URL.
    UrlCredentials,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// An address of the Internet Protocol.
    Ip,
    /// A network card's address.
    Mac,
    /// A mobile device's number.
    Imei,
    /// The name of a user in a path of files.
    UserPath,
    /// What a user's own pattern matches.
    Pattern,
}

/// Kinds with their names and placeholders.
const NAMES: [(Kind, &str, &str); 13] = [
    (Kind::Card, "card", "[card]"),
    (Kind::Iban, "iban", "[iban]"),
    (Kind::Ssn, "ssn", "[ssn]"),
    (Kind::Secret, "secret", "[secret]"),
    (Kind::PrivateKey, "private_key", "[private_key]"),
    (Kind::UrlCredentials, "url_credentials", "[url_credentials]"),
    (Kind::Email, "email", "[email]"),
    (Kind::Phone, "phone", "[phone]"),
    (Kind::Ip, "ip", "[ip]"),
    (Kind::Mac, "mac", "[mac]"),
    (Kind::Imei, "imei", "[imei]"),
    (Kind::UserPath, "user_path", "[user]"),
    (Kind::Pattern, "pattern", "[removed]"),
];

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; NAMES.len()] = {
        let mut all = [Kind::Card; NAMES.len()];
        let mut index = 0;
        while index < all.len() {
            all[index] = NAMES[index].0;
            index += 1;
        }
        all
    };

    /// The kind's name: `card`.
    pub fn name(self) -> &'static str {
        NAMES.get(self as usize).map_or("", |(_, name, _)| name)
    }

    /// What stands in place of what was found: `[card]`.
    pub fn placeholder(self) -> &'static str {
        NAMES.get(self as usize).map_or("[removed]", |(_, _, placeholder)| placeholder)
    }

    /// True for what opens something: nothing about it is told, not even its length.
    pub fn is_secret(self) -> bool {
        matches!(self, Kind::Secret | Kind::PrivateKey | Kind::UrlCredentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_of_kinds() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }
}
