//! Headers, what only looks like one, and how much of what follows is read.

use proptest::prelude::*;

use super::*;

/// What is told, and what is left to read.
fn read_from(mut bytes: &[u8]) -> (Result<Told, HeaderError>, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    let told = runtime.block_on(read(&mut bytes));
    (told, bytes.len())
}

/// A header, what follows it, and whom it tells of; `-` is nobody.
#[track_caller]
fn check(header: &[u8], expected: &str) {
    const FOLLOWS: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    let (told, left) = read_from(&[header, FOLLOWS].concat());
    let expected = match expected {
        "-" => Told::Nobody,
        address => Told::Client(address.parse().unwrap()),
    };
    assert_eq!(told.unwrap(), expected);
    assert_eq!(left, FOLLOWS.len(), "read too much or too little");
}

fn block(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap();
    [
        &SIGNATURE[..],
        &[command, family],
        &length.to_be_bytes(),
        body,
    ]
    .concat()
}

const V4_BODY: [u8; 12] = [203, 0, 113, 7, 192, 0, 2, 1, 0xdc, 0x04, 0x01, 0xbb];

fn v6_body() -> Vec<u8> {
    let client: Ipv6Addr = "2001:db8::7".parse().unwrap();
    let here: Ipv6Addr = "2001:db8::1".parse().unwrap();
    [
        &client.octets()[..],
        &here.octets(),
        &[0xdc, 0x04, 0x01, 0xbb],
    ]
    .concat()
}

#[test]
fn a_line_tells_whose_connection_it_is() {
    check(
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n",
        "203.0.113.7:56324",
    );
    check(b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n", "1.1.1.1:1");
    check(
        b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n",
        "[2001:db8::7]:56324",
    );
    check(b"PROXY TCP6 :: :: 0 0\r\n", "[::]:0");
    let longest = b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n";
    check(longest, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    check(b"PROXY UNKNOWN\r\n", "-");
    check(b"PROXY UNKNOWN 203.0.113.7 192.0.2.1 56324 443\r\n", "-");
    let most = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE_BYTES_MAX - 16));
    assert_eq!(most.len(), LINE_BYTES_MAX);
    check(most.as_bytes(), "-");
}

#[test]
fn a_block_tells_whose_connection_it_is() {
    check(&block(0x21, 0x11, &V4_BODY), "203.0.113.7:56324");
    check(&block(0x21, 0x21, &v6_body()), "[2001:db8::7]:56324");
    let with_more = [&V4_BODY[..], &[0x03, 0x00, 0x04, 1, 2, 3, 4]].concat();
    check(&block(0x21, 0x11, &with_more), "203.0.113.7:56324");
    let longest = [
        &V4_BODY[..],
        &vec![0; BLOCK_BYTES_MAX - BLOCK_HEAD_BYTES - 12],
    ]
    .concat();
    check(&block(0x21, 0x11, &longest), "203.0.113.7:56324");
    for body in [&[][..], &V4_BODY] {
        check(&block(0x20, 0x00, body), "-");
        check(&block(0x20, 0x11, body), "-");
        for family in [0x00, 0x12, 0x22, 0x31, 0x32] {
            check(&block(0x21, family, body), "-");
        }
    }
}

#[test]
fn what_is_no_header_is_told_apart() {
    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        let error = read_from(bytes).0.unwrap_err();
        let kind = format!("{error:?}");
        assert!(kind.starts_with(expected), "{kind}");
    }
    check(b"", "Silent");
    check(b"GET / HTTP/1.1\r\n\r\n", "Missing");
    check(b"POST / HTTP/1.1\r\n\r\n", "Missing");
    check(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", "Missing");
    check(b"\x16\x03\x01", "Missing");
    check(b"proxy TCP4 203.0.113.7 192.0.2.1 56324 443\r\n", "Missing");
    check(b"P", "Broken");
    check(b"PROXY TCP4 203.0.113.7 192.0.2.1 56324", "Broken");
    check(SIGNATURE, "Broken");
    check(&block(0x21, 0x11, &V4_BODY)[..20], "Broken");
    for line in [
        "PROXY TCP4 203.0.113.7 192.0.2.1 56324 443 1",
        "PROXY TCP4 203.0.113.7 192.0.2.1 56324",
        "PROXY TCP4  203.0.113.7 192.0.2.1 56324 443",
        "PROXY TCP4 2001:db8::7 2001:db8::1 56324 443",
        "PROXY TCP6 203.0.113.7 192.0.2.1 56324 443",
        "PROXY TCP4 203.0.113.7 192.0.2.1 65536 443",
        "PROXY TCP4 203.0.113.7 192.0.2.1 +1 443",
        "PROXY TCP4 203.0.113.777 192.0.2.1 1 443",
        "PROXY TCP4 203.0.113.7\n192.0.2.1 1 443",
        "PROXY UDP4 203.0.113.7 192.0.2.1 1 443",
        "PROXY \r\nGET / HTTP",
    ] {
        check(format!("{line}\r\n").as_bytes(), "Malformed");
    }
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(500));
    check(endless.as_bytes(), "Malformed");
    for (command, family, body) in [
        (0x21, 0x11, &V4_BODY[..11]),
        (0x21, 0x21, &V4_BODY[..]),
        (0x21, 0x13, &V4_BODY[..]),
        (0x21, 0x41, &V4_BODY[..]),
        (0x22, 0x11, &V4_BODY[..]),
        (0x11, 0x11, &V4_BODY[..]),
        (0x31, 0x11, &V4_BODY[..]),
        (0x21, 0x11, &[0; BLOCK_BYTES_MAX - BLOCK_HEAD_BYTES + 1][..]),
    ] {
        check(&block(command, family, body), "Malformed");
    }
}

proptest! {
    #[test]
    fn whatever_comes_no_more_is_read_than_a_header_has(
        kind in 0_u8..3,
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        command in 0x1f_u8..0x23,
        family in any::<u8>(),
    ) {
        let sent = match kind {
            0 => bytes,
            1 => [b"PROXY TCP4 ", &bytes[..]].concat(),
            _ => block(command, family, &bytes),
        };
        let (told, left) = read_from(&sent);
        let most = if kind == 2 { BLOCK_BYTES_MAX } else { LINE_BYTES_MAX };
        if told.is_ok() {
            prop_assert!(sent.len() - left <= most);
        }
    }

    #[test]
    fn a_header_is_read_to_its_end_and_no_further(
        client in any::<(u32, u16)>(),
        follows in proptest::collection::vec(any::<u8>(), 0..40),
        is_line in any::<bool>(),
    ) {
        let address = Ipv4Addr::from_bits(client.0);
        let header = if is_line {
            format!("PROXY TCP4 {address} 192.0.2.1 {} 443\r\n", client.1).into_bytes()
        } else {
            let ports = client.1.to_be_bytes();
            block(0x21, 0x11, &[&address.octets()[..], &[192, 0, 2, 1], &ports, &[1, 187]].concat())
        };
        let (told, left) = read_from(&[&header[..], &follows].concat());
        let expected = Told::Client(SocketAddr::new(address.into(), client.1));
        prop_assert_eq!(told.unwrap(), expected);
        prop_assert_eq!(left, follows.len());
    }
}
