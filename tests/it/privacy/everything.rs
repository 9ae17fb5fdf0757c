//! Is a secret told anywhere, with everything at once?
//!
//! A gateway with keys, limits, answers in memory and in a Redis that asks for a password, and a
//! collector that asks for a credential; upstreams that work, fail, break off and repeat what they
//! were told. Callers ask for everything over HTTP/1 and HTTP/2, with the log at its loudest. Then
//! whatever can be read anywhere is searched for each secret and each word, and for parts of them.

/// What stands around the gateway.
mod world;

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::json;

use crate::kit::canary;
use crate::kit::client::{Answer, Connection};
use crate::kit::http2::Http2;
use world::World;

/// What the operator keeps: two keys of upstreams, the password of Redis, what is hashed and sealed
/// with, and what a collector is shown.
const KEPT: [&str; 5] = [POOL_KEY, SECOND_KEY, PASSWORD, SEALED, TOKEN];
const POOL_KEY: &str = "p1zq-Upstream+key/0815";
const SECOND_KEY: &str = "n2xw-Second+key/4711==";
const PASSWORD: &str = "r4jt+Redis/password=12";
const SEALED: &str = "s5hd+Sealed/with=this7";
const TOKEN: &str = "o6gf+Collector/token=9";
/// What a caller shows: a key, a cookie, a part of a query, the name of a file.
const SHOWN: [&str; 4] = [CALLER, COOKIE, QUERY, FILE];
const CALLER: &str = "c3vk-Caller+key/23=42";
const COOKIE: &str = "k0mn-Cookie+value/678";
const QUERY: &str = "u9ok?Query value/&12345";
const FILE: &str = "f1bv-File name+of me.wav";
/// What is said: a question, an answer, a recording.
const SAID: [&str; 3] = [QUESTION, ANSWER, SOUND];
const QUESTION: &str = "q7ds, a question about nothing/at+all?";
const ANSWER: &str = "a8pl, an answer to nothing/at+all!";
const SOUND: &str = "g2cx, the sound of a recording";

const CHAT: &str = "/v1/chat/completions";
const FORMS: &str = "/v1/audio/transcriptions";
/// Whom a chat is asked of: it works, another pool helps, nobody does, the caller is blamed, we are,
/// it breaks off, a limit is met, nobody knows it.
const MODELS: [&str; 8] = [
    "works",
    "helped",
    "fails",
    "blames",
    "rejects",
    "breaks",
    "limited",
    "unheard-of",
];

/// What was told, and where.
#[derive(Default)]
struct Told {
    /// To callers, whatever they asked.
    heads: Vec<String>,
    /// To callers who had no answer.
    errors: Vec<String>,
    /// To callers who had one, or the beginning of one: what they asked for is in it.
    answers: Vec<String>,
}

impl World {
    /// Asks for a chat in each way that there is.
    async fn chats(&self, told: &mut Told) {
        let mut http2 = Http2::open(&self.gateway).await;
        let ways =
            |stream| move |model| ["key", "x-api-key", "none"].map(|way| (stream, model, way));
        let asked = [false, true].into_iter();
        let asked = asked.flat_map(|stream| MODELS.into_iter().flat_map(ways(stream)));
        for (number, (stream, model, way)) in asked.enumerate() {
            self.answer_with(stream);
            let lines = lines(way, "application/json");
            let messages = json!([{ "role": "user", "content": format!("{QUESTION} {number}") }]);
            let body = json!({ "model": model, "stream": stream, "messages": messages });
            let body = body.to_string();
            // The second time, what is kept answers.
            for _ in 0..2 {
                told.take(&self.http1(CHAT, &lines, body.as_bytes()).await);
                let upload = (CHAT, &lines[..], body.as_bytes());
                told.take(&over_http2(&mut http2, upload).await);
            }
        }
    }

    /// Asks for everything else, and for what is not there.
    async fn others(&self, told: &mut Told) {
        let mut http2 = Http2::open(&self.gateway).await;
        let message = |model| json!({ "model": model, "max_tokens": 9, "messages": [{ "role": "user", "content": QUESTION }] });
        let jsons = [
            (
                "/v1/embeddings",
                json!({ "model": "any", "input": QUESTION }),
            ),
            (
                "/v1/responses",
                json!({ "model": "any", "input": QUESTION, "stream": true }),
            ),
            (
                "/v1/moderations",
                json!({ "model": "any", "input": QUESTION }),
            ),
            (
                "/v1/completions",
                json!({ "model": "any", "prompt": QUESTION }),
            ),
            ("/v1/messages", message("works")),
            ("/v1/messages", message("fails")),
            (CHAT, json!({ "model": QUESTION, "messages": [] })),
            (CHAT, json!({ "model": "works", "messages": QUESTION })),
            ("/nowhere", json!({ "content": QUESTION })),
        ];
        let jsons = jsons.map(|(path, body)| (path, "application/json", body.to_string()));
        let forms = [
            form("any"),
            form("unheard-of"),
            form("any").replace("--b--", "--b"),
        ];
        let forms = forms.map(|form| (FORMS, "multipart/form-data; boundary=b", form));
        let broken = [
            (
                CHAT,
                "application/json",
                format!("{{\"messages\": [{QUESTION:?}"),
            ),
            (CHAT, "text/plain", QUESTION.to_owned()),
        ];
        for (path, media, body) in jsons.into_iter().chain(forms).chain(broken) {
            let lines = lines("key", media);
            // What nobody knows is told by name to who has asked for it, and to nobody else.
            let is_own = body.contains("\"model\":\"q7ds");
            for answer in [
                self.http1(path, &lines, body.as_bytes()).await,
                over_http2(&mut http2, (path, &lines[..], body.as_bytes())).await,
            ] {
                told.heads.push(format!("{:?}", answer.fields));
                let place = if is_own {
                    &mut told.answers
                } else {
                    told.bodies(&answer)
                };
                place.push(answer.text());
            }
        }
    }

    async fn http1(&self, path: &str, lines: &[String], body: &[u8]) -> Answer {
        let mut head = format!("POST {} HTTP/1.1\r\nHost: localhost\r\n", asked(path));
        for line in lines {
            write!(head, "{line}\r\n").unwrap();
        }
        write!(head, "Content-Length: {}\r\n\r\n", body.len()).unwrap();
        let mut client = Connection::open(self.gateway.address).await;
        client.send([head.as_bytes(), body].concat()).await;
        client.answer().await
    }
}

impl Told {
    fn take(&mut self, answer: &Answer) {
        self.heads.push(format!("{:?}", answer.fields));
        self.bodies(answer).push(answer.text());
    }

    fn bodies(&mut self, answer: &Answer) -> &mut Vec<String> {
        // What an upstream says of a request is told to who made it, in its words.
        let is_theirs = answer.status == 400 && answer.field("x-spafe-attempts") == Some("1");
        if answer.status < 400 || is_theirs {
            &mut self.answers
        } else {
            &mut self.errors
        }
    }
}

/// A path as a caller asks for it.
fn asked(path: &str) -> String {
    let query: String = url::form_urlencoded::byte_serialize(QUERY.as_bytes()).collect();
    format!("{path}?note={query}")
}

/// What a caller shows in a head, and how.
fn lines(way: &str, media: &str) -> Vec<String> {
    let mut lines = vec![
        format!("content-type: {media}"),
        format!("cookie: session={COOKIE}"),
        "x-spafe-explain: 1".to_owned(),
    ];
    match way {
        "key" => lines.push(format!("authorization: Bearer {CALLER}")),
        "x-api-key" => lines.push(format!("x-api-key: {CALLER}")),
        _ => {}
    }
    lines
}

/// A form with a recording.
fn form(model: &str) -> String {
    let part = "--b\r\nContent-Disposition: form-data; name=";
    format!(
        "{part}\"file\"; filename=\"{FILE}\"\r\nContent-Type: audio/wav\r\n\r\n{SOUND}\r\n\
         {part}\"prompt\"\r\n\r\n{QUESTION}\r\n{part}\"model\"\r\n\r\n{model}\r\n--b--\r\n"
    )
}

async fn over_http2(client: &mut Http2, (path, lines, body): (&str, &[String], &[u8])) -> Answer {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut upload = client.begin_with(&asked(path), &lines).await;
    upload.send(Bytes::copy_from_slice(body), true).await;
    upload.answer().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_kept_shown_or_said_is_told_anywhere() {
    let world = World::start().await;
    let mut told = Told::default();
    world.chats(&mut told).await;
    world.others(&mut told).await;
    world.was_told_everything();

    let secrets = [&KEPT[..], &SHOWN].concat();
    let all = [&secrets[..], &SAID].concat();
    let known = |texts: &[String], word: &str| {
        assert!(texts.iter().any(|text| text.contains(word)), "no {word}");
    };
    // What was read is what it should be.
    known(&told.heads, "x-spafe-explain");
    known(&told.errors, "upstream_unavailable");
    known(&told.errors, "rate_limit_exceeded");
    known(&told.answers, ANSWER);
    for head in &told.heads {
        canary::absent("a head", head, &all);
    }
    for error in &told.errors {
        canary::absent("an error", error, &all);
    }
    for answer in &told.answers {
        canary::absent("an answer", answer, &secrets);
    }
    let readable = world.readable().await;
    for (place, word) in [
        ("/metrics", "model=\"helped\""),
        ("/requests", "\"limited\""),
        ("/usage", "helped"),
        ("/config", "***"),
        ("/cache", "works"),
        ("its output", "\"key\":\"team\""),
        ("its command line", "serve"),
        ("Redis", "{spafe}:answer:"),
        ("traces", "helped"),
        ("metrics", "gen_ai.server.request.duration"),
    ] {
        let at = |(name, text): &&(String, String)| name == place && text.contains(word);
        assert!(readable.iter().any(|it| at(&it)), "no {word} in {place}");
    }
    for (place, text) in &readable {
        canary::absent(place, text, &all);
    }
}
