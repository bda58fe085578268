//! Network addresses: allowlists, and whose address a request really has.

use super::reading::Reading;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Networks that something may be used from. Empty is everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Networks(Vec<IpNet>);

/// A list of networks that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadNetworks {
    /// Neither an address nor a network.
    #[error("`{0}` is neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32")]
    Unreadable(String),
    /// Bits are set to the right of the prefix.
    #[error("`{given}` has bits beyond its prefix; write `{meant}`")]
    HostBits {
        /// As given.
        given: String,
        /// As probably meant.
        meant: IpNet,
    },
    /// More than [`Networks::MAX`].
    #[error("at most {max} networks", max = Networks::MAX)]
    TooMany,
}

impl Networks {
    /// Networks that one list may have.
    pub const MAX: usize = 100;

    /// Reads networks in CIDR form and single addresses.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, BadNetworks> {
        let networks = texts.into_iter().map(parse_one).collect::<Result<Vec<_>, _>>()?;
        if networks.len() > Self::MAX { Err(BadNetworks::TooMany) } else { Ok(Self(networks)) }
    }

    /// A list that no address is on.
    pub(crate) fn nowhere() -> Self {
        Self(vec![IpNet::from(IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED))])
    }

    /// Whether there is no restriction.
    pub fn is_everywhere(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `address` may. An unknown address may only where everything may.
    pub fn allow(&self, address: Option<IpAddr>) -> bool {
        self.is_everywhere() || address.is_some_and(|address| self.contain(address))
    }

    /// Whether everything that `others` allow is allowed too, one network of
    /// theirs lying in one of these.
    pub fn cover(&self, others: &Self) -> bool {
        if self.is_everywhere() || others.is_everywhere() {
            return self.is_everywhere();
        }
        others.0.iter().all(|other| self.0.iter().any(|network| network.contains(other)))
    }

    /// Whether one of the networks contains the address, an IPv4 address mapped
    /// into IPv6 being taken as what it is (RFC 4291 §2.5.5.2).
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The networks, each as text.
    pub fn to_texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

fn parse_one(text: &str) -> Result<IpNet, BadNetworks> {
    let unreadable = || BadNetworks::Unreadable(text.chars().take(64).collect());
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network: IpNet = text.parse::<IpNet>().readable().ok_or_else(unreadable)?;
    let meant = network.trunc();
    if meant != network {
        return Err(BadNetworks::HostBits { given: text.to_owned(), meant });
    }
    Ok(network)
}

/// Whether a URL's host is this machine's own, as far as its text tells.
pub fn is_this_machine(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let loopback = |address: IpAddr| address.is_loopback();
    host.eq_ignore_ascii_case("localhost") || bare.parse().readable().is_some_and(loopback)
}

/// Whose address a request has: the right-most hop that is not a trusted proxy.
///
/// `forwarded` is what `x-forwarded-for` says, left to right; it is believed
/// only as far as trusted proxies wrote it. An entry that cannot be read ends
/// the walk: who wrote it could have written anything.
pub fn client_address<'a>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &Networks,
) -> Option<IpAddr> {
    let mut hop = peer.to_canonical();
    for entry in forwarded.rev() {
        if !trusted.contain(hop) {
            return Some(hop);
        }
        hop = parse_hop(entry)?.to_canonical();
    }
    Some(hop)
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`.
fn parse_hop(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let with_port = || entry.parse::<std::net::SocketAddr>().readable().map(|socket| socket.ip());
    bare.parse::<IpAddr>().readable().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    // R19
    #[test]
    fn an_allowlist_takes_networks_and_single_addresses_of_both_families() {
        let list = Networks::parse(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]).unwrap();
        for (address, allowed) in [
            ("192.0.2.255", true),
            ("192.0.3.0", false),
            ("::ffff:192.0.2.9", true),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
            ("198.51.100.7", true),
            ("198.51.100.8", false),
        ] {
            assert_eq!(list.allow(Some(ip(address))), allowed, "{address}");
        }
        assert!(!list.allow(None));
        assert!(Networks::default().allow(None));
    }

    #[test]
    fn unclear_networks_are_refused() {
        for bad in ["192.0.2.1/24", "192.0.2", "example.com", "", "192.0.2.0/33", "::1%eth0"] {
            assert!(Networks::parse([bad]).is_err(), "{bad}");
        }
        assert!(Networks::parse(std::iter::repeat_n("::1", 101)).is_err());
    }

    #[test]
    fn only_loopback_is_this_machine() {
        for (host, own) in [
            ("localhost", true),
            ("LocalHost", true),
            ("127.0.0.9", true),
            ("[::1]", true),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com", false),
            ("192.0.2.1", false),
            ("0.0.0.0", false),
            ("", false),
        ] {
            assert_eq!(is_this_machine(host), own, "{host}");
        }
    }

    // R19, A58: the left-most entries are the client's own claim.
    #[test]
    fn only_trusted_hops_are_believed() {
        let trusted = Networks::parse(["10.0.0.0/8"]).unwrap();
        let through = |peer: &str, header: &str| client_address(ip(peer), header.split(','), &trusted);
        assert_eq!(through("203.0.113.5", "1.1.1.1"), Some(ip("203.0.113.5")));
        assert_eq!(through("10.0.0.1", "1.1.1.1, 203.0.113.5"), Some(ip("203.0.113.5")));
        assert_eq!(through("10.0.0.1", "1.1.1.1, 203.0.113.5, 10.0.0.2"), Some(ip("203.0.113.5")));
        assert_eq!(through("10.0.0.1", "[2001:db8::1]:443"), Some(ip("2001:db8::1")));
        assert_eq!(through("10.0.0.1", "garbage"), None);
        assert_eq!(client_address(ip("10.0.0.1"), std::iter::empty(), &trusted), Some(ip("10.0.0.1")));
    }
}
