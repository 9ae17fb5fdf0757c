//! Until when does a request hold its places?
//!
//! Until its answer is all but written, and no longer: a caller that may have so many in
//! progress asks again the moment the last byte has come, on another connection perhaps,
//! and must find its place free. What was taken of windows is kept, for that is settled
//! when everything is known.

use std::sync::Arc;
use std::time::Instant;

use crate::gateway::limit::{self, Permit, Reservation};
use crate::gateway::record::spend::{Served, told};
use crate::openai::Usage;

/// What one request holds. Dropping it gives everything back.
#[derive(Debug, Default)]
pub struct Stay<'a> {
    /// Among the requests that are answered at once.
    pub permit: Option<Permit<'a>>,
    /// Among those in flight of its limits, and in their windows.
    pub reservation: Option<Reservation<'a>>,
    /// Who is paid for its answer, and for how many images.
    pub bill: Option<(Arc<Served>, u32)>,
}

impl Stay<'_> {
    /// Settles what it has taken of windows, as soon as that is known: whoever asks again the
    /// moment its answer has come is not to meet its own estimate. Again, it does nothing.
    pub fn settle(&mut self, used: limit::Used, now: Instant) {
        if let Some(reservation) = &mut self.reservation {
            reservation.settle(used, now);
        }
    }

    /// The same, where the upstream has told its tokens.
    pub fn settle_usage(&mut self, usage: Usage, now: Instant) {
        let price = self.bill.as_ref().and_then(|(served, images)| {
            let used = told(usage, *images);
            served.price.map(|price| price.of(&used))
        });
        let used = limit::Used {
            tokens: usage.all(),
            usd: price.unwrap_or_default(),
        };
        self.settle(used, now);
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
