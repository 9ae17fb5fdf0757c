//! Which frames may a stream have, in each of its states?
//!
//! RFC 9113, 5.1.

use super::super::recorded;
use super::cases::Then::{Answers, Ends, Ignored, IgnoredOrEnds, Resets};
use super::cases::{case, chat_head, list, question, try_all};
use crate::kit::frames::{
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, INITIAL_WINDOW_SIZE, PRIORITY,
    PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED, block, frame, headers, last, reset, settings,
    window,
};

/// What h2 says where a stream is half closed.
const ENDS_FOR_IT: &str = "the connection ends and not the stream alone, or the reason has another name: only who broke the rule loses something";

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_never_was_has_no_frames() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    let cases = vec![
        case("a body", frame(DATA, 0, 1, b"x"), Ends(&[PROTOCOL_ERROR])),
        case("the end of a body", last(1, b""), Ends(&[PROTOCOL_ERROR])),
        case("a reset", reset(1, CANCEL), Ends(&[PROTOCOL_ERROR])),
        case("a window", window(1, 10), Ends(&[PROTOCOL_ERROR])),
        case(
            "a part of a head",
            frame(CONTINUATION, 0, 1, b""),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a priority",
            frame(PRIORITY, 0, 1, [0, 0, 0, 0, 9]),
            Ignored,
        ),
        case(
            "a reset above all others",
            [list(1), reset(3, CANCEL)].concat(),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a body above all others",
            [list(1), last(3, b"x")].concat(),
            Ends(&[PROTOCOL_ERROR]),
        ),
    ];
    try_all(&gateway, cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_its_end_a_request_has_no_more() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    // Without a window an answer cannot end, so the stream is half closed.
    let no_window = settings(&[(INITIAL_WINDOW_SIZE, 0)]);
    let half_closed = [no_window, list(1)].concat();
    let then = |bytes: Vec<u8>| [half_closed.clone(), bytes].concat();
    let wide = settings(&[(INITIAL_WINDOW_SIZE, 65_535)]);
    let trailers = block(&[("x-trailer", "y")]);
    let cases = vec![
        case(
            "a body",
            then(frame(DATA, 0, 1, b"x")),
            Resets(&[STREAM_CLOSED]),
        )
        .but(Ends(&[PROTOCOL_ERROR]), ENDS_FOR_IT),
        case("another end", then(last(1, b"")), Resets(&[STREAM_CLOSED]))
            .but(Ends(&[PROTOCOL_ERROR]), ENDS_FOR_IT),
        case("another head", then(list(1)), Resets(&[STREAM_CLOSED]))
            .but(Ends(&[PROTOCOL_ERROR]), ENDS_FOR_IT),
        case(
            "trailers",
            then(headers(1, END_STREAM, &trailers)),
            Resets(&[STREAM_CLOSED]),
        )
        .but(Ends(&[PROTOCOL_ERROR]), ENDS_FOR_IT),
        case(
            "a part of a head",
            then(frame(CONTINUATION, END_HEADERS, 1, b"")),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a window",
            then([window(1, 10), wide.clone()].concat()),
            Answers(200),
        ),
        case(
            "a priority",
            then([frame(PRIORITY, 0, 1, [0, 0, 0, 0, 9]), wide.clone()].concat()),
            Answers(200),
        ),
        case("a reset", then([reset(1, CANCEL), wide].concat()), Ignored),
    ];
    try_all(&gateway, cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_reset_is_over() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tls().start();
    let closed = [chat_head(1), reset(1, CANCEL)].concat();
    let then = |bytes: Vec<u8>| [closed.clone(), bytes].concat();
    let trailers = block(&[("x-trailer", "y")]);
    let cases = vec![
        case(
            "a body",
            then(last(1, question())),
            IgnoredOrEnds(&[STREAM_CLOSED]),
        ),
        case(
            "a part of a body",
            then(frame(DATA, 0, 1, b"x")),
            IgnoredOrEnds(&[STREAM_CLOSED]),
        ),
        case(
            "trailers",
            then(headers(1, END_STREAM, trailers)),
            IgnoredOrEnds(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        // 5.1.1: a stream is begun once.
        case(
            "another head",
            then(list(1)),
            IgnoredOrEnds(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        case("a window", then(window(1, 10)), Ignored),
        case("a reset", then(reset(1, CANCEL)), Ignored),
        case(
            "a priority",
            then(frame(PRIORITY, 0, 1, [0, 0, 0, 0, 9])),
            Ignored,
        ),
        case(
            "a part of a head",
            then(frame(CONTINUATION, END_HEADERS, 1, b"")),
            Ends(&[PROTOCOL_ERROR]),
        ),
    ];
    try_all(&gateway, cases).await;
    assert!(upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_answered_is_over() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    let trailers = block(&[("x-trailer", "y")]);
    for (name, sent, reasons) in [
        (
            "a body",
            last(1, b"x"),
            &[STREAM_CLOSED, PROTOCOL_ERROR][..],
        ),
        ("a head", list(1), &[STREAM_CLOSED, PROTOCOL_ERROR]),
        (
            "trailers",
            headers(1, END_STREAM, trailers),
            &[STREAM_CLOSED, PROTOCOL_ERROR],
        ),
        ("a window", window(1, 10), &[]),
        ("a reset", reset(1, CANCEL), &[]),
        ("a priority", frame(PRIORITY, 0, 1, [0, 0, 0, 0, 9]), &[]),
    ] {
        let mut client = Frames::open(&gateway).await;
        client.offer(&list(1)).await;
        client.until("an answer", |told| told.answered(1)).await;
        client.offer(&[sent, list(3)].concat()).await;
        let told = client
            .until(name, |told| told.closed || told.answered(3))
            .await;
        let reason = told.go_away.or(told.resets.get(&1).copied());
        assert!(
            reason.is_none_or(|reason| reasons.contains(&reason)),
            "{name}: {told:?}"
        );
        assert!(reason.is_some() || told.answered(3), "{name}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_streams_are_odd_and_rise() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    let cases = vec![
        case("an even stream", list(2), Ends(&[PROTOCOL_ERROR])),
        case("no stream", list(0), Ends(&[PROTOCOL_ERROR])),
        case(
            "a lower one",
            [list(5), list(3)].concat(),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "one that was passed over",
            [list(1), list(9), reset(7, CANCEL), window(7, 1)].concat(),
            Answers(200),
        ),
        case(
            "some left out",
            [list(1), list(1_001), list(100_001)].concat(),
            Answers(200),
        ),
        case(
            "a body of the other side's",
            [list(1), frame(DATA, 0, 2, b"x")].concat(),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a window of the other side's",
            [list(1), window(2, 1)].concat(),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a reset of the other side's",
            [list(1), reset(2, CANCEL)].concat(),
            Ends(&[PROTOCOL_ERROR]),
        ),
    ];
    try_all(&gateway, cases).await;
    // The last number of all, behind which nothing can be asked.
    let mut client = Frames::open(&gateway).await;
    client.offer(&list(0x7fff_ffff)).await;
    let told = client
        .until("an answer", |told| told.answered(0x7fff_ffff))
        .await;
    assert!(!told.closed, "{told:?}");
}

/// 5.1.2
#[tokio::test(flavor = "multi_thread")]
async fn streams_beyond_those_that_may_be_open_are_refused() {
    let (setup, upstream) = recorded().await;
    let many = "[bounds]\nin_flight_per_client_max = 128";
    let gateway = setup.tls().tables(many).start();
    let mut client = Frames::open(&gateway).await;
    let streams: Vec<u32> = (0..70).map(|number| 2 * number + 1).collect();
    for stream in &streams {
        client.offer(&chat_head(*stream)).await;
    }
    let told = client
        .until("refusals", |told| told.resets.len() == 6)
        .await;
    let refused: Vec<u32> = streams[64..].to_vec();
    assert_eq!(told.resets.keys().copied().collect::<Vec<_>>(), refused);
    assert!(
        told.resets
            .values()
            .all(|reason| [REFUSED_STREAM, PROTOCOL_ERROR].contains(reason)),
        "{told:?}"
    );
    assert!(upstream.requests().is_empty());
    // What is reset before anybody has taken it up is a flood, for h2, from twenty on.
    gateway.counts("spafe_requests_in_flight ", 64).await;
    for stream in &streams[..64] {
        client.offer(&reset(*stream, CANCEL)).await;
    }
    client.offer(&list(1_001)).await;
    let told = client.until("an answer", |told| told.answered(1_001)).await;
    assert_eq!(told.statuses.get(&1_001), Some(&200), "{told:?}");
}
