//! What may be said of a connection, and what is done about it?
//!
//! RFC 9113, 5.3 and 6.3 to 6.9: priorities, resets, settings, promises, pings, farewells and
//! windows.

use super::super::recorded;
use super::cases::Then::{Answers, Ends, Ignored, IgnoredOrEnds, Resets};
use super::cases::{Case, case, chat_head, list, question, try_all};
use crate::kit::frames::{
    ACK, CANCEL, DATA, ENABLE_PUSH, END_HEADERS, FLOW_CONTROL_ERROR, Frames, GO_AWAY,
    INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, NO_ERROR, PING, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE,
    SETTINGS, Told, acknowledged, begin, frame, headers, last, post, reset, settings, window,
};

/// What h2 calls a window that is too wide.
const CALLED_PROTOCOL: &str = "the connection ends as it must, for a reason with another name";

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_a_connection_is_of_no_stream_and_in_its_range() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    let all = [
        priorities_and_resets(),
        settings_of_all_kinds(),
        promises_pings_and_farewells(),
        windows(),
    ];
    let cases = all.into_iter().flatten().collect();
    try_all(&gateway, cases).await;
}

/// 6.3 and 6.4; 5.3, which nobody has to heed any more.
fn priorities_and_resets() -> Vec<Case> {
    let after = |bytes: Vec<u8>| [chat_head(1), bytes].concat();
    vec![
        case(
            "a priority of no stream",
            frame(PRIORITY, 0, 0, [0, 0, 0, 1, 1]),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a priority of a stream that is not there",
            frame(PRIORITY, 0, 77, [0, 0, 0, 1, 1]),
            Ignored,
        ),
        case(
            "a stream that depends on itself",
            [list(1), frame(PRIORITY, 0, 1, [0, 0, 0, 1, 1])].concat(),
            IgnoredOrEnds(&[PROTOCOL_ERROR]),
        ),
        case(
            "a reset of no stream",
            reset(0, CANCEL),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a reset of a stream that never was",
            reset(1, CANCEL),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a reset for a reason nobody knows",
            after(reset(1, 0xdead_beef)),
            Ignored,
        ),
    ]
}

/// 6.5
fn settings_of_all_kinds() -> Vec<Case> {
    let set = |id, value| settings(&[(id, value)]);
    vec![
        case(
            "settings of a stream",
            frame(SETTINGS, 0, 1, []),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "half a wish for pushes",
            set(ENABLE_PUSH, 2),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "too wide windows",
            set(INITIAL_WINDOW_SIZE, 1 << 31),
            Ends(&[FLOW_CONTROL_ERROR]),
        )
        .but(Ends(&[PROTOCOL_ERROR]), CALLED_PROTOCOL),
        case(
            "too small frames",
            set(MAX_FRAME_SIZE, 16_383),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "too large frames",
            set(MAX_FRAME_SIZE, 1 << 24),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "settings that nobody knows",
            settings(&[(0xfa, 7), (0, 1), (0xffff, u32::MAX)]),
            Ignored,
        ),
        case(
            "settings at their edges",
            settings(&[
                (MAX_FRAME_SIZE, (1 << 24) - 1),
                (ENABLE_PUSH, 0),
                (INITIAL_WINDOW_SIZE, (1 << 31) - 1),
            ]),
            Ignored,
        ),
        case(
            "a setting twice",
            settings(&[(INITIAL_WINDOW_SIZE, 0), (INITIAL_WINDOW_SIZE, 65_535)]),
            Ignored,
        ),
        case(
            "settings understood that never were",
            acknowledged(),
            IgnoredOrEnds(&[PROTOCOL_ERROR]),
        ),
    ]
}

/// 6.6, 6.7 and 6.8
fn promises_pings_and_farewells() -> Vec<Case> {
    let after = |bytes: Vec<u8>| [chat_head(1), bytes].concat();
    vec![
        case(
            "a promise",
            after(frame(
                PUSH_PROMISE,
                END_HEADERS,
                1,
                [&[0, 0, 0, 2][..], &begin("GET", "/")].concat(),
            )),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a promise of no stream",
            frame(
                PUSH_PROMISE,
                END_HEADERS,
                0,
                [&[0, 0, 0, 2][..], &begin("GET", "/")].concat(),
            ),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a ping of a stream",
            frame(PING, 0, 1, [0; 8]),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case("an answer to no ping", frame(PING, ACK, 0, [0; 8]), Ignored),
        case(
            "a farewell of a stream",
            frame(GO_AWAY, 0, 1, [0; 8]),
            Ends(&[PROTOCOL_ERROR]),
        ),
    ]
}

/// 6.9
fn windows() -> Vec<Case> {
    let after = |bytes: Vec<u8>| [chat_head(1), bytes].concat();
    let set = |id, value| settings(&[(id, value)]);
    vec![
        case(
            "a window opened by nothing",
            after(window(1, 0)),
            Resets(&[PROTOCOL_ERROR]),
        ),
        case(
            "the connection's window opened by nothing",
            window(0, 0),
            Ends(&[PROTOCOL_ERROR]),
        ),
        case(
            "a window opened too far",
            after(window(1, (1 << 31) - 1)),
            Resets(&[FLOW_CONTROL_ERROR]),
        ),
        case(
            "the connection's window opened too far",
            window(0, (1 << 31) - 1),
            Ends(&[FLOW_CONTROL_ERROR]),
        ),
        case(
            "all windows opened too far",
            after([window(1, 1 << 30), set(INITIAL_WINDOW_SIZE, (1 << 31) - 1)].concat()),
            Ends(&[FLOW_CONTROL_ERROR]),
        ),
        case(
            "a window with the reserved bit",
            [after(window(1, (1 << 31) + 10)), last(1, question())].concat(),
            Answers(200),
        ),
        case(
            "a window of a stream that never was",
            window(1, 1),
            Ends(&[PROTOCOL_ERROR]),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_pings_are_answered_in_their_order() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    let mut client = Frames::open(&gateway).await;
    let pings: Vec<[u8; 8]> = (0..20_u8).map(|number| [number; 8]).collect();
    for ping in &pings {
        client.offer(&frame(PING, 0, 0, ping)).await;
        client.offer(&settings(&[(0xfa, 1)])).await;
    }
    let enough = |told: &Told| told.settings_acks > pings.len() && told.pongs.len() == pings.len();
    let told = client.until("all of them", enough).await;
    assert_eq!(told.pongs, pings);
    // Those of the beginning as well, and none more than there were.
    client.offer(&list(1)).await;
    let told = client.until("an answer", |told| told.answered(1)).await;
    assert_eq!(told.settings_acks, pings.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_its_leave_gets_what_it_asked_for() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    let mut client = Frames::open(&gateway).await;
    let farewell = frame(GO_AWAY, 0, 0, [0; 8]);
    client
        .offer(&[chat_head(1), farewell, last(1, question())].concat())
        .await;
    let told = client.until("the end", |told| told.closed).await;
    assert_eq!(told.statuses.get(&1), Some(&200));
    assert!(told.answered(1), "{told:?}");
    assert_eq!(told.go_away, Some(NO_ERROR));
}

/// 6.9: nothing is sent that there is no room for, however that is said.
#[tokio::test(flavor = "multi_thread")]
async fn no_window_is_overrun() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    let mut client = Frames::open_with(&gateway, &[(INITIAL_WINDOW_SIZE, 3)]).await;
    client.offer(&list(1)).await;
    let bytes = |told: &Told, stream| told.bodies.get(&stream).map_or(0, |(bytes, _)| *bytes);
    client
        .until("three bytes", |told| bytes(told, 1) == 3)
        .await;
    // Less than nothing, and back to one.
    let less = settings(&[(INITIAL_WINDOW_SIZE, 0)]);
    let ping = frame(PING, 0, 0, [1; 8]);
    client
        .offer(&[less, window(1, 4), ping.clone()].concat())
        .await;
    client.until("a pong", |told| told.pongs.len() == 1).await;
    client
        .until("one byte more", |told| bytes(told, 1) >= 4)
        .await;
    client.offer(&ping).await;
    let told = client.until("a pong", |told| told.pongs.len() == 2).await;
    assert_eq!(bytes(told, 1), 4);
    assert!(!told.answered(1));
    // And wide open.
    client
        .offer(&settings(&[(INITIAL_WINDOW_SIZE, 65_535)]))
        .await;
    client.until("the rest", |told| told.answered(1)).await;
}

/// 6.9.1: and who overruns ours is reset.
#[tokio::test(flavor = "multi_thread")]
async fn who_overruns_a_window_is_reset() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    // Its answer cannot be sent, so its body is not read.
    let mut client = Frames::open_with(&gateway, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    client.offer(&headers(1, 0, post("/v1/nothing"))).await;
    client
        .until("a head", |told| told.statuses.contains_key(&1))
        .await;
    client
        .offer(&frame(DATA, 0, 1, vec![b' '; 16_384]).repeat(5))
        .await;
    let over = |told: &Told| told.closed || !told.resets.is_empty();
    let told = client.until("the end of the stream", over).await;
    let reason = told.go_away.or(told.resets.get(&1).copied());
    assert_eq!(reason, Some(FLOW_CONTROL_ERROR), "{told:?}");
}
