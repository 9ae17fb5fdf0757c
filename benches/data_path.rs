//! What does the way of a request cost, step by step?
//!
//! `cargo bench --bench data_path`. Inspection is measured on plain bodies of three
//! sizes, and on bodies of 1 MiB that were made to be costly: what those cost a byte
//! is to stay of the same order whatever their size, for no caller may buy much work
//! with few bytes.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use spafe::config::clients::Anonymous;
use spafe::config::dialect::Dialect;
use spafe::config::{self, Source};
use spafe::gateway::client::Client;
use spafe::gateway::dialect::{Names, Translation};
use spafe::gateway::door::AllowOrigin;
use spafe::gateway::inspect::{Bounds, inspect, inspect_within};
use spafe::gateway::limit::heaviest::Heaviest;
use spafe::gateway::limit::{Level, Quota};
use spafe::gateway::pools::health::Verdict;
use spafe::gateway::pools::registry::Registry;
use spafe::gateway::pools::{Choice, Lesson};
use spafe::gateway::record::id::RequestId;
use spafe::gateway::record::metrics::Metrics;
use spafe::gateway::relay::head::{Common, JSON, Provenance};
use spafe::gateway::splice;
use spafe::snapshot::Snapshot;
use spafe::sse::Scanner;

/// As in the gateway, where it matters for small bodies.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MIB: usize = 1 << 20;

const BOUNDS: Bounds = Bounds {
    depth_max: 64,
    keys_max: 10_000,
};

fn main() {
    divan::main();
}

/// A request as clients send it, `bytes` long, nearly all of it the text of one message.
fn plain(bytes: usize) -> Bytes {
    let head = r#"{"messages": [{"role": "system", "content": "You answer briefly."}, {"role": "user", "content": ""#;
    let tail = r#""}], "stream": false, "model": "gpt-4o", "temperature": 0.5, "presence_penalty": 0, "frequency_penalty": 0, "top_p": 1}"#;
    let words = "the quick brown fox jumps over the lazy dog ";
    let text: String = words
        .chars()
        .cycle()
        .take(bytes - head.len() - tail.len())
        .collect();
    Bytes::from(format!("{head}{text}{tail}"))
}

/// A body of about 1 MiB with `piece(0)`, `piece(1)`, … between the brackets of `x`.
fn made_of(open: char, close: char, piece: impl Fn(usize) -> String) -> Bytes {
    let mut pieces: Vec<String> = Vec::new();
    let mut length = 0;
    while length < MIB {
        pieces.push(piece(pieces.len()));
        length += pieces.last().map_or(0, String::len) + 1;
    }
    let pieces = pieces.join(",");
    Bytes::from(format!(
        r#"{{"model":"a","messages":[],"x":{open}{pieces}{close}}}"#
    ))
}

#[divan::bench(args = [300, 32 << 10, MIB])]
fn inspect_plain(bencher: Bencher, bytes: usize) {
    let body = plain(bytes);
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| inspect(black_box(&body), &BOUNDS));
}

/// The same for a caller without a key, who is held to caps; with 16 tools to be counted.
#[divan::bench(args = [false, true])]
fn inspect_capped(bencher: Bencher, tools: bool) {
    let caps = Anonymous {
        n_max: 8,
        best_of_max: 8,
        max_tokens_max: 65_536,
        top_logprobs_max: 20,
        tools_max: 128,
        unknown_fields_refused: false,
        image_side_max: 2048,
    };
    let mut body = String::from_utf8_lossy(&plain(300)).into_owned();
    if tools {
        let tool = r#"{"type":"function","function":{"name":"f","description":"Does a thing.","parameters":{"type":"object","properties":{"x":{"type":"string"}}}}}"#;
        let tools = vec![tool; 16].join(",");
        body = body.replacen('{', &format!("{{\"tools\":[{tools}],"), 1);
    }
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| inspect_within(black_box(body.as_bytes()), &BOUNDS, Some(&caps)));
}

/// The head of an answer, without and with what is left of limits.
#[divan::bench(args = [false, true])]
fn head_of_answer(bencher: Bencher, limited: bool) {
    let level = Level {
        limit: 100_000,
        remaining: 98_765,
        reset: Duration::from_millis(740),
    };
    let quota = Quota {
        requests: limited.then_some(level),
        tokens: limited.then_some(level),
        cost: None,
    };
    let common = Common {
        idiom: spafe::gateway::idiom::Idiom::default(),
        id: RequestId::made(1, 2),
        origin: AllowOrigin::Any,
        chunks: true,
        version: None,
        quota,
        cache: None,
        asks_why: false,
        explained: None,
    };
    let provenance = Provenance {
        model: "gpt-4o",
        pool: "openai",
        attempts: 1,
        gateway: Duration::from_micros(120),
        upstream: Duration::from_millis(40),
    };
    bencher.bench(|| black_box(&common).answer(Some(300), JSON, provenance));
}

/// What it takes to know who asks for most, of 10,000 callers that all ask alike.
#[divan::bench]
fn note_caller(bencher: Bencher) {
    let now = spafe::sys::instant();
    let heaviest = Heaviest::new(now);
    let clients: Vec<Client> = (0..10_000_u32)
        .map(|number| Client::new(Some(Ipv4Addr::from_bits(0x0A00_0000 | number).into())))
        .collect();
    let turn = AtomicUsize::new(0);
    bencher.bench(|| {
        let at = turn.fetch_add(1, Ordering::Relaxed) % clients.len();
        if let Some(client) = clients.get(at) {
            heaviest.note(client, 100, now);
        }
    });
}

#[divan::bench(args = [
    "escapes", "unicode escapes", "not ascii", "messages", "keys of one object", "keys of objects of 17",
    "keys of objects of 9999", "one key", "numbers", "escaped keys",
])]
fn inspect_costly(bencher: Bencher, shape: &str) {
    let body = costly(shape);
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| inspect(black_box(&body), &BOUNDS));
}

fn costly(shape: &str) -> Bytes {
    let text = |piece: &str| made_of('"', '"', |_| piece.repeat(1 << 10));
    let objects = |keys: usize, prefix: &str| {
        made_of('[', ']', |_| {
            let members: Vec<String> = (0..keys)
                .map(|key| format!("\"{prefix}{key}\":0"))
                .collect();
            format!("{{{}}}", members.join(","))
        })
    };
    match shape {
        "escapes" => text(r"\n"),
        "unicode escapes" => text(r"\u00e9"),
        "not ascii" => text("é😀"),
        "messages" => made_of('[', ']', |_| {
            format!(r#"{{"role":"user","content":"{}"}}"#, "x".repeat(64))
        }),
        "keys of one object" => made_of('{', '}', |key| format!("\"{key}\":0")),
        "keys of objects of 17" => objects(17, ""),
        "keys of objects of 9999" => objects(9_999, ""),
        "escaped keys" => objects(16, r"\n"),
        "one key" => made_of('{', '}', |_| format!("\"{}\":0", "k".repeat(MIB))),
        _ => made_of('[', ']', |number| number.to_string()),
    }
}

#[divan::bench]
fn splice_model_name(bencher: Bencher) {
    let body = plain(32 << 10);
    let span = inspect(&body, &BOUNDS).map(|ask| ask.model_span);
    let span = span.unwrap_or_default();
    bencher.bench(|| splice::model_name(black_box(&body), &span, "openai/gpt-4o"));
}

/// Reads of one event, of 16 KiB, and of 16 KiB cut where TCP happens to cut.
#[divan::bench(args = ["event by event", "16 KiB", "16 KiB in 1448"])]
fn scan_events(bencher: Bencher, reads: &str) {
    let event = r#"data: {"id":"chatcmpl-1234567890","object":"chat.completion.chunk","created":1730889622,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}],"usage":null}"#;
    let event = format!("{event}\n\n");
    let stream = Bytes::from(event.repeat((16 << 10) / event.len()));
    let read_bytes = match reads {
        "event by event" => event.len(),
        "16 KiB" => stream.len(),
        _ => 1448,
    };
    let slices: Vec<Bytes> = (0..stream.len())
        .step_by(read_bytes)
        .map(|at| stream.slice(at..stream.len().min(at + read_bytes)))
        .collect();
    bencher
        .counter(BytesCount::new(stream.len()))
        .with_inputs(|| (Scanner::new(MIB), Vec::with_capacity(256)))
        .bench_values(|(mut scanner, mut out)| {
            for slice in &slices {
                scanner.feed(slice.clone(), &mut out);
            }
            (scanner, out)
        });
}

/// The same words in the events of other protocols, one a read, put into OpenAI's and scanned.
#[divan::bench(args = ["passed through", "Anthropic's", "Gemini's"])]
fn events_one_by_one(bencher: Bencher, way: &str) {
    const WORDS: usize = 100;
    let (dialect, first, event) = match way {
        "Anthropic's" => (
            Some(Dialect::Anthropic),
            r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"claude-sonnet-4-5","usage":{"input_tokens":25,"output_tokens":1}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word"}}"#,
        ),
        "Gemini's" => (
            Some(Dialect::Gemini),
            r#"{"candidates":[{"content":{"parts":[{"text":"A"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":25,"totalTokenCount":25},"modelVersion":"gemini-2.5-flash","responseId":"Il0taoSYJ5Cez7"}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":" word"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":25,"candidatesTokenCount":9,"totalTokenCount":34},"modelVersion":"gemini-2.5-flash","responseId":"Il0taoSYJ5Cez7"}"#,
        ),
        _ => (
            None,
            r#"{"id":"chatcmpl-1234567890","object":"chat.completion.chunk","created":1730889622,"model":"claude-sonnet-4-5","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
            r#"{"id":"chatcmpl-1234567890","object":"chat.completion.chunk","created":1730889622,"model":"claude-sonnet-4-5","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}],"usage":null}"#,
        ),
    };
    let first = Bytes::from(format!("data: {first}\n\n"));
    let event = Bytes::from(format!("data: {event}\n\n"));
    let names = || Names {
        id: "chatcmpl-1234567890".to_owned(),
        created: 1_730_889_622,
        model: "claude".to_owned(),
        verbatim: false,
    };
    let translation = || dialect.and_then(|dialect| Translation::new(dialect, names(), MIB));
    bencher
        .counter(ItemsCount::new(WORDS))
        .with_inputs(|| (translation(), Scanner::new(MIB), Vec::with_capacity(256)))
        .bench_values(|(mut translation, mut scanner, mut out)| {
            for slice in std::iter::once(&first).chain(std::iter::repeat_n(&event, WORDS)) {
                match &mut translation {
                    None => scanner.feed(slice.clone(), &mut out),
                    Some(translation) => {
                        let mut said = Vec::with_capacity(2 * slice.len() + 256);
                        let _ = translation.feed(slice, &mut said);
                        scanner.feed(said.into(), &mut out);
                    }
                }
            }
            (translation, scanner, out)
        });
}

/// The shipped configuration with an alias and a pattern: the route of each kind of name.
#[expect(
    clippy::expect_used,
    reason = "what is shipped loads; a test holds it to that"
)]
#[divan::bench(args = ["gpt-4o", "Qwen/Qwen2.5-72B-Instruct", "an-alias", "acme/anything", "nobody"])]
fn route(bencher: Bencher, model: &str) {
    let more = r#"
        [[models]]
        id = "acme/*"
        aliases = []
        pools = ["openai"]
        [[models]]
        id = "with-an-alias"
        aliases = ["an-alias"]
        pools = ["openai"]
    "#;
    let shipped = include_str!("../conf/spafe.toml");
    let text = format!("{shipped}\n{more}");
    let source = Source {
        name: "conf/spafe.toml",
        text: &text,
    };
    let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let config = config::load(source, &|_| None, &nothing).expect("the shipped configuration");
    let snapshot =
        Snapshot::new(config, &Registry::default(), &Metrics::new()).expect("it names no file");
    bencher.bench(|| snapshot.router.route(black_box(model)));
}

/// Whom a pool gives, by its method and the number of its endpoints, all of them fit.
#[expect(clippy::expect_used, reason = "the configuration is a constant")]
#[divan::bench(
    consts = [1, 4, 32],
    args = ["round_robin", "least_requests", "peak_ewma", "hash"],
)]
fn pick<const ENDPOINTS: usize>(bencher: Bencher, method: &str) {
    let targets: Vec<String> = (1..=ENDPOINTS)
        .map(|port| format!("{{ url = \"http://127.0.0.1:{port}\" }}"))
        .collect();
    let targets = targets.join(", ");
    let text = format!(
        "[[pools]]\nname = \"p\"\nbalance = {method:?}\ntargets = [{targets}]\n[[models]]\nid = \"m\"\npools = [\"p\"]\n"
    );
    let source = Source {
        name: "bench.toml",
        text: &text,
    };
    let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let config = config::load(source, &|_| None, &nothing).expect("a good configuration");
    let snapshot = Snapshot::new(config, &Registry::default(), &Metrics::new());
    let snapshot = snapshot.expect("it names no file");
    let pool = snapshot.pools.first().expect("the configuration has one");
    let now = spafe::sys::instant();
    let answered = Lesson::Answered(Duration::from_millis(200));
    for endpoint in pool
        .targets
        .iter()
        .flat_map(|target| target.endpoints().to_vec())
    {
        pool.learn(&endpoint, answered, now, 0);
    }
    let mut chance = 1_u64;
    bencher.bench_local(|| {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let choice = Choice {
            key: chance,
            chance,
        };
        pool.pick(&[], Verdict::Fit, black_box(choice), now)
    });
}
