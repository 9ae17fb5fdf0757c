//! Which framings of a request are tried?
//!
//! Every row is one way in which two readers of HTTP have been known to see
//! different requests in the same bytes, or might. What counts is not how clever a
//! row is but that the gateway and everybody behind it see the same: one request
//! with just this body, or none.
//!
//! In a row, `{J}` is the JSON of the body, `{L}` its length, `{H}` its length in
//! hexadecimal, `{K}` nine and `{X}` eighty kilobytes of nothing, `{S}` a request that must
//! never be executed, `{T}` its length and `{U}` its length in hexadecimal.

/// Two framings in one head, and codings that only look like `chunked`.
mod codings;
/// Lengths that readers of numbers disagree on.
mod lengths;
/// Chunks that readers of chunks disagree on.
mod chunks;
/// Request lines, and what stands before them.
mod lines;
/// Fields that decide nothing, or should not.
mod fields;
/// Requests that are answered without their bodies, which are requests.
mod early;

pub(super) use self::chunks::CHUNKS;
pub(super) use self::codings::CODINGS;
pub(super) use self::early::EARLY;
pub(super) use self::fields::FIELDS;
pub(super) use self::lengths::LENGTHS;
pub(super) use self::lines::LINES;

/// Every table.
pub(super) const ALL: [&[Row]; 6] = [CODINGS, LENGTHS, CHUNKS, LINES, FIELDS, EARLY];

/// One way to frame a request.
pub(super) struct Row {
    /// What it tries, unique.
    pub(super) name: &'static str,
    parts: Parts,
    /// What must become of it.
    pub(super) fate: Fate,
}

/// What of a request a row says, where the rest is as it should be.
enum Parts {
    /// Its version, the fields that decide, and its body.
    Framing(&'static str, &'static [u8], &'static [u8]),
    /// Its first line.
    Line(&'static [u8]),
    /// Everything.
    Whole(&'static [u8]),
}

/// What must become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is refused and the connection ends: nothing of it reaches an upstream.
    Refused,
    /// It is one request with just this body, and the next one on the connection is itself.
    Accepted,
    /// As accepted, but the connection ends with it.
    Last,
    /// It is refused, or the last.
    Either,
    /// It is told this without anybody's being asked; the next one is itself, or the
    /// connection ends.
    Told(u16),
    /// It is one request with just this body, and a piece of another that is not whole: what
    /// follows belongs to that, and is told this.
    Glued(u16),
    /// It never ends. Its sender leaves, and nobody is told of it.
    Unfinished,
}

impl Row {
    /// The bytes, with this JSON as the body and this request hidden in them.
    pub(super) fn bytes(&self, json: &str, hidden: &str) -> Vec<u8> {
        const HOST: &[u8] = b"\r\nHost: gateway.test\r\nContent-Type: application/json\r\n";
        let bytes = match self.parts {
            Parts::Framing(version, head, body) => [
                b"POST /v1/chat/completions ",
                version.as_bytes(),
                HOST,
                head,
                b"\r\n\r\n",
                body,
            ]
            .concat(),
            Parts::Line(line) => [line, HOST, b"Content-Length: {L}\r\n\r\n{J}"].concat(),
            Parts::Whole(bytes) => bytes.to_vec(),
        };
        let bytes = replaced(&bytes, b"{K}", "x".repeat(9 * 1024).as_bytes());
        let bytes = replaced(&bytes, b"{X}", "x".repeat(80 * 1024).as_bytes());
        let bytes = replaced(&bytes, b"{L}", json.len().to_string().as_bytes());
        let bytes = replaced(&bytes, b"{H}", format!("{:x}", json.len()).as_bytes());
        let bytes = replaced(&bytes, b"{T}", hidden.len().to_string().as_bytes());
        let bytes = replaced(&bytes, b"{U}", format!("{:x}", hidden.len()).as_bytes());
        let bytes = replaced(&bytes, b"{S}", hidden.as_bytes());
        replaced(&bytes, b"{J}", json.as_bytes())
    }
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|part| part == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

const fn row(name: &'static str, head: &'static [u8], body: &'static [u8], fate: Fate) -> Row {
    let parts = Parts::Framing("HTTP/1.1", head, body);
    Row { name, parts, fate }
}

const fn old(name: &'static str, head: &'static [u8], body: &'static [u8], fate: Fate) -> Row {
    let parts = Parts::Framing("HTTP/1.0", head, body);
    Row { name, parts, fate }
}

const fn line(name: &'static str, line: &'static [u8], fate: Fate) -> Row {
    let parts = Parts::Line(line);
    Row { name, parts, fate }
}

const fn whole(name: &'static str, bytes: &'static [u8], fate: Fate) -> Row {
    let parts = Parts::Whole(bytes);
    Row { name, parts, fate }
}

const PLAIN: &[u8] = b"{J}";
const CHUNKED: &[u8] = b"{H}\r\n{J}\r\n0\r\n\r\n";
const TE: &[u8] = b"Transfer-Encoding: chunked";

#[test]
fn every_row_has_a_name_of_its_own() {
    let rows = ALL.iter().flat_map(|table| table.iter());
    let mut names: Vec<&str> = rows.map(|row| row.name).collect();
    let count = names.len();
    assert!(count >= 150, "{count}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
