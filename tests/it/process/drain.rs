//! Does a process that is told to stop lose anything?

use std::time::Duration;

use rustix::process::Signal;
use spafe::simulator::Simulator;
use spafe::simulator::script::{Gate, Script};

use crate::kit::client::{Connection, ask, post};
use crate::kit::frames::{self, Frames, INITIAL_WINDOW_SIZE};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::http2::Http2;
use crate::kit::load::{Load, MANY, OpenStream, held_stream};
use crate::kit::upstream::{always, base, upstream};
use crate::kit::{now, soon};

const PATH: &str = "/v1/chat/completions";

/// By then a process has ended that has nothing to wait for.
const SOON: Duration = Duration::from_millis(500);

/// Upstreams whose answers wait for a gate, and one that answers at once.
struct Upstreams {
    streams: Simulator,
    whole: Simulator,
    quick: Simulator,
    gate: Gate,
}

async fn upstreams() -> Upstreams {
    let gate = Gate::new();
    Upstreams {
        streams: always(held_stream(&gate)).await,
        whole: always(Script::json(200, "{\"id\":\"x\"}").hold_head(&gate)).await,
        quick: upstream().await,
        gate,
    }
}

fn before(upstreams: &Upstreams) -> Setup {
    Setup::new()
        .pool("streams", &[&base(&upstreams.streams)])
        .pool("whole", &[&base(&upstreams.whole)])
        .pool("quick", &[&base(&upstreams.quick)])
        .model("streams", &["streams"])
        .model("whole", &["whole"])
        .model("quick", &["quick"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_with_nothing_to_do_ends_within_a_second_of_the_default_delay() {
    let upstreams = upstreams().await;
    let mut gateway = before(&upstreams)
        .server("# drain_delay has its default")
        .start();
    let began = now();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ended().await.code(), Some(0));
    let took = began.elapsed();
    let expected = Duration::from_secs(5)..Duration::from_secs(6);
    assert!(expected.contains(&took), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_still_sent_requests_it_answers_each_as_the_last_of_its_connection() {
    let upstreams = upstreams().await;
    let mut gateway = before(&upstreams).server("drain_delay = \"2s\"").start();
    let mut kept = Connection::open(gateway.address).await;
    let answer = kept.post(PATH, ask("quick", false)).await;
    assert_ne!(answer.field("connection"), Some("close"));
    let mut waiting = Connection::open(gateway.address).await;
    waiting
        .send(post(PATH, &[], ask("whole", false).as_bytes()))
        .await;
    upstreams.whole.next_request().await.unwrap();
    let began = now();
    gateway.signal(Signal::TERM);
    unready(&gateway).await;
    for connection in [&mut kept, &mut Connection::open(gateway.address).await] {
        let answer = connection.post(PATH, ask("quick", false)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("connection"), Some("close"));
    }
    // It came before the signal, and its answer after.
    upstreams.gate.open();
    let answer = waiting.answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.field("connection"), Some("close"));
    drop((kept, waiting));
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "the delay is over"
    );
    assert_eq!(gateway.ended().await.code(), Some(0));
    assert!(began.elapsed() >= Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_no_request_that_was_sent_is_lost() {
    let upstreams = upstreams().await;
    let mut gateway = before(&upstreams)
        .server("drain_delay = \"500ms\"")
        .tables(MANY)
        .start();
    let streams = OpenStream::open_many(gateway.address, "streams", 20).await;
    let load = Load::start(gateway.address, "quick", 16, Duration::from_millis(5));
    load.goes_on(200).await;
    gateway.signal(Signal::TERM);
    let tally = load.refused().await;
    assert_eq!(tally.lost, Vec::<String>::new());
    assert_eq!(tally.refused, 16);
    // The streams go on without anybody new.
    upstreams.gate.open();
    for stream in streams {
        let rest = stream.rest().await;
        assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    }
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_finished_in_time_is_told_so() {
    let upstreams = upstreams().await;
    let mut gateway = before(&upstreams)
        .server("drain_timeout = \"1s\"")
        .tables("[bounds]\nbody_first_byte_timeout = \"60s\"")
        .start();
    let stream = OpenStream::open(gateway.address, "streams").await;
    let mut whole = Connection::open(gateway.address).await;
    whole
        .send(post(PATH, &[], ask("whole", false).as_bytes()))
        .await;
    upstreams.whole.next_request().await.unwrap();
    let mut unsaid = Connection::open(gateway.address).await;
    let request = post(
        PATH,
        &["x-request-id: unsaid"],
        ask("quick", false).as_bytes(),
    );
    let head = request.windows(4).position(|part| part == b"\r\n\r\n");
    unsaid.send(&request[..head.unwrap() + 4]).await;

    gateway.signal(Signal::TERM);
    let rest = stream.rest().await;
    let event = rest.strip_prefix("data: ").unwrap().trim_end();
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    assert_eq!(event["error"]["code"], "overloaded", "{rest}");
    for connection in [&mut whole, &mut unsaid] {
        let answer = connection.answer().await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.json()["error"]["code"], "overloaded");
        assert_eq!(answer.field("retry-after"), Some("1"));
        assert_eq!(answer.field("x-should-retry"), None);
    }
    let lines = gateway.request_log(3).await;
    let outcome = |stream: bool| {
        let mut lines = lines.iter().filter(|line| line["stream"] == stream);
        lines
            .next()
            .map(|line| (line["outcome"].clone(), line["cause"].clone()))
    };
    assert_eq!(
        outcome(true),
        Some(("stream_broken".into(), "stopped".into()))
    );
    assert_eq!(outcome(false).unwrap().0, "refused");
    drop((whole, unsaid));
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_what_was_begun_is_finished_and_the_connection_is_left() {
    let upstreams = upstreams().await;
    let mut gateway = before(&upstreams).tls().start();
    let mut client = Http2::open(&gateway).await;
    let body = ask("whole", false);
    let mut upload = client.begin(PATH, Some(body.len())).await;
    upload.send(body.into(), true).await;
    upstreams.whole.next_request().await.unwrap();
    gateway.signal(Signal::TERM);
    gateway.says("no new connections").await;
    upstreams.gate.open();
    let answer = upload.answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // The client was sent away: it keeps nothing that would have to be waited for.
    client.ended().await;
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_over_http2_that_are_read_late_are_whole() {
    // More than the kernel takes.
    let mut late = Late::ask(40).await;
    late.is_answered().await;
    late.stop().await;
    // Longer than for what has left.
    late.is_waited_for(Duration::from_secs(3)).await;
    late.read().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_over_http2_is_whole_whatever_its_client_says_behind_it() {
    // The kernel has all of it, and would throw it away at what is said to a process that is gone.
    let mut late = Late::ask(1).await;
    late.is_answered().await;
    late.stop().await;
    late.is_waited_for(SOON).await;
    late.client.offer(&frames::window(0, 1)).await;
    late.read().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_answer_of_a_connection_of_http2_is_whole_whatever_its_client_says_behind_it() {
    let mut late = Late::ask(1).await;
    late.stop().await;
    late.hears_that_it_should_go().await;
    // The connection is over with this answer: h2 closes it.
    late.is_answered().await;
    late.is_waited_for(SOON).await;
    late.client.offer(&frames::window(0, 1)).await;
    late.read().await;
}

/// A client of HTTP/2 that has room for everything and reads nothing until it wants to.
struct Late {
    client: Frames,
    streams: Vec<u32>,
    answer_bytes: usize,
    gateway: Gateway,
    gate: Gate,
    _upstream: Simulator,
}

impl Late {
    /// Asks on so many streams; the answers wait for the gate.
    async fn ask(streams: usize) -> Self {
        const ROOM: u32 = 64 * 1024 * 1024;
        // Less than h2 takes for a stream before it leaves.
        let text = format!("{{\"id\":\"x\",\"text\":\"{}\"}}", "x".repeat(300 * 1024));
        let gate = Gate::new();
        let upstream = always(Script::json(200, text.clone()).hold_head(&gate)).await;
        let gateway = Setup::new()
            .tls()
            .tables(MANY)
            .pool("large", &[&base(&upstream)])
            .model("large", &["large"])
            .start();
        let mut client = Frames::open_with(&gateway, &[(INITIAL_WINDOW_SIZE, ROOM)]).await;
        client.offer(&frames::window(0, ROOM)).await;
        let streams: Vec<u32> = (1..).step_by(2).take(streams).collect();
        for stream in &streams {
            let head = frames::headers(*stream, 0, frames::post(PATH));
            let body = frames::last(*stream, ask("large", false));
            client.offer(&[head, body].concat()).await;
        }
        for _ in &streams {
            upstream.next_request().await.unwrap();
        }
        Self {
            client,
            streams,
            answer_bytes: text.len(),
            gateway,
            gate,
            _upstream: upstream,
        }
    }

    /// Lets all be answered, as far as the gateway knows.
    async fn is_answered(&self) {
        self.gate.open();
        self.gateway.request_log(self.streams.len()).await;
    }

    async fn stop(&self) {
        self.gateway.signal(Signal::TERM);
        self.gateway.says("no new connections").await;
    }

    /// Answers the PING behind GOAWAY, as a library does.
    async fn hears_that_it_should_go(&mut self) {
        let asked = async {
            loop {
                let frame = self.client.next().await.unwrap();
                if (frame.kind, frame.flags) == (frames::PING, 0) {
                    return frame.payload;
                }
            }
        };
        let payload = soon("a PING", asked).await;
        let heard = frames::frame(frames::PING, frames::ACK, 0, payload);
        self.client.offer(&heard).await;
    }

    /// Sees that for so long the gateway does not end, while nothing is read.
    async fn is_waited_for(&mut self, time: Duration) {
        let ended = tokio::time::timeout(time, self.gateway.ended()).await;
        assert!(ended.is_err(), "it ended before its answers were read");
    }

    /// Reads all answers, which are whole, and leaves; then the gateway ends.
    async fn read(mut self) {
        let count = self.streams.len();
        let told = self
            .client
            .until("every answer", |told| told.ended.len() == count);
        let told = told.await;
        for stream in &self.streams {
            assert_eq!(told.statuses.get(stream), Some(&200), "{stream}");
            let bytes = told.bodies.get(stream).map(|(bytes, _)| *bytes);
            assert_eq!(bytes, Some(self.answer_bytes), "{stream}");
        }
        drop(self.client);
        assert_eq!(self.gateway.ended().await.code(), Some(0));
    }
}

/// Waits until the process says that it takes no more requests.
async fn unready(gateway: &Gateway) {
    loop {
        let mut admin = Connection::open(gateway.admin).await;
        admin
            .send("GET /readyz HTTP/1.1\r\nHost: admin\r\n\r\n")
            .await;
        if admin.answer().await.status == 503 {
            return;
        }
    }
}
