//! What is told of a drill?
//!
//! A row for every scenario and every way of meeting it; for people, rows that differ in
//! nothing but the version of HTTP are one.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use crate::drill::client::Seen;

/// A scorecard.
#[derive(Debug, Clone, Serialize)]
pub struct Card {
    /// Every way of meeting every fault.
    pub rows: Vec<Row>,
    /// Rows in which the caller saw what they must.
    pub passed: usize,
    /// The others.
    pub failed: usize,
    /// How long all of it took.
    pub ms: u64,
}

/// What became of one way of meeting a fault.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The fault.
    pub scenario: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The version of HTTP that the upstream is spoken to with.
    pub http: &'static str,
    /// Who stands behind the upstream.
    pub behind: &'static str,
    /// What the caller saw.
    pub saw: String,
    /// Attempts, as the caller was told.
    pub attempts: Option<usize>,
    /// Requests that reached upstreams.
    pub upstream_requests: usize,
    /// Until the caller saw the end.
    pub ms: u64,
    /// Whether that is as it must be.
    pub passed: bool,
    /// Why it is not.
    pub why: Option<String>,
}

impl Card {
    pub(super) fn new(rows: Vec<Row>, took: Duration) -> Self {
        let passed = rows.iter().filter(|row| row.passed).count();
        Self {
            failed: rows.len() - passed,
            passed,
            rows,
            ms: ms(took),
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{:<30} {:<6} {:<5} {:<7} {:<41} {:>8} {:>8} {:>6}\n",
            "scenario", "asked", "http", "behind", "the caller saw", "attempts", "upstream", "ms"
        );
        let mut rest = self.rows.as_slice();
        while let Some((row, behind)) = rest.split_first() {
            let same = behind.iter().take_while(|other| row.is_like(other));
            let alike: Vec<&Row> = std::iter::once(row).chain(same).collect();
            rest = behind.get(alike.len() - 1..).unwrap_or_default();
            row.line(&alike, &mut text);
        }
        let _ = write!(
            text,
            "{} of {} passed in {:.1} s",
            self.passed,
            self.rows.len(),
            Duration::from_millis(self.ms).as_secs_f64()
        );
        text
    }
}

impl Row {
    /// Whether it differs only in what is no news.
    fn is_like(&self, other: &Self) -> bool {
        let key = |row: &Self| {
            (
                row.scenario.clone(),
                row.stream,
                row.behind,
                row.saw.clone(),
                row.attempts,
                row.upstream_requests,
                row.why.clone(),
            )
        };
        key(self) == key(other)
    }

    fn line(&self, alike: &[&Self], text: &mut String) {
        let http: Vec<&str> = alike.iter().map(|row| row.http).collect();
        let slowest = alike.iter().map(|row| row.ms).max().unwrap_or_default();
        let attempts = self.attempts.map_or("-".to_owned(), |n| n.to_string());
        let _ = writeln!(
            text,
            "{:<30} {:<6} {:<5} {:<7} {:<41} {attempts:>8} {:>8} {slowest:>6}  {}",
            self.scenario,
            if self.stream { "stream" } else { "json" },
            http.join(" "),
            self.behind,
            self.saw,
            self.upstream_requests,
            if self.passed { "ok" } else { "FAILED" },
        );
        if let Some(why) = &self.why {
            let _ = writeln!(text, "    {why}");
        }
    }
}

/// What a caller saw, in a few words.
pub(super) fn saw(seen: &Seen, stream: bool) -> String {
    let Some(status) = seen.status else {
        return if seen.gave_up { "nothing" } else { "no answer" }.to_owned();
    };
    let code = |error: Option<serde_json::Value>| {
        let code = error.as_ref().and_then(|error| error.get("code"));
        code.and_then(serde_json::Value::as_str)
            .unwrap_or("no code")
            .to_owned()
    };
    let waited = if seen.gave_up { ", no end" } else { "" };
    if status != 200 {
        return format!("{status} {}{waited}", code(seen.error()));
    }
    if !stream {
        let end = if seen.whole { "whole" } else { "broken off" };
        return format!("{status} {end}{waited}");
    }
    let events = seen.stream();
    let end = match (&events.error, events.done, seen.whole && !events.half) {
        (Some(error), ..) => format!("error event {}", code(Some(error.clone()))),
        (None, true, true) => "whole".to_owned(),
        (None, _, false) => "broken off".to_owned(),
        (None, false, true) => "ended without [DONE]".to_owned(),
    };
    format!("{status} {end}{waited}")
}

pub(super) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
