//! Which heads are requests?
//!
//! RFC 9113, 8. Whatever is none is refused or reset, the connection goes on or is ended in order, and
//! no upstream hears of it.

use super::super::{CHAT, MODEL, recorded};
use super::cases::Then::{Answers, Malformed};
use super::cases::{Case, case, chat_head, question, try_all};
use crate::kit::frames::{
    DATA, END_STREAM, Frames, PADDED, Told, block, field, frame, headers, last, post,
};

/// A request without a body.
fn get(block: Vec<u8>) -> Vec<u8> {
    headers(1, END_STREAM, block)
}

/// A chat whose head says this as well.
fn chat_with(name: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    let head = [post(CHAT), field(name, value)].concat();
    [headers(1, 0, head), last(1, question())].concat()
}

/// RFC 9110, 9.3.2: what is said of a body is said, and there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_answered_without_a_body() {
    let (setup, _upstream) = recorded().await;
    let gateway = setup.tls().start();
    for (path, status) in [("/v1/models", 200), ("/", 200), (CHAT, 405), ("/v1/x", 404)] {
        let mut client = Frames::open(&gateway).await;
        let request = headers(1, END_STREAM, crate::kit::frames::begin("HEAD", path));
        assert!(client.offer(&request).await);
        let told = client
            .until("an answer", |told| told.ended.contains(&1))
            .await;
        assert_eq!(told.statuses[&1], status, "{path}");
        let (bytes, _) = told.bodies.get(&1).copied().unwrap_or_default();
        assert_eq!(bytes, 0, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_name_or_no_value_is_no_field() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tls().start();
    let mut cases = Vec::new();
    // 8.2.1
    for name in [
        "X-Upper", "x-uppeR", "x y", "x\ty", "x\0y", "x\x7f", "x:y", "x\r\ny", "", "x\u{e9}", ":",
    ] {
        cases.push(case("a name", chat_with(name, "y"), Malformed));
    }
    for value in ["a\0", "a\r\nb: c", "a\rb", "a\nb", "\na", "a\x7fb"] {
        cases.push(case("a value", chat_with("x-value", value), Malformed));
    }
    for value in [" a", "a ", "\ta", "a\t"] {
        cases.push(case(
            "a value with space around it",
            chat_with("x-value", value),
            Malformed,
        ));
    }
    for value in ["a b", "a\tb", "", "\u{e9}"] {
        cases.push(case("a value", chat_with("x-value", value), Answers(200)));
    }
    let good = cases.len() - 17 - 4;
    try_all(&gateway, cases).await;
    assert_eq!(upstream.requests().len(), good);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_a_connection_of_http1_is_no_field() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tls().start();
    // 8.2.2
    let mut cases: Vec<Case> = [
        ("connection", "close"),
        ("connection", "x-other"),
        ("proxy-connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "trailers, deflate"),
    ]
    .into_iter()
    .map(|(name, value)| case(name, chat_with(name, value), Malformed))
    .collect();
    cases.push(case("te", chat_with("te", "trailers"), Answers(200)));
    // 8.2.3
    let crumbs = block(&[("cookie", "a=b"), ("cookie", "c=d")]);
    let head = [post(CHAT), crumbs].concat();
    cases.push(case(
        "cookies",
        [headers(1, 0, head), last(1, question())].concat(),
        Answers(200),
    ));
    try_all(&gateway, cases).await;
    assert_eq!(upstream.requests().len(), 2);
}

/// What a request says of itself.
const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "https");
const PATH: (&str, &str) = (":path", "/v1/models");
const AUTHORITY: (&str, &str) = (":authority", "gateway.test");
const ALL: [(&str, &str); 4] = [METHOD, SCHEME, PATH, AUTHORITY];

#[tokio::test(flavor = "multi_thread")]
async fn a_request_says_once_what_it_is_and_before_anything_else() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tls().start();
    let with = |fields: &[(&str, &str)]| get(block(fields));
    let and = |more: (&'static str, &'static str)| with(&[&ALL[..], &[more]].concat());
    let between = [METHOD, SCHEME, ("x-a", "b"), PATH, AUTHORITY];
    let before = [("x-a", "b"), METHOD, SCHEME, PATH, AUTHORITY];
    let host = ("host", "gateway.test");
    // 8.3 and 8.3.1
    let mut cases: Vec<Case> = [
        ("a pseudo header nobody knows", and((":what", "x"))),
        ("a status", and((":status", "200"))),
        ("a protocol", and((":protocol", "websocket"))),
        ("a field before", with(&before)),
        ("a field between", with(&between)),
        ("no method", with(&[SCHEME, PATH, AUTHORITY])),
        ("no scheme", with(&[METHOD, PATH, AUTHORITY])),
        ("no path", with(&[METHOD, SCHEME, AUTHORITY])),
        ("nothing", with(&[])),
        ("no authority", with(&[METHOD, SCHEME, PATH])),
        ("another host", and(("host", "other.test"))),
        ("two hosts", with(&[METHOD, SCHEME, PATH, host, host])),
        ("two methods", and(METHOD)),
        ("two schemes", and(SCHEME)),
        ("two paths", and(PATH)),
        ("two authorities", and(AUTHORITY)),
    ]
    .into_iter()
    .map(|(name, sent)| case(name, sent, Malformed))
    .collect();
    let reverse = [AUTHORITY, PATH, SCHEME, METHOD];
    cases.extend([
        case("all of it", with(&ALL), Answers(200)),
        case("in another order", with(&reverse), Answers(200)),
        case(
            "a host instead",
            with(&[METHOD, SCHEME, PATH, host]),
            Answers(200),
        ),
        case("a host as well", and(host), Answers(200)),
    ]);
    try_all(&gateway, cases).await;
    assert!(upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_says_of_itself_is_well_formed() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tls().start();
    let with = |replaced: (&'static str, &'static str)| {
        let other = |field: (&'static str, &'static str)| match field {
            (name, _) if name == replaced.0 => replaced,
            _ => field,
        };
        get(block(&ALL.map(other)))
    };
    let wrong = [
        (":path", ""),
        (":path", "v1/models"),
        (":path", "https://gateway.test/v1/models"),
        (":path", "/v1/models\r\nx: y"),
        (":path", "/v1/models x"),
        (":path", "/v1/models\0"),
        (":path", "/v1\t/models"),
        (":authority", "user@gateway.test"),
        (":authority", "user:word@gateway.test"),
        (":authority", "gateway.test/x"),
        (":authority", "gateway.test\r\nx: y"),
        (":authority", "gateway. test"),
        (":authority", ""),
        (":authority", "gateway.test:x"),
        (":authority", "gateway.test:1:2"),
        (":method", ""),
        (":method", "GE T"),
        (":method", "GET\r\n"),
        (":scheme", "https:"),
        (":scheme", "https\r\n"),
    ];
    let wrong = wrong.map(|field| case(field.1, with(field), Malformed));
    let mut cases = Vec::from(wrong);
    cases.extend([
        // It is what OPTIONS asks for, and nothing that is here.
        case("an asterisk", with((":path", "*")), Answers(404)),
        case("an empty scheme", with((":scheme", "")), Malformed).but(
            Answers(200),
            "h2 takes it for a scheme; none is asked for here, for a listener has one",
        ),
    ]);
    try_all(&gateway, cases).await;
    assert!(upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_as_long_as_its_head_says() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tls().start();
    let exact = question().len().to_string();
    let announced = |length: &str| chat_with("content-length", length);
    let more = (question().len() + 1).to_string();
    let less = (question().len() - 1).to_string();
    let nothing = |length: &str| get([post(CHAT), field("content-length", length)].concat());
    let twice = [
        post(CHAT),
        block(&[("content-length", &exact), ("content-length", &more)]),
    ]
    .concat();
    let same = [
        post(CHAT),
        block(&[("content-length", &exact), ("content-length", &exact)]),
    ]
    .concat();
    let pieces = [
        headers(1, 0, [post(CHAT), field("content-length", &exact)].concat()),
        frame(DATA, 0, 1, &question()[..10]),
        frame(DATA, 0, 1, []),
        last(1, &question()[10..]),
    ];
    let padding = [&[200][..], &question(), &[0; 200]].concat();
    let padded = [
        headers(1, 0, [post(CHAT), field("content-length", &exact)].concat()),
        frame(DATA, PADDED | END_STREAM, 1, padding),
    ];
    // 8.1.1
    let cases = vec![
        case("as long", announced(&exact), Answers(200)),
        case("in pieces", pieces.concat(), Answers(200)),
        case(
            "with padding, which does not count",
            padded.concat(),
            Answers(200),
        ),
        case("longer", announced(&less), Malformed),
        case("shorter", announced(&more), Malformed),
        case("nothing at all", nothing("1"), Malformed),
        case(
            "something where nothing was said",
            announced("0"),
            Malformed,
        ),
        case("a sign", announced(&format!("+{exact}")), Malformed),
        case("less than nothing", announced("-1"), Malformed),
        case("hexadecimal", announced("0x10"), Malformed),
        case("a list", announced(&format!("{exact}, {exact}")), Malformed),
        case(
            "more than there can be",
            announced("18446744073709551617"),
            Malformed,
        ),
        case("empty", announced(""), Malformed),
        case(
            "two lengths",
            [headers(1, 0, twice), last(1, question())].concat(),
            Malformed,
        ),
        case(
            "one length twice",
            [headers(1, 0, same), last(1, question())].concat(),
            Answers(200),
        ),
    ];
    let good = 4;
    try_all(&gateway, cases).await;
    assert_eq!(upstream.requests().len(), good, "asked with {MODEL}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_are_the_end_and_say_nothing_of_the_request() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tls().start();
    let behind = |flags, trailers: Vec<u8>| {
        let body = frame(DATA, 0, 1, question());
        [chat_head(1), body, headers(1, flags, trailers)].concat()
    };
    let plain = block(&[("x-checksum", "y")]);
    let cases = vec![
        // 8.1
        case("trailers", behind(END_STREAM, plain.clone()), Answers(200)),
        case("no fields", behind(END_STREAM, Vec::new()), Answers(200)),
        case(
            "trailers that do not end",
            behind(0, plain.clone()),
            Malformed,
        ),
        case(
            "a path",
            behind(END_STREAM, field(":path", "/v1/models")),
            Malformed,
        )
        .but(Answers(200), "h2 drops it, and we every trailer"),
        case(
            "a method behind a field",
            behind(END_STREAM, [plain, field(":method", "GET")].concat()),
            Malformed,
        ),
        case(
            "a name in upper case",
            behind(END_STREAM, field("X-Checksum", "y")),
            Malformed,
        ),
        case(
            "a connection",
            behind(END_STREAM, field("connection", "close")),
            Malformed,
        ),
        case(
            "a length",
            behind(END_STREAM, field("content-length", "5")),
            Answers(200),
        ),
    ];
    try_all(&gateway, cases).await;
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_is_refused_however_it_is_asked_for() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tls().start();
    let connect = (":method", "CONNECT");
    let authority = (":authority", "gateway.test:443");
    let with = |fields: &[(&str, &str)]| get(block(fields));
    let cases = vec![
        // 8.5
        case("a tunnel", with(&[connect, authority]), Answers(405)),
        case(
            "with a path",
            with(&[connect, authority, (":path", "/")]),
            Malformed,
        ),
        case(
            "with a scheme",
            with(&[connect, authority, (":scheme", "https")]),
            Malformed,
        ),
        case("to nowhere", with(&[connect]), Malformed),
        case(
            "to two ports",
            with(&[connect, (":authority", "gateway.test:1:2")]),
            Malformed,
        ),
        // RFC 8441, which nobody has offered
        case(
            "for another protocol",
            with(&[
                connect,
                (":scheme", "https"),
                (":path", "/"),
                authority,
                (":protocol", "websocket"),
            ]),
            Malformed,
        ),
    ];
    try_all(&gateway, cases).await;
    assert!(upstream.requests().is_empty());
}

/// What was refused on one stream is not felt on the others.
#[tokio::test(flavor = "multi_thread")]
async fn siblings_of_what_is_malformed_are_answered() {
    let (setup, upstream) = recorded().await;
    let gateway = setup.tls().start();
    let mut client = Frames::open(&gateway).await;
    let [first, second, bad] = [1, 5, 3];
    let half = |stream| [chat_head(stream), frame(DATA, 0, stream, &question()[..10])].concat();
    let wrong = [post(CHAT), field("transfer-encoding", "chunked")].concat();
    let rest = |stream| last(stream, &question()[10..]);
    client
        .offer(&[half(first), headers(bad, 0, wrong), half(second)].concat())
        .await;
    client
        .until("a reset", |told| told.resets.contains_key(&bad))
        .await;
    client
        .offer(&[last(bad, question()), rest(first), rest(second)].concat())
        .await;
    let both = |told: &Told| told.answered(first) && told.answered(second);
    let told = client.until("both answers", both).await;
    assert_eq!(
        told.statuses.values().copied().collect::<Vec<_>>(),
        [200, 200]
    );
    assert_eq!(upstream.requests().len(), 2);
}
