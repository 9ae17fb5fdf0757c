//! An answer that is not held.
//!
//! One that is too large for that, or that there is no room for, or that is no JSON: sound is
//! passed on as it comes, since somebody listens. It is committed with what was read before,
//! and from then on can only be broken off. Of its head nothing is passed on but what it is,
//! and that only if it is one of the few kinds that an answer may be.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, header};

use crate::gateway::body::Share;
use crate::gateway::exchange::failure::AttemptError;
use crate::gateway::exchange::source::Source;
use crate::gateway::exchange::upstream::Upstream;
use crate::gateway::exchange::whole::shorter;
use crate::operation::Operation;
use crate::sys;

/// Bytes of a media type, parameters included.
const MEDIA_TYPE_BYTES_MAX: usize = 128;

/// An answer on its way through.
pub struct Through {
    /// What was read before that showed, and what it counts.
    pub(super) begin: Vec<Bytes>,
    pub(super) share: Option<Share>,
    /// Whether it is too large, and not only too large now.
    pub is_too_large: bool,
    /// Its length, where the upstream told and its caller is told: what comes in chunks leaves
    /// at once, and with a length only when there is enough of it.
    pub length: Option<usize>,
    /// Its length, where the upstream told.
    pub(super) announced: Option<usize>,
    /// What it is.
    pub media_type: HeaderValue,
    pub(super) upstream: Upstream,
    pub(super) source: Source,
    pub(super) deadline: Instant,
    /// Within what time more of it must come; `None`: at any time before the deadline.
    pub(super) gap: Option<Duration>,
    /// Bytes that were handed out.
    pub(super) passed: usize,
}

impl Through {
    /// What was read before, with what counts it until it has been taken.
    pub fn begin(&mut self) -> (Vec<Bytes>, Option<Share>) {
        let begin = std::mem::take(&mut self.begin);
        self.passed += begin.iter().map(Bytes::len).sum::<usize>();
        (begin, self.share.take())
    }

    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// Where the upstream breaks off or takes too long; the answer cannot be completed then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, AttemptError> {
        let what = "an answer passing through";
        let deadline = match self.gap {
            Some(gap) => self.deadline.min(sys::instant() + gap),
            None => self.deadline,
        };
        let next = match self.upstream.body(deadline, what).await {
            Ok(None) if self.announced.is_some_and(|length| length != self.passed) => {
                Err(shorter())
            }
            next => next,
        };
        if let Ok(Some(part)) = &next {
            self.passed += part.len();
        }
        next.inspect_err(|error| self.source.broke(error))
    }

    /// Gives the upstream's connection back.
    pub async fn finish(self) {
        self.upstream.release().await;
    }
}

/// JSON.
pub(super) fn json() -> HeaderValue {
    HeaderValue::from_static("application/json")
}

/// What an answer is that is no JSON, if it is one that may be given: never a page, which a
/// browser would show as ours.
pub(super) fn media_type(operation: Operation, upstream: &Upstream) -> Option<HeaderValue> {
    let mut types = upstream.headers().get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else {
        return None;
    };
    let text = only.to_str().ok()?;
    let kind = text.split(';').next().unwrap_or_default().trim();
    (fits(operation, kind) && text.len() <= MEDIA_TYPE_BYTES_MAX).then(|| only.clone())
}

fn fits(operation: Operation, kind: &str) -> bool {
    const TEXTS: [&str; 5] = [
        "text/plain",
        "text/vtt",
        "text/srt",
        "application/x-subrip",
        "application/srt",
    ];
    let is = |known: &str| kind.eq_ignore_ascii_case(known);
    match operation {
        Operation::Speech => {
            let sound = kind
                .get(..6)
                .map(|kind| kind.eq_ignore_ascii_case("audio/"));
            sound == Some(true) || is("application/octet-stream")
        }
        Operation::Transcriptions => TEXTS.into_iter().any(is),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_kinds_pass_and_no_page() {
        for (operation, kind, passes) in [
            (Operation::Speech, "audio/mpeg", true),
            (Operation::Speech, "Audio/L16", true),
            (Operation::Speech, "application/octet-stream", true),
            (Operation::Speech, "text/html", false),
            (Operation::Speech, "image/svg+xml", false),
            (Operation::Speech, "application/json", false),
            (Operation::Speech, "", false),
            (Operation::Transcriptions, "text/plain", true),
            (Operation::Transcriptions, "text/vtt", true),
            (Operation::Transcriptions, "text/html", false),
            (Operation::Transcriptions, "audio/mpeg", false),
            (Operation::Embeddings, "text/plain", false),
        ] {
            assert_eq!(fits(operation, kind), passes, "{operation:?} {kind}");
        }
    }
}
