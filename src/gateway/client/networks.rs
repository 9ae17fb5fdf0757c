//! Is an address in one of these networks?
//!
//! A list of networks to keep out may be long, and is asked for every request. So it is
//! kept as ranges that neither overlap nor touch, in order, and an address is looked for
//! by halves. IPv4 and IPv6 are apart: `::/0` is IPv6, not everybody.

use std::net::IpAddr;

use ipnet::IpNet;

/// A set of networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Networks {
    v4: Ranges,
    v6: Ranges,
}

/// First and last of each range, `last < first - 1` of the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ranges(Vec<(u128, u128)>);

impl Networks {
    /// The addresses of all of these.
    pub(super) fn new(networks: &[IpNet]) -> Self {
        let (v4, v6) = networks
            .iter()
            .partition(|network| network.addr().is_ipv4());
        Self {
            v4: Ranges::new(v4),
            v6: Ranges::new(v6),
        }
    }

    /// Whether it has this address, which is no IPv4 one in IPv6 clothes.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let ranges = if address.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        ranges.contains(bits(address))
    }
}

impl Ranges {
    fn new(networks: Vec<&IpNet>) -> Self {
        let mut ranges: Vec<(u128, u128)> = networks
            .into_iter()
            .map(|network| (bits(network.network()), bits(network.broadcast())))
            .collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, range| {
            let joins = next.0 <= range.1.saturating_add(1);
            if joins {
                range.1 = range.1.max(next.1);
            }
            joins
        });
        Self(ranges)
    }

    fn contains(&self, bits: u128) -> bool {
        let begun = self.0.partition_point(|(first, _)| *first <= bits);
        let nearest = begun.checked_sub(1).and_then(|at| self.0.get(at));
        nearest.is_some_and(|(_, last)| bits <= *last)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        let networks: Vec<IpNet> = texts.iter().map(|text| text.parse().unwrap()).collect();
        Networks::new(&networks)
    }

    #[track_caller]
    fn check(texts: &[&str], inside: &[&str], outside: &[&str]) {
        let networks = networks(texts);
        for text in inside {
            assert!(networks.contains(text.parse().unwrap()), "{text}");
        }
        for text in outside {
            assert!(!networks.contains(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn an_address_is_in_a_network_or_not() {
        check(&[], &[], &["0.0.0.0", "::"]);
        let private = ["10.0.0.0/8", "192.168.1.7/32", "2001:db8::/32"];
        check(
            &private,
            &[
                "10.0.0.0",
                "10.255.255.255",
                "192.168.1.7",
                "2001:db8:ffff::1",
            ],
            &[
                "9.255.255.255",
                "11.0.0.0",
                "192.168.1.8",
                "2001:db9::",
                "::a00:1",
            ],
        );
        check(&["::/0"], &["::", "ffff::"], &["0.0.0.0", "203.0.113.7"]);
        check(&["0.0.0.0/0"], &["203.0.113.7", "255.255.255.255"], &["::"]);
    }

    #[test]
    fn what_touches_is_one() {
        let halves = networks(&[
            "10.128.0.0/9",
            "10.0.0.0/9",
            "10.3.0.0/16",
            "::/1",
            "8000::/1",
        ]);
        assert_eq!(halves, networks(&["10.0.0.0/8", "::/0"]));
    }

    proptest! {
        #[test]
        fn it_says_what_its_networks_say(
            v4 in proptest::collection::vec((any::<u32>(), 0_u8..=32), 0..20),
            v6 in proptest::collection::vec((any::<u128>(), 0_u8..=128), 0..20),
            asked_v4 in any::<u32>(),
            asked_v6 in any::<u128>(),
        ) {
            let v4 = v4.into_iter().map(|(bits, prefix)| {
                IpNet::new(Ipv4Addr::from_bits(bits).into(), prefix).unwrap().trunc()
            });
            let v6 = v6.into_iter().map(|(bits, prefix)| {
                IpNet::new(Ipv6Addr::from_bits(bits).into(), prefix).unwrap().trunc()
            });
            let all: Vec<IpNet> = v4.chain(v6).collect();
            let networks = Networks::new(&all);
            let ends = all.iter().flat_map(|network| [network.network(), network.broadcast()]);
            let asked = [IpAddr::V4(asked_v4.into()), IpAddr::V6(asked_v6.into())];
            for address in ends.chain(asked) {
                let expected = all.iter().any(|network| network.contains(&address));
                prop_assert_eq!(networks.contains(address), expected);
            }
        }
    }
}
