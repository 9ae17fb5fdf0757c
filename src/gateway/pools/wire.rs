//! What stands in the head of every request to a target?
//!
//! Upstream heads are built, never forwarded: this list is all an upstream gets
//! to see. The part that is the same for every request is rendered once, so that
//! an attempt copies bytes instead of building a map. It holds our credential and
//! is therefore neither shown nor compared.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT,
};
use pingora_http::RequestHeader;

use crate::config::Dialect;
use crate::names::Secret;

/// What we call ourselves.
const AGENT: &str = concat!("spafe/", env!("CARGO_PKG_VERSION"));

/// The head of requests to one target.
pub struct Wire {
    /// Request line and fixed fields, for HTTP/1.1.
    fixed: Bytes,
    path: String,
    authority: String,
    authorization: Option<HeaderValue>,
}

/// What differs from one request to the next.
#[derive(Debug, Clone, Copy)]
pub struct Varying<'a> {
    /// The request's id.
    pub request_id: &'a HeaderValue,
    /// Whether events are asked for.
    pub stream: bool,
    /// Bytes of the body.
    pub body_bytes: usize,
}

impl Wire {
    /// Renders the fixed part.
    #[must_use]
    pub fn new(base_path: &str, authority: &str, dialect: Dialect, key: Option<&Secret>) -> Self {
        let endpoint = match dialect {
            Dialect::OpenAi => "/chat/completions",
            Dialect::Images => "/images/generations",
        };
        let path = format!("{base_path}{endpoint}");
        let bearer = key.map(|key| format!("Bearer {}", key.expose()));
        let mut fixed = format!(
            "POST {path} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: {AGENT}\r\ncontent-type: application/json\r\naccept-encoding: identity\r\n"
        );
        if let Some(bearer) = &bearer {
            fixed.push_str("authorization: ");
            fixed.push_str(bearer);
            fixed.push_str("\r\n");
        }
        Self {
            fixed: fixed.into(),
            path,
            authority: authority.to_owned(),
            authorization: bearer.and_then(|bearer| {
                let mut value = HeaderValue::from_str(&bearer).ok()?;
                value.set_sensitive(true);
                Some(value)
            }),
        }
    }

    /// The head as HTTP/1.1 writes it, with room for `spare_bytes` of the body behind it.
    #[must_use]
    pub fn http1(&self, varying: Varying<'_>, spare_bytes: usize) -> BytesMut {
        let mut head = BytesMut::with_capacity(self.fixed.len() + 256 + spare_bytes);
        head.put_slice(&self.fixed);
        head.put_slice(b"accept: ");
        head.put_slice(varying.accept().as_bytes());
        head.put_slice(b"\r\nx-request-id: ");
        head.put_slice(varying.request_id.as_bytes());
        head.put_slice(b"\r\ncontent-length: ");
        put_decimal(&mut head, varying.body_bytes);
        head.put_slice(b"\r\n\r\n");
        head
    }

    /// The same head for HTTP/2.
    ///
    /// # Errors
    /// Where a field is no valid header; the configuration's check has excluded it.
    pub fn http2(
        &self,
        varying: Varying<'_>,
    ) -> Result<Box<RequestHeader>, Box<pingora_core::Error>> {
        let mut head = RequestHeader::build("POST", self.path.as_bytes(), Some(8))?;
        head.insert_header(HOST, self.authority.as_str())?;
        head.insert_header(USER_AGENT, AGENT)?;
        head.insert_header(CONTENT_TYPE, "application/json")?;
        head.insert_header(ACCEPT_ENCODING, "identity")?;
        if let Some(authorization) = &self.authorization {
            head.insert_header(AUTHORIZATION, authorization.clone())?;
        }
        head.insert_header(ACCEPT, varying.accept())?;
        head.insert_header("x-request-id", varying.request_id.clone())?;
        head.insert_header(CONTENT_LENGTH, varying.body_bytes)?;
        Ok(Box::new(head))
    }

    /// The head of a check: what a request carries, but for what it asks.
    ///
    /// # Errors
    /// Where a field is no valid header; the configuration's check has excluded it.
    pub fn get(&self, path: &str) -> Result<Box<RequestHeader>, Box<pingora_core::Error>> {
        let mut head = RequestHeader::build("GET", path.as_bytes(), Some(4))?;
        head.insert_header(HOST, self.authority.as_str())?;
        head.insert_header(USER_AGENT, AGENT)?;
        head.insert_header(ACCEPT_ENCODING, "identity")?;
        if let Some(authorization) = &self.authorization {
            head.insert_header(AUTHORIZATION, authorization.clone())?;
        }
        Ok(Box::new(head))
    }
}

impl Varying<'_> {
    fn accept(self) -> &'static str {
        if self.stream {
            "text/event-stream"
        } else {
            "application/json"
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn put_decimal(to: &mut BytesMut, number: usize) {
    let mut digits = [0_u8; 20];
    let mut left = number;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
        used += 1;
        if left == 0 {
            break;
        }
    }
    to.put_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varying(id: &HeaderValue) -> Varying<'_> {
        Varying {
            request_id: id,
            stream: true,
            body_bytes: 10_240,
        }
    }

    #[test]
    fn both_versions_say_the_same() {
        let key = Secret::new("sk-1");
        let wire = Wire::new("/v1", "up.test:8443", Dialect::OpenAi, Some(&key));
        let id = HeaderValue::from_static("req_1");
        let head = wire.http1(varying(&id), 0);
        let text = std::str::from_utf8(&head).unwrap();
        let expected = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: up.test:8443\r\nuser-agent: {AGENT}\r\n\
             content-type: application/json\r\naccept-encoding: identity\r\nauthorization: Bearer sk-1\r\n\
             accept: text/event-stream\r\nx-request-id: req_1\r\ncontent-length: 10240\r\n\r\n"
        );
        assert_eq!(text, expected);
        let second = wire.http2(varying(&id)).unwrap();
        for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            assert_eq!(second.headers.get(name).unwrap(), value, "{name}");
        }
        assert_eq!(second.headers.len(), 8);
    }

    #[test]
    fn the_credential_is_not_shown() {
        let key = Secret::new("sk-very-secret");
        let wire = Wire::new("/v1", "up.test", Dialect::Images, Some(&key));
        assert!(!format!("{wire:?}").contains("secret"));
    }
}
