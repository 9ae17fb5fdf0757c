//! What does a trace learn of it?
//!
//! Nothing is done here where no collector is told anything: one look, and no clock, no chance and
//! no memory.

use std::sync::Arc;
use std::time::Instant;

use super::Visit;
use crate::gateway::body::Held;
use crate::gateway::dialect::original::Original;
use crate::gateway::record::trace::Trace;
use crate::gateway::record::transcript::Transcript;
use crate::gateway::work::Taken;
use crate::sys;

impl Visit<'_> {
    /// Finds out which trace it belongs to, where traces are told of.
    pub(in crate::gateway) fn trace(&mut self, tls: bool) {
        let Some(otlp) = self.snapshot.otlp.as_ref().filter(|otlp| otlp.traces()) else {
            return;
        };
        let head = self.session.req_header();
        let draw = |parent: Option<bool>| otlp.samples(parent, sys::chance());
        let asked = (&head.method, head.version, tls);
        let trace = Trace::begin(asked, &head.headers, draw, sys::chance);
        let transcript = || Box::new(Transcript::new(otlp.content_bytes()));
        self.record.heard = trace.sampled.then(transcript);
        self.record.trace = Some(Arc::new(trace));
    }

    /// Hears what is asked, as its caller said it, unless it is a form.
    pub(in crate::gateway) fn hear_question(
        &mut self,
        body: &[u8],
        original: Option<&(Original, Held)>,
        is_text: bool,
    ) {
        if let Some(heard) = self.record.heard.as_mut().filter(|_| is_text) {
            heard.question(original.map_or(body, |(original, _)| &original.body));
        }
    }

    /// Hears an answer that is here.
    pub(super) fn hear(&mut self, taken: &Taken) {
        let Some(heard) = &mut self.record.heard else {
            return;
        };
        match taken {
            Taken::Whole { bytes, .. } => heard.answer(bytes),
            Taken::Said(events) => events.iter().for_each(|event| heard.answer(event)),
            // Events are heard as they pass by, and what is not held is not heard.
            Taken::Events(_) | Taken::Through(_) => {}
        }
    }

    /// Tells a collector what happened, where there is one.
    pub(in crate::gateway) fn export(&self, now: Instant) {
        if let Some(otlp) = &self.snapshot.otlp {
            self.record.export(now, otlp);
        }
    }
}
