//! Where records may go: to the addresses of declared recipients, and to this machine itself.
//!
//! An address of a recipient is a URL, of which scheme, host and port count, or `host:port`, as brokers of Kafka are named;
//! without a port a bare host stands for all of them. `*.cluster.example` stands for every host below that one, for
//! clusters name their brokers themselves. What is on loopback is this machine: nobody else gets what goes there.

use std::net::IpAddr;

use crate::model::{Policy, Recipient};

/// The clause by which a place is refused that no recipient has.
const ENDPOINTS_CLAUSE: &str = "recipient.endpoints";

/// The clause by which whole records are refused to a recipient of some fields.
const FIELDS_CLAUSE: &str = "recipient.fields";

/// Stands for the whole of a record.
const WHOLE: &str = "**";

/// Why records may not go somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden {
    /// The clause of the policy.
    pub clause: &'static str,
    /// What is wrong and what to do.
    pub why: String,
}

/// An address that data may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    /// Hosts below this one, and not itself.
    below: bool,
    /// Any where it is none.
    port: Option<u16>,
}

impl Endpoint {
    /// Reads `https://api.pager.example`, `kafka://b.example:9093`, `b.example:9093`, `*.b.example`, `[2001:db8::1]:9092`.
    pub fn parse(text: &str) -> Option<Endpoint> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, text),
        };
        let rest = rest.split(['/', '?', '#']).next()?;
        if rest.contains('@') {
            return None;
        }
        let (host, port) = split(rest)?;
        let port = match (port, scheme) {
            (Some(port), _) => Some(port),
            (None, None) => None,
            (None, Some("https")) => Some(443),
            (None, Some("http")) => Some(80),
            (None, Some("kafka")) => Some(9092),
            (None, Some(_)) => return None,
        };
        let (host, below) = match host.strip_prefix("*.") {
            Some(host) => (host, true),
            None => (host, false),
        };
        let host = plain(host);
        let is_name = host.bytes().all(|sign| sign.is_ascii_alphanumeric() || b"-._".contains(&sign));
        let is_address = host.parse::<IpAddr>().is_ok();
        (!host.is_empty() && (is_name || (is_address && !below))).then_some(Endpoint { host, below, port })
    }

    /// True for a place that it stands for.
    pub fn takes(&self, host: &str, port: u16) -> bool {
        let host = plain(host);
        let is_host = match self.below {
            true => host.strip_suffix(&self.host).is_some_and(|name| name.len() > 1 && name.ends_with('.')),
            false => host == self.host,
        };
        is_host && self.port.is_none_or(|own| own == port)
    }
}

/// Host and port; brackets stand around an address of IPv6.
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match text.split_once(':') {
        Some((_, more)) if more.contains(':') => Some((text, None)),
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((text, None)),
    }
}

/// A host in one way of writing: names without regard to case, or to the dot of the root; addresses as they are printed.
fn plain(host: &str) -> String {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => host,
    }
}

/// True for this machine itself. A name counts as it is written, for what it stands for may change.
fn is_here(host: &str) -> bool {
    let host = plain(host);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Policy {
    /// The recipient that whole records may go to at this place; none where it is this machine.
    pub fn whole_records_to(&self, host: &str, port: u16) -> Result<Option<&Recipient>, Forbidden> {
        if is_here(host) {
            return Ok(None);
        }
        let at = |recipient: &&Recipient| {
            let own = recipient.endpoints.iter().filter_map(|text| Endpoint::parse(text));
            own.into_iter().any(|endpoint| endpoint.takes(host, port))
        };
        let mut there = self.recipients.iter().filter(at).peekable();
        let Some(first) = there.peek().map(|recipient| recipient.id.clone()) else {
            let why = format!(
                "no recipient of the policy has the address {host}:{port}: name who gets the data, in recipient.endpoints"
            );
            return Err(Forbidden { clause: ENDPOINTS_CLAUSE, why });
        };
        let gets_all = |recipient: &&Recipient| {
            recipient.fields.is_empty() || recipient.fields.iter().any(|field| field == WHOLE)
        };
        there.find(gets_all).map(Some).ok_or_else(|| Forbidden {
            clause: FIELDS_CLAUSE,
            why: format!(
                "recipient.{first}.fields names what of a record goes to {host}:{port}, and records go there whole: \
                 write \"{WHOLE}\" where that is meant"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(text: &str, host: &str, port: u16) -> bool {
        Endpoint::parse(text).expect("is an address").takes(host, port)
    }

    #[test]
    fn addresses_stand_for_their_places_alone() {
        for (text, host, port, expected) in [
            ("https://api.pager.example", "api.pager.example", 443, true),
            ("https://api.pager.example/v2?x=1", "API.pager.example.", 443, true),
            ("https://api.pager.example", "api.pager.example", 9092, false),
            ("https://api.pager.example:8443", "api.pager.example", 8443, true),
            ("kafka://b.example", "b.example", 9092, true),
            ("b.example:9093", "b.example", 9093, true),
            ("b.example:9093", "b.example", 9092, false),
            ("b.example", "b.example", 1, true),
            ("b.example", "a.b.example", 1, false),
            ("b.example", "bb.example", 1, false),
            ("*.b.example:9092", "one.b.example", 9092, true),
            ("*.b.example:9092", "one.two.b.example", 9092, true),
            ("*.b.example:9092", "b.example", 9092, false),
            ("*.b.example:9092", "cb.example", 9092, false),
            ("10.1.2.3:9092", "10.1.2.3", 9092, true),
            ("10.1.2.3:9092", "::ffff:10.1.2.3", 9092, true),
            ("[2001:db8::1]:9092", "2001:DB8:0::1", 9092, true),
            ("2001:db8::1", "2001:db8::1", 5, true),
        ] {
            assert_eq!(takes(text, host, port), expected, "{text} {host} {port}");
        }
        for text in [
            "",
            "https://",
            "ftp://a.example",
            "a b",
            "https://user@a.example",
            "a:port",
            "*.",
            "*.::1",
            "mailto:a@b.example",
        ] {
            assert_eq!(Endpoint::parse(text), None, "{text}");
        }
    }

    #[test]
    fn this_machine_is_nobody_else() {
        for host in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost", "LocalHost."] {
            assert!(is_here(host), "{host}");
        }
        for host in ["10.0.0.1", "localhost.example", "my-localhost", "128.0.0.1", "0.0.0.0"] {
            assert!(!is_here(host), "{host}");
        }
    }

    #[test]
    fn whole_records_go_to_who_is_declared_for_them() {
        let policy = crate::read(
            "policy.toml",
            r#"
candor_policy = 1
extends = "preset:strict"
[[recipient]]
id = "mirror"
name = "Mirror"
country = "DE"
role = "dpv:DataProcessor"
endpoints = ["*.mirror.example:9092", "both.example:1"]
[[recipient]]
id = "pager"
name = "Pager"
country = "DE"
role = "dpv:DataProcessor"
endpoints = ["https://pager.example", "both.example:1"]
fields = ["issue.title"]
"#,
        );
        let policy = policy.expect("is a policy").policy;
        let id = |host, port| {
            policy
                .whole_records_to(host, port)
                .map(|found| found.map(|recipient| recipient.id.as_str()))
                .map_err(|forbidden| forbidden.clause)
        };
        assert_eq!(id("127.0.0.1", 1), Ok(None));
        assert_eq!(id("b1.mirror.example", 9092), Ok(Some("mirror")));
        assert_eq!(id("both.example", 1), Ok(Some("mirror")));
        assert_eq!(id("b1.mirror.example", 9093), Err(ENDPOINTS_CLAUSE));
        assert_eq!(id("pager.example", 443), Err(FIELDS_CLAUSE));
        let strict = crate::read("policy.toml", "candor_policy = 1\nextends = \"preset:strict\"\n");
        let strict = strict.expect("is a policy").policy;
        assert_eq!(
            strict.whole_records_to("10.0.0.1", 9092).map_err(|one| one.clause),
            Err(ENDPOINTS_CLAUSE)
        );
    }
}
