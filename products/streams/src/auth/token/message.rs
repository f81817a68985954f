//! The one message that a client sends (RFC 7628, section 3.1; KIP-342 for what stands beside the token).

use std::collections::BTreeMap;

/// The separator of its parts.
const SEPARATOR: char = '\u{1}';

/// Pairs beside the token.
const EXTENSIONS_MAX: usize = 32;

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::auth) struct Bearer<'a> {
    /// As whom it wants to act, where it says so.
    pub authzid: Option<&'a str>,
    /// The token.
    pub token: &'a str,
    /// What else it said, by name.
    pub extensions: BTreeMap<&'a str, &'a str>,
}

/// Reads `n,a=NAME,^Aauth=Bearer TOKEN^A…^A^A`.
pub(in crate::auth) fn read(message: &[u8]) -> Result<Bearer<'_>, &'static str> {
    let text = std::str::from_utf8(message).map_err(|_| "the message of OAUTHBEARER is not UTF-8")?;
    let (header, pairs) = text.split_once(SEPARATOR).ok_or("the message of OAUTHBEARER has no token")?;
    let header = header.strip_suffix(',').ok_or("the message of OAUTHBEARER has no GS2 header")?;
    let (flag, authzid) = header.split_once(',').ok_or("the message of OAUTHBEARER has no GS2 header")?;
    if !matches!(flag, "n" | "y") {
        return Err("channel binding is not offered");
    }
    let authzid = match authzid {
        "" => None,
        said => {
            let name = said.strip_prefix("a=").filter(|name| !name.is_empty() && !name.contains(','));
            Some(name.ok_or("the GS2 header names nobody")?)
        }
    };
    let pairs = pairs.strip_suffix(SEPARATOR).ok_or("the message of OAUTHBEARER has no end")?;
    let mut token = None;
    let mut extensions = BTreeMap::new();
    for pair in pairs.split_terminator(SEPARATOR) {
        let (name, value) = pair.split_once('=').ok_or("a pair of the message has no value")?;
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_value = value.bytes().all(|byte| matches!(byte, b'!'..=b'~' | b' ' | b'\t' | b'\r' | b'\n'));
        if !is_name || !is_value {
            return Err("a pair of the message has letters that may not be there");
        }
        let is_new = match name {
            "auth" => token.replace(value).is_none(),
            _ => extensions.insert(name, value).is_none(),
        };
        if !is_new || extensions.len() > EXTENSIONS_MAX {
            return Err("a name stands twice in the message, or there are too many");
        }
    }
    let (scheme, token) = token.and_then(|said| said.split_once(' ')).ok_or("the message has no token")?;
    match scheme.eq_ignore_ascii_case("bearer") {
        true => Ok(Bearer { authzid, token: token.trim(), extensions }),
        false => Err("the token is not a bearer's"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_rfc_7628_writes_them() {
        let of = |text: &str| {
            read(text.replace('^', "\u{1}").as_bytes())
                .map(|said| {
                    let extensions: Vec<String> =
                        said.extensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    format!("{:?} {} {}", said.authzid, said.token, extensions.join(" "))
                })
                .map_err(str::to_owned)
        };
        for (message, expected) in [
            ("n,,^auth=Bearer abc^^", "None abc "),
            ("y,,^auth=bearer abc^^", "None abc "),
            (
                "n,a=shop,^auth=Bearer a.b.c^project=web^traceId=1 2^^",
                "Some(\"shop\") a.b.c project=web traceId=1 2",
            ),
            ("n,,^host=kafka^port=9092^auth=Bearer abc^^", "None abc host=kafka port=9092"),
        ] {
            assert_eq!(of(message).as_deref(), Ok(expected), "{message}");
        }
        for wrong in [
            "",
            "n,,",
            "^^",
            "n,,^^",
            "n,,^auth=Bearer abc",
            "n,,^auth=Bearer^^",
            "n,,^auth=Basic abc^^",
            "p=tls-unique,,^auth=Bearer a^^",
            "n,a=,^auth=Bearer a^^",
            "n,shop,^auth=Bearer a^^",
            "n^auth=Bearer a^^",
            "n,,^auth=Bearer a^auth=Bearer b^^",
            "n,,^auth=Bearer a^x^^",
            "n,,^auth=Bearer a^=1^^",
            "n,,^auth=Bearer a^x1=1^^",
            "n,,^auth=Bearer a^x=1^x=2^^",
            "n,,^auth=Bearer ä^^",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        let many: String =
            ('a'..='z').flat_map(|one| ('a'..='b').map(move |other| format!("{one}{other}=1^"))).collect();
        assert!(of(&format!("n,,^auth=Bearer a^{many}^")).is_err(), "52 of them");
    }
}
