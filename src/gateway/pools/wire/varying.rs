//! What of a head differs from one request to the next?

use http::HeaderValue;

use super::BETA;

/// What differs from one request to the next.
#[derive(Debug, Clone, Copy)]
pub struct Varying<'a> {
    /// The request's id.
    pub request_id: &'a HeaderValue,
    /// What the model is called there; some paths name it.
    pub model: &'a str,
    /// Whether events are asked for.
    pub stream: bool,
    /// Bytes of the body.
    pub body_bytes: usize,
    /// Where it goes through as it came: where to, and as what.
    pub passed: Option<Passed<'a>>,
    /// What betas the caller wants, of a pool that speaks its protocol.
    pub beta: Option<&'a HeaderValue>,
    /// The trace it belongs to, where the pool is told.
    pub traced: Option<Traced<'a>>,
}

/// The trace a request belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Traced<'a> {
    /// The trace and the span that asks.
    pub parent: &'a HeaderValue,
    /// What others have written beside it.
    pub state: Option<&'a HeaderValue>,
}

/// What is the caller's own of a request that goes through as it came.
#[derive(Debug, Clone, Copy)]
pub struct Passed<'a> {
    /// Its path, behind the base path of its target.
    pub path: &'static str,
    /// What its body is.
    pub media_type: &'a str,
    /// Which answers are taken, where no events are wanted.
    pub accept: &'static str,
}

impl<'a> Varying<'a> {
    /// Fields that not every request has.
    pub(super) fn more(self) -> impl Iterator<Item = (&'static str, &'a HeaderValue)> {
        let parent = self.traced.map(|traced| ("traceparent", traced.parent));
        let state = self.traced.and_then(|traced| traced.state);
        let beta = self.beta.map(|beta| (BETA, beta));
        beta.into_iter()
            .chain(parent)
            .chain(state.map(|state| ("tracestate", state)))
    }

    /// What is to come back.
    pub(super) fn accept(self) -> &'static str {
        if self.stream {
            "text/event-stream"
        } else {
            self.passed.map_or("application/json", |it| it.accept)
        }
    }
}
