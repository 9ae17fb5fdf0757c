//! How is a request read, and a script written, in HTTP/1.1 byte by byte?
//!
//! By hand, because the point of the simulator is to see exactly what came and to send
//! exactly what a test wants, valid or not. It reads strictly: what two readers could
//! understand differently is recorded as malformed, answered 400 and ends the connection,
//! so a proxy that lets such a thing through is found out.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{StatusCode, Version};

use super::Shared;
use super::play::{Act, Data, Play};
use super::record::{Entry, Open, Request};
use super::script::{Fault, Framing};
use super::wire::{Gone, Socket, Wire};

/// A head that is longer is malformed.
pub(super) const HEAD_BYTES_MAX: u32 = 64 * 1024;
/// A body that is longer is malformed; larger than any that a gateway should let through.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A chunk's size line, or one trailer, with its extensions.
const LINE_BYTES_MAX: usize = 4 * 1024;
/// How long a connection may wait for its next request, and how long a body may take.
const IDLE_MAX: Duration = Duration::from_mins(10);

/// Why there is no request.
enum Unread {
    Gone,
    Malformed(&'static str),
}

/// How the body of a request ends.
#[derive(Debug, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
}

/// What an answer means for its connection.
enum Ending {
    Written { last: bool },
    Cut,
    Reset,
    Gone,
}

/// Serves one connection to its end.
pub(super) async fn serve(socket: Socket, shared: Arc<Shared>, open: Open) {
    let mut wire = Wire::new(socket);
    for served in 0.. {
        let (request, entry) = match next_request(&mut wire, &shared, &open, served > 0).await {
            Ok(request) => request,
            Err(Unread::Gone) => return,
            Err(Unread::Malformed(reason)) => {
                wire.out
                    .put_slice(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n");
                let length = format!("Content-Length: {}\r\n\r\n{reason}", reason.len());
                wire.out.put_slice(length.as_bytes());
                let _ = wire.write_out().await;
                return wire.close().await;
            }
        };
        let play = shared.play(&request);
        let ending = answer(&mut wire, &play, &request).await;
        match ending {
            Ending::Gone => return entry.aborted(),
            Ending::Reset => return wire.reset(),
            Ending::Cut => return wire.cut(),
            Ending::Written { last } => {
                entry.answered();
                if let Some(idle) = play.close_after {
                    let _ = wire.unless_gone(tokio::time::sleep(idle)).await;
                }
                if last || play.close_after.is_some() {
                    return wire.close().await;
                }
            }
        }
    }
}

/// Reads head and body of the next request and enters them into the record.
async fn next_request(
    wire: &mut Wire,
    shared: &Shared,
    open: &Open,
    reused: bool,
) -> Result<(Request, Entry), Unread> {
    let head = wire.through(b"\r\n\r\n", HEAD_BYTES_MAX as usize);
    let Ok(head) = tokio::time::timeout(IDLE_MAX, head).await else {
        return Err(Unread::Gone);
    };
    let (head, whole) = match head {
        Ok(Some(head)) => (head, Ok(())),
        Ok(None) => (wire.unread.split().freeze(), Err("the head is over 64 KiB")),
        Err(Gone) if wire.unread.is_empty() => return Err(Unread::Gone),
        Err(Gone) => (wire.unread.split().freeze(), Err("the head broke off")),
    };
    let mut request = Request::new(open.number, Version::HTTP_11, head);
    request.reused = reused;
    let parsed = whole.and_then(|()| parse(&mut request));
    let length = parsed.and_then(|()| length(&request));
    let entry = shared.recorder.begin(&request);
    let length = length.map_err(|reason| malformed(&entry, reason))?;
    if request.header("expect").is_some() {
        wire.out.put_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        wire.write_out().await.map_err(|_| gone(&entry))?;
    }
    let body = async {
        match length {
            Length::Known(bytes) => wire.exactly(bytes).await.map_err(|Gone| Unread::Gone),
            Length::Chunked => chunked_body(wire).await,
        }
    };
    let body = tokio::time::timeout(IDLE_MAX, body).await;
    let body = body.unwrap_or(Err(Unread::Gone));
    request.body = body.map_err(|unread| match unread {
        Unread::Gone => gone(&entry),
        Unread::Malformed(reason) => malformed(&entry, reason),
    })?;
    entry.body(&request.body);
    Ok((request, entry))
}

fn gone(entry: &Entry) -> Unread {
    entry.aborted();
    Unread::Gone
}

fn malformed(entry: &Entry, reason: &'static str) -> Unread {
    entry.malformed(reason);
    Unread::Malformed(reason)
}

/// Takes the request line and the fields apart, RFC 9112 §3 and §5 to the letter.
fn parse(request: &mut Request) -> Result<(), &'static str> {
    let head = request
        .head
        .strip_suffix(b"\r\n\r\n")
        .unwrap_or(&request.head);
    let text = head.split(|byte| *byte == b'\n');
    let mut lines = text.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    if memchr::memchr_iter(b'\n', head).count() != memchr::memmem::find_iter(head, b"\r\n").count()
    {
        return Err("a line ends with a bare LF");
    }
    let first = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let mut words = first.unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("the request line is not three words");
    };
    request.version = match version {
        "HTTP/1.1" => Version::HTTP_11,
        "HTTP/1.0" => Version::HTTP_10,
        _ => return Err("the version is neither HTTP/1.1 nor HTTP/1.0"),
    };
    if method.is_empty() || !method.bytes().all(is_token) || target.is_empty() {
        return Err("the request line has no method or no target");
    }
    request.method = method.to_owned();
    request.target = target.to_owned();
    for line in lines {
        let field = line.iter().position(|byte| *byte == b':');
        let Some((name, value)) = field.and_then(|colon| line.split_at_checked(colon)) else {
            return Err("a header has no colon");
        };
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err("a header's name is not a token");
        }
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        if value.iter().any(|byte| matches!(byte, 0 | b'\r')) {
            return Err("a header's value has a NUL or a CR");
        }
        let value = request.head.slice_ref(value);
        let name = String::from_utf8_lossy(name).into_owned();
        request.headers.push((name, value));
    }
    request.authority = request.header("host").unwrap_or_default().to_owned();
    Ok(())
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9112 §6.3, without its leniencies.
fn length(request: &Request) -> Result<Length, &'static str> {
    let values = |wanted: &'static str| {
        let of_name = move |(name, _): &&(String, Bytes)| name.eq_ignore_ascii_case(wanted);
        request
            .headers
            .iter()
            .filter(of_name)
            .map(|(_, value)| value)
    };
    let mut codings = values("transfer-encoding");
    let mut lengths = values("content-length");
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(Length::Known(0)),
        (Some(coding), None) => match codings.next() {
            None if coding.eq_ignore_ascii_case(b"chunked") => Ok(Length::Chunked),
            _ => Err("the transfer coding is not chunked"),
        },
        (None, Some(length)) => match (decimal(length), lengths.next()) {
            (Some(bytes), None) if bytes <= BODY_BYTES_MAX => Ok(Length::Known(bytes)),
            (Some(_), None) => Err("the body is over 64 MiB"),
            _ => Err("the content length is not one number"),
        },
        (Some(_), Some(_)) => Err("there are a transfer coding and a content length"),
    }
}

fn decimal(text: &[u8]) -> Option<usize> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits)?;
    text.parse().ok()
}

async fn chunked_body(wire: &mut Wire) -> Result<Bytes, Unread> {
    let mut body = BytesMut::new();
    loop {
        let line = line(wire).await?;
        let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let hex = size.iter().all(u8::is_ascii_hexdigit);
        let size = std::str::from_utf8(size).ok().filter(|_| hex);
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size else {
            return Err(Unread::Malformed("a chunk's size is not a number"));
        };
        if size == 0 {
            break;
        }
        if body.len().saturating_add(size) > BODY_BYTES_MAX {
            return Err(Unread::Malformed("the body is over 64 MiB"));
        }
        let data = wire.exactly(size).await.map_err(|Gone| Unread::Gone)?;
        body.extend_from_slice(&data);
        let end = wire.exactly(2).await.map_err(|Gone| Unread::Gone)?;
        if end != b"\r\n"[..] {
            return Err(Unread::Malformed("a chunk is longer than its size"));
        }
    }
    let mut trailers_bytes = 0;
    loop {
        let trailer = line(wire).await?;
        trailers_bytes += trailer.len();
        if trailer.is_empty() {
            return Ok(body.freeze());
        }
        if trailers_bytes > HEAD_BYTES_MAX as usize {
            return Err(Unread::Malformed("the trailers are over 64 KiB"));
        }
    }
}

async fn line(wire: &mut Wire) -> Result<Bytes, Unread> {
    match wire.through(b"\r\n", LINE_BYTES_MAX).await {
        Ok(Some(mut line)) => {
            line.truncate(line.len() - 2);
            Ok(line)
        }
        Ok(None) => Err(Unread::Malformed("a chunk's size line is over 4 KiB")),
        Err(Gone) => Err(Unread::Gone),
    }
}

/// Plays an answer, and watches for the peer's departure all the while.
async fn answer(wire: &mut Wire, play: &Play, request: &Request) -> Ending {
    let mut last = !may_be_reused(request) || play.framing == Framing::UntilClose;
    for act in &play.acts {
        let done = match act {
            Act::Sleep(delay) => wait(wire, tokio::time::sleep(*delay)).await,
            Act::Hold(gate) => wait(wire, gate.opened()).await,
            Act::Head => write_head(wire, play, last).await,
            Act::Data(_) if request.method == "HEAD" => Ok(()),
            Act::Data(data) => write_data(wire, play.framing, data).await,
            Act::Goaway => {
                last = true;
                Ok(())
            }
            Act::Fault(fault) => return fail(wire, *fault).await,
            Act::End => {
                if play.framing == Framing::Chunked && request.method != "HEAD" {
                    wire.out.put_slice(b"0\r\n\r\n");
                }
                wire.write_out().await
            }
        };
        if done == Err(Gone) {
            return Ending::Gone;
        }
    }
    Ending::Written { last }
}

/// What was composed so far is seen before the wait begins.
async fn wait(wire: &mut Wire, moment: impl Future<Output = ()>) -> Result<(), Gone> {
    wire.write_out().await?;
    wire.unless_gone(moment).await
}

async fn fail(wire: &mut Wire, fault: Fault) -> Ending {
    if fault == Fault::MalformedChunk {
        wire.out.put_slice(b"not a size\r\n");
    }
    if wire.write_out().await.is_err() {
        return Ending::Gone;
    }
    match fault {
        Fault::Cut | Fault::MalformedChunk => Ending::Cut,
        Fault::Reset => Ending::Reset,
        Fault::Stall => {
            let _ = wire.unless_gone(std::future::pending::<()>()).await;
            Ending::Gone
        }
    }
}

async fn write_head(wire: &mut Wire, play: &Play, last: bool) -> Result<(), Gone> {
    let status = StatusCode::from_u16(play.status).ok();
    let reason = status.and_then(|status| status.canonical_reason());
    let line = format!(
        "HTTP/1.1 {} {}\r\n",
        play.status,
        reason.unwrap_or("Unnamed")
    );
    wire.out.put_slice(line.as_bytes());
    for (name, value) in &play.headers {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            wire.out.put_slice(part);
        }
    }
    match play.framing {
        Framing::Length | Framing::LengthClaimed(_) => {
            let length = format!("Content-Length: {}\r\n", play.length);
            wire.out.put_slice(length.as_bytes());
        }
        Framing::Chunked => wire.out.put_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::UntilClose | Framing::Verbatim => {}
    }
    if last {
        wire.out.put_slice(b"Connection: close\r\n");
    }
    wire.out.put_slice(b"\r\n");
    match play.framing {
        // A small answer leaves in one packet, head and body.
        Framing::Length => Ok(()),
        _ => wire.write_out().await,
    }
}

async fn write_data(wire: &mut Wire, framing: Framing, data: &Data) -> Result<(), Gone> {
    if let (Framing::Chunked, Some(size)) = (framing, data.opens) {
        wire.out.put_slice(format!("{size:x}\r\n").as_bytes());
    }
    wire.out.put_slice(&data.bytes);
    if framing == Framing::Chunked && data.closes {
        wire.out.put_slice(b"\r\n");
    }
    wire.write_out().await
}

fn may_be_reused(request: &Request) -> bool {
    let connection = request.header("connection").unwrap_or_default();
    let options: Vec<String> = connection
        .split(',')
        .map(|option| option.trim().to_ascii_lowercase())
        .collect();
    match request.version {
        Version::HTTP_10 => options.iter().any(|option| option == "keep-alive"),
        _ => options.iter().all(|option| option != "close"),
    }
}
