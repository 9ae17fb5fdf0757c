//! May this call read here, or change something?
//!
//! The listener asks for no password: who reaches it is let in. A browser on an operator's
//! machine reaches it, too, on behalf of any page that it shows. A page of another origin sees
//! nothing of an answer, unless its own name was pointed at us once it had loaded (DNS
//! rebinding); then it is our origin by that name. So reading names a host that cannot be a stranger's
//! name: an address, localhost, or a listed one. What machines read by any name, since probes and
//! scrapers come by the names of services, is told to everybody.
//!
//! What changes something says so besides, in a header that no page of another origin can send
//! without asking first (and nobody answers that it may), and names this machine or a listed host.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

use super::Admin;

/// What a changing call carries; its value is `1`.
pub(super) const HEADER: &str = "x-spafe-admin";

/// What whoever keeps the process running reads, by any name: counts and states, no configuration.
const READ_BY_ANY_NAME: [&str; 3] = ["/metrics", "/livez", "/readyz"];

/// Why a call may not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It does not say that it means to.
    Header,
    /// It would change something, and names a host that is nobody's of ours.
    Host,
    /// It reads, and names a host that may be a stranger's.
    ForeignName,
}

/// Lets through what may read, and what may change something.
pub(super) async fn guard(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let snapshot = admin.gateway.snapshot.load_full();
    let listed = &snapshot.config.server.admin_hosts;
    let (headers, uri) = (request.headers(), request.uri());
    let judged = if matches!(*request.method(), Method::GET | Method::HEAD) {
        may_read(headers, uri, listed)
    } else {
        may_change(headers, uri, listed)
    };
    match judged {
        Ok(()) => next.run(request).await,
        Err(fault) => fault.into_response(),
    }
}

fn may_read(headers: &HeaderMap, uri: &Uri, listed: &[String]) -> Result<(), Fault> {
    if READ_BY_ANY_NAME.contains(&uri.path()) {
        return Ok(());
    }
    let is_ours = |host: &str| is_listed(host, listed) || is_local(host) || address(host).is_some();
    match host(headers, uri) {
        Some(host) if is_ours(host) => Ok(()),
        _ => Err(Fault::ForeignName),
    }
}

fn may_change(headers: &HeaderMap, uri: &Uri, listed: &[String]) -> Result<(), Fault> {
    if headers.get(HEADER).is_none_or(|value| value != "1") {
        return Err(Fault::Header);
    }
    let is_loopback = |host: &str| address(host).is_some_and(|it| it.to_canonical().is_loopback());
    let is_ours = |host: &str| is_listed(host, listed) || is_local(host) || is_loopback(host);
    match host(headers, uri) {
        Some(host) if is_ours(host) => Ok(()),
        _ => Err(Fault::Host),
    }
}

/// The one host that a call names.
fn host<'a>(headers: &'a HeaderMap, uri: &Uri) -> Option<&'a str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let target = uri.authority().map(axum::http::uri::Authority::as_str);
    let is_one = hosts.next().is_none() && target.is_none_or(|target| Some(target) == host);
    host.filter(|_| is_one).and_then(name)
}

/// A host without its port; the brackets of an address stay, as in the configuration.
fn name(authority: &str) -> Option<&str> {
    let end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (name, port) = authority.split_at_checked(end)?;
    let port_fits = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    (port_fits && !name.is_empty()).then_some(name)
}

fn is_listed(host: &str, listed: &[String]) -> bool {
    listed
        .iter()
        .any(|listed| listed.eq_ignore_ascii_case(host))
}

/// Whether a host is this machine's own name, whoever is asked for its address.
fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

/// The address that a host is, where it is no name.
fn address(host: &str) -> Option<IpAddr> {
    let inside = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match inside {
        Some(inside) => inside.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, words) = match self {
            Self::Header => (
                StatusCode::FORBIDDEN,
                "a call that changes something carries the header X-Spafe-Admin: 1",
            ),
            Self::Host => (
                StatusCode::FORBIDDEN,
                "a call that changes something names this machine (localhost, 127.0.0.1, [::1]) or a host of [server] admin_hosts",
            ),
            Self::ForeignName => (
                StatusCode::MISDIRECTED_REQUEST,
                "this is told to who asks by an address or as localhost; to ask by another name, list it in [server] admin_hosts",
            ),
        };
        (status, Json(json!({ "error": words }))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(host: &str, value: Option<&str>) -> Result<(), Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(value) = value {
            headers.insert(HEADER, value.parse().unwrap());
        }
        let listed = ["ops.example".to_owned(), "[2001:db8::1]".to_owned()];
        may_change(&headers, &Uri::from_static("/reload"), &listed)
    }

    #[test]
    fn what_is_no_strangers_name_may_read_and_all_may_scrape() {
        let check = |host: Option<&str>, path: &'static str, expected| {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(header::HOST, host.parse().unwrap());
            }
            let listed = ["ops.example".to_owned()];
            let read = may_read(&headers, &Uri::from_static(path), &listed);
            assert_eq!(read, expected, "{host:?} {path}");
        };
        for host in [
            "localhost:8081",
            "127.0.0.1",
            "10.0.0.1:8081",
            "[2001:db8::2]:8081",
            "OPS.example:8081",
        ] {
            check(Some(host), "/config", Ok(()));
        }
        for host in [
            Some("evil.example"),
            Some("10.0.0.1.evil.example"),
            Some("localhost.evil.example"),
            Some("[10.0.0.1]"),
            Some("2001:db8::2"),
            Some("0x7f000001"),
            Some(""),
            None,
        ] {
            for path in ["/config", "/", "/metrics/", "/page/page.js"] {
                check(host, path, Err(Fault::ForeignName));
            }
            for path in READ_BY_ANY_NAME {
                check(host, path, Ok(()));
            }
        }
        let mut twice = HeaderMap::new();
        twice.append(header::HOST, "localhost".parse().unwrap());
        twice.append(header::HOST, "evil.example".parse().unwrap());
        let read = may_read(&twice, &Uri::from_static("/config"), &[]);
        assert_eq!(read, Err(Fault::ForeignName));
    }

    #[test]
    fn what_changes_something_says_so_and_names_this_machine_or_a_listed_host() {
        for host in [
            "localhost",
            "LOCALHOST:8081",
            "127.0.0.1:8081",
            "127.9.9.9",
            "[::1]:8081",
            "[::ffff:127.0.0.1]",
            "ops.example:8081",
            "OPS.example",
            "[2001:db8::1]:1",
        ] {
            assert_eq!(judged(host, Some("1")), Ok(()), "{host}");
            assert_eq!(judged(host, None), Err(Fault::Header), "{host}");
            assert_eq!(judged(host, Some("0")), Err(Fault::Header), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evil.ops.example",
            "10.0.0.1:8081",
            "[2001:db8::2]",
            "127.0.0.1.evil.example",
            "localhost:80x",
            "[::1",
            "",
        ] {
            assert_eq!(judged(host, Some("1")), Err(Fault::Host), "{host}");
        }
    }
}
