//! How is a name server asked?
//!
//! `/etc/hosts` first, then name servers: those of the configuration, or the system's.
//! Both files are read anew for each look-up, so that a change in them counts without a
//! restart; that costs less than the question on the wire. Both families are asked for at
//! the same time, and each may fail by itself.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, MAX_TTL, TokioResolver};

use super::lookups::Unfound;

/// How long one look-up may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long one server may take, two tries each, where the configuration names them.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);

/// What is known of a name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// Of those families that were answered for.
    pub(super) addresses: Vec<IpAddr>,
    /// How long that is good.
    pub(super) good_for: Duration,
    /// Nobody said whether it has such addresses.
    pub(super) unanswered: Families,
}

/// A choice of families.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Families {
    pub(super) v4: bool,
    pub(super) v6: bool,
}

/// Looks a name up.
///
/// # Errors
/// Why neither family was answered for.
pub(super) async fn ask(host: &str, servers: &[SocketAddr]) -> Result<Answer, Unfound> {
    let asked = async {
        let name = Name::from_utf8(host).map_err(failed)?;
        let servers = servers.to_vec();
        let prepared = {
            let name = name.clone();
            tokio::task::spawn_blocking(move || prepare(&name, &servers)).await
        };
        match prepared.map_err(failed)?? {
            Prepared::Known(answer) => Ok(answer),
            Prepared::Ask(resolver) => {
                let (v4, v6) = tokio::join!(
                    resolver.lookup(name.clone(), RecordType::A),
                    resolver.lookup(name.clone(), RecordType::AAAA)
                );
                combine(family(v4), family(v6))
            }
        }
    };
    let timely = tokio::time::timeout(TIMEOUT, asked).await;
    timely.unwrap_or_else(|_| Err(failed(format!("no answer within {} s", TIMEOUT.as_secs()))))
}

enum Prepared {
    /// It stands in the system's file.
    Known(Answer),
    /// Name servers know.
    Ask(Box<TokioResolver>),
}

fn prepare(name: &Name, servers: &[SocketAddr]) -> Result<Prepared, Unfound> {
    let hosts = Hosts::from_system().unwrap_or_default();
    let families = [RecordType::A, RecordType::AAAA];
    let known = families.map(|kind| hosts.lookup_static_host(&Query::query(name.clone(), kind)));
    let addresses: Vec<IpAddr> = known.iter().flatten().flat_map(addresses).collect();
    if !addresses.is_empty() {
        return Ok(Prepared::Known(Answer {
            addresses,
            good_for: Duration::from_secs(u64::from(MAX_TTL)),
            unanswered: Families::default(),
        }));
    }
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio()
            .map_err(|error| failed(format!("/etc/resolv.conf: {error}")))?
    } else {
        let servers = servers.iter().map(name_server).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        builder.options_mut().timeout = SERVER_TIMEOUT;
        builder
    };
    let options: &mut ResolverOpts = builder.options_mut();
    // Answers are kept by who asks, and hosts were looked at.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    let resolver = builder.build().map_err(failed)?;
    Ok(Prepared::Ask(Box::new(resolver)))
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut udp = ConnectionConfig::udp();
    udp.port = address.port();
    let mut tcp = ConnectionConfig::tcp();
    tcp.port = address.port();
    NameServerConfig::new(address.ip(), true, vec![udp, tcp])
}

/// What was said about one family.
enum Family {
    Found(Vec<IpAddr>, Duration),
    /// There is none.
    Nothing,
    Unanswered(String),
}

fn family(lookup: Result<Lookup, NetError>) -> Family {
    match lookup {
        Ok(lookup) => {
            let found: Vec<IpAddr> = addresses(&lookup).collect();
            let ttl = lookup.answers().iter().map(|record| record.ttl).min();
            match ttl {
                Some(ttl) if !found.is_empty() => {
                    Family::Found(found, Duration::from_secs(u64::from(ttl)))
                }
                _ => Family::Nothing,
            }
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(_))) => Family::Nothing,
        Err(error) => Family::Unanswered(error.to_string()),
    }
}

fn addresses(lookup: &Lookup) -> impl Iterator<Item = IpAddr> {
    let records = lookup.answers().iter();
    records.filter_map(|record| record.data.ip_addr())
}

fn combine(v4: Family, v6: Family) -> Result<Answer, Unfound> {
    let mut answer = Answer {
        good_for: Duration::MAX,
        unanswered: Families {
            v4: matches!(v4, Family::Unanswered(_)),
            v6: matches!(v6, Family::Unanswered(_)),
        },
        ..Answer::default()
    };
    let mut causes = Vec::new();
    for family in [v4, v6] {
        match family {
            Family::Found(addresses, ttl) => {
                answer.addresses.extend(addresses);
                answer.good_for = answer.good_for.min(ttl);
            }
            Family::Nothing => {}
            Family::Unanswered(cause) => causes.push(cause),
        }
    }
    if !answer.addresses.is_empty() {
        return Ok(answer);
    }
    causes.dedup();
    Err(if causes.is_empty() {
        Unfound::Empty
    } else {
        failed(causes.join("; "))
    })
}

fn failed(cause: impl std::fmt::Display) -> Unfound {
    Unfound::Failed(cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(address: &str, ttl_s: u64) -> Family {
        Family::Found(vec![address.parse().unwrap()], Duration::from_secs(ttl_s))
    }

    fn unanswered() -> Family {
        Family::Unanswered("time-out".to_owned())
    }

    #[test]
    fn both_families_are_used_and_the_shorter_time_counts() {
        let answer = combine(found("192.0.2.1", 60), found("2001:db8::1", 30)).unwrap();
        assert_eq!(answer.addresses.len(), 2);
        assert_eq!(answer.good_for, Duration::from_secs(30));
        assert_eq!(answer.unanswered, Families::default());
    }

    #[test]
    fn one_family_is_enough_and_it_is_told_which_was_not_answered_for() {
        let answer = combine(found("192.0.2.1", 60), unanswered()).unwrap();
        assert!(answer.unanswered.v6 && !answer.unanswered.v4);
        let answer = combine(Family::Nothing, found("2001:db8::1", 9)).unwrap();
        assert_eq!(answer.unanswered, Families::default());
        assert_eq!(answer.good_for, Duration::from_secs(9));
    }

    #[test]
    fn no_address_is_a_failure_that_says_why() {
        let why = combine(Family::Nothing, Family::Nothing).unwrap_err();
        assert_eq!(why, Unfound::Empty);
        for (v4, v6) in [
            (unanswered(), unanswered()),
            (Family::Nothing, unanswered()),
        ] {
            assert_eq!(combine(v4, v6).unwrap_err(), failed("time-out"));
        }
    }
}
