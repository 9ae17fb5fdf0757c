//! What is a caller counted as?
//!
//! A key is one caller, wherever it is used. Without one, an IPv4 address is. Of IPv6 a
//! customer has a /64 and may have a /56 or a /48: whoever has one has all of it, and
//! would be as many callers as they like. So all three are counted at once, with shares
//! that grow more slowly than the networks.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Client;
use crate::names::KeyName;

/// One thing that a caller is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject<'a> {
    /// Its key.
    Key(&'a KeyName),
    /// Its IPv4 address.
    V4(Ipv4Addr),
    /// A network that its IPv6 address is in.
    V6 {
        /// The network's first address.
        network: Ipv6Addr,
        /// 64, 56 or 48.
        prefix_bits: u8,
    },
}

/// A subject, and how much it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted<'a> {
    /// What is counted.
    pub subject: Subject<'a>,
    /// How many times what a limit allows one client, ≥ 1.
    pub times: u32,
}

/// How many times the share of an IPv6 /64 the networks around it have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct V6Times {
    /// Its /56, ≥ 1.
    pub of_56: u32,
    /// Its /48, `≥ of_56`.
    pub of_48: u32,
}

impl Client {
    /// All that this caller is counted as at once, from the narrowest on.
    pub fn subjects(&self) -> impl Iterator<Item = Counted<'_>> + Clone {
        let own = |subject| Counted {
            subject,
            times: self.times,
        };
        let wider = |address, prefix_bits, times: u32| Counted {
            subject: Subject::v6(address, prefix_bits),
            times: self.times.saturating_mul(times),
        };
        let all = match (&self.key, self.address) {
            (Some(key), _) => {
                // Its limits are its own, and not those of the network that it comes from.
                let subject = Subject::Key(&key.name);
                [Some(Counted { subject, times: 1 }), None, None]
            }
            (None, IpAddr::V4(address)) => [Some(own(Subject::V4(address))), None, None],
            (None, IpAddr::V6(address)) => [
                Some(own(Subject::v6(address, 64))),
                Some(wider(address, 56, self.v6.of_56)),
                Some(wider(address, 48, self.v6.of_48)),
            ],
        };
        all.into_iter().flatten()
    }

    /// Its address, of IPv6 the network of its /64: what it is counted as without a key.
    #[must_use]
    pub fn network(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(network(address, 64)),
        }
    }

    /// What it is told apart by where only one of its subjects can be: the narrowest.
    #[must_use]
    pub fn id(&self) -> ClientId {
        match &self.key {
            Some(key) => {
                let [high, _] = halves(&key.sha256);
                ClientId::of(Who::Key(high))
            }
            None => ClientId::new(Some(self.address)),
        }
    }
}

impl Subject<'_> {
    fn v6(address: Ipv6Addr, prefix_bits: u8) -> Self {
        Self::V6 {
            network: network(address, u32::from(prefix_bits)),
            prefix_bits,
        }
    }
}

/// The narrowest subject of a client, small and without its key's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientId {
    who: Who,
    key: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// An IPv4 address, or an IPv6 /64.
    Address(IpAddr),
    /// Half of its key's hash.
    Key(u128),
}

impl ClientId {
    /// The client behind a connection; unknown peers are one client.
    #[must_use]
    pub fn new(peer: Option<IpAddr>) -> Self {
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Self::of(Who::Address(match peer.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(network(address, 64)),
        }))
    }

    fn of(who: Who) -> Self {
        let bits = match who {
            Who::Address(IpAddr::V4(address)) => u128::from(address.to_bits()),
            Who::Address(IpAddr::V6(address)) => address.to_bits(),
            Who::Key(bits) => bits,
        };
        let key = mixed(bits);
        Self { who, key }
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

/// A hash as two numbers.
fn halves(hash: &[u8; 32]) -> [u128; 2] {
    let (parts, _) = hash.as_chunks::<16>();
    match parts {
        [high, low] => [u128::from_be_bytes(*high), u128::from_be_bytes(*low)],
        _ => [0, 0],
    }
}

/// The network of an IPv6 address: its first bits, and zeros.
#[must_use]
pub fn network(address: Ipv6Addr, prefix_bits: u32) -> Ipv6Addr {
    let rest_bits = 128_u32.saturating_sub(prefix_bits);
    let mask = u128::MAX.checked_shl(rest_bits).unwrap_or(0);
    Ipv6Addr::from_bits(address.to_bits() & mask)
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;
    use std::sync::Arc;

    use super::*;
    use crate::config::clients::Key;
    use crate::config::limits::Allowance;

    fn client(address: &str, times: u32) -> Client {
        let mut client = Client::new(address.parse().ok());
        client.times = times;
        client.v6 = V6Times {
            of_56: 4,
            of_48: 16,
        };
        client
    }

    #[track_caller]
    fn check(client: &Client, expected: &[(&str, u32)]) {
        let subjects = client.subjects().map(|counted| {
            let subject = match counted.subject {
                Subject::Key(name) => format!("key:{name}"),
                Subject::V4(address) => address.to_string(),
                Subject::V6 {
                    network,
                    prefix_bits,
                } => format!("{network}/{prefix_bits}"),
            };
            (subject, counted.times)
        });
        let expected = expected
            .iter()
            .map(|(text, times)| ((*text).to_owned(), *times));
        assert!(
            subjects.clone().eq(expected),
            "{:?}",
            subjects.collect::<Vec<_>>()
        );
    }

    #[test]
    fn an_address_is_counted_with_its_networks() {
        check(&client("203.0.113.7", 1), &[("203.0.113.7", 1)]);
        check(&client("::ffff:203.0.113.7", 20), &[("203.0.113.7", 20)]);
        check(
            &client("2001:db8:1:2345:6::7", 1),
            &[
                ("2001:db8:1:2345::/64", 1),
                ("2001:db8:1:2300::/56", 4),
                ("2001:db8:1::/48", 16),
            ],
        );
        check(
            &client("2001:db8::1", u32::MAX),
            &[
                ("2001:db8::/64", u32::MAX),
                ("2001:db8::/56", u32::MAX),
                ("2001:db8::/48", u32::MAX),
            ],
        );
    }

    #[test]
    fn a_key_is_one_caller_wherever_it_is_used() {
        let key = |name: &str, byte| {
            Some(Arc::new(Key {
                name: KeyName::new(name),
                sha256: [byte; 32],
                expires: None,
                models: Vec::new(),
                allowance: Allowance::default(),
            }))
        };
        let mut here = client("203.0.113.7", 20);
        let mut there = client("2001:db8::1", 1);
        assert_ne!(here.id(), there.id());
        here.key = key("team-a", 7);
        there.key = key("team-a", 7);
        check(&here, &[("key:team-a", 1)]);
        check(&there, &[("key:team-a", 1)]);
        assert_eq!(here.id(), there.id());
        there.key = key("team-b", 8);
        assert_ne!(here.id(), there.id());
    }

    #[test]
    fn each_bit_of_an_address_changes_about_half_of_its_number() {
        const TIMES: u32 = 64;
        let mut random = fastrand::Rng::with_seed(7);
        for bit in 0..128 {
            let changed = (0..TIMES).map(|_| {
                let address = random.u128(..);
                (mixed(address) ^ mixed(address ^ (1 << bit))).count_ones()
            });
            let changed: u32 = changed.sum();
            assert!(
                (28 * TIMES..=36 * TIMES).contains(&changed),
                "{bit}: {changed}"
            );
        }
    }

    #[test]
    fn tables_tell_clients_apart() {
        let hasher = crate::sys::hasher();
        let hash = |address: &str| hasher.hash_one(client(address, 1).id());
        assert_eq!(hash("203.0.113.5"), hash("203.0.113.5"));
        assert_ne!(hash("203.0.113.5"), hash("203.0.113.6"));
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
