//! What is counted of the request log?

use prometheus::IntCounter;

use super::make::Make;

/// Lines, and those that there are none of.
#[derive(Debug)]
pub struct JournalMetrics {
    /// `spafe_request_log_lines_total`
    pub written: IntCounter,
    /// `spafe_request_log_lines_dropped_total`
    pub dropped: IntCounter,
    /// `spafe_request_log_lines_sampled_out_total`
    pub sampled_out: IntCounter,
    /// `spafe_requests_slow_total`
    pub slow: IntCounter,
    /// `spafe_process_log_lines_dropped_total`
    pub of_process_dropped: IntCounter,
}

impl JournalMetrics {
    pub(super) fn new(new: &Make<'_>) -> Self {
        Self {
            written: new.counter(
                "spafe_request_log_lines_total",
                "Request log lines written since start.",
            ),
            dropped: new.counter(
                "spafe_request_log_lines_dropped_total",
                "Request log lines dropped since start because the sink was slow.",
            ),
            sampled_out: new.counter(
                "spafe_request_log_lines_sampled_out_total",
                "Requests that went well and left no line, because their id was not drawn.",
            ),
            slow: new.counter(
                "spafe_requests_slow_total",
                "Requests that took longer than [log] slow.",
            ),
            of_process_dropped: new.counter(
                "spafe_process_log_lines_dropped_total",
                "Lines of the log of the process dropped since start because nobody read them.",
            ),
        }
    }

    /// Takes what the logs have counted themselves, that of the process `of_process_dropped`.
    pub fn take(&self, written: u64, dropped: u64, of_process_dropped: u64) {
        for (counter, counted) in [
            (&self.written, written),
            (&self.dropped, dropped),
            (&self.of_process_dropped, of_process_dropped),
        ] {
            counter.inc_by(counted.saturating_sub(counter.get()));
        }
    }
}
