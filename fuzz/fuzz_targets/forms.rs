//! Does a form say to others what it says here?
//!
//! The input is a form as it stands in a body: its first line, without the hyphens, is the
//! boundary. What inspection lets through, a plain reader has to read alike, also after a pool's
//! name for the model has been put in.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run forms`

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use spafe::gateway::door::boundary::Boundary;
use spafe::gateway::inspect::form::inspect_form;
use spafe::gateway::inspect::{Ask, Bounds, Within};
use spafe::gateway::splice;
use spafe::operation::Operation;

const BOUNDS: Bounds = Bounds {
    depth_max: 64,
    keys_max: 1_000,
};
const WITHIN: Within<'_> = Within {
    bounds: &BOUNDS,
    inputs_max: 1,
    caps: None,
};

fuzz_target!(|body: &[u8]| {
    let line = body.split(|byte| *byte == b'\r').next();
    let Some(name) = line.and_then(|line| line.strip_prefix(b"--")) else {
        return;
    };
    let media_type = [b"multipart/form-data; boundary=\"", name, b"\""].concat();
    let Some(boundary) = Boundary::of(&media_type) else {
        return;
    };
    let Ok(ask) = inspect_form(Operation::Transcriptions, body, boundary, &WITHIN) else {
        return;
    };
    agrees(body, &boundary, &ask);
    let body = Bytes::copy_from_slice(body);
    let spliced = splice::form_model_name(&body, &ask.model_span, "another");
    let spliced: Vec<u8> = spliced.parts().flatten().copied().collect();
    let again = inspect_form(Operation::Transcriptions, &spliced, boundary, &WITHIN);
    let again = again.expect("what was a form is one");
    assert_eq!(&*again.model, "another");
    agrees(&spliced, &boundary, &again);
    assert_eq!(
        body[ask.messages_span.clone()],
        spliced[again.messages_span.clone()]
    );
});

/// One field of each name that is acted on, and its value, are found by whoever splits at the
/// boundary, at line ends of either kind.
fn agrees(body: &[u8], boundary: &Boundary, ask: &Ask) {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let mut models = Vec::new();
    let mut files = Vec::new();
    let mut streams = Vec::new();
    for part in split(body, &delimiter) {
        let Some((head, value)) = parted(part) else {
            continue;
        };
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let is = |name: &str| {
            let (quoted, plain) = (format!("name=\"{name}\""), format!("name={name}"));
            head.contains(&format!(" {quoted}"))
                || head.contains(&format!(";{quoted}"))
                || head.contains(&format!(" {plain}"))
                || head.contains(&format!(";{plain}"))
        };
        if is("file") && !is("model") {
            files.push(value);
        } else if is("stream") && !is("model") {
            streams.push(value);
        } else if is("model") {
            models.push(value);
        }
    }
    assert!(models.contains(&ask.model.as_bytes()));
    assert!(files.contains(&&body[ask.messages_span.clone()]));
    if ask.stream {
        assert!(streams.contains(&b"true".as_slice()));
    }
}

fn split<'a>(body: &'a [u8], delimiter: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut begins = 0;
    let mut at = 0;
    while at + delimiter.len() <= body.len() {
        if body[at..].starts_with(delimiter) {
            parts.push(&body[begins..at]);
            at += delimiter.len();
            begins = at;
        } else {
            at += 1;
        }
    }
    parts
}

/// A part's head and its value, without the line ends around both.
fn parted(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let part = part.strip_prefix(b"\r\n")?.strip_suffix(b"\r\n")?;
    let end = part.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((&part[..end], &part[end + 4..]))
}
