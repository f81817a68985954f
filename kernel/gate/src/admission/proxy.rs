//! Whose word about the client's address counts.

use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderMap;

/// The header that proxies append to. `Forwarded` (RFC 7239) is set by few and is not read.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Where proxies and content delivery networks put the country that they took the client's address for: Cloudflare,
/// CloudFront, App Engine, Fastly's and nginx's usual names.
const COUNTRIES: [&str; 5] = [
    "cf-ipcountry",
    "cloudfront-viewer-country",
    "x-appengine-country",
    "x-client-geo-country",
    "x-country-code",
];

/// A network in CIDR notation, `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network such as 10.0.0.0/8 or 2001:db8::/32")]
pub struct NotANetwork(String);

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Network, NotANetwork> {
        let parsed = || {
            let (address, prefix) = match text.trim().split_once('/') {
                Some((address, prefix)) => (address, Some(prefix)),
                None => (text.trim(), None),
            };
            let address: IpAddr = address.parse().ok()?;
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.map_or(Some(bits), |prefix| prefix.parse().ok())?;
            (prefix <= bits).then_some(Network { address, prefix })
        };
        parsed().ok_or_else(|| NotANetwork(text.to_owned()))
    }
}

impl Network {
    /// True for an address of the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// The country that a trusted proxy states, in capitals: two letters of ISO 3166-1. Nobody else's word counts, and the
/// codes of no country (`XX`, Cloudflare's `T1` of Tor) are none.
pub(super) fn client_country(trusted: &[Network], peer: IpAddr, headers: &HeaderMap) -> Option<String> {
    if !trusted.iter().any(|network| network.contains(peer.to_canonical())) {
        return None;
    }
    let stated = COUNTRIES.iter().find_map(|name| headers.get(*name)?.to_str().ok())?.trim();
    let is_code = stated.len() == 2 && stated.bytes().all(|byte| byte.is_ascii_alphabetic());
    (is_code && !matches!(stated, "XX" | "ZZ" | "xx" | "zz")).then(|| stated.to_ascii_uppercase())
}

/// The client: of the addresses that trusted proxies vouch for, the one furthest away. Each proxy appends whom it
/// saw, so the list is read from its end, and what stands before the first stranger is hearsay.
pub(super) fn client_ip(trusted: &[Network], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let lines: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    for entry in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(address) = parse(entry.trim()) else { break };
        client = address;
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// An address, with or without a port.
fn parse(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(address, _)| address);
    let address = bare
        .unwrap_or(entry)
        .parse()
        .or_else(|_| entry.parse::<std::net::SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_believed_of_a_trusted_proxy_alone() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let country = |peer: &str, stated: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("cf-ipcountry", stated.parse().unwrap());
            client_country(&trusted, peer.parse().unwrap(), &headers)
        };
        assert_eq!(country("10.0.0.1", "de"), Some("DE".to_owned()));
        assert_eq!(country("::ffff:10.0.0.1", "CZ"), Some("CZ".to_owned()));
        for (peer, stated) in
            [("203.0.113.1", "DE"), ("10.0.0.1", "XX"), ("10.0.0.1", "T1"), ("10.0.0.1", "Germany")]
        {
            assert_eq!(country(peer, stated), None, "{peer} {stated}");
        }
    }

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        client_ip(&trusted, peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(client(&[], "198.51.100.1", &["203.0.113.9"]), "198.51.100.1");
        assert_eq!(client(&["10.0.0.0/8"], "198.51.100.1", &["203.0.113.9"]), "198.51.100.1");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &[]), "10.1.2.3");
        // What the client itself wrote before the proxies' entries is not believed.
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &["1.1.1.1, 203.0.113.9, 10.9.9.9"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &["1.1.1.1", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &["203.0.113.9, nonsense"]), "10.1.2.3");
        assert_eq!(client(&["10.0.0.0/8"], "::ffff:10.1.2.3", &["203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(client(&["2001:db8::/32"], "2001:db8::1", &["[2001:db9::2]:80"]), "2001:db9::2");
        assert_eq!(client(&["0.0.0.0/0"], "10.1.2.3", &["1.1.1.1, 2.2.2.2"]), "1.1.1.1");
    }

    #[test]
    fn networks_parse_or_say_why_not() {
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "host", "10.0.0.0/-1"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        assert!("10.0.0.7".parse::<Network>().unwrap().contains("10.0.0.7".parse().unwrap()));
        assert!(!"10.0.0.7".parse::<Network>().unwrap().contains("10.0.0.8".parse().unwrap()));
    }
}
