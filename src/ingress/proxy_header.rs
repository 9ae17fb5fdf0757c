//! Whom does a balancer say that it speaks for?
//!
//! A balancer that passes bytes on cannot add a header to a request. With the PROXY
//! protocol it says whose connection this is before the connection's first byte, and
//! before TLS: a line of text (version 1) or a block of bytes (version 2). Exactly that
//! is read and not a byte more, for what follows is somebody else's to read. A line's
//! length is not known before its end, so it is read two bytes at a time, which is as
//! many as must follow while its end is not there.
//!
//! Source: the PROXY protocol, versions 1 and 2, of HAProxy's documentation.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What a block begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line, its end included; the standard's number.
const LINE_BYTES_MAX: usize = 107;
/// A block's signature, version, family and length.
const BLOCK_HEAD_BYTES: usize = 16;
/// The longest block. Addresses take 52 bytes; the rest is what balancers add about TLS and
/// their own networks, of which nothing is used.
const BLOCK_BYTES_MAX: usize = 2048;

/// What a balancer says of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It is of somebody at this address.
    Client(SocketAddr),
    /// It is the balancer's own, such as a look at our health, or it does not know.
    Nobody,
}

/// Why a connection does not say whose it is.
#[derive(Debug, Error)]
pub(super) enum HeaderError {
    /// It was closed before it said anything.
    #[error("the connection was closed before it said anything")]
    Silent,
    /// Something else came.
    #[error("the connection does not begin with a PROXY protocol header")]
    Missing,
    /// It cannot be understood.
    #[error("the PROXY protocol header is malformed")]
    Malformed,
    /// It broke off.
    #[error("the connection broke within its PROXY protocol header")]
    Broken(#[source] io::Error),
}

/// Reads the header, and nothing behind it.
pub(super) async fn read<S>(stream: &mut S) -> Result<Told, HeaderError>
where
    S: AsyncRead + Unpin + ?Sized,
{
    let mut bytes = Vec::with_capacity(LINE_BYTES_MAX);
    match stream.read_u8().await {
        Ok(first) => bytes.push(first),
        Err(_) => return Err(HeaderError::Silent),
    }
    // Whoever speaks first something else need not say more to be known.
    if bytes != b"P" && bytes != b"\r" {
        return Err(HeaderError::Missing);
    }
    extend(stream, &mut bytes, SIGNATURE.len()).await?;
    if bytes == SIGNATURE {
        block(stream, bytes).await
    } else if bytes.starts_with(b"PROXY ") {
        line(stream, bytes).await
    } else {
        Err(HeaderError::Missing)
    }
}

/// Reads until there are `length` bytes.
async fn extend<S>(stream: &mut S, bytes: &mut Vec<u8>, length: usize) -> Result<(), HeaderError>
where
    S: AsyncRead + Unpin + ?Sized,
{
    let from = bytes.len();
    bytes.resize(length, 0);
    let rest = bytes.get_mut(from..).unwrap_or_default();
    let read = stream.read_exact(rest).await;
    read.map(|_| ()).map_err(HeaderError::Broken)
}

async fn line<S>(stream: &mut S, mut bytes: Vec<u8>) -> Result<Told, HeaderError>
where
    S: AsyncRead + Unpin + ?Sized,
{
    while !bytes.ends_with(b"\r\n") {
        let missing = if bytes.ends_with(b"\r") { 1 } else { 2 };
        let length = bytes.len() + missing;
        if length > LINE_BYTES_MAX {
            return Err(HeaderError::Malformed);
        }
        extend(stream, &mut bytes, length).await?;
    }
    told_by_line(&bytes).ok_or(HeaderError::Malformed)
}

async fn block<S>(stream: &mut S, mut bytes: Vec<u8>) -> Result<Told, HeaderError>
where
    S: AsyncRead + Unpin + ?Sized,
{
    extend(stream, &mut bytes, BLOCK_HEAD_BYTES).await?;
    let length = bytes
        .last_chunk()
        .map_or(0, |length| u16::from_be_bytes(*length));
    let length = BLOCK_HEAD_BYTES + usize::from(length);
    if length > BLOCK_BYTES_MAX {
        return Err(HeaderError::Malformed);
    }
    extend(stream, &mut bytes, length).await?;
    told_by_block(&bytes).ok_or(HeaderError::Malformed)
}

/// `PROXY TCP4 203.0.113.7 192.0.2.1 56324 443`, and the end of a line.
fn told_by_line(line: &[u8]) -> Option<Told> {
    let line = std::str::from_utf8(line.strip_suffix(b"\r\n")?).ok()?;
    let mut words = line.strip_prefix("PROXY ")?.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(Told::Nobody);
    }
    let address = |text: &str| match family {
        "TCP4" => text.parse().ok().map(IpAddr::V4),
        "TCP6" => text.parse().ok().map(IpAddr::V6),
        _ => None,
    };
    let port = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| is_number)
    };
    let source = address(words.next()?)?;
    let _destination = address(words.next()?)?;
    let source_port = port(words.next()?)?;
    let _destination_port = port(words.next()?)?;
    let is_all = words.next().is_none();
    is_all.then(|| Told::Client(SocketAddr::new(source, source_port)))
}

/// Version and command, family, length, addresses, and what is passed over.
fn told_by_block(block: &[u8]) -> Option<Told> {
    let (head, body) = block.split_first_chunk::<BLOCK_HEAD_BYTES>()?;
    let [.., command, family, _, _] = *head;
    match (command, family) {
        // TCP over IPv4: two addresses, two ports.
        (0x21, 0x11) => {
            let (address, rest) = body.split_first_chunk::<4>()?;
            let (_, rest) = rest.split_first_chunk::<4>()?;
            client(Ipv4Addr::from(*address).into(), rest)
        }
        // TCP over IPv6.
        (0x21, 0x21) => {
            let (address, rest) = body.split_first_chunk::<16>()?;
            let (_, rest) = rest.split_first_chunk::<16>()?;
            client(Ipv6Addr::from(*address).into(), rest)
        }
        // The balancer's own connection, whatever stands behind it. Or not told, UDP, a Unix
        // socket: right, and not about anything that we have.
        (0x20, _) | (0x21, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => Some(Told::Nobody),
        _ => None,
    }
}

fn client(address: IpAddr, ports: &[u8]) -> Option<Told> {
    let (port, rest) = ports.split_first_chunk::<2>()?;
    rest.first_chunk::<2>()?;
    let port = u16::from_be_bytes(*port);
    Some(Told::Client(SocketAddr::new(address, port)))
}

#[cfg(test)]
#[path = "proxy_header/tests.rs"]
mod tests;
