//! Which frames are taken, and which end a connection?
//!
//! RFC 9113, 3.4, 4, 5.5, 6.1, 6.2 and 6.10.

use super::super::recorded;
use super::cases::Then::{Answers, Closes, Ends, Ignored, Resets};
use super::cases::{Case, case, chat_head, list, question, try_all};
use crate::kit::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, FRAME_SIZE_ERROR, GO_AWAY, HEADERS, PADDED,
    PING, PREFACE, PRIORITIZED, PRIORITY, PROTOCOL_ERROR, RESET, SETTINGS, WINDOW_UPDATE, begin,
    frame, headers, last, post, settings,
};

/// What h2 calls any frame that is too short or too long.
const CALLED_PROTOCOL: &str = "the connection ends as it must, for a reason with another name";

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_begins_with_a_preface_and_settings() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    let mut wrong = PREFACE.to_vec();
    wrong[20] = b'X';
    let cases = vec![
        case("another preface", wrong, Closes),
        case(
            "HTTP/1.1 where HTTP/2 was agreed on",
            b"GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n",
            Closes,
        ),
        case("no preface", [settings(&[]), list(1)].concat(), Closes),
        case("no settings", [PREFACE, &list(1)].concat(), Closes).but(
            Answers(200),
            "h2 takes what settings are without them, and the request means the same",
        ),
    ];
    try_all(&gateway, cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_of_the_size_and_shape_that_they_must_be() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    let blank = vec![b' '; 16_384];
    let mut reserved = list(1);
    reserved[5] |= 0x80;
    let wide = [chat_head(1), frame(DATA, 0, 1, &blank), last(1, question())].concat();
    let mut cases = vec![
        // 4.1 and 5.5
        case("an unknown frame", frame(0xfa, 0xff, 0, [7; 100]), Ignored),
        case(
            "an unknown frame of a stream",
            [frame(0x16, 0, 1, [7]), list(1)].concat(),
            Answers(200),
        ),
        case(
            "unknown flags",
            [frame(PING, 0xfe, 0, [1; 8]), list(1)].concat(),
            Answers(200),
        ),
        case("the reserved bit", reserved, Answers(200)),
        // 4.2
        case("the largest frame", wide, Answers(200)),
        case(
            "a larger body",
            [chat_head(1), frame(DATA, 0, 1, vec![b' '; 16_385])].concat(),
            Resets(&[FRAME_SIZE_ERROR]),
        ),
        case(
            "a larger head",
            frame(HEADERS, END_HEADERS, 1, vec![0; 16_385]),
            Ends(&[FRAME_SIZE_ERROR]),
        ),
        case(
            "larger settings",
            frame(SETTINGS, 0, 0, vec![0; 16_386]),
            Ends(&[FRAME_SIZE_ERROR]),
        ),
        case(
            "a larger unknown frame",
            frame(0xfa, 0, 0, vec![0; 16_385]),
            Ends(&[FRAME_SIZE_ERROR]),
        ),
    ];
    cases.extend(sizes());
    // 4.3
    for (name, interloper) in [
        ("a body within a head", frame(DATA, 0, 1, b"x")),
        ("another head within a head", list(3)),
        ("a ping within a head", frame(PING, 0, 0, [0; 8])),
        ("an unknown frame within a head", frame(0xfa, 0, 1, b"x")),
        ("settings within a head", settings(&[])),
        (
            "another stream's part of a head",
            frame(CONTINUATION, END_HEADERS, 3, post("/")),
        ),
    ] {
        let half = frame(HEADERS, END_STREAM, 1, begin("GET", "/v1/models"));
        cases.push(case(
            name,
            [half, interloper].concat(),
            Ends(&[PROTOCOL_ERROR]),
        ));
    }
    try_all(&gateway, cases).await;
}

/// Frames whose size says that they are none.
fn sizes() -> Vec<Case> {
    let open = chat_head(1);
    let of = |bytes: Vec<u8>| [open.clone(), bytes].concat();
    [
        ("a ping of seven bytes", frame(PING, 0, 0, [0; 7])),
        ("a ping of nine bytes", frame(PING, 0, 0, [0; 9])),
        ("a reset of three bytes", of(frame(RESET, 0, 1, [0; 3]))),
        ("a reset of five bytes", of(frame(RESET, 0, 1, [0; 5]))),
        ("settings of five bytes", frame(SETTINGS, 0, 0, [0; 5])),
        (
            "settings understood, with more",
            frame(SETTINGS, ACK, 0, [0; 6]),
        ),
        (
            "a window of three bytes",
            of(frame(WINDOW_UPDATE, 0, 1, [0; 3])),
        ),
        (
            "a window of five bytes",
            frame(WINDOW_UPDATE, 0, 0, [0, 0, 0, 1, 0]),
        ),
        (
            "a priority of four bytes",
            of(frame(PRIORITY, 0, 1, [0; 4])),
        ),
        ("a farewell of seven bytes", frame(GO_AWAY, 0, 0, [0; 7])),
        (
            "a prioritized head without a priority",
            frame(HEADERS, END_HEADERS | PRIORITIZED, 1, [0; 4]),
        ),
    ]
    .into_iter()
    .map(|(name, sent)| {
        case(name, sent, Resets(&[FRAME_SIZE_ERROR])).but(Ends(&[PROTOCOL_ERROR]), CALLED_PROTOCOL)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_heads_belong_to_streams_and_are_padded_within_themselves() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    let all = [bodies(), heads(), parts_of_heads()];
    try_all(&gateway, all.into_iter().flatten().collect()).await;
}

/// 6.1
fn bodies() -> Vec<Case> {
    let body = [&[3][..], &question(), &[0; 3]].concat();
    vec![
        case(
            "a body of no stream",
            frame(DATA, 0, 0, b"x"),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a padded body",
            [chat_head(1), frame(DATA, PADDED | END_STREAM, 1, body)].concat(),
            Answers(200),
        ),
        case(
            "a body of padding",
            [chat_head(1), frame(DATA, PADDED, 1, [5, 0, 0, 0, 0])].concat(),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a padded body without a length",
            [chat_head(1), frame(DATA, PADDED, 1, [])].concat(),
            Ends(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
        ),
        case(
            "empty parts of a body",
            [
                chat_head(1),
                frame(DATA, 0, 1, []).repeat(50),
                last(1, question()),
            ]
            .concat(),
            Answers(200),
        ),
    ]
}

/// 6.2
fn heads() -> Vec<Case> {
    let padded = |flags, stream, pad: u8, block: Vec<u8>| {
        frame(
            HEADERS,
            flags | PADDED | END_HEADERS,
            stream,
            [&[pad][..], &block].concat(),
        )
    };
    let get = begin("GET", "/v1/models");
    let with_priority = [&[0, 0, 0, 0, 15][..], &get].concat();
    vec![
        case(
            "a head of no stream",
            headers(0, END_STREAM, &get),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a padded head",
            padded(END_STREAM, 1, 4, [&get[..], &[0; 4]].concat()),
            Answers(200),
        ),
        case(
            "a head of more padding than there is",
            padded(END_STREAM, 1, 200, get.clone()),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a head with a priority",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM | PRIORITIZED,
                1,
                with_priority,
            ),
            Answers(200),
        ),
    ]
}

/// 6.10
fn parts_of_heads() -> Vec<Case> {
    let get = begin("GET", "/v1/models");
    vec![
        case("a head in three parts", in_parts(&get), Answers(200)),
        case(
            "a head in parts without bytes",
            [
                frame(HEADERS, END_STREAM, 1, &get),
                frame(CONTINUATION, END_HEADERS, 1, []),
            ]
            .concat(),
            Answers(200),
        ),
        case(
            "a part of a head of no stream",
            [
                frame(HEADERS, END_STREAM, 1, &get),
                frame(CONTINUATION, END_HEADERS, 0, []),
            ]
            .concat(),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a part of no head",
            frame(CONTINUATION, END_HEADERS, 1, &get),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a part of a head that is over",
            [list(1), frame(CONTINUATION, END_HEADERS, 1, [])].concat(),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a part of a head behind a body",
            [
                chat_head(1),
                frame(DATA, 0, 1, b"{"),
                frame(CONTINUATION, END_HEADERS, 1, []),
            ]
            .concat(),
            Ends(&[PROTOCOL_ERROR]),
        ),
    ]
}

/// A head that is cut in the midst of its fields.
fn in_parts(block: &[u8]) -> Vec<u8> {
    let (first, rest) = block.split_at(9);
    let (second, third) = rest.split_at(rest.len() / 2);
    [
        frame(HEADERS, END_STREAM, 1, first),
        frame(CONTINUATION, 0, 1, second),
        frame(CONTINUATION, END_HEADERS, 1, third),
    ]
    .concat()
}
