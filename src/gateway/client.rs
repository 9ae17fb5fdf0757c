//! Who is asking?
//!
//! The peer's address. An IPv4 address in IPv6 clothes is the IPv4 address, and
//! what is written to the log is the network only, for an address is personal.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId(IpAddr);

impl ClientId {
    /// The client behind a connection; unknown peers are one client.
    #[must_use]
    pub fn new(peer: Option<IpAddr>) -> Self {
        Self(peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| {
            peer.to_canonical()
        }))
    }

    /// A number that is the same for the same client, and rarely for two.
    #[must_use]
    pub fn key(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

impl fmt::Display for ClientId {
    /// The /24 of an IPv4 and the /48 of an IPv6 address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                write!(f, "{a}.{b}.{c}.0/24")
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                write!(f, "{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, shown: &str) {
        assert_eq!(ClientId::new(address.parse().ok()).to_string(), shown);
    }

    #[test]
    fn an_address_is_shown_as_its_network() {
        check("203.0.113.77", "203.0.113.0/24");
        check("::ffff:203.0.113.77", "203.0.113.0/24");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48");
        check("not an address", "0.0.0.0/24");
    }
}
