//! Was a connection dead before its request was sent?
//!
//! An upstream closes an idle connection when it likes, and may do so while we write.
//! Then nobody has looked at the request, and it may be sent once more, free of
//! charge. It may not where an answer had begun.

use pingora_core::{Error, ErrorType};

/// Whether the other side had closed this connection before our request, or says that it
/// did not look at it; and nothing of an answer came, for then it had been processed.
pub(super) fn is_stale(error: &Error) -> bool {
    let cause = error.root_cause();
    if let Some(http2) = cause.downcast_ref::<h2::Error>() {
        // RFC 9113 §8.7: a refused stream, and one above the last that a GOAWAY names.
        let refused = http2.is_remote()
            && match http2.reason() {
                Some(h2::Reason::REFUSED_STREAM) => http2.is_reset(),
                Some(h2::Reason::NO_ERROR) => http2.is_go_away(),
                _ => false,
            };
        return refused || http2.get_io().is_some_and(is_closed);
    }
    let closed = cause.downcast_ref().is_some_and(is_closed);
    match error.etype() {
        ErrorType::WriteError => closed,
        ErrorType::ReadError => closed && nothing_came(error),
        ErrorType::ConnectionClosed => nothing_came(error),
        _ => false,
    }
}

/// Whether an end of the connection inside a head came before the head's first byte.
/// pingora throws away what it read and tells its length in this way only.
fn nothing_came(error: &Error) -> bool {
    let context = error.context.as_ref();
    context.is_some_and(|context| context.as_str().ends_with("bytes already read: 0"))
}

/// Whether a connection ended, in order or not; TLS also without `close_notify`.
fn is_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::NotConnected
            | ErrorKind::UnexpectedEof
    )
}
