//! Addresses of people's machines, made as coarse as a policy says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of one header that are looked at: proxies append one each.
const ADDRESSES_MAX: usize = 16;

/// The networks of the addresses in a text (one address, a list as in `X-Forwarded-For`, or the pairs of `Forwarded`),
/// each once; none where there is no address in it.
pub(crate) fn generalised(text: &str, v4: u8, v6: u8) -> Option<String> {
    let mut networks: Vec<String> = Vec::new();
    let pieces = text.split([',', ';', ' ']).filter(|piece| !piece.is_empty());
    for address in pieces.filter_map(parse).take(ADDRESSES_MAX) {
        let network = network(address, v4, v6).to_string();
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    (!networks.is_empty()).then(|| networks.join(", "))
}

/// The first address of an address's network.
pub(crate) fn network(address: IpAddr, v4: u8, v6: u8) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(v4.into())).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(v6.into())).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

/// `203.0.113.9`, `203.0.113.9:443`, `[2001:db8::1]:443`, `for="[2001:db8::1]"`.
fn parse(piece: &str) -> Option<IpAddr> {
    let piece = piece.strip_prefix("for=").or_else(|| piece.strip_prefix("For=")).unwrap_or(piece);
    let piece = piece.trim_matches(['"', '\'']);
    if let Ok(address) = piece.parse() {
        return Some(address);
    }
    match piece.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?.parse().ok(),
        None => piece.rsplit_once(':')?.0.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_their_networks() {
        for (text, expected) in [
            ("203.0.113.9", Some("203.0.113.0")),
            ("203.0.113.9:8080", Some("203.0.113.0")),
            ("::ffff:203.0.113.9", Some("203.0.113.0")),
            ("2001:db8:1:2:3::4", Some("2001:db8:1::")),
            ("[2001:db8:1:2:3::4]:443", Some("2001:db8:1::")),
            ("203.0.113.9, 203.0.113.77, 10.1.2.3", Some("203.0.113.0, 10.1.2.0")),
            ("for=203.0.113.9;proto=https;by=10.1.2.3", Some("203.0.113.0")),
            ("for=\"[2001:db8:1:2::9]\"", Some("2001:db8:1::")),
            ("unknown", None),
            ("", None),
        ] {
            assert_eq!(generalised(text, 24, 48).as_deref(), expected, "{text}");
            if let Some(coarse) = expected {
                assert_eq!(generalised(coarse, 24, 48).as_deref(), expected, "again: {coarse}");
            }
        }
        assert_eq!(generalised("203.0.113.9", 0, 0).as_deref(), Some("0.0.0.0"));
        assert_eq!(generalised("2001:db8::1", 32, 128).as_deref(), Some("2001:db8::1"));
    }
}
