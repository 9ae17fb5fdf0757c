//! Until when does a request hold its places?
//!
//! Until its answer is all but written, and no longer: a caller that may have so many in
//! progress asks again the moment the last byte has come, on another connection perhaps,
//! and must find its place free. What was taken of windows is kept, for that is settled
//! when everything is known.

use std::time::Instant;

use crate::gateway::limit::{Permit, Reservation};

/// What one request holds. Dropping it gives everything back.
#[derive(Debug, Default)]
pub struct Stay<'a> {
    /// Among the requests that are answered at once.
    pub permit: Option<Permit<'a>>,
    /// Among those in flight of its limits, and in their windows.
    pub reservation: Option<Reservation<'a>>,
}

impl Stay<'_> {
    /// Settles what it has taken of windows, as soon as that is known: whoever asks again the
    /// moment its answer has come is not to meet its own estimate. Again, it does nothing.
    pub fn settle(&mut self, tokens: u64, now: Instant) {
        if let Some(reservation) = &mut self.reservation {
            reservation.settle(tokens, now);
        }
    }

    /// Gives the places back, right before what a caller takes for the end is written. Again,
    /// it does nothing.
    pub fn release(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.release();
        }
        if let Some(reservation) = &mut self.reservation {
            reservation.release();
        }
    }
}
