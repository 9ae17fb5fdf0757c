//! Which framings of a request are tried?
//!
//! Every row is one way in which two readers of HTTP have been known to see
//! different requests in the same bytes, or might. What counts is not how clever a
//! row is but that the gateway and everybody behind it see the same: one request
//! with just this body, or none.
//!
//! In a row, `{J}` is the JSON of the body, `{L}` its length, `{H}` its length in
//! hexadecimal, `{K}` nine and `{X}` eighty kilobytes of nothing, and `{S}` a request that must
//! never be executed.

use self::Fate::{Accepted, Either, Last, Refused, Unfinished};

/// One way to frame a request.
pub(super) struct Row {
    /// What it tries, unique.
    pub(super) name: &'static str,
    /// The version, and the fields that decide.
    version: &'static str,
    head: &'static [u8],
    body: &'static [u8],
    /// What must become of it.
    pub(super) fate: Fate,
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
    /// It never ends. Its sender leaves, and nobody is told of it.
    Unfinished,
}

impl Row {
    /// The bytes, with this JSON as the body.
    pub(super) fn bytes(&self, json: &str, smuggled: &str) -> Vec<u8> {
        let start = format!(
            "POST /v1/chat/completions {}\r\nHost: gateway.test\r\nContent-Type: application/json\r\n",
            self.version
        );
        let bytes = [start.as_bytes(), self.head, b"\r\n\r\n", self.body].concat();
        let bytes = replaced(&bytes, b"{K}", "x".repeat(9 * 1024).as_bytes());
        let bytes = replaced(&bytes, b"{X}", "x".repeat(80 * 1024).as_bytes());
        let bytes = replaced(&bytes, b"{L}", json.len().to_string().as_bytes());
        let bytes = replaced(&bytes, b"{H}", format!("{:x}", json.len()).as_bytes());
        let bytes = replaced(&bytes, b"{S}", smuggled.as_bytes());
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
    Row {
        name,
        version: "HTTP/1.1",
        head,
        body,
        fate,
    }
}

const fn old(name: &'static str, head: &'static [u8], body: &'static [u8], fate: Fate) -> Row {
    Row {
        version: "HTTP/1.0",
        ..row(name, head, body, fate)
    }
}

const PLAIN: &[u8] = b"{J}";
const CHUNKED: &[u8] = b"{H}\r\n{J}\r\n0\r\n\r\n";
const TE: &[u8] = b"Transfer-Encoding: chunked";

/// Two framings in one head, and codings that only look like `chunked`.
#[rustfmt::skip]
pub(super) const CODINGS: &[Row] = &[
    row("length, then chunked", b"Content-Length: {L}\r\nTransfer-Encoding: chunked", CHUNKED, Refused),
    row("chunked, then length", b"Transfer-Encoding: chunked\r\nContent-Length: {L}", CHUNKED, Refused),
    row("no length, yet chunked", b"Content-Length: 0\r\nTransfer-Encoding: chunked", CHUNKED, Refused),
    row("short length hides a request", b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"0\r\n\r\n{S}", Refused),
    row("long length hides a request", b"Transfer-Encoding: chunked\r\nContent-Length: 300", b"0\r\n\r\n{S}", Refused),
    row("length in another case beside chunked", b"CONTENT-LENGTH: {L}\r\nTransfer-Encoding: chunked", CHUNKED, Refused),
    row("length after a bare line feed beside chunked", b"X: y\nContent-Length: {L}\nTransfer-Encoding: chunked", CHUNKED, Refused),
    row("length with a space before its colon beside chunked", b"Content-Length : {L}\r\nTransfer-Encoding: chunked", CHUNKED, Refused),
    row("bad length beside chunked", b"Content-Length: x\r\nTransfer-Encoding: chunked", CHUNKED, Refused),
    row("length beside an empty coding", b"Content-Length: {L}\r\nTransfer-Encoding:", PLAIN, Refused),
    row("length beside identity", b"Content-Length: {L}\r\nTransfer-Encoding: identity", PLAIN, Refused),
    row("length beside xchunked", b"Content-Length: {L}\r\nTransfer-Encoding: xchunked", PLAIN, Refused),
    row("chunked in two fields", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNKED, Refused),
    row("chunked twice", b"Transfer-Encoding: chunked, chunked", CHUNKED, Refused),
    row("identity, then chunked", b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", CHUNKED, Refused),
    row("chunked, then identity", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", CHUNKED, Refused),
    row("chunked, then nothing", b"Transfer-Encoding: chunked\r\nTransfer-Encoding:", CHUNKED, Refused),
    row("identity and chunked in a list", b"Transfer-Encoding: identity, chunked", CHUNKED, Refused),
    row("chunked not last in a list", b"Transfer-Encoding: chunked, identity", CHUNKED, Refused),
    row("gzip and chunked", b"Transfer-Encoding: gzip, chunked", CHUNKED, Refused),
    row("list with an empty end", b"Transfer-Encoding: chunked,", CHUNKED, Refused),
    row("list with an empty start", b"Transfer-Encoding: , chunked", CHUNKED, Refused),
    row("only a comma", b"Transfer-Encoding: ,", CHUNKED, Refused),
    row("identity", b"Transfer-Encoding: identity", CHUNKED, Refused),
    row("xchunked", b"Transfer-Encoding: xchunked", CHUNKED, Refused),
    row("chunkedx", b"Transfer-Encoding: chunkedx", CHUNKED, Refused),
    row("x chunked", b"Transfer-Encoding: x chunked", CHUNKED, Refused),
    row("chunked with a parameter", b"Transfer-Encoding: chunked;q=1", CHUNKED, Refused),
    row("quoted", b"Transfer-Encoding: \"chunked\"", CHUNKED, Refused),
    row("single quotes", b"Transfer-Encoding: 'chunked'", CHUNKED, Refused),
    row("empty coding", b"Transfer-Encoding:", CHUNKED, Refused),
    row("no-break space", b"Transfer-Encoding: chunked\xc2\xa0", CHUNKED, Refused),
    row("byte above ASCII before it", b"Transfer-Encoding: \xffchunked", CHUNKED, Refused),
    row("vertical tab before it", b"Transfer-Encoding: \x0bchunked", CHUNKED, Refused),
    row("vertical tab after it", b"Transfer-Encoding: chunked\x0b", CHUNKED, Refused),
    row("form feed before it", b"Transfer-Encoding: \x0cchunked", CHUNKED, Refused),
    row("backspace after it", b"Transfer-Encoding: chunked\x08", CHUNKED, Refused),
    row("delete after it", b"Transfer-Encoding: chunked\x7f", CHUNKED, Refused),
    row("NUL inside it", b"Transfer-Encoding: chun\0ked", CHUNKED, Refused),
    row("NUL in the name", b"Transfer-Encoding\0: chunked", CHUNKED, Refused),
    row("space before the colon", b"Transfer-Encoding : chunked", CHUNKED, Refused),
    row("tab before the colon", b"Transfer-Encoding\t: chunked", CHUNKED, Refused),
    row("carriage return before the colon", b"Transfer-Encoding\r: chunked", CHUNKED, Refused),
    row("vertical tab before the colon", b"Transfer-Encoding\x0b: chunked", CHUNKED, Refused),
    row("space before the name", b" Transfer-Encoding: chunked", CHUNKED, Refused),
    row("tab before the name", b"\tTransfer-Encoding: chunked", CHUNKED, Refused),
    row("carriage return before the value", b"Transfer-Encoding:\rchunked", CHUNKED, Refused),
    row("folded value", b"Transfer-Encoding:\r\n chunked", CHUNKED, Refused),
    row("folded list", b"Transfer-Encoding: chunked\r\n , identity", CHUNKED, Refused),
    row("field behind a carriage return", b"Content-Length: {L}\r\nX: y\rTransfer-Encoding: chunked", PLAIN, Refused),
    row("field name above ASCII", b"Content-Length: {L}\r\nTransfer-Encod\xefng: chunked", PLAIN, Refused),
    row("field without a colon", b"Content-Length: {L}\r\nTransfer-Encoding chunked", PLAIN, Refused),
    row("coding nominated away", b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", CHUNKED, Refused),
    row("length nominated away", b"Connection: keep-alive, content-length\r\nContent-Length: {L}", PLAIN, Refused),
    old("chunked in HTTP/1.0", TE, CHUNKED, Refused),
    old("chunked and length in HTTP/1.0", b"Content-Length: {L}\r\nTransfer-Encoding: chunked", CHUNKED, Refused),
    old("length in HTTP/1.0", b"Content-Length: {L}", PLAIN, Last),
    row("chunked", TE, CHUNKED, Last),
    row("capitals", b"TRANSFER-ENCODING: CHUNKED", CHUNKED, Last),
    row("tab after the colon", b"Transfer-Encoding:\tchunked", CHUNKED, Last),
    row("tab behind it", b"Transfer-Encoding: chunked \t", CHUNKED, Last),
    row("no space", b"Transfer-Encoding:chunked", CHUNKED, Last),
    row("behind a bare line feed", b"X: y\nTransfer-Encoding: chunked", CHUNKED, Last),
    row("underscore beside a length", b"Content-Length: {L}\r\nTransfer_Encoding: chunked", PLAIN, Accepted),
    row("another name beside a length", b"Content-Length: {L}\r\nX-Transfer-Encoding: chunked", PLAIN, Accepted),
    row("length with an underscore", b"Content_Length: 1\r\nTransfer-Encoding: chunked", CHUNKED, Last),
    row("trailers announced", b"TE: trailers\r\nTrailer: x\r\nTransfer-Encoding: chunked", b"{H}\r\n{J}\r\n0\r\nx: y\r\n\r\n", Last),
    row("closing", b"Connection: close\r\nTransfer-Encoding: chunked", CHUNKED, Last),
];

/// Lengths that readers of numbers disagree on.
#[rustfmt::skip]
pub(super) const LENGTHS: &[Row] = &[
    row("plain length", b"Content-Length: {L}", PLAIN, Accepted),
    row("length behind a tab", b"Content-Length:\t{L}\t", PLAIN, Accepted),
    row("leading zeros", b"Content-Length: 000{L}", PLAIN, Accepted),
    row("the same twice in a list", b"Content-Length: {L}, {L}", PLAIN, Accepted),
    row("the same in two fields", b"Content-Length: {L}\r\nContent-Length: {L}", PLAIN, Accepted),
    row("two in a list", b"Content-Length: {L}, 1", PLAIN, Refused),
    row("two fields", b"Content-Length: {L}\r\nContent-Length: 1", PLAIN, Refused),
    row("two fields, the right one last", b"Content-Length: 0\r\nContent-Length: {L}", PLAIN, Refused),
    row("an empty one beside it", b"Content-Length: {L}\r\nContent-Length:", PLAIN, Refused),
    row("list with an empty end", b"Content-Length: {L},", PLAIN, Refused),
    row("plus", b"Content-Length: +{L}", PLAIN, Refused),
    row("minus", b"Content-Length: -{L}", PLAIN, Refused),
    row("minus nothing", b"Content-Length: -0", PLAIN, Refused),
    row("hexadecimal", b"Content-Length: 0x{H}", PLAIN, Refused),
    row("underscore", b"Content-Length: 1_0", PLAIN, Refused),
    row("exponent", b"Content-Length: 1e2", PLAIN, Refused),
    row("fraction", b"Content-Length: {L}.0", PLAIN, Refused),
    row("parameter", b"Content-Length: {L};x", PLAIN, Refused),
    row("two words", b"Content-Length: {L} {L}", PLAIN, Refused),
    row("quotes", b"Content-Length: \"{L}\"", PLAIN, Refused),
    row("empty", b"Content-Length:", PLAIN, Refused),
    row("only a space", b"Content-Length:  ", PLAIN, Refused),
    row("vertical tab", b"Content-Length: \x0b{L}", PLAIN, Refused),
    row("NUL", b"Content-Length: {L}\0", PLAIN, Refused),
    row("digits of another script", "Content-Length: \u{0661}\u{0660}".as_bytes(), PLAIN, Refused),
    row("folded length", b"Content-Length: 1\r\n {L}", PLAIN, Refused),
    row("space before the colon of a length", b"Content-Length : {L}", PLAIN, Refused),
    row("2^63", b"Content-Length: 9223372036854775808", PLAIN, Refused),
    row("2^64", b"Content-Length: 18446744073709551616", PLAIN, Refused),
    row("2^64 and a body's length", b"Content-Length: 184467440737095516160", PLAIN, Refused),
    row("no length", b"X: y", PLAIN, Refused),
    row("short of its length", b"Content-Length: 4096", PLAIN, Unfinished),
];

/// Chunks that readers of chunks disagree on, so that nothing behind one is trusted.
#[rustfmt::skip]
pub(super) const CHUNKS: &[Row] = &[
    row("size in capitals and zeros", TE, b"0000{H}\r\n{J}\r\n000\r\n\r\n", Last),
    row("extension", TE, b"{H};name=value\r\n{J}\r\n0;last\r\n\r\n", Last),
    row("trailer", TE, b"{H}\r\n{J}\r\n0\r\nX-Checksum: 1\r\n\r\n", Last),
    row("length in a trailer", TE, b"{H}\r\n{J}\r\n0\r\nContent-Length: 5\r\n\r\n", Last),
    row("coding and host in a trailer", TE, b"{H}\r\n{J}\r\n0\r\nTransfer-Encoding: identity\r\nHost: other.test\r\n\r\n", Last),
    row("line feeds only", TE, b"{H}\n{J}\n0\n\n", Refused),
    row("line feed behind the size", TE, b"{H}\n{J}\r\n0\r\n\r\n", Refused),
    row("line feed behind the data", TE, b"{H}\r\n{J}\n0\r\n\r\n", Refused),
    row("carriage return behind the size", TE, b"{H}\r{J}\r\n0\r\n\r\n", Refused),
    row("0x before the size", TE, b"0x{H}\r\n{J}\r\n0\r\n\r\n", Refused),
    row("plus before the size", TE, b"+{H}\r\n{J}\r\n0\r\n\r\n", Refused),
    row("minus before the size", TE, b"-{H}\r\n{J}\r\n0\r\n\r\n", Refused),
    row("underscore in the size", TE, b"0_{H}\r\n{J}\r\n0\r\n\r\n", Refused),
    row("no digit", TE, b"zz\r\n{J}\r\n0\r\n\r\n", Refused),
    row("empty size", TE, b"\r\n{J}\r\n0\r\n\r\n", Refused),
    // pingora reads no digits as none left.
    row("empty size of the last chunk", TE, b"{H}\r\n{J}\r\n\r\n\r\n", Last),
    row("17 digits", TE, b"10000000000000000\r\n{J}\r\n0\r\n\r\n", Refused),
    row("16 digits", TE, b"ffffffffffffffff\r\n{J}\r\n0\r\n\r\n", Refused),
    row("17 digits of which the low ones fit", TE, b"10000000000000005\r\n{J}\r\n0\r\n\r\n", Refused),
    row("large extension", TE, b"{H};{X}\r\n{J}\r\n0\r\n\r\n", Refused),
    // How much of it one read brings decides.
    row("extension of 9 KiB", TE, b"{H};{K}\r\n{J}\r\n0\r\n\r\n", Either),
    row("line feed in an extension", TE, b"{H};a\nb\r\n{J}\r\n0\r\n\r\n", Last),
    row("data longer than its size", TE, b"2\r\n{J}\r\n0\r\n\r\n", Refused),
    row("data without an end", TE, b"{H}\r\n{J}0\r\n\r\n", Refused),
    row("two bytes that are no line end", TE, b"{H}\r\n{J}xx0\r\n\r\n", Refused),
    row("large trailer", TE, b"{H}\r\n{J}\r\n0\r\nx: {X}\r\n\r\n", Refused),
    row("no last chunk", TE, b"{H}\r\n{J}\r\n", Unfinished),
    row("request in place of trailers", TE, b"{H}\r\n{J}\r\n0\r\n{S}", Last),
];
