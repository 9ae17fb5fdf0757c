//! What is told of where a caller is?
//!
//! An address is personal, so what is written down is a wider network, unless the operator wants
//! all of it, or a number that follows one caller for a day and nobody for longer. The number is
//! made with a secret: there are so few addresses that anybody could try them all otherwise.

use std::fmt;
use std::net::IpAddr;

use super::subject::network;

/// What is told of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// All of it.
    Address(IpAddr),
    /// The network that begins here: a /24 of IPv4, a /48 of IPv6.
    Network(IpAddr),
    /// A number in its place.
    Number(u64),
}

impl Shown {
    /// The network that an address is in.
    #[must_use]
    pub fn network(address: IpAddr) -> Self {
        Self::Network(match address {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                IpAddr::from([a, b, c, 0])
            }
            IpAddr::V6(address) => network(address, 48).into(),
        })
    }

    /// A number that is the same for the same caller on the same day (days since 1970) under the
    /// same secret. Of IPv6 the /64 counts: a customer has all of it.
    #[must_use]
    pub fn number(address: IpAddr, day: u64, secret: &[u8; 32]) -> Self {
        let mut salted = [0_u8; 25];
        let (salt, place) = salted.split_at_mut(8);
        salt.copy_from_slice(&day.to_le_bytes());
        let own: [u8; 17] = match address {
            IpAddr::V4(address) => padded(4, &address.octets()),
            IpAddr::V6(address) => padded(6, &network(address, 64).octets()),
        };
        place.copy_from_slice(&own);
        let hash = blake3::keyed_hash(secret, &salted);
        let first = hash.as_bytes().first_chunk();
        Self::Number(first.map_or(0, |first| u64::from_be_bytes(*first)))
    }
}

/// A mark and what follows it, filled up with zeros.
fn padded(mark: u8, octets: &[u8]) -> [u8; 17] {
    let mut all = [0; 17];
    for (to, from) in all.iter_mut().zip([mark].iter().chain(octets)) {
        *to = *from;
    }
    all
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Network(IpAddr::V4(first)) => write!(f, "{first}/24"),
            Self::Network(IpAddr::V6(first)) => write!(f, "{first}/48"),
            Self::Number(number) => write!(f, "{number:016x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::client::Client;

    fn address(text: &str) -> IpAddr {
        Client::new(text.parse().ok()).address
    }

    #[test]
    fn an_address_is_shown_as_its_network() {
        fn check(text: &str, shown: &str) {
            assert_eq!(Shown::network(address(text)).to_string(), shown);
        }
        check("203.0.113.77", "203.0.113.0/24");
        check("::ffff:203.0.113.77", "203.0.113.0/24");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48");
        check("not an address", "0.0.0.0/24");
    }

    #[test]
    fn a_number_follows_a_caller_for_a_day_and_no_longer() {
        let of = |text, day, secret| Shown::number(address(text), day, &[secret; 32]).to_string();
        let one = of("203.0.113.77", 20_000, 1);
        assert_eq!(one.len(), 16);
        assert_eq!(one, of("203.0.113.77", 20_000, 1));
        assert_eq!(one, of("::ffff:203.0.113.77", 20_000, 1));
        for other in [
            of("203.0.113.78", 20_000, 1),
            of("203.0.113.77", 20_001, 1),
            of("203.0.113.77", 20_000, 2),
        ] {
            assert_ne!(one, other);
        }
        // A customer changes addresses within its /64 as it likes.
        let v6 = of("2001:db8:1:2:3:4:5:6", 20_000, 1);
        assert_eq!(v6, of("2001:db8:1:2::9", 20_000, 1));
        assert_ne!(v6, of("2001:db8:1:3::9", 20_000, 1));
    }
}
