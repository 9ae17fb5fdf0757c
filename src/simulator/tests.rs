//! Does the simulator do to a plain socket what its scripts say, and see what was done?

/// What is recorded of a request.
mod recorded;
/// HTTP/2 over TLS.
mod http2;
/// What people get: chat, images, models, errors.
mod realistic;

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::script::{Gate, Script};
use super::*;

const SOON: Duration = Duration::from_secs(5);
const GET: &str = "GET /v1/models HTTP/1.1\r\nHost: here\r\n\r\n";

async fn started(options: Options) -> Simulator {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Simulator::start(listen, options).await.unwrap()
}

async fn connected(simulator: &Simulator) -> TcpStream {
    TcpStream::connect(simulator.addr()).await.unwrap()
}

async fn sent(simulator: &Simulator, bytes: impl AsRef<[u8]>) -> TcpStream {
    let mut client = connected(simulator).await;
    client.write_all(bytes.as_ref()).await.unwrap();
    client
}

/// Everything until the other side ends, and how it ended.
async fn rest(client: &mut TcpStream) -> (String, io::Result<()>) {
    let mut bytes = Vec::new();
    let ended = timeout(SOON, client.read_to_end(&mut bytes)).await;
    let ended = ended.expect("the connection ends").map(drop);
    (String::from_utf8_lossy(&bytes).into_owned(), ended)
}

/// Exactly this comes next.
async fn expect(client: &mut TcpStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    let read = timeout(SOON, client.read_exact(&mut bytes)).await;
    read.expect("bytes come in time").unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), expected);
}

fn post(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// How a faulty answer ends on the wire.
#[derive(Debug, PartialEq)]
enum End {
    Fin,
    Rst,
}

/// Plays a script to one request, and compares all bytes that come and the end.
async fn check(script: Script, expected: &str, end: End) {
    let simulator = started(Options::test()).await;
    simulator.push(script);
    let mut client = sent(&simulator, GET).await;
    let (bytes, ended) = rest(&mut client).await;
    let ended = match ended {
        Ok(()) => End::Fin,
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            End::Rst
        }
    };
    assert_eq!((bytes.as_str(), ended), (expected, end));
    assert_eq!(
        simulator.requests()[0].aborted,
        None,
        "the client did not leave"
    );
}

const JSON: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n";
const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\
                      Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn faults_end_an_answer_where_and_how_the_script_says() {
    let json = || Script::json(200, r#"{"id":"one"}"#.replace("one", "1o"));
    check(json().cut_after(0), JSON, End::Fin).await;
    check(json().cut_after(4), &format!(r#"{JSON}{{"id"#), End::Fin).await;
    check(Script::close(), "", End::Fin).await;
    check(Script::reset(), "", End::Rst).await;
    // A reset may overtake bytes in the client's buffer; here they were read before.
    let events = || Script::sse(&["one", "two"]);
    let one = format!("{EVENTS}b\r\ndata: one\n\n\r\n");
    let two = format!("{one}b\r\ndata: two\n\n\r\n");
    let done = format!("{two}e\r\ndata: [DONE]\n\n\r\n");
    check(
        events().then_close(Duration::ZERO),
        &format!("{done}0\r\n\r\n"),
        End::Fin,
    )
    .await;
    check(events().cut_after(11), &one, End::Fin).await;
    check(
        events().cut_after(17),
        &format!("{one}b\r\ndata: "),
        End::Fin,
    )
    .await;
    check(events().cut_after(usize::MAX), &done, End::Fin).await;
    check(
        events().malformed_chunk_after(11),
        &format!("{one}not a size\r\n"),
        End::Fin,
    )
    .await;
    let undone = events().without_done().then_close(Duration::ZERO);
    check(undone, &format!("{two}0\r\n\r\n"), End::Fin).await;
    check(
        events().goaway_after(0),
        &format!("{done}0\r\n\r\n"),
        End::Fin,
    )
    .await;
    let claimed = Script::json(200, "{}").content_length(9).cut_after(2);
    check(
        claimed,
        &format!("{}{{}}", JSON.replace("11", "9")),
        End::Fin,
    )
    .await;
    let raw = "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nab";
    check(Script::raw(raw).then_close(Duration::ZERO), raw, End::Fin).await;
    let until_close = Script::body(599, "text/plain", "all")
        .header("X-Odd", b"\xe9\x01")
        .until_close();
    let expected = "HTTP/1.1 599 Unnamed\r\nContent-Type: text/plain\r\nX-Odd: \u{fffd}\u{1}\r\n\
                    Connection: close\r\n\r\nall";
    check(until_close, expected, End::Fin).await;
}

#[tokio::test]
async fn a_reset_after_bytes_arrives_after_them() {
    let simulator = started(Options::test()).await;
    let gate = Gate::new();
    let script = Script::sse(&["one"]).hold_after(3, &gate).reset_after(3);
    simulator.push(script);
    let mut client = sent(&simulator, GET).await;
    expect(&mut client, EVENTS).await;
    expect(&mut client, "b\r\ndat").await;
    gate.open();
    let (bytes, ended) = rest(&mut client).await;
    assert_eq!(bytes, "");
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn delays_are_waited_and_gates_hold() {
    let simulator = started(Options::test()).await;
    let gate = Gate::new();
    let delay = Duration::from_millis(60);
    let paced = Script::raw_pieces(&[b"a", b"b", b"c"])
        .delay_head(delay)
        .gap(delay);
    simulator.push(paced.hold_head(&gate).then_close(Duration::ZERO));
    let began = now();
    let mut client = sent(&simulator, GET).await;
    let mut byte = [0];
    let early = timeout(3 * delay, client.read(&mut byte)).await;
    assert!(early.is_err(), "the gate is shut: {early:?}");
    gate.open();
    expect(&mut client, "abc").await;
    assert!(
        began.elapsed() >= 5 * delay,
        "the gate and two gaps: {:?}",
        began.elapsed()
    );
}

/// The client leaves while the simulator is busy with `script`; the abort is seen at once.
async fn check_abort(script: Script) {
    let simulator = started(Options::test()).await;
    simulator.push(script);
    let client = sent(&simulator, GET).await;
    let request = simulator.next_request().await.unwrap();
    assert_eq!(request.aborted, None);
    let left = now();
    drop(client);
    let aborted = simulator.aborted(0).await.unwrap();
    assert!(aborted.duration_since(left) < Duration::from_millis(250));
    simulator.connection_closed(0).await.unwrap();
    assert_eq!(simulator.requests()[0].answered, None);
}

#[tokio::test]
async fn a_departure_is_seen_whatever_the_answer_waits_for() {
    let gate = Gate::new();
    check_abort(Script::stall()).await;
    check_abort(Script::sse(&["one"]).stall_after(4)).await;
    check_abort(Script::sse(&["one"]).hold_head(&gate)).await;
    check_abort(Script::sse(&["one"]).hold_after(4, &gate)).await;
    check_abort(Script::json(200, "{}").delay_head(SOON)).await;
    check_abort(Script::sse(&["one", "two"]).gap(SOON)).await;
    check_abort(Script::json(200, vec![b' '; 32 << 20])).await;
}

#[tokio::test]
async fn keyed_scripts_come_first_then_the_queue_then_the_default() {
    let simulator = started(Options::test()).await;
    let answer = |status| Script::json(status, "{}");
    simulator.default(answer(203));
    simulator.push(answer(202));
    simulator.push_when(When::Body("needle".to_owned()), answer(299));
    simulator.push_when(When::Path("/completions".to_owned()), answer(298));
    simulator.push_when(
        When::Header("HOST".to_owned(), "there".to_owned()),
        answer(297),
    );
    let there = GET.replace("here", "there");
    for (request, status) in [
        (GET, "202"),
        (&post("a needle, a needle"), "299"),
        (&post("a needle, a needle"), "298"),
        (&there, "297"),
        (&there, "203"),
        (GET, "203"),
    ] {
        let mut client = sent(&simulator, request).await;
        expect(&mut client, &format!("HTTP/1.1 {status} ")).await;
    }
    simulator.clear_scripts();
    let mut client = sent(&simulator, GET).await;
    expect(&mut client, "HTTP/1.1 200 OK").await;
}

#[tokio::test]
async fn the_connection_lasts_as_long_as_client_and_script_want() {
    let simulator = started(Options::test()).await;
    simulator.default(Script::json(200, "{}"));
    let closing = GET.replace("\r\n\r\n", "\r\nConnection: x, Close\r\n\r\n");
    for last in [closing, GET.replace("1.1", "1.0")] {
        let mut client = sent(&simulator, format!("{GET}{GET}{last}")).await;
        let (answers, ended) = rest(&mut client).await;
        assert_eq!(answers.matches("HTTP/1.1 200").count(), 3);
        assert_eq!(answers.matches("Connection: close").count(), 1);
        ended.unwrap();
    }
    simulator.push(Script::json(200, "{}").then_close(Duration::from_millis(20)));
    let mut client = sent(&simulator, GET).await;
    let (answer, _) = rest(&mut client).await;
    assert!(
        !answer.contains("close"),
        "the end is not announced: {answer}"
    );
}

#[tokio::test]
async fn dropping_the_simulator_ends_everything() {
    let simulator = started(Options::test()).await;
    simulator.push(Script::stall());
    let mut client = sent(&simulator, GET).await;
    simulator.next_request().await.unwrap();
    let address = simulator.addr();
    drop(simulator);
    let _ = rest(&mut client).await;
    assert!(TcpStream::connect(address).await.is_err());
}
