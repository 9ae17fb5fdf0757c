//! What was called?
//!
//! Everything that a head alone decides is decided here, before a byte of the
//! body is read: bounds, Host, path, method, framing, media type. Paths are
//! compared exactly, after decoding percent signs once; nothing of a caller's
//! path or head is ever forwarded, so there is nothing to normalise.

/// What stands between the parts of a form?
pub mod boundary;
/// Do the fields of a head leave any doubt?
mod fields;
/// What is called by a path?
mod path;

use std::time::Duration;

use http::header;
use http::{HeaderValue, Method, Version};
use pingora_http::RequestHeader;

use crate::config::Config;
use crate::gateway::idiom::Idiom;
use crate::gateway::pages::Page;
use crate::gateway::refusal::Refusal;
use crate::operation::{Operation, Question};
use boundary::Boundary;
use fields::{
    are_bare, connection_is_harmless, expectation, form_boundary, is_plain_json, unambiguous,
    wished_headers,
};

/// So large a body that nobody wants is read all the same, for that is less work than to accept
/// another connection. One read takes so much.
const UNWANTED_BYTES_MAX: u64 = 64 * 1024;

/// What of the configuration is asked of a head.
#[derive(Debug, Clone)]
pub struct Rules {
    line_bytes_max: usize,
    head_bytes_max: usize,
    fields_max: usize,
    body_bytes_max: usize,
    form_bytes_max: usize,
    allowed_hosts: Vec<String>,
    origins: Vec<String>,
    public_url: Option<String>,
}

/// What was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST …/chat/completions` and whatever else a model is asked for.
    Operation(Operation),
    /// `POST …/messages`: a chat, in Anthropic's words.
    Messages,
    /// `GET …/models`
    Models,
    /// `GET …/models/{id}`
    Model(String),
    /// `GET /images/{id}`
    Image(String),
    /// `GET /` and what else is here for people.
    Page(Page),
    /// A browser asks whether it may ask; holds the headers it wants to send.
    Preflight(Option<HeaderValue>),
}

impl Endpoint {
    /// The word for the log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Operation(operation) => operation.name(),
            Self::Messages => "messages",
            Self::Models => "models",
            Self::Model(_) => "model",
            Self::Image(_) => "image",
            Self::Page(page) => page.name(),
            Self::Preflight(_) => "preflight",
        }
    }

    /// Whether a caller may need a key for it. Images are shown by browsers, which send
    /// none, and whoever knows an image's address was told it.
    #[must_use]
    pub fn asks_for_keys(&self) -> bool {
        match self {
            Self::Operation(_) | Self::Messages | Self::Models | Self::Model(_) => true,
            Self::Page(page) => page.asks_for_keys(),
            Self::Image(_) | Self::Preflight(_) => false,
        }
    }
}

/// What answers say about origins; decided first, since refusals carry it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowOrigin {
    /// `*`
    Any,
    /// This one, for it is listed.
    This(HeaderValue),
    /// None of the listed.
    Foreign,
}

/// How a body is framed, and whether its sender waits for a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// Bytes announced; `None`: chunked, or HTTP/2 without a length.
    pub length: Option<usize>,
    /// `Expect: 100-continue`
    pub awaits_continue: bool,
    /// Bytes it may have.
    pub bytes_max: usize,
    /// What stands between its parts, where it is a form.
    pub boundary: Option<Boundary>,
}

impl Rules {
    /// The rules of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            line_bytes_max: config.bounds.request_line_bytes_max,
            head_bytes_max: config.bounds.head_bytes_max,
            fields_max: config.bounds.head_fields_max,
            body_bytes_max: config.bounds.body_bytes_max,
            form_bytes_max: config.bounds.form_bytes_max,
            allowed_hosts: config.server.allowed_hosts.clone(),
            origins: config.cors.origins.clone(),
            public_url: config.server.public_url.clone(),
        }
    }

    /// Which origins the answer may tell.
    #[must_use]
    pub fn allow_origin(&self, head: &RequestHeader) -> AllowOrigin {
        if self.origins.is_empty() {
            return AllowOrigin::Any;
        }
        match head.headers.get(header::ORIGIN) {
            Some(origin) if self.lists(origin) => AllowOrigin::This(origin.clone()),
            _ => AllowOrigin::Foreign,
        }
    }

    /// Which origins the answer may tell where the head could not be read.
    #[must_use]
    pub fn allow_unknown_origin(&self) -> AllowOrigin {
        if self.origins.is_empty() {
            AllowOrigin::Any
        } else {
            AllowOrigin::Foreign
        }
    }

    /// How long the caller waits at most, where it says so, less a moment in which it can
    /// still be told that nobody answered.
    #[must_use]
    pub fn patience(&self, head: &RequestHeader) -> Option<Duration> {
        fields::patience(&head.headers)
    }

    fn lists(&self, origin: &HeaderValue) -> bool {
        let listed = |known: &String| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
        self.origins.iter().any(listed)
    }

    /// What was called, where the head may come in.
    ///
    /// `raw_bytes` is the head's size on the wire; `None` for HTTP/2, whose
    /// header list is bounded when it is decoded.
    ///
    /// # Errors
    /// The refusal the caller sees.
    pub fn enter(&self, head: &RequestHeader, raw: Option<&[u8]>) -> Result<Endpoint, Refusal> {
        self.bounds(head, raw)?;
        connection_is_harmless(&head.headers)?;
        self.host(head)?;
        if head.method == Method::OPTIONS {
            return Ok(Endpoint::Preflight(wished_headers(&head.headers)));
        }
        if head.method == Method::CONNECT && matches!(head.uri.path(), "" | "/") {
            let allow = "GET, HEAD, POST, OPTIONS";
            return Err(Refusal::MethodNotAllowed { allow });
        }
        let endpoint = path::endpoint(&head.uri)?;
        method_fits(&endpoint, &head.method)?;
        Ok(endpoint)
    }

    /// In which protocol a head asks, whatever is said of it: refusals are written in that, too.
    #[must_use]
    pub fn idiom(head: &RequestHeader) -> Idiom {
        path::idiom(&head.uri)
    }

    /// How the body comes, where it may come in.
    ///
    /// # Errors
    /// The refusal the caller sees.
    pub fn body(
        &self,
        head: &RequestHeader,
        raw: Option<&[u8]>,
        question: Question,
    ) -> Result<Framing, Refusal> {
        unambiguous(&head.headers, raw)?;
        let awaits_continue = expectation(&head.headers)?;
        let (boundary, bytes_max) = match question {
            Question::Json => {
                is_plain_json(&head.headers)?;
                (None, self.body_bytes_max)
            }
            Question::Form => (Some(form_boundary(&head.headers)?), self.form_bytes_max),
        };
        let length = fields::length(&head.headers);
        if length.is_some_and(|length| length > bytes_max as u64) {
            return Err(Refusal::BodyTooLarge);
        }
        Ok(Framing {
            length: length.and_then(|length| usize::try_from(length).ok()),
            awaits_continue,
            bytes_max,
            boundary,
        })
    }

    /// Whether a body that nobody wants is worth reading: what stands behind it is a request,
    /// without any doubt, and soon. Asked of a head that has come in.
    #[must_use]
    pub fn is_soon_over(head: &RequestHeader) -> bool {
        fields::is_soon_over(&head.headers, UNWANTED_BYTES_MAX)
    }

    /// What the URLs of generated images begin with.
    #[must_use]
    pub fn base_url(&self, head: &RequestHeader, tls: bool) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let scheme = if tls { "https" } else { "http" };
        let host = authority(head).unwrap_or("localhost");
        format!("{scheme}://{host}")
    }

    fn bounds(&self, head: &RequestHeader, raw: Option<&[u8]>) -> Result<(), Refusal> {
        if let Some(raw) = raw {
            let line = memchr::memchr(b'\n', raw).unwrap_or(raw.len());
            if line > self.line_bytes_max {
                return Err(Refusal::UriTooLong);
            }
            if raw.len() > self.head_bytes_max {
                return Err(Refusal::HeadersTooLarge);
            }
        } else if head.uri.path().len() > self.line_bytes_max {
            return Err(Refusal::UriTooLong);
        }
        if head.headers.len() > self.fields_max {
            return Err(Refusal::HeadersTooLarge);
        }
        if head.version == Version::HTTP_2 && !are_bare(&head.headers) {
            return Err(Refusal::MalformedHead);
        }
        Ok(())
    }

    fn host(&self, head: &RequestHeader) -> Result<(), Refusal> {
        let mut hosts = head.headers.get_all(header::HOST).iter();
        let host = hosts.next();
        if hosts.next().is_some() || (host.is_none() && head.version != Version::HTTP_2) {
            return Err(Refusal::BadHost);
        }
        if let (Some(host), Some(target)) = (host, head.uri.authority())
            && !host
                .as_bytes()
                .eq_ignore_ascii_case(target.as_str().as_bytes())
        {
            return Err(Refusal::BadHost);
        }
        let name = authority(head).and_then(host_name);
        let name = name.ok_or(Refusal::BadHost)?;
        let is_name = |allowed: &String| allowed.eq_ignore_ascii_case(name);
        if self.allowed_hosts.is_empty() || self.allowed_hosts.iter().any(is_name) {
            Ok(())
        } else {
            Err(Refusal::UnknownHost)
        }
    }
}

/// The request's authority: `:authority` or the absolute form, else `Host`.
fn authority(head: &RequestHeader) -> Option<&str> {
    if let Some(authority) = head.uri.authority() {
        return Some(authority.as_str());
    }
    head.headers.get(header::HOST)?.to_str().ok()
}

/// The host without its port, if it can be one at all.
fn host_name(authority: &str) -> Option<&str> {
    let (name, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (name, rest) = rest.split_once(']')?;
            name.parse::<std::net::Ipv6Addr>().ok()?;
            (
                name,
                rest.strip_prefix(':').or(rest.is_empty().then_some("")),
            )
        }
        None => match authority.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (authority, Some("")),
        },
    };
    let port = port?;
    // A number's parser takes a sign, too.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port_fits = port.is_empty() || (digits && port.parse::<u16>().is_ok());
    let is_name =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    (!name.is_empty() && port_fits && name.bytes().all(is_name)).then_some(name)
}

fn method_fits(endpoint: &Endpoint, method: &Method) -> Result<(), Refusal> {
    let (fits, allow) = match endpoint {
        Endpoint::Operation(_) | Endpoint::Messages => (method == Method::POST, "POST, OPTIONS"),
        Endpoint::Models
        | Endpoint::Model(_)
        | Endpoint::Image(_)
        | Endpoint::Page(_)
        | Endpoint::Preflight(_) => (
            method == Method::GET || method == Method::HEAD,
            "GET, HEAD, OPTIONS",
        ),
    };
    if fits {
        Ok(())
    } else {
        Err(Refusal::MethodNotAllowed { allow })
    }
}

#[cfg(test)]
#[path = "door/tests.rs"]
mod tests;
