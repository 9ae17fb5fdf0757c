//! May this call change something?
//!
//! The listener asks for no password: who reaches it is let in. A browser on an operator's
//! machine reaches it, too, on behalf of any page that it shows. So what changes something says
//! so in a header that no page of another origin can send without asking first (and nobody
//! answers that it may), and names a host that cannot be a stranger's name pointed at us.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

use super::Admin;

/// What a changing call carries; its value is `1`.
pub(super) const HEADER: &str = "x-spafe-admin";

/// Why a call may not change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It does not say that it means to.
    Header,
    /// It names a host that is nobody's of ours.
    Host,
}

/// Lets through what only reads, and what may change something.
pub(super) async fn guard(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let snapshot = admin.gateway.snapshot.load_full();
    let listed = &snapshot.config.server.admin_hosts;
    match judge(request.headers(), request.uri(), listed) {
        Ok(()) => next.run(request).await,
        Err(fault) => fault.into_response(),
    }
}

fn judge(headers: &HeaderMap, uri: &Uri, listed: &[String]) -> Result<(), Fault> {
    if headers.get(HEADER).is_none_or(|value| value != "1") {
        return Err(Fault::Header);
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let target = uri.authority().map(axum::http::uri::Authority::as_str);
    let one = hosts.next().is_none() && target.is_none_or(|target| Some(target) == host);
    let host = host.filter(|_| one).and_then(name).ok_or(Fault::Host)?;
    let is_listed = listed
        .iter()
        .any(|listed| listed.eq_ignore_ascii_case(host));
    if is_listed || is_loopback(host) {
        Ok(())
    } else {
        Err(Fault::Host)
    }
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

/// Whether a host is this machine, whoever is asked for its address.
fn is_loopback(host: &str) -> bool {
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let address: Option<std::net::IpAddr> = address.unwrap_or(host).parse().ok();
    match address {
        Some(address) => address.to_canonical().is_loopback(),
        None => host.eq_ignore_ascii_case("localhost"),
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let words = match self {
            Self::Header => "a call that changes something carries the header X-Spafe-Admin: 1",
            Self::Host => {
                "a call that changes something names this machine (localhost, 127.0.0.1, [::1]) or a host of [server] admin_hosts"
            }
        };
        (StatusCode::FORBIDDEN, Json(json!({ "error": words }))).into_response()
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
        judge(&headers, &Uri::from_static("/reload"), &listed)
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
