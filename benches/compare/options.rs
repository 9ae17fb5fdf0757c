//! What did the caller ask to be compared, and how long may it take?
//!
//! The defaults are the run whose numbers are quoted; everything else is there to look
//! closer at one thing while working on it.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::subject::Subject;

/// Compare spafe, as a whole process, with a bare pass-through, nginx and HAProxy.
#[derive(Parser)]
#[command(name = "compare", bin_name = "cargo bench --bench compare --")]
pub(crate) struct Options {
    /// Compare only these, in this order.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Subject::DEFAULT)]
    pub(crate) only: Vec<Subject>,

    /// Measure only this.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = What::ALL)]
    pub(crate) what: Vec<What>,

    /// How often each is measured, in turns; the table shows medians. Five, or two with `--quick`.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,

    /// Two short rounds and few streams: to see that all works, not to quote numbers.
    #[arg(long)]
    quick: bool,

    /// What `cargo bench` adds by itself.
    #[arg(long, hide = true)]
    bench: bool,
}

/// One group of measurements.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// CPU time of a request of 264 bytes.
    Small,
    /// CPU time of requests of 32 KiB and 1 MiB.
    Large,
    /// CPU time of a server-sent event.
    Sse,
    /// What is added to the time of an answer, at 500 requests a second.
    Latency,
    /// Memory of an open stream.
    Memory,
    /// Time to the first answer, and memory after it.
    Start,
}

/// How much is done in one measurement.
pub(crate) struct Effort {
    /// Interleaved rounds of everything but memory.
    pub(crate) rounds: u16,
    /// Rounds of the memory measurement: it hardly varies, and takes longest.
    pub(crate) memory_rounds: u16,
    /// Load that is not counted, for connections to open and heaps to grow.
    pub(crate) warm_up: Duration,
    /// Load that is counted.
    pub(crate) window: Duration,
    /// Paced requests of one latency measurement.
    pub(crate) latency_samples: usize,
    /// Streams that are open at once while memory is measured.
    pub(crate) streams: usize,
    /// How long a process is left alone before its memory is read.
    pub(crate) settle: Duration,
}

impl What {
    const ALL: [Self; 6] = [
        Self::Small,
        Self::Large,
        Self::Sse,
        Self::Latency,
        Self::Memory,
        Self::Start,
    ];
}

impl Options {
    /// The amount of work: the full run takes about four minutes for the four subjects.
    pub(crate) fn effort(&self) -> Effort {
        let rounds = self.rounds.unwrap_or(if self.quick { 2 } else { 5 });
        if self.quick {
            return Effort {
                rounds,
                memory_rounds: 1,
                warm_up: Duration::from_millis(100),
                window: Duration::from_millis(300),
                latency_samples: 150,
                streams: 500,
                settle: Duration::from_millis(200),
            };
        }
        Effort {
            rounds,
            memory_rounds: rounds.min(3),
            warm_up: Duration::from_millis(300),
            window: Duration::from_millis(1200),
            latency_samples: 750,
            streams: 5000,
            settle: Duration::from_secs(1),
        }
    }
}
