//! Which address do proxies say that they speak for?
//!
//! Each proxy adds the address it was asked from behind what it was sent. So the list is
//! believed from its end, for as long as whoever wrote the next entry is trusted: the
//! first address that is not is the client's, and whatever stands in front of it is its
//! own invention. It is read backwards for the same reason: quotes that a client opens
//! and never closes must not swallow what a proxy wrote behind them.
//!
//! Where a trusted proxy wrote what is no address, nobody knows who is behind it: then
//! it is the proxy itself that asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};

use super::networks::Networks;
use crate::config::clients::ForwardedHeader;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client that a trusted peer speaks for: the last address that is not `trusted`, or
/// the first of all where each is. Where there is none, it is the peer.
pub(super) fn behind(
    peer: IpAddr,
    header: ForwardedHeader,
    headers: &HeaderMap,
    trusted: &Networks,
) -> IpAddr {
    let name = match header {
        ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
        ForwardedHeader::Forwarded => FORWARDED,
    };
    let mut farthest = peer;
    for field in headers.get_all(name).iter().rev() {
        let mut rest = Some(field.as_bytes());
        while let Some(list) = rest {
            let (before, entry) = match header {
                ForwardedHeader::XForwardedFor => last(list, b','),
                ForwardedHeader::Forwarded => last_unquoted(list, b','),
            };
            rest = before;
            let entry = entry.trim_ascii();
            if entry.is_empty() {
                continue;
            }
            let address = match header {
                ForwardedHeader::XForwardedFor => node(entry),
                ForwardedHeader::Forwarded => element(entry),
            };
            match address {
                Some(address) if trusted.contains(address) => farthest = address,
                Some(address) => return address,
                None => return farthest,
            }
        }
    }
    farthest
}

/// What stands before the last `separator`, if there is one, and what behind it.
fn last(list: &[u8], separator: u8) -> (Option<&[u8]>, &[u8]) {
    split(list, memchr::memrchr(separator, list))
}

/// The same, where a separator between quotes is none.
fn last_unquoted(list: &[u8], separator: u8) -> (Option<&[u8]>, &[u8]) {
    let mut is_quoted = false;
    let mut at = list.len();
    while let Some((byte, before)) = list.get(..at).and_then(<[u8]>::split_last) {
        at = before.len();
        if *byte == b'"' {
            let slashes = before.iter().rev().take_while(|byte| **byte == b'\\');
            // An escaped quote is one only where quotes are open.
            let is_escaped = is_quoted && slashes.count() % 2 == 1;
            is_quoted ^= !is_escaped;
        } else if *byte == separator && !is_quoted {
            return split(list, Some(at));
        }
    }
    (None, list)
}

fn split(list: &[u8], at: Option<usize>) -> (Option<&[u8]>, &[u8]) {
    match at.and_then(|at| list.split_at_checked(at)) {
        Some((before, from)) => (Some(before), from.get(1..).unwrap_or_default()),
        None => (None, list),
    }
}

/// The address of `for` in an element of `Forwarded`, RFC 7239, 4; none where it has two.
fn element(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    let mut rest = Some(element);
    while let Some(pairs) = rest {
        let (before, pair) = last_unquoted(pairs, b';');
        rest = before;
        let equals = memchr::memchr(b'=', pair);
        let Some((name, value)) = equals.and_then(|at| pair.split_at_checked(at)) else {
            continue;
        };
        if !name.trim_ascii().eq_ignore_ascii_case(b"for") {
            continue;
        }
        if found.is_some() {
            return None;
        }
        found = Some(value.get(1..)?.trim_ascii());
    }
    let value = found?;
    // Nothing that is escaped stands in an address.
    let unquoted = value
        .strip_prefix(b"\"")
        .map(|rest| rest.strip_suffix(b"\""));
    node(unquoted.unwrap_or(Some(value))?)
}

/// An address, with a port or without: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`,
/// `[2001:db8::1]`, `[2001:db8::1]:80`.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']')?;
        let port = rest.strip_prefix(':');
        if !(rest.is_empty() || port.is_some_and(is_port)) {
            return None;
        }
        return Some(IpAddr::V6(Ipv6Addr::from_str(address).ok()?).to_canonical());
    }
    if let Ok(address) = IpAddr::from_str(text) {
        return Some(address.to_canonical());
    }
    let (address, port) = text.split_once(':')?;
    let address = Ipv4Addr::from_str(address).ok()?;
    is_port(port).then_some(IpAddr::V4(address))
}

/// A number, or a word that hides one, RFC 7239, 6.
fn is_port(text: &str) -> bool {
    let is_hidden = |text: &str| {
        let mut rest = text.bytes();
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        rest.next() == Some(b'_') && rest.len() > 0 && rest.all(letter)
    };
    let is_number = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number || is_hidden(text)
}

#[cfg(test)]
#[path = "forwarded/tests.rs"]
mod tests;
