//! What stands in the head of every request to a target?
//!
//! Upstream heads are built, never forwarded: this list is all an upstream gets
//! to see. The part that is the same for every request is rendered once, so that
//! an attempt copies bytes instead of building a map. It holds our credential and
//! is therefore neither shown nor compared.

/// How does a request's head differ from one dialect to the next?
pub mod manner;
/// What of a head differs from one request to the next?
mod varying;

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use pingora_http::RequestHeader;

use crate::names::Secret;
use manner::{Manner, Path};
pub use varying::{Passed, Traced, Varying};

/// What we call ourselves.
const AGENT: &str = concat!("spafe/", env!("CARGO_PKG_VERSION"));
/// The field of Anthropic's for what is not in everybody's protocol yet.
const BETA: &str = "anthropic-beta";

/// The head of requests to one target.
pub struct Wire {
    /// What is the same in every head, for HTTP/1.1: the fixed fields, and before them the
    /// request line where `path` is known.
    fixed: Bytes,
    /// The fixed fields of a request that goes through as it came, whose path and media type
    /// are its own.
    passed: Bytes,
    /// The path of every request; `None`: it differs from one to the next.
    path: Option<String>,
    base_path: String,
    paths: Path,
    authority: String,
    fields: &'static [(&'static str, &'static str)],
    credential: Option<(&'static str, HeaderValue)>,
}

impl Wire {
    /// Renders the fixed part.
    #[must_use]
    pub fn new(base_path: &str, authority: &str, manner: Manner, key: Option<&Secret>) -> Self {
        let Manner {
            path: paths,
            credential,
            fields,
        } = manner;
        let path = paths.fixed().map(|path| format!("{base_path}{path}"));
        let shown = key.map(|key| credential.field(key.expose()));
        let mut own = String::new();
        let shown_fields = shown.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in fields.iter().copied().chain(shown_fields) {
            // Writing to a string does not fail.
            let _ = write!(own, "{name}: {value}\r\n");
        }
        let begin = path.as_deref().map(line).unwrap_or_default();
        let caller = format!("host: {authority}\r\nuser-agent: {AGENT}\r\n");
        let identity = "accept-encoding: identity\r\n";
        Self {
            fixed: format!("{begin}{caller}content-type: application/json\r\n{identity}{own}")
                .into(),
            passed: format!("{caller}{identity}{own}").into(),
            path,
            base_path: base_path.to_owned(),
            paths,
            authority: authority.to_owned(),
            fields,
            credential: shown.and_then(|(name, value)| {
                let mut value = HeaderValue::from_str(&value).ok()?;
                value.set_sensitive(true);
                Some((name, value))
            }),
        }
    }

    /// The head as HTTP/1.1 writes it, with room for `spare_bytes` of the body behind it.
    #[must_use]
    pub fn http1(&self, varying: Varying<'_>, spare_bytes: usize) -> BytesMut {
        let mut head = BytesMut::with_capacity(self.fixed.len() + 256 + spare_bytes);
        if let Some(passed) = varying.passed {
            head.put_slice(line(&self.path(varying)).as_bytes());
            head.put_slice(&self.passed);
            head.put_slice(b"content-type: ");
            head.put_slice(passed.media_type.as_bytes());
            head.put_slice(b"\r\n");
        } else {
            if self.path.is_none() {
                head.put_slice(line(&self.path(varying)).as_bytes());
            }
            head.put_slice(&self.fixed);
        }
        head.put_slice(b"accept: ");
        head.put_slice(varying.accept().as_bytes());
        head.put_slice(b"\r\nx-request-id: ");
        head.put_slice(varying.request_id.as_bytes());
        for (name, value) in varying.more() {
            head.put_slice(b"\r\n");
            head.put_slice(name.as_bytes());
            head.put_slice(b": ");
            head.put_slice(value.as_bytes());
        }
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
        let path = self.path(varying);
        let mut head = self.fixed("POST", &path)?;
        if let Some(passed) = varying.passed {
            head.insert_header(CONTENT_TYPE, passed.media_type)?;
        }
        head.insert_header(ACCEPT, varying.accept())?;
        head.insert_header("x-request-id", varying.request_id.clone())?;
        for (name, value) in varying.more() {
            head.insert_header(name, value.clone())?;
        }
        head.insert_header(CONTENT_LENGTH, varying.body_bytes)?;
        Ok(Box::new(head))
    }

    /// The head of a check: what a request carries, but for what it asks.
    ///
    /// # Errors
    /// Where a field is no valid header; the configuration's check has excluded it.
    pub fn get(&self, path: &str) -> Result<Box<RequestHeader>, Box<pingora_core::Error>> {
        Ok(Box::new(self.fixed("GET", path)?))
    }

    /// What is the same in every head of this method.
    fn fixed(&self, method: &str, path: &str) -> Result<RequestHeader, Box<pingora_core::Error>> {
        let mut head = RequestHeader::build(method, path.as_bytes(), Some(10))?;
        head.insert_header(HOST, self.authority.as_str())?;
        head.insert_header(USER_AGENT, AGENT)?;
        if method == "POST" {
            head.insert_header(CONTENT_TYPE, "application/json")?;
        }
        head.insert_header(ACCEPT_ENCODING, "identity")?;
        for (name, value) in self.fields {
            head.insert_header(*name, *value)?;
        }
        if let Some((name, value)) = &self.credential {
            head.insert_header(*name, value.clone())?;
        }
        Ok(head)
    }

    fn path(&self, varying: Varying<'_>) -> Cow<'_, str> {
        if let Some(passed) = varying.passed {
            let (base_path, model) = (&self.base_path, varying.model);
            return Cow::Owned(self.paths.passed(base_path, model, passed.path));
        }
        match &self.path {
            Some(path) => Cow::Borrowed(path),
            None => Cow::Owned(
                self.paths
                    .of(&self.base_path, varying.model, varying.stream),
            ),
        }
    }
}

/// A request line of HTTP/1.1.
fn line(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\n")
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
    use super::manner::Credential;
    use super::*;

    const OPENAI: Manner = Manner {
        path: Path::Fixed("/chat/completions"),
        credential: Credential::Bearer,
        fields: &[],
    };

    fn varying(id: &HeaderValue) -> Varying<'_> {
        Varying {
            request_id: id,
            model: "m/1",
            stream: true,
            body_bytes: 10_240,
            passed: None,
            beta: None,
            traced: None,
        }
    }

    /// What both versions of HTTP say; in HTTP/1.1 this.
    #[track_caller]
    fn check(manner: Manner, path: &str, own: &str) {
        let key = Secret::new("sk-1");
        let wire = Wire::new("/v1", "up.test:8443", manner, Some(&key));
        let id = HeaderValue::from_static("req_1");
        let head = wire.http1(varying(&id), 0);
        let text = std::str::from_utf8(&head).unwrap();
        let expected = format!(
            "POST {path} HTTP/1.1\r\nhost: up.test:8443\r\nuser-agent: {AGENT}\r\n\
             content-type: application/json\r\naccept-encoding: identity\r\n{own}\
             accept: text/event-stream\r\nx-request-id: req_1\r\ncontent-length: 10240\r\n\r\n"
        );
        assert_eq!(text, expected);
        let second = wire.http2(varying(&id)).unwrap();
        assert_eq!(second.uri, path);
        let fields = text.lines().skip(1).filter(|line| !line.is_empty());
        for line in fields.clone() {
            let (name, value) = line.split_once(": ").unwrap();
            assert_eq!(second.headers.get(name).unwrap(), value, "{name}");
        }
        assert_eq!(second.headers.len(), fields.count());
        // A check carries the credential, too.
        let checked = wire.get("/v1/models").unwrap();
        for line in own.lines() {
            let (name, value) = line.split_once(": ").unwrap();
            assert_eq!(checked.headers.get(name).unwrap(), value, "{name}");
        }
    }

    #[test]
    fn both_versions_say_the_same() {
        let bearer = "authorization: Bearer sk-1\r\n";
        check(OPENAI, "/v1/chat/completions", bearer);
    }

    #[test]
    fn what_goes_through_has_a_path_and_a_media_type_of_its_own() {
        let key = Secret::new("sk-1");
        let wire = Wire::new("/v1", "up.test", OPENAI, Some(&key));
        let id = HeaderValue::from_static("req_1");
        let varying = Varying {
            stream: false,
            passed: Some(Passed {
                path: "/audio/transcriptions",
                media_type: "multipart/form-data; boundary=b",
                accept: "*/*",
            }),
            ..varying(&id)
        };
        let head = wire.http1(varying, 0);
        let text = std::str::from_utf8(&head).unwrap();
        let expected = format!(
            "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: up.test\r\nuser-agent: {AGENT}\r\n\
             accept-encoding: identity\r\nauthorization: Bearer sk-1\r\n\
             content-type: multipart/form-data; boundary=b\r\naccept: */*\r\n\
             x-request-id: req_1\r\ncontent-length: 10240\r\n\r\n"
        );
        assert_eq!(text, expected);
        let second = wire.http2(varying).unwrap();
        assert_eq!(second.uri, "/v1/audio/transcriptions");
        for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            assert_eq!(second.headers.get(name).unwrap(), value, "{name}");
        }
    }

    #[test]
    fn a_dialect_has_its_own_path_credential_and_fields() {
        let manner = Manner {
            path: Path::Named {
                before: "/of/",
                whole: ":whole".into(),
                events: ":events?alt=sse".into(),
            },
            credential: Credential::Field("x-api-key"),
            fields: &[("a-version", "1")],
        };
        let own = "a-version: 1\r\nx-api-key: sk-1\r\n";
        check(manner, "/v1/of/m%2F1:events?alt=sse", own);
    }

    #[test]
    fn a_trace_is_told_where_there_is_one() {
        let wire = Wire::new("/v1", "up.test", OPENAI, None);
        let id = HeaderValue::from_static("req_1");
        let (parent, state) = (
            HeaderValue::from_static("00-1"),
            HeaderValue::from_static("a=1"),
        );
        for (state, expected) in [
            (
                None,
                "x-request-id: req_1\r\ntraceparent: 00-1\r\ncontent-length: 10240\r\n",
            ),
            (
                Some(&state),
                "x-request-id: req_1\r\ntraceparent: 00-1\r\ntracestate: a=1\r\ncontent-length: 10240\r\n",
            ),
        ] {
            let parent = &parent;
            let varying = Varying {
                traced: Some(Traced { parent, state }),
                ..varying(&id)
            };
            let head = wire.http1(varying, 0);
            let text = std::str::from_utf8(&head).unwrap();
            assert!(text.contains(expected), "{text}");
            let second = wire.http2(varying).unwrap();
            assert_eq!(second.headers.get("traceparent"), Some(parent));
            assert_eq!(second.headers.get("tracestate"), state);
        }
    }

    #[test]
    fn the_credential_is_not_shown() {
        let key = Secret::new("sk-very-secret");
        let wire = Wire::new("/v1", "up.test", OPENAI, Some(&key));
        assert!(!format!("{wire:?}").contains("secret"));
    }
}
