//! How many connections may be open, and how many of one network?
//!
//! A connection costs memory and a descriptor before it has said a word, so it is
//! counted as it is accepted and closed at once where a cap is met: no handshake, no
//! answer, no line in a log, a number only. An IPv4 address is counted by itself. Of
//! IPv6 one customer has a /64 and may have a /56 or a /48, so each of the three is
//! counted, with room that grows more slowly than the network.
//!
//! Only open connections are in the table, so it is as bounded as they are.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};

use crate::config::bounds::Bounds;
use crate::gateway::client::Clients;
use crate::gateway::client::subject::network;
use crate::gateway::record::outcome::Cap;

/// How many connections may be open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    /// All together.
    pub(super) all: usize,
    /// Of an IPv4 address or an IPv6 /64.
    pub(super) per_address: usize,
    /// Of an IPv6 /56.
    pub(super) per_v6_56: usize,
    /// Of an IPv6 /48.
    pub(super) per_v6_48: usize,
}

/// Connections by network.
#[derive(Debug, Default)]
pub(super) struct Open {
    all: usize,
    /// By address and bits of its prefix; each count is ≥ 1, and no more than `all` of a prefix.
    networks: HashMap<(IpAddr, u32), usize>,
}

impl Caps {
    /// Those of the configuration.
    #[must_use]
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            all: bounds.connections_max,
            per_address: bounds.connections_per_address_max,
            per_v6_56: bounds.connections_per_v6_56_max,
            per_v6_48: bounds.connections_per_v6_48_max,
        }
    }

    /// Those of an address: with its share, or, where it is a proxy's and so many people's,
    /// no cap but that of all connections.
    #[must_use]
    pub(super) fn of(self, address: IpAddr, clients: &Clients) -> Self {
        let times = if clients.is_proxy(address) {
            usize::MAX
        } else {
            usize::try_from(clients.times(address)).unwrap_or(usize::MAX)
        };
        Self {
            all: self.all,
            per_address: self.per_address.saturating_mul(times),
            per_v6_56: self.per_v6_56.saturating_mul(times),
            per_v6_48: self.per_v6_48.saturating_mul(times),
        }
    }
}

impl Open {
    /// Counts one more connection, of this address where that is known already.
    ///
    /// # Errors
    /// The first cap that has no room for it; nothing is counted then.
    pub(super) fn enter(&mut self, address: Option<IpAddr>, caps: Caps) -> Result<(), Cap> {
        if self.all >= caps.all {
            return Err(Cap::All);
        }
        if let Some(address) = address {
            self.learn(address, caps)?;
        }
        self.all += 1;
        Ok(())
    }

    /// Counts the address of a connection for which it was not known before.
    ///
    /// # Errors
    /// The first cap that has no room for it; no network is counted then.
    pub(super) fn learn(&mut self, address: IpAddr, caps: Caps) -> Result<(), Cap> {
        let networks = networks(address);
        for (network, (cap, max)) in networks.clone().zip([
            (Cap::Address, caps.per_address),
            (Cap::V6Of56, caps.per_v6_56),
            (Cap::V6Of48, caps.per_v6_48),
        ]) {
            if self.networks.get(&network).is_some_and(|open| *open >= max) {
                return Err(cap);
            }
        }
        for network in networks {
            *self.networks.entry(network).or_default() += 1;
        }
        Ok(())
    }

    /// Forgets a connection that was counted, with its address where that was.
    pub(super) fn leave(&mut self, address: Option<IpAddr>) {
        self.all = self.all.saturating_sub(1);
        for network in address.into_iter().flat_map(networks) {
            if let Entry::Occupied(mut open) = self.networks.entry(network) {
                *open.get_mut() -= 1;
                if *open.get() == 0 {
                    open.remove();
                }
            }
        }
    }
}

/// What an address is counted as, from the smallest network to the widest.
fn networks(address: IpAddr) -> impl Iterator<Item = (IpAddr, u32)> + Clone {
    let (v4, v6) = match address.to_canonical() {
        IpAddr::V4(address) => (Some((IpAddr::V4(address), 32)), None),
        IpAddr::V6(address) => (None, Some(address)),
    };
    let wider = move |address: Ipv6Addr| {
        let of = move |bits| (IpAddr::V6(network(address, bits)), bits);
        [64, 56, 48].map(of)
    };
    v4.into_iter().chain(v6.map(wider).into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAPS: Caps = Caps {
        all: 10,
        per_address: 2,
        per_v6_56: 3,
        per_v6_48: 4,
    };

    #[track_caller]
    fn check(addresses: &[&str], last: Result<(), Cap>) {
        let mut open = Open::default();
        let entered: Vec<_> = addresses
            .iter()
            .map(|address| open.enter(address.parse().ok(), CAPS))
            .collect();
        let (end, before) = entered.split_last().unwrap();
        assert!(before.iter().all(Result::is_ok), "{entered:?}");
        assert_eq!(*end, last);
    }

    #[test]
    fn each_network_has_its_own_room() {
        let a = "192.0.2.1";
        check(&[a, a], Ok(()));
        check(&[a, a, a], Err(Cap::Address));
        check(&[a, "::ffff:192.0.2.1", a], Err(Cap::Address));
        check(&[a, a, "192.0.2.2"], Ok(()));
        let b = "2001:db8:0:100::1";
        check(&[b, "2001:db8:0:100::2", b], Err(Cap::Address));
        check(&[b, b, "2001:db8:0:101::1"], Ok(()));
        let of_56 = [b, b, "2001:db8:0:101::1", "2001:db8:0:102::1"];
        check(&of_56, Err(Cap::V6Of56));
        let of_48 = [b, b, "2001:db8:0:101::1", "2001:db8:0:200::1"];
        check(&of_48, Ok(()));
        let beyond = [&of_48[..], &["2001:db8:0:300::1"]].concat();
        check(&beyond, Err(Cap::V6Of48));
        check(&[&of_48[..], &["2001:db8:1::1"]].concat(), Ok(()));
    }

    #[test]
    fn all_together_have_room_for_so_many() {
        let mut open = Open::default();
        for last in 0..10 {
            open.enter(Some([192, 0, 2, last].into()), CAPS).unwrap();
        }
        let one_more = Some([192, 0, 2, 99].into());
        assert_eq!(open.enter(one_more, CAPS), Err(Cap::All));
        open.leave(Some([192, 0, 2, 3].into()));
        assert_eq!(open.enter(one_more, CAPS), Ok(()));
    }

    #[test]
    fn an_address_that_is_learned_later_has_its_room_all_the_same() {
        let mut open = Open::default();
        let address: IpAddr = [192, 0, 2, 1].into();
        for _ in 0..3 {
            open.enter(None, CAPS).unwrap();
        }
        assert_eq!(open.learn(address, CAPS), Ok(()));
        assert_eq!(open.learn(address, CAPS), Ok(()));
        assert_eq!(open.learn(address, CAPS), Err(Cap::Address));
        // The third leaves as it came, without an address.
        open.leave(None);
        assert_eq!(open.enter(Some(address), CAPS), Err(Cap::Address));
        open.leave(Some(address));
        open.leave(Some(address));
        assert_eq!((open.all, open.networks.len()), (0, 0));
    }

    #[test]
    fn a_share_widens_the_caps_of_an_address_and_a_proxy_has_none() {
        let config = crate::config::example(
            "[clients]\ntrusted_proxies = [\"10.0.0.0/8\"]\nshares = [{ networks = [\"192.0.2.0/24\"], times = 20 }]",
        );
        let clients = Clients::new(&config);
        let of = |address: &str| {
            let caps = CAPS.of(address.parse().unwrap(), &clients);
            (caps.all, caps.per_address)
        };
        assert_eq!(of("198.51.100.1"), (10, 2));
        assert_eq!(of("192.0.2.1"), (10, 40));
        assert_eq!(of("::ffff:192.0.2.1"), (10, 40));
        assert_eq!(of("10.0.0.1"), (10, usize::MAX));
    }

    proptest! {
        #[test]
        fn what_has_left_is_not_in_the_table(
            addresses in proptest::collection::vec(any::<(bool, u8)>(), 0..64),
        ) {
            let address = |(v6, last): (bool, u8)| -> IpAddr {
                if v6 {
                    [0x2001, 0xdb8, 0, u16::from(last), 0, 0, 0, 1].into()
                } else {
                    [192, 0, 2, last].into()
                }
            };
            let mut open = Open::default();
            let mut entered: Vec<IpAddr> = addresses.into_iter().map(address).collect();
            entered.retain(|address| open.enter(Some(*address), CAPS).is_ok());
            prop_assert_eq!(open.all, entered.len());
            prop_assert!(open.networks.len() <= 3 * entered.len());
            for address in entered {
                open.leave(Some(address));
            }
            prop_assert_eq!(open.all, 0);
            prop_assert!(open.networks.is_empty());
        }
    }
}
