//! What do the generator and the upstream say to each other?
//!
//! The little of HTTP/1.1 that both ends need, written by hand: whatever they spend is
//! spent on the other core, but a slow generator would leave the proxy idle between
//! requests, and an idle proxy pays for waking up as well.

use std::io;

use memchr::memmem;

/// The upstream's answer to a request without `"stream":true`.
pub(crate) const COMPLETION: &str = concat!(
    r#"{"id":"chatcmpl-1234567890","object":"chat.completion","created":1730888458,"#,
    r#""model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"#,
    r#""Hello! How can I assist you on this day in May?"},"finish_reason":"stop"}],"#,
    r#""usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}}"#,
);

const _: () = assert!(COMPLETION.len() == 300);

/// One event of a stream.
pub(crate) const EVENT: &str = concat!(
    r#"data: {"id":"chatcmpl-1234567890","object":"chat.completion.chunk","created":1730889622,"#,
    r#""model":"gpt-4o","choices":[{"index":0,"delta":{"content":" word"},"#,
    r#""finish_reason":null}],"usage":null}"#,
    "\n\n",
);

/// The last events of a stream, by which a client knows that nothing is missing.
pub(crate) const LAST_EVENTS: &str = concat!(
    r#"data: {"id":"chatcmpl-1234567890","object":"chat.completion.chunk","created":1730889622,"#,
    r#""model":"gpt-4o","choices":[{"index":0,"delta":{"content":""},"#,
    r#""finish_reason":"stop"}],"usage":null}"#,
    "\n\ndata: [DONE]\n\n",
);

/// Prose as it stands in a JSON string, escapes included: a scanner that is fast only
/// where nothing is escaped shall not look better than it is.
const PROSE: &str = r#"She said: \"the quick brown fox\", and left.\nA café, two words; no more "#;

const BODY_START: &str = r#"{"model":"gpt-4o","stream":"#;
const BODY_MIDDLE: &str = r#","messages":[{"role":"user","content":""#;
const BODY_END: &str =
    r#""}],"temperature":0.5,"presence_penalty":0,"frequency_penalty":0,"top_p":1}"#;

/// What a request says to a cache.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// An upstream is to be asked, and nothing kept.
    Past,
    /// It is the same as those before.
    TheSame,
    /// Each has a number of its own.
    Anew,
}

/// A chat completion request whose body has exactly `body_bytes`.
pub(crate) fn request(body_bytes: usize, streamed: bool, asking: Asking) -> Vec<u8> {
    let mut body = format!("{BODY_START}{streamed}{BODY_MIDDLE}");
    while body.len() + PROSE.len() + BODY_END.len() <= body_bytes {
        body.push_str(PROSE);
    }
    while body.len() + BODY_END.len() < body_bytes {
        body.push('.');
    }
    body.push_str(BODY_END);
    let control = if asking == Asking::Past {
        "cache-control: no-store\r\n"
    } else {
        ""
    };
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n{control}\
         content-type: application/json\r\naccept: */*\r\nuser-agent: compare\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

/// Writes a number over the first letters of a request's prompt, where no escape stands.
pub(crate) fn number(request: &mut [u8], number: u64) -> io::Result<()> {
    let place = memmem::find(request, BODY_MIDDLE.as_bytes()).map(|at| at + BODY_MIDDLE.len());
    let digits = format!("{number:08}");
    let place = place.and_then(|at| request.get_mut(at..at + digits.len()));
    let place = place.ok_or_else(|| io::Error::other("a request without room for its number"))?;
    place.copy_from_slice(digits.as_bytes());
    Ok(())
}

/// Where the head ends, the blank line included, if it is there as a whole.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|place| place + 4)
}

/// The value of a header, if the head has it.
pub(crate) fn header<'a>(head: &'a [u8], name: &str) -> io::Result<Option<&'a str>> {
    let head = str::from_utf8(head).map_err(io::Error::other)?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    Ok(fields
        .find(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim()))
}

/// The `Content-Length`, if the head has one.
pub(crate) fn content_length(head: &[u8]) -> io::Result<Option<usize>> {
    header(head, "content-length")?
        .map(|value| value.parse().map_err(io::Error::other))
        .transpose()
}

/// One chunk of a chunked body.
pub(crate) fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}
