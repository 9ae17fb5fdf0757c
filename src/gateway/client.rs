//! Who is asking?
//!
//! An address, and a key where one is shown. The address is the peer's; where the peer is
//! a proxy that the operator trusts, it is what that proxy says. No other header means
//! anything: whoever could choose its own address would have as many shares of a limit as
//! it likes. What is written to logs is a wider network, for an address is personal, and a
//! key's name, for a key is secret.

/// Is an address in one of these networks?
mod networks;
/// Which address do proxies say that they speak for?
mod forwarded;
/// Which key does a caller show?
mod keys;
/// What is a caller counted as?
pub mod subject;
/// What is told of where a caller is?
pub mod shown;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::request::Parts;
use ipnet::IpNet;
use thiserror::Error;

use crate::config::Config;
use crate::config::clients::{ForwardedHeader, Key, KeyUse};
use crate::names::ModelId;
use keys::Keys;
use networks::Networks;
use subject::V6Times;

/// Who is asking.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its address behind trusted proxies; an IPv4 address in IPv6 clothes is the IPv4 address.
    pub address: IpAddr,
    /// The key it showed, where keys are asked for.
    pub key: Option<Arc<Key>>,
    /// How many times one client's share its address has, ≥ 1.
    pub times: u32,
    /// What the networks around its address have, where that is an IPv6 one.
    pub v6: V6Times,
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
pub struct Clients {
    trusted: Networks,
    header: ForwardedHeader,
    /// `None`: everybody.
    allow: Option<Networks>,
    deny: Networks,
    v6: V6Times,
    /// By falling length of the prefix: the narrowest network decides.
    shares: Vec<(IpNet, u32)>,
    key_use: KeyUse,
    keys: Keys,
}

impl Clients {
    /// Compiles what the configuration says of callers.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let clients = &config.clients;
        let shares = clients.shares.iter();
        let mut shares: Vec<(IpNet, u32)> = shares
            .flat_map(|share| share.networks.iter().map(|network| (*network, share.times)))
            .collect();
        shares.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        Self {
            trusted: Networks::new(&clients.trusted_proxies),
            header: clients.forwarded_header,
            allow: (!clients.allow.is_empty()).then(|| Networks::new(&clients.allow)),
            deny: Networks::new(&clients.deny),
            v6: V6Times {
                of_56: clients.v6_56_times,
                of_48: clients.v6_48_times,
            },
            shares,
            key_use: config.auth.keys,
            keys: Keys::new(&config.keys),
        }
    }

    /// Who is behind a connection from `peer` that sent this head, their key apart.
    #[must_use]
    pub fn behind(&self, peer: Option<IpAddr>, head: &Parts) -> Client {
        let peer = Client::new(peer).address;
        if !self.is_proxy(peer) {
            return self.at(peer);
        }
        let headers = &head.headers;
        self.at(forwarded::behind(peer, self.header, headers, &self.trusted))
    }

    /// The caller at an address, without a key, with the share that it has there.
    #[must_use]
    pub fn at(&self, address: IpAddr) -> Client {
        let mut client = Client::new(Some(address));
        client.times = self.times(client.address);
        client.v6 = self.v6;
        client
    }

    /// Whether this is a proxy whose word is taken: many people's address.
    #[must_use]
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        self.trusted.contains(address.to_canonical())
    }

    /// How many times one client's share an address has, ≥ 1.
    #[must_use]
    pub fn times(&self, address: IpAddr) -> u32 {
        if self.shares.is_empty() {
            return 1;
        }
        let address = address.to_canonical();
        let mut shares = self.shares.iter();
        let share = shares.find(|(network, _)| network.contains(&address));
        share.map_or(1, |(_, times)| *times)
    }

    /// Whether they may come in from where they are.
    ///
    /// # Errors
    /// Where their address is denied, or not among those that are allowed.
    pub fn let_in(&self, client: &Client) -> Result<(), ClientError> {
        let address = client.address;
        let is_allowed = |allow: &Networks| allow.contains(address);
        if self.deny.contains(address) || !self.allow.as_ref().is_none_or(is_allowed) {
            return Err(ClientError::Denied);
        }
        Ok(())
    }

    /// Learns which key they show, where keys are asked for.
    ///
    /// # Errors
    /// Where one is required, and none is shown that is taken.
    pub fn identify(
        &self,
        client: &mut Client,
        head: &Parts,
        unix_seconds: i64,
    ) -> Result<(), ClientError> {
        if self.key_use == KeyUse::Off {
            return Ok(());
        }
        client.key = self.keys.shown(&head.headers, unix_seconds).cloned();
        if client.key.is_none() && self.key_use == KeyUse::Required {
            return Err(ClientError::InvalidKey);
        }
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
            v6: V6Times { of_56: 1, of_48: 1 },
        }
    }

    /// Whether it may ask for the model that is called this.
    ///
    /// # Errors
    /// Where its key lists others.
    pub fn may_ask_for(&self, model: &ModelId) -> Result<(), ClientError> {
        let key = self.key.as_ref();
        if key.is_none_or(|key| key.may_ask_for(model.as_str())) {
            Ok(())
        } else {
            Err(ClientError::ModelNotAllowed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(tables: &str) -> Clients {
        Clients::new(&crate::config::example(tables))
    }

    fn head(fields: &[(&'static str, &'static str)]) -> Parts {
        let mut request = http::Request::new(());
        for (name, value) in fields {
            let value = http::HeaderValue::from_static(value);
            request.headers_mut().append(*name, value);
        }
        request.into_parts().0
    }

    #[test]
    fn only_a_trusted_peer_speaks_for_others() {
        #[track_caller]
        fn check(tables: &str, peer: &str, expected: &str) {
            let head = head(&[
                ("x-forwarded-for", "198.51.100.9, 203.0.113.7"),
                ("forwarded", "for=192.0.2.44"),
                ("x-real-ip", "192.0.2.45"),
                ("cf-connecting-ip", "192.0.2.46"),
            ]);
            let client = clients(tables).behind(peer.parse().ok(), &head);
            assert_eq!(client.address.to_string(), expected, "{tables}");
        }
        const TRUSTED: &str = "[clients]\ntrusted_proxies = [\"10.0.0.0/8\"]";
        check("", "10.0.0.1", "10.0.0.1");
        check(TRUSTED, "11.0.0.1", "11.0.0.1");
        check(TRUSTED, "10.0.0.1", "203.0.113.7");
        check(TRUSTED, "::ffff:10.0.0.1", "203.0.113.7");
        check(TRUSTED, "::ffff:11.0.0.1", "11.0.0.1");
        let rfc = format!("{TRUSTED}\nforwarded_header = \"forwarded\"");
        check(&rfc, "10.0.0.1", "192.0.2.44");
    }

    #[test]
    fn the_narrowest_network_has_the_share() {
        #[track_caller]
        fn check(address: &str, times: u32) {
            let clients = clients(
                "[clients]\nv6_56_times = 3\nv6_48_times = 9\n\
                 shares = [{ networks = [\"192.0.0.0/8\", \"2001:db8::/32\"], times = 20 },\n\
                 { networks = [\"192.0.2.0/24\"], times = 5 }, { networks = [\"192.0.0.0/16\"], times = 7 }]",
            );
            let client = clients.behind(address.parse().ok(), &head(&[]));
            assert_eq!(client.times, times, "{address}");
            assert_eq!(client.v6, V6Times { of_56: 3, of_48: 9 });
        }
        check("203.0.113.7", 1);
        check("192.1.2.3", 20);
        check("192.0.2.3", 5);
        check("::ffff:192.0.2.3", 5);
        check("192.0.3.3", 7);
        check("2001:db8::1", 20);
    }

    #[test]
    fn who_is_denied_stays_out_whatever_is_allowed() {
        #[track_caller]
        fn check(tables: &str, address: &str, allowed: bool) {
            let client = Client::new(address.parse().ok());
            let let_in = clients(&format!("[clients]\n{tables}")).let_in(&client);
            let expected = if allowed {
                Ok(())
            } else {
                Err(ClientError::Denied)
            };
            assert_eq!(let_in, expected, "{tables} {address}");
        }
        check("", "203.0.113.7", true);
        check("deny = [\"203.0.113.0/24\"]", "203.0.113.7", false);
        check("deny = [\"203.0.113.0/24\"]", "::ffff:203.0.113.7", false);
        check("deny = [\"203.0.113.0/24\"]", "203.0.114.7", true);
        check("deny = [\"::/0\"]", "203.0.113.7", true);
        check("allow = [\"203.0.113.0/24\"]", "203.0.113.7", true);
        check("allow = [\"203.0.113.0/24\"]", "2001:db8::7", false);
        check(
            "allow = [\"203.0.113.0/24\"]\ndeny = [\"203.0.113.7\"]",
            "203.0.113.7",
            false,
        );
    }

    #[test]
    fn a_key_is_asked_for_where_the_operator_says_so() {
        #[track_caller]
        fn check(key_use: &str, shown: &'static str, expected: Result<Option<&str>, ClientError>) {
            let clients = clients(&format!(
                "[auth]\nkeys = \"{key_use}\"\n[[keys]]\nname = \"team-a\"\nmodels = [\"m\"]\n\
                 sha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\""
            ));
            let mut client = Client::new(None);
            let head = head(&[("authorization", shown)]);
            let identified = clients.identify(&mut client, &head, 0);
            let name = client.key.as_ref().map(|key| key.name.as_str());
            assert_eq!(identified.map(|()| name), expected, "{key_use} {shown}");
            assert_eq!(client.may_ask_for(&ModelId::new("m")), Ok(()));
            let other = client.may_ask_for(&ModelId::new("n"));
            assert_eq!(other.is_err(), name.is_some());
        }
        check("off", "Bearer test", Ok(None));
        check("off", "Bearer none", Ok(None));
        check("optional", "Bearer test", Ok(Some("team-a")));
        check("optional", "Bearer none", Ok(None));
        check("optional", "", Ok(None));
        check("required", "Bearer test", Ok(Some("team-a")));
        check("required", "Bearer none", Err(ClientError::InvalidKey));
        check("required", "", Err(ClientError::InvalidKey));
    }
}
