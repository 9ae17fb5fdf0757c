//! Which heads can be read?
//!
//! RFC 7541. Both sides of a connection keep the same table, so what cannot be read ends
//! the connection and not a stream: nothing behind it could be trusted.

use super::super::recorded;
use super::cases::Then::{Answers, Ends};
use super::cases::{case, list, try_all};
use crate::kit::frames::{
    COMPRESSION_ERROR, END_STREAM, Frames, PROTOCOL_ERROR, Told, field, headers, integer, text,
};

/// What h2 calls whatever cannot be decompressed.
const CALLED_PROTOCOL: &str = "the connection ends as it must, for a reason with another name";

// Places in the static table, RFC 7541, A.
const AUTHORITY: u8 = 1;
const GET: u8 = 0x80 | 2;
const PATH: u8 = 4;
const HTTPS: u8 = 0x80 | 7;
/// The newest of the dynamic table.
const NEWEST: u8 = 0x80 + 62;
/// `www.example.com` in Huffman's code: RFC 7541, C.4.1.
const EXAMPLE: [u8; 12] = [
    0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
];

/// A request by what is in the static table, and this.
fn get(more: impl AsRef<[u8]>) -> Vec<u8> {
    let path = [&[PATH][..], &text(b"/v1/models")].concat();
    let authority = [&[AUTHORITY][..], &text(b"gateway.test")].concat();
    [&[GET, HTTPS][..], &path, &authority, more.as_ref()].concat()
}

fn sent(block: Vec<u8>) -> Vec<u8> {
    headers(1, END_STREAM, block)
}

/// A value behind the name `x`, in what calls itself Huffman's code.
fn coded(bytes: &[u8]) -> Vec<u8> {
    [&[0][..], &text(b"x"), &integer(0x80, 7, bytes.len()), bytes].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_ends_the_connection() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tls().start();
    let cases = unreadable()
        .into_iter()
        .map(|(name, block)| {
            case(name, sent(block), Ends(&[COMPRESSION_ERROR]))
                .but(Ends(&[PROTOCOL_ERROR]), CALLED_PROTOCOL)
        })
        .collect();
    try_all(&gateway, cases).await;
    assert!(upstream.requests().is_empty());
}

/// Heads that say what cannot be.
fn unreadable() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        // 2.3.3
        ("no place", get([0x80])),
        ("a place in an empty table", get([NEWEST])),
        ("a place far behind", get(integer(0x80, 7, 10_000))),
        (
            "a name of a place in an empty table",
            get([&[0x40 + 62][..], &text(b"y")].concat()),
        ),
        // 4.2 and 6.3
        (
            "a table larger than it may be",
            [integer(0x20, 5, 4_097), get([])].concat(),
        ),
        ("a table's size between fields", get(integer(0x20, 5, 100))),
        ("a table's size at the end", get([0x20])),
        // 4.4: an entry larger than the table empties it
        (
            "what was evicted",
            get([
                &[0x40][..],
                &text(b"x-a"),
                &text(b"b"),
                &[0x40],
                &text(b"x-b"),
                &text(&[b'y'; 4_096]),
                &[NEWEST],
            ]
            .concat()),
        ),
        // 5.1
        (
            "a number without an end",
            get([
                0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01,
            ]),
        ),
        ("a number that is cut", get([0xff])),
        (
            "the largest numbers",
            get([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ),
        // 5.2
        (
            "a string longer than its head",
            get([0, 1, b'x', 100, b'y']),
        ),
        ("a name without a value", get([0, 1, b'x'])),
        (
            "padding of a byte",
            get(coded(&[EXAMPLE.as_slice(), &[0xff]].concat())),
        ),
        (
            "padding of four bytes",
            get(coded(&[0xff, 0xff, 0xff, 0xff])),
        ),
        ("padding of zeros", get(coded(&[0b0001_1000]))),
        ("an end within", get(coded(&[0x1f, 0xff, 0xff, 0xff, 0xe3]))),
        ("nothing but an end", get(coded(&[0xff, 0xff, 0xff, 0xfc]))),
        ("a code that is cut", get(coded(&[0xfe]))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_may_be_written_is_read() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    let named = |kind: u8| get([&[kind][..], &text(b"x-a"), &text(b"b")].concat());
    let coded_authority = [
        &[GET, HTTPS, PATH][..],
        &text(b"/v1/models"),
        &[AUTHORITY, 0x8c],
        &EXAMPLE,
    ]
    .concat();
    let sizes = [vec![0x20], integer(0x20, 5, 4_096)].concat();
    let all_of_them: Vec<u8> = [15, 17, 20, 32, 58]
        .iter()
        .flat_map(|place| [0x40 | place, 1, b'1'])
        .collect();
    let cases = vec![
        case("from the static table", sent(get([])), Answers(200)),
        case("in Huffman's code", sent(coded_authority), Answers(200)),
        case(
            "an empty string in Huffman's code",
            sent(get(coded(&[]))),
            Answers(200),
        ),
        case("kept", sent(named(0x40)), Answers(200)),
        case("not kept", sent(named(0)), Answers(200)),
        case("never kept", sent(named(0x10)), Answers(200)),
        case(
            "kept and named again",
            sent(get([
                &[0x40][..],
                &text(b"x-a"),
                &text(b"b"),
                &[NEWEST, NEWEST],
            ]
            .concat())),
            Answers(200),
        ),
        case("named by the table", sent(get(all_of_them)), Answers(200)),
        case(
            "two sizes at the beginning",
            sent([sizes, get([])].concat()),
            Answers(200),
        ),
        case(
            "the largest table",
            sent([integer(0x20, 5, 4_096), get([])].concat()),
            Answers(200),
        ),
        case(
            "a number with more bytes than it needs",
            sent([&[0x3f, 0x80, 0x80, 0x00][..], &get([])].concat()),
            Answers(200),
        ),
        case(
            "a field as large as the table",
            sent(get([
                &[0x40][..],
                &text(b"x"),
                &text(&[b'y'; 4_063]),
                &[NEWEST],
            ]
            .concat())),
            Answers(200),
        ),
    ];
    try_all(&gateway, cases).await;
}

/// 2.2: the table outlives a request, also one that was refused or reset.
#[tokio::test(flavor = "multi_thread")]
async fn the_table_is_that_of_the_connection() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    let mut client = Frames::open(&gateway).await;
    let kept = |name: &[u8], value: &[u8]| [&[0x40][..], &text(name), &text(value)].concat();
    let path = kept(b":path", b"/v1/models");
    let authority = kept(b":authority", b"gateway.test");
    let first = [&[GET, HTTPS][..], &path, &authority].concat();
    // Malformed, and its field is kept all the same.
    let refused = [get([]), field("connection", "x"), kept(b"x-mark", b"y")].concat();
    let second = [GET, HTTPS, NEWEST + 2, NEWEST + 1, NEWEST].to_vec();
    let all = [
        headers(1, END_STREAM, first),
        headers(3, END_STREAM, refused),
        headers(5, END_STREAM, second),
        list(7),
    ];
    client.offer(&all.concat()).await;
    let enough = |told: &Told| [1, 5, 7].iter().all(|stream| told.answered(*stream));
    let told = client.until("three answers", enough).await;
    for stream in [1, 5, 7] {
        assert_eq!(told.statuses.get(&stream), Some(&200), "{told:?}");
    }
    assert_eq!(told.resets.get(&3), Some(&PROTOCOL_ERROR));
}
