//! What does a caller see of an answer?
//!
//! One keep-alive connection to a proxy. Every answer is looked at: a proxy that answers
//! an error, or loses a byte, must not come out as the fastest.

use std::io;
use std::net::SocketAddr;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wire::{self, COMPLETION};

/// No answer here is longer; a stream's events are counted and forgotten.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// One connection, and what was read from it for the answer at hand.
pub(crate) struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // Thousands of streams are cut at once; without this their ports wait for a minute.
        stream.set_zero_linger()?;
        Ok(Self {
            stream,
            answer: Vec::with_capacity(2048),
        })
    }

    /// Send a request and read its whole answer, which must be the upstream's completion.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        while !is_complete(&self.answer)? {
            self.read().await?;
        }
        match memmem::find(&self.answer, COMPLETION.as_bytes()) {
            Some(_) => Ok(()),
            None => Err(unexpected(
                "another answer than the upstream's",
                &self.answer,
            )),
        }
    }

    /// Send a request for a stream and wait for its first event.
    pub(crate) async fn open_stream(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            self.read().await?;
            let Some(end) = head_of_success(&self.answer)? else {
                continue;
            };
            let body = self.answer.get(end..).unwrap_or_default();
            if memmem::find(body, b"\n\n").is_some() {
                return Ok(());
            }
        }
    }

    /// Wait for more of an open stream; how many events ended in what came.
    pub(crate) async fn next_events(&mut self) -> io::Result<u64> {
        // The last byte stays, in case it is the first half of a blank line.
        let kept = self.answer.last().copied();
        self.answer.clear();
        self.answer.extend(kept);
        self.read().await?;
        u64::try_from(memmem::find_iter(&self.answer, b"\n\n").count()).map_err(io::Error::other)
    }

    /// Read an open stream to its proper end.
    pub(crate) async fn finish_stream(&mut self) -> io::Result<()> {
        while !self.answer.ends_with(b"\r\n0\r\n\r\n") {
            self.read().await?;
        }
        match memmem::find(&self.answer, b"data: [DONE]\n\n") {
            Some(_) => Ok(()),
            None => Err(unexpected("a stream without its end", &self.answer)),
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        if self.answer.len() > ANSWER_BYTES_MAX {
            return Err(unexpected("an answer without an end", &self.answer));
        }
        match self.stream.read_buf(&mut self.answer).await? {
            0 => Err(unexpected(
                "the connection ended within an answer",
                &self.answer,
            )),
            _ => Ok(()),
        }
    }
}

/// Whether a plain answer is there as a whole.
fn is_complete(answer: &[u8]) -> io::Result<bool> {
    let Some(end) = head_of_success(answer)? else {
        return Ok(false);
    };
    let head = answer.get(..end).unwrap_or_default();
    Ok(match wire::content_length(head)? {
        Some(length) => answer.len() >= end + length,
        None => answer.ends_with(b"\r\n0\r\n\r\n"),
    })
}

/// Where the head ends, once it is there; an error unless it says 200.
fn head_of_success(answer: &[u8]) -> io::Result<Option<usize>> {
    let Some(end) = wire::head_end(answer) else {
        return Ok(None);
    };
    if !answer.starts_with(b"HTTP/1.1 200") {
        return Err(unexpected("no success", answer));
    }
    Ok(Some(end))
}

fn unexpected(problem: &str, answer: &[u8]) -> io::Error {
    let start = answer.get(..answer.len().min(400)).unwrap_or_default();
    io::Error::other(format!("{problem}: {:?}", String::from_utf8_lossy(start)))
}
