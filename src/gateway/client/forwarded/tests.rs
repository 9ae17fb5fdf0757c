//! Lists in every form that proxies write, and in those that only somebody who wants to be
//! somebody else does.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const PEER: &str = "10.0.0.1";

fn trusted() -> Networks {
    let networks = ["10.0.0.0/8", "2001:db8:a::/48"].map(|text| text.parse().unwrap());
    Networks::new(&networks)
}

fn told(header: ForwardedHeader, fields: &[&[u8]]) -> IpAddr {
    let name = match header {
        ForwardedHeader::XForwardedFor => "x-forwarded-for",
        ForwardedHeader::Forwarded => "forwarded",
    };
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(name, HeaderValue::from_bytes(field).unwrap());
    }
    behind(PEER.parse().unwrap(), header, &headers, &trusted())
}

#[track_caller]
fn check(header: ForwardedHeader, fields: &[&str], expected: &str) {
    let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
    let expected: IpAddr = expected.parse().unwrap();
    assert_eq!(told(header, &fields), expected);
}

#[test]
fn a_list_is_believed_from_its_end() {
    #[track_caller]
    fn xff(fields: &[&str], expected: &str) {
        check(ForwardedHeader::XForwardedFor, fields, expected);
    }
    xff(&[], PEER);
    xff(&["203.0.113.7"], "203.0.113.7");
    xff(&["198.51.100.9, 203.0.113.7"], "203.0.113.7");
    xff(&["198.51.100.9,203.0.113.7 , 10.9.9.9"], "203.0.113.7");
    xff(
        &["198.51.100.9", "203.0.113.7", "10.9.9.9, 10.2.2.2"],
        "203.0.113.7",
    );
    xff(&["10.3.3.3, 10.2.2.2"], "10.3.3.3");
    let fifty = format!("{}203.0.113.7", "198.51.100.9, ".repeat(49));
    xff(&[&fifty], "203.0.113.7");
    let all_trusted = format!("10.7.7.7{}", ", 10.2.2.2".repeat(49));
    xff(&[&all_trusted], "10.7.7.7");
}

#[test]
fn addresses_come_in_many_clothes() {
    #[track_caller]
    fn xff(field: &str, expected: &str) {
        check(ForwardedHeader::XForwardedFor, &[field], expected);
    }
    xff("203.0.113.7:4711", "203.0.113.7");
    xff("2001:db8::7", "2001:db8::7");
    xff("[2001:db8::7]", "2001:db8::7");
    xff("[2001:db8::7]:4711", "2001:db8::7");
    xff("[::ffff:203.0.113.7]", "203.0.113.7");
    xff("::ffff:203.0.113.7", "203.0.113.7");
    xff("[::ffff:cb00:7107]:80", "203.0.113.7");
    // In any clothes it is trusted or not.
    xff("203.0.113.7, ::ffff:10.2.2.2", "203.0.113.7");
    xff("203.0.113.7, [2001:db8:a::1]:80", "203.0.113.7");
}

#[test]
fn what_is_no_address_ends_at_who_wrote_it() {
    #[track_caller]
    fn xff(field: &str, expected: &str) {
        check(ForwardedHeader::XForwardedFor, &[field], expected);
    }
    for nothing in ["", " ", ",", " , ,, "] {
        xff(nothing, PEER);
        xff(&format!("{nothing},203.0.113.7,{nothing}"), "203.0.113.7");
    }
    for garbage in [
        "unknown",
        "_hidden",
        "-",
        "\"203.0.113.7\"",
        "203.0.113",
        "203.0.113.7.9",
        "203.0.113.007",
        "203.0.113.7:",
        "203.0.113.7:port",
        "203.0.113.7:123456",
        "203.0.113.7 198.51.100.1",
        "[203.0.113.7]",
        "[2001:db8::7",
        "2001:db8::7]",
        "[2001:db8::7]80",
        "[2001:db8::7]:",
        "[]",
        "[",
        "fe80::1%eth0",
        "203.0.113.7/32",
        "for=203.0.113.7",
        "3405803783",
        "0xcb007107",
    ] {
        xff(garbage, PEER);
        xff(&format!("203.0.113.7, {garbage}"), PEER);
        xff(
            &format!("203.0.113.7, {garbage}, 10.3.3.3, 10.2.2.2"),
            "10.3.3.3",
        );
        xff(&format!("{garbage}, 203.0.113.7, 10.2.2.2"), "203.0.113.7");
    }
    let not_text = b"203.0.113.7, \xff\xfe";
    let peer: IpAddr = PEER.parse().unwrap();
    assert_eq!(told(ForwardedHeader::XForwardedFor, &[not_text]), peer);
}

#[test]
fn forwarded_is_read_as_its_standard_says() {
    #[track_caller]
    fn fwd(fields: &[&str], expected: &str) {
        check(ForwardedHeader::Forwarded, fields, expected);
    }
    fwd(&["for=203.0.113.7"], "203.0.113.7");
    fwd(&["For=203.0.113.7; proto=https;by=10.2.2.2"], "203.0.113.7");
    fwd(&["by=10.2.2.2;FOR = \"203.0.113.7:80\""], "203.0.113.7");
    fwd(&["for=\"[2001:db8::7]:4711\""], "2001:db8::7");
    fwd(&["for=\"[::ffff:203.0.113.7]\""], "203.0.113.7");
    fwd(
        &["for=198.51.100.9, for=203.0.113.7", "for=10.2.2.2"],
        "203.0.113.7",
    );
    fwd(&["for=203.0.113.7:_port-1"], "203.0.113.7");
    fwd(
        &["for=\"10.3.3.3\";host=\"a,b;for=c\", for=10.2.2.2"],
        "10.3.3.3",
    );
    fwd(
        &["for=203.0.113.7;host=\"a\\\",\\\\\", for=10.2.2.2"],
        "203.0.113.7",
    );
    for unknown in [
        "for=unknown",
        "for=_hidden",
        "for=203.0.113.7:_",
        "for=203.0.113.7:",
        "for=\"_hidden:80\"",
        "proto=https",
        "for",
        "for=",
        "for=\"\"",
        "203.0.113.7",
        "for=203.0.113.7;for=203.0.113.8",
        "for=\"203.0.113.7",
        "for=203.0.113.7\"",
    ] {
        fwd(&[unknown], PEER);
        let behind = format!("for=198.51.100.9, {unknown}, for=10.3.3.3");
        let quotes = unknown.matches('"').count();
        if quotes % 2 == 0 {
            fwd(&[&behind], "10.3.3.3");
        }
    }
}

#[test]
fn quotes_that_a_client_leaves_open_swallow_nothing() {
    for opened in [
        "for=\"",
        "for=\"a\\",
        "for=\"x\\\"",
        "\"",
        "for=198.51.100.9;host=\"",
    ] {
        for closed in [
            "for=203.0.113.7",
            "for=\"203.0.113.7:80\"",
            "for=203.0.113.7;host=\"a\"",
            "for=203.0.113.7, for=\"10.2.2.2\"",
        ] {
            let field = format!("{opened}, {closed}");
            check(ForwardedHeader::Forwarded, &[&field], "203.0.113.7");
        }
    }
}

#[test]
fn only_the_field_that_proxies_write_is_read() {
    let mut headers = HeaderMap::new();
    for name in [
        "x-real-ip",
        "cf-connecting-ip",
        "true-client-ip",
        "x-client-ip",
        "x-forwarded",
    ] {
        headers.append(name, HeaderValue::from_static("203.0.113.7"));
    }
    headers.append("forwarded", HeaderValue::from_static("for=203.0.113.7"));
    let peer: IpAddr = PEER.parse().unwrap();
    let read = |header| behind(peer, header, &headers, &trusted());
    assert_eq!(read(ForwardedHeader::XForwardedFor), peer);
    headers.remove("forwarded");
    headers.append("x-forwarded-for", HeaderValue::from_static("203.0.113.7"));
    let read = |header| behind(peer, header, &headers, &trusted());
    assert_eq!(read(ForwardedHeader::Forwarded), peer);
}

#[test]
fn a_hundred_kibibytes_are_read_once() {
    let long = "10.2.2.2,".repeat(100 * 1024 / 9);
    check(ForwardedHeader::XForwardedFor, &[&long], "10.2.2.2");
    let long = "for=10.2.2.2,".repeat(100 * 1024 / 13);
    check(ForwardedHeader::Forwarded, &[&long], "10.2.2.2");
    for byte in ["x", ",", "\"", "\\", "[", "\\\"", "for=\"\\\","] {
        let long = byte.repeat(100 * 1024 / byte.len());
        check(ForwardedHeader::Forwarded, &[&long], PEER);
        check(ForwardedHeader::XForwardedFor, &[&long], PEER);
    }
}

/// All addresses that could be meant anywhere in a field.
fn addresses(field: &[u8]) -> Vec<IpAddr> {
    let text = String::from_utf8_lossy(field);
    let mut found = Vec::new();
    let ends: Vec<usize> = text
        .char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .collect();
    for (index, from) in ends.iter().enumerate() {
        for to in &ends[index..] {
            let address = text.get(*from..*to).and_then(|part| part.parse().ok());
            found.extend(address.map(|address: IpAddr| address.to_canonical()));
        }
    }
    found
}

proptest! {
    #[test]
    fn whatever_is_sent_it_is_the_peer_or_an_address_in_it(
        fields in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![
                Just(b"203.0.113.7".to_vec()), Just(b"10.2.2.2".to_vec()), Just(b"2001:db8::7".to_vec()),
                Just(b"for=".to_vec()), Just(b"\"".to_vec()), Just(b",".to_vec()), Just(b";".to_vec()),
                Just(b"[".to_vec()), Just(b"]".to_vec()), Just(b":80".to_vec()), Just(b"\\".to_vec()),
                Just(b" ".to_vec()), Just(b"unknown".to_vec()),
                proptest::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 1..4),
            ], 0..8),
            0..4,
        ),
    ) {
        let fields: Vec<Vec<u8>> = fields.into_iter().map(|parts| parts.concat()).collect();
        let slices: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        let peer: IpAddr = PEER.parse().unwrap();
        for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
            let client = told(header, &slices);
            let known = fields.iter().any(|field| addresses(field).contains(&client));
            prop_assert!(client == peer || known, "{client}");
        }
    }

    #[test]
    fn what_a_client_sends_changes_nothing_behind_it(
        sent in proptest::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..64),
    ) {
        let client: IpAddr = "203.0.113.7".parse().unwrap();
        let field = [&sent[..], b", 203.0.113.7, 10.2.2.2"].concat();
        prop_assert_eq!(told(ForwardedHeader::XForwardedFor, &[&field]), client);
        let field = [&sent[..], b", for=203.0.113.7;proto=https, for=\"10.2.2.2:80\""].concat();
        prop_assert_eq!(told(ForwardedHeader::Forwarded, &[&field]), client);
    }
}
