//! Who is asking?
//!
//! The peer's address. An IPv4 address in IPv6 clothes is the IPv4 address. An IPv6
//! address is its /64: whoever has one has all of it, and would be as many clients as
//! they like. What is written to the log is a wider network, for an address is personal.

/// What is a caller counted as?
pub mod subject;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::request::Parts;
use thiserror::Error;

use crate::config::Config;
use crate::config::clients::Key;
use subject::{V6Times, network};

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
            v6: V6Times { of_56: 1, of_48: 1 },
        }
    }
}

impl fmt::Display for Client {
    /// The /24 of an IPv4 and the /48 of an IPv6 address: never the address itself.
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
        assert_eq!(Client::new(address.parse().ok()).to_string(), shown);
    }

    #[test]
    fn an_address_is_shown_as_its_network() {
        check("203.0.113.77", "203.0.113.0/24");
        check("::ffff:203.0.113.77", "203.0.113.0/24");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48");
        check("not an address", "0.0.0.0/24");
    }
}
