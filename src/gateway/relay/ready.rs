//! How do events leave that are all here?
//!
//! At once, or with a pause between them, so that an answer from memory looks like one that
//! is being made.

use std::time::Duration;

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;

use super::departure::{Departure, Parting};
use super::{Delivered, Delivery, Opening, broken_off, write_head};
use crate::gateway::exchange::events::StreamBreak;
use crate::gateway::limit::stay::Stay;

/// Sends events that are all here.
pub async fn at_once(
    session: &mut ServerSession,
    head: Option<ResponseHeader>,
    events: Vec<Bytes>,
) -> Delivered {
    let mut delivered = Delivered::new();
    if let Some(head) = head
        && write_head(session, head).await.is_err()
    {
        return delivered;
    }
    for event in events {
        if delivered.write(session, event, false).await.is_err() {
            return delivered;
        }
    }
    if delivered.write(session, Bytes::new(), true).await.is_ok() {
        delivered.how = Delivery::Complete;
    }
    delivered
}

/// Sends events that are all here with a pause between them, as if they were made just now.
/// The places of `stay` are given back before the last.
pub async fn paced(
    session: &mut ServerSession,
    departure: &mut Departure,
    opening: Opening,
    (events, gap): (Vec<Bytes>, Duration),
    stay: &mut Stay<'_>,
) -> Delivered {
    let mut delivered = Delivered::new();
    let Opening { head, voice } = opening;
    if let Some(head) = head
        && write_head(session, head).await.is_err()
    {
        return delivered;
    }
    let last = events.len().saturating_sub(1);
    for (number, event) in events.into_iter().enumerate() {
        if number == last {
            stay.release();
        }
        if delivered.write(session, event, false).await.is_err() {
            return delivered;
        }
        if number == last {
            break;
        }
        tokio::select! {
            biased;
            () = tokio::time::sleep(gap) => {}
            parting = departure.watch(session) => {
                if parting == Parting::Process {
                    stay.release();
                    let stopped = StreamBreak::Stopped;
                    let told = broken_off(session, &mut delivered, stopped, true, &voice).await;
                    if told.is_ok() {
                        delivered.how = Delivery::Broken(stopped);
                    }
                }
                return delivered;
            }
        }
    }
    if delivered.write(session, Bytes::new(), true).await.is_ok() {
        delivered.how = Delivery::Complete;
    }
    delivered
}
