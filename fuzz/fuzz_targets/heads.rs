//! Does the door decide the same of the same bytes, and is a body what others take it for?
//!
//! The first byte says in what pieces the rest arrives, which is a head and what stands behind
//! it, as on a connection. pingora reads it, the door decides; where a body is let in, a plain
//! reader of lines has to find the same body.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run heads`

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pingora_core::protocols::http::v1::server::HttpSession;
use spafe::config::{self, Source};
use spafe::gateway::door::{Endpoint, Framing, Rules};
use spafe::operation::Question;
use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Runtime};

const CONFIG: &str = r#"
[[pools]]
name = "p"
targets = [{ url = "http://127.0.0.1:1" }]
[[models]]
id = "m"
pools = ["p"]
"#;

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let source = Source {
        name: "fuzz.toml",
        text: CONFIG,
    };
    let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    Rules::new(&config::load(source, &|_| None, &nothing).expect("a configuration"))
});

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().build();
    runtime.expect("a runtime")
});

fuzz_target!(|input: &[u8]| {
    let [piece_bytes, bytes @ ..] = input else {
        return;
    };
    let piece_bytes = usize::from(*piece_bytes).max(1);
    let whole = RUNTIME.block_on(decided(bytes, bytes.len().max(1)));
    assert_eq!(whole, RUNTIME.block_on(decided(bytes, piece_bytes)));
    if let Decision::Body { framing, body } = whole {
        let expected = lines_say(bytes, &framing);
        assert!(body.is_none_or(|body| expected.starts_with(&body)));
    }
});

/// What the door made of a head.
#[derive(Debug, PartialEq)]
enum Decision {
    /// pingora could not read it.
    Unread,
    Refused(String),
    /// Nothing is read behind it.
    Answered(Endpoint),
    Body {
        framing: Framing,
        /// `None`: it could not be read to its end.
        body: Option<Vec<u8>>,
    },
}

async fn decided(bytes: &[u8], piece_bytes: usize) -> Decision {
    let (mut client, connection) = tokio::io::duplex(piece_bytes);
    let written = async {
        // Whoever has decided reads no further.
        let _ = client.write_all(bytes).await;
        let _ = client.shutdown().await;
        // What is answered to `Expect` is not looked at, but there is room for it.
        client
    };
    let (decision, _) = tokio::join!(decision(HttpSession::new(Box::new(connection))), written);
    decision
}

async fn decision(mut session: HttpSession) -> Decision {
    if !matches!(session.read_request().await, Ok(Some(_))) {
        return Decision::Unread;
    }
    let raw = session.get_headers_raw_bytes();
    let head = session.req_header().clone();
    let endpoint = match RULES.enter(&head, Some(&raw)) {
        Ok(endpoint) => endpoint,
        Err(refusal) => return Decision::Refused(format!("{refusal:?}")),
    };
    let question = match &endpoint {
        Endpoint::Operation(operation) => operation.question(),
        Endpoint::Messages => Question::Json,
        _ => return Decision::Answered(endpoint),
    };
    match RULES.body(&head, Some(&raw), question) {
        Ok(framing) => Decision::Body {
            framing,
            body: body(&mut session).await,
        },
        Err(refusal) => Decision::Refused(format!("{refusal:?}")),
    }
}

async fn body(session: &mut HttpSession) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = session.read_body_bytes().await.ok()? {
        body.extend_from_slice(&piece);
    }
    Some(body)
}

/// The body as a plain reader of lines finds it, or what it begins with.
fn lines_say(bytes: &[u8], framing: &Framing) -> Vec<u8> {
    let end = head_end(bytes).expect("a head ends");
    let (head, behind) = bytes.split_at(end);
    let values = |name: &str| -> Vec<String> {
        let lines = head.split(|byte| *byte == b'\n');
        let fields = lines.filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            let (said, value) = line.split_at(at);
            let is_it = said.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
            is_it.then(|| String::from_utf8_lossy(&value[1..]).trim().to_owned())
        });
        fields.collect()
    };
    let lengths = values("content-length");
    let codings = values("transfer-encoding");
    if let Some(coding) = codings.first() {
        assert!(codings.len() == 1 && lengths.is_empty(), "one framing");
        assert!(coding.eq_ignore_ascii_case("chunked"), "of one kind");
        assert_eq!(framing.length, None);
        return chunks(behind);
    }
    let mut lengths = lengths.iter().flat_map(|value| value.split(','));
    let Some(length) = lengths.next().map(str::trim) else {
        assert_eq!(framing.length, None);
        return Vec::new();
    };
    assert!(lengths.all(|other| other.trim() == length), "one length");
    assert!(length.bytes().all(|byte| byte.is_ascii_digit()), "a length");
    let length = length.parse().expect("a length");
    assert_eq!(framing.length, Some(length));
    behind[..length.min(behind.len())].to_vec()
}

/// Where the first empty line behind the request line ends.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let mut begins = 0;
    let mut is_in = false;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte != b'\n' {
            continue;
        }
        let line = &bytes[begins..at];
        begins = at + 1;
        // Empty lines before a request are nothing.
        let is_empty = matches!(line, b"" | b"\r");
        if is_empty && is_in {
            return Some(begins);
        }
        is_in |= !is_empty;
    }
    None
}

/// What chunks hold, as far as they are chunks.
fn chunks(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let size = bytes[..end].split(|byte| *byte == b';').next();
        let size = String::from_utf8_lossy(size.unwrap_or_default());
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else {
            break;
        };
        let data = &bytes[end + 1..];
        body.extend_from_slice(&data[..size.min(data.len())]);
        if size == 0 || data.len() < size + 2 {
            break;
        }
        bytes = &data[size + 2..];
    }
    body
}
