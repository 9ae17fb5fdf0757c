//! Which trace does a request belong to?
//!
//! Its caller's, where that says so in a way that cannot be misread; else one of its own. Whatever
//! else stands in `traceparent` or `tracestate` is as if it were not there: a request is never
//! refused for how it is traced. Whether its spans are sent is decided here, once, and its upstreams
//! are told that, not what the caller has said.
//!
//! Source: W3C Trace Context, level 1.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

/// Where a caller names its trace, and we ours.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What others have written beside it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Bytes of a `tracestate`, as much as every reader has to take.
const STATE_BYTES_MAX: usize = 512;
/// Members of it.
const STATE_MEMBERS_MAX: usize = 32;

/// The trace of a request, and what of it is told.
#[derive(Debug)]
pub struct Trace {
    /// Of the whole trace; not 0.
    pub id: u128,
    /// The request's own span; not 0.
    pub span: u64,
    /// The span of whoever asks.
    pub parent: Option<u64>,
    /// Whether its spans are sent.
    pub sampled: bool,
    /// What others have written beside it.
    pub state: Option<HeaderValue>,
    /// How it was asked.
    pub method: &'static str,
    /// And in which version of HTTP.
    pub version: &'static str,
    /// Whether over TLS.
    pub tls: bool,
}

/// What a caller says of its trace.
#[derive(Debug, PartialEq, Eq)]
struct Parent {
    id: u128,
    span: u64,
    sampled: bool,
}

impl Trace {
    /// The trace of a request with this head. `samples` decides, by what the caller says of that, and
    /// `chance` names what has no name yet.
    #[must_use]
    pub fn begin(
        (method, version, tls): (&Method, Version, bool),
        headers: &HeaderMap,
        samples: impl FnOnce(Option<bool>) -> bool,
        mut chance: impl FnMut() -> u64,
    ) -> Self {
        let parent = parent(headers);
        let mut wide = || (u128::from(chance()) << 64) | u128::from(chance());
        let id = parent
            .as_ref()
            .map_or_else(|| wide().max(1), |parent| parent.id);
        Self {
            id,
            span: chance().max(1),
            sampled: samples(parent.as_ref().map(|parent| parent.sampled)),
            state: parent.as_ref().and_then(|_| state(headers)),
            parent: parent.map(|parent| parent.span),
            method: known(method),
            version: match version {
                Version::HTTP_2 => "2",
                Version::HTTP_10 => "1.0",
                _ => "1.1",
            },
            tls,
        }
    }

    /// What an upstream is told that is asked within this span.
    #[must_use]
    pub fn traceparent(&self, span: u64) -> HeaderValue {
        let Self { id, sampled, .. } = self;
        let text = format!("00-{id:032x}-{span:016x}-{:02x}", u8::from(*sampled));
        // Digits and dashes, so this never fails.
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
    }

    /// Its name, as logs have it.
    #[must_use]
    pub fn id_text(&self) -> String {
        let mut text = String::with_capacity(32);
        // A text takes whatever is written into it.
        let _ = write!(text, "{:032x}", self.id);
        text
    }
}

/// A method that there is; others would be names that callers make up.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("_OTHER")
}

/// What one `traceparent` says that stands alone and is well formed.
fn parent(headers: &HeaderMap) -> Option<Parent> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let (Some(only), None) = (values.next(), values.next()) else {
        return None;
    };
    let text = only.to_str().ok()?;
    let (known, later) = text.split_at_checked(55)?;
    let mut parts = known.split('-');
    let version = digits(parts.next()?, 2)?;
    let id = digits(parts.next()?, 32)?;
    let span = digits(parts.next()?, 16)?;
    let flags = digits(parts.next()?, 2)?;
    // A later version may go on behind a dash; the first has nothing there, and 255 is none.
    let ends = match version {
        0 => later.is_empty(),
        255 => false,
        _ => later.is_empty() || later.starts_with('-'),
    };
    let is_whole = ends && parts.next().is_none() && id != 0 && span != 0;
    is_whole.then_some(Parent {
        id,
        span: u64::try_from(span).ok()?,
        sampled: flags & 1 == 1,
    })
}

/// So many hexadecimal digits, in lower case.
fn digits(text: &str, count: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fits = text.len() == count && text.bytes().all(is_digit);
    fits.then(|| u128::from_str_radix(text, 16).ok())?
}

/// What stands in `tracestate`, in one line, where it is well formed and not too much.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(TRACESTATE).iter();
    let first = values.next()?;
    let joined = values.try_fold(first.clone(), |before, value| {
        let fits = before.len() + 1 + value.len() <= STATE_BYTES_MAX;
        let joined = fits.then(|| [before.as_bytes(), b",", value.as_bytes()].concat())?;
        HeaderValue::from_bytes(&joined).ok()
    })?;
    let text = joined.to_str().ok()?;
    let members = text
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']));
    let mut members = members.filter(|member| !member.is_empty()).peekable();
    members.peek()?;
    let mut count = 0;
    let all_well = members.all(|member| {
        count += 1;
        is_member(member)
    });
    let fits = text.len() <= STATE_BYTES_MAX && count <= STATE_MEMBERS_MAX;
    (all_well && fits).then_some(joined)
}

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else {
        return false;
    };
    let is_key =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let begins = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_value = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b'=';
    key.bytes().next().is_some_and(begins)
        && key.bytes().all(is_key)
        && !value.is_empty()
        && value.bytes().all(is_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
    const SPAN: u64 = 0x00f0_67aa_0ba9_02b7;
    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let fields = fields.iter().map(|(name, value)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (HeaderName::from_static(name), value)
        });
        fields.collect()
    }

    fn begun(headers: &HeaderMap) -> Trace {
        let mut next = 0;
        let head = (&Method::POST, Version::HTTP_11, false);
        Trace::begin(
            head,
            headers,
            |parent| parent == Some(true),
            || {
                next += 1;
                next
            },
        )
    }

    #[test]
    fn a_callers_trace_goes_on_where_it_cannot_be_misread() {
        #[track_caller]
        fn check(said: &str, expected: Option<bool>) {
            let trace = begun(&headers(&[("traceparent", said)]));
            let goes_on = (trace.id, trace.parent) == (ID, Some(SPAN));
            assert_eq!(goes_on.then_some(trace.sampled), expected, "{said}");
            if expected.is_none() {
                assert_eq!((trace.id, trace.parent), ((1 << 64) | 2, None), "{said}");
            }
        }
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        check(GOOD, Some(true));
        check(&format!("00-{trace}-00f067aa0ba902b7-00"), Some(false));
        check(&format!("00-{trace}-00f067aa0ba902b7-03"), Some(true));
        check(&format!("cc-{trace}-00f067aa0ba902b7-01"), Some(true));
        check(&format!("cc-{trace}-00f067aa0ba902b7-01-more"), Some(true));
        for bad in [
            String::new(),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{trace}-00f067aa0ba902b7-01-more"),
            format!("cc-{trace}-00f067aa0ba902b7-01.more"),
            format!("00-{trace}-00f067aa0ba902b7-1"),
            format!("00-{trace}-00f067aa0ba902b7-0g"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            GOOD.to_uppercase(),
            format!("{trace}-00f067aa0ba902b7-01"),
            format!("00-{trace}-00f067aa0ba902b-701"),
            format!("00_{trace}_00f067aa0ba902b7_01"),
            "ü".repeat(28),
        ] {
            check(&bad, None);
        }
    }

    #[test]
    fn one_that_is_said_twice_is_not_believed() {
        let trace = begun(&headers(&[("traceparent", GOOD), ("traceparent", GOOD)]));
        assert_eq!(trace.parent, None);
    }

    #[test]
    fn what_others_wrote_goes_on_within_bounds_and_with_a_trace_only() {
        #[track_caller]
        fn check(said: &[&str], expected: Option<&str>) {
            let said = said.iter().map(|said| ("tracestate", *said));
            let with: Vec<_> = said.clone().chain([("traceparent", GOOD)]).collect();
            let state = begun(&headers(&with)).state;
            assert_eq!(
                state.as_ref().map(HeaderValue::as_bytes),
                expected.map(str::as_bytes)
            );
            let without: Vec<_> = said.collect();
            assert_eq!(begun(&headers(&without)).state, None);
        }
        check(&[], None);
        check(&[""], None);
        check(&["a=1,b@c=2"], Some("a=1,b@c=2"));
        check(&["a=1", "b=2 3"], Some("a=1,b=2 3"));
        check(&["a=1, ,b=2"], Some("a=1, ,b=2"));
        for bad in ["a", "a=", "A=1", "=1", "a=1=2", "a=ü", "a=1,b"] {
            check(&[bad], None);
        }
        let many: Vec<String> = (0..33).map(|number| format!("k{number}=1")).collect();
        check(&[&many.join(",")], None);
        let fits = many[..32].join(",");
        check(&[&fits], Some(&fits));
        let long = format!("a={}", "1".repeat(510));
        check(&[&long], Some(&long));
        check(&[&format!("{long}1")], None);
        check(&[&long, "b=2"], None);
    }

    #[test]
    fn an_upstream_is_told_what_was_decided_here() {
        let trace = begun(&headers(&[("traceparent", GOOD)]));
        let expected = format!("00-{ID:032x}-00000000000000ff-01");
        assert_eq!(trace.traceparent(255), expected.as_str());
        assert_eq!(
            parent(&headers(&[("traceparent", &expected)])).unwrap().id,
            ID
        );
        let trace = begun(&HeaderMap::new());
        assert!(trace.traceparent(1).to_str().unwrap().ends_with("-00"));
        assert_eq!(trace.id_text(), "00000000000000010000000000000002");
    }
}
