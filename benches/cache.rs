//! What does it cost to know whether something was asked before?
//!
//! `cargo bench --bench cache`. Every request that may be answered from memory pays for its
//! key, also where nothing is found: of 32 KiB of chat in under 40 µs, of 1 MiB at more than
//! 1 GB/s. Bodies are prose with escaped quotes and line ends, with keys as SDKs order them,
//! which is not the order in which they are hashed. `inspect` is what the same body has paid
//! before, for comparison.

use std::net::{IpAddr, Ipv4Addr};

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use mimalloc::MiMalloc;
use spafe::config::{self, Source};
use spafe::gateway::cache::key::{Ingredients, Key, Scope};
use spafe::gateway::inspect::{Bounds, inspect};
use spafe::gateway::pools::registry::Registry;
use spafe::gateway::record::metrics::Metrics;
use spafe::snapshot::Snapshot;

#[global_allocator]
static ALLOCATOR: AllocProfiler<MiMalloc> = AllocProfiler::new(MiMalloc);

const CONFIG: &str = r#"
[[pools]]
name = "p"
targets = [{ url = "http://127.0.0.1:1" }]
[[pools]]
name = "q"
targets = [{ url = "http://127.0.0.1:2" }]
[[models]]
id = "m"
pools = ["p", { pool = "q", name = "vendor/m" }]
"#;

const BOUNDS: Bounds = Bounds {
    depth_max: 64,
    keys_max: 10_000,
};

/// Prose of 75 bytes, with two escapes.
const PROSE: &str = r#"She said: \"the tide turns at seven,\" and they went down to the harbour. "#;

fn main() {
    divan::main();
}

/// What a body is made of.
#[derive(Debug, Clone, Copy)]
enum Made {
    /// 264 bytes: a question.
    Small,
    /// 32 KiB and 1 MiB of two messages.
    Prose32KiB,
    Prose1MiB,
    /// The same of messages of 200 bytes.
    Messages32KiB,
    Messages1MiB,
    /// The same indented, as nobody sends it by the million.
    Indented32KiB,
    /// Pictures in line, and some text.
    Picture1MiB,
    /// Tools with their schemas.
    Tools32KiB,
}

const ALL: [Made; 8] = [
    Made::Small,
    Made::Prose32KiB,
    Made::Prose1MiB,
    Made::Messages32KiB,
    Made::Messages1MiB,
    Made::Indented32KiB,
    Made::Picture1MiB,
    Made::Tools32KiB,
];

impl Made {
    fn body(self) -> String {
        const KIB: usize = 1024;
        match self {
            Self::Small => chat(&messages(150, 1), ""),
            Self::Prose32KiB => chat(&messages(16 * KIB - 100, 2), ""),
            Self::Prose1MiB => chat(&messages(512 * KIB - 100, 2), ""),
            Self::Messages32KiB => chat(&messages(200, 140), ""),
            Self::Messages1MiB => chat(&messages(200, 4500), ""),
            Self::Indented32KiB => indented(&chat(&messages(200, 120), "")),
            Self::Picture1MiB => chat(&picture(1024 * KIB), ""),
            Self::Tools32KiB => chat(&messages(150, 2), &tools(70)),
        }
    }
}

fn chat(messages: &str, more: &str) -> String {
    format!(
        r#"{{"model":"m","messages":[{messages}],"temperature":0.7,"stream":true{more},"max_tokens":500}}"#
    )
}

fn prose(bytes: usize) -> String {
    let mut prose = PROSE.repeat(bytes / PROSE.len());
    let rest = bytes - prose.len();
    prose.extend(std::iter::repeat_n('x', rest));
    prose
}

fn messages(bytes: usize, count: usize) -> String {
    let message = |number: usize| {
        let role = if number.is_multiple_of(2) {
            "user"
        } else {
            "assistant"
        };
        let content = prose(bytes);
        format!(r#"{{"role":"{role}","content":"{content}"}}"#)
    };
    (0..count).map(message).collect::<Vec<_>>().join(",")
}

fn picture(bytes: usize) -> String {
    let data = "QUJD".repeat(bytes / 4);
    format!(
        r#"{{"role":"user","content":[{{"type":"text","text":"{}"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}]}}"#,
        prose(200)
    )
}

fn tools(count: usize) -> String {
    let tool = |number: usize| {
        format!(
            r#"{{"type":"function","function":{{"name":"f{number}","description":"{}","parameters":{{"type":"object","properties":{{"city":{{"type":"string","description":"Where."}},"days":{{"type":"integer","minimum":1,"maximum":7}},"unit":{{"type":"string","enum":["c","f"]}}}},"required":["city"],"additionalProperties":false}},"strict":true}}}}"#,
            prose(100)
        )
    };
    let tools: Vec<String> = (0..count).map(tool).collect();
    format!(r#","tools":[{}]"#, tools.join(","))
}

#[expect(clippy::expect_used, reason = "the body was made here")]
fn indented(body: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(body).expect("it is JSON");
    serde_json::to_string_pretty(&value).expect("it is JSON")
}

#[expect(clippy::expect_used, reason = "the configuration stands above")]
fn snapshot() -> Snapshot {
    let source = Source {
        name: "cache.toml",
        text: CONFIG,
    };
    let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let config = config::load(source, &|_| None, &nothing).expect("it is whole");
    Snapshot::new(config, &Registry::default(), &Metrics::new()).expect("it needs no file")
}

#[divan::bench(args = ALL)]
fn key(bencher: Bencher, made: Made) {
    let snapshot = snapshot();
    let body = made.body();
    let Some(plan) = snapshot.router.route("m") else {
        return;
    };
    let ignored = ["user".into()];
    let ingredients = Ingredients {
        endpoint: "chat.completions",
        scope: Scope::Client(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        plan,
        model: "m",
        base_url: None,
        beta: None,
        body: body.as_bytes(),
        ignored: &ignored,
    };
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| Key::of(black_box(&ingredients)));
}

/// What reading it strictly costs.
#[divan::bench(args = ALL)]
fn inspected(bencher: Bencher, made: Made) {
    let body = made.body();
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| inspect(black_box(body.as_bytes()), &BOUNDS).is_ok());
}

/// What hashing it alone would cost, and no less is possible.
#[divan::bench(args = ALL)]
fn hashed(bencher: Bencher, made: Made) {
    let body = made.body();
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| blake3::hash(black_box(body.as_bytes())));
}
