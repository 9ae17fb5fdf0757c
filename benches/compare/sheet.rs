//! How do the numbers become a table that can be trusted?
//!
//! Subjects are measured in turns, so that what the machine does meanwhile hits them all.
//! A ratio is made within a round, from two numbers that were measured seconds apart, and
//! only then the median over the rounds is taken; its smallest and largest value stand
//! beside the target, since a verdict within that spread is none.

use std::fmt::{self, Write as _};

use crate::subject::Subject;

const LABEL_WIDTH: usize = 30;
const CELL_WIDTH: usize = 17;

/// One line of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    SmallRequest,
    SmallCore,
    MediumRequest,
    LargeRequest,
    Event,
    AddedMedian,
    AddedP99,
    StreamMemory,
    IdleMemory,
    FirstAnswer,
}

/// What spafe is to keep, for one row.
#[derive(Clone, Copy)]
enum Target {
    /// At most this, divided by the reference's number of the same round.
    Ratio(f64),
    /// At most this, in the row's unit.
    Value(f64),
}

impl Row {
    const ALL: [Self; 10] = [
        Self::SmallRequest,
        Self::SmallCore,
        Self::MediumRequest,
        Self::LargeRequest,
        Self::Event,
        Self::AddedMedian,
        Self::AddedP99,
        Self::StreamMemory,
        Self::IdleMemory,
        Self::FirstAnswer,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::SmallRequest => "request of 264 B, CPU µs",
            Self::SmallCore => "    its core in use, %",
            Self::MediumRequest => "request of 32 KiB, CPU µs",
            Self::LargeRequest => "request of 1 MiB, CPU µs",
            Self::Event => "event of a stream, CPU µs",
            Self::AddedMedian => "added to an answer, p50 µs",
            Self::AddedP99 => "added to an answer, p99 µs",
            Self::StreamMemory => "memory of a stream, KiB",
            Self::IdleMemory => "memory when idle, MiB",
            Self::FirstAnswer => "start to first answer, ms",
        }
    }

    fn target(self) -> Option<Target> {
        match self {
            Self::SmallRequest | Self::Event => Some(Target::Ratio(1.0)),
            Self::MediumRequest | Self::LargeRequest => Some(Target::Ratio(1.1)),
            Self::StreamMemory => Some(Target::Value(48.0)),
            Self::IdleMemory => Some(Target::Value(25.0)),
            Self::FirstAnswer => Some(Target::Value(100.0)),
            Self::SmallCore | Self::AddedMedian | Self::AddedP99 => None,
        }
    }
}

/// One number.
struct Sample {
    round: u16,
    subject: Subject,
    row: Row,
    value: f64,
}

/// All numbers of a run; its `Display` is the table.
pub(crate) struct Sheet {
    subjects: Vec<Subject>,
    samples: Vec<Sample>,
}

impl Sheet {
    pub(crate) fn new(subjects: Vec<Subject>) -> Self {
        Self {
            subjects,
            samples: Vec::new(),
        }
    }

    /// Write down what one measurement of one round has found.
    pub(crate) fn add(&mut self, round: u16, subject: Subject, found: Vec<(Row, f64)>) {
        let samples = found.into_iter().map(|(row, value)| Sample {
            round,
            subject,
            row,
            value,
        });
        self.samples.extend(samples);
    }

    fn samples(&self, subject: Subject, row: Row) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.subject == subject && sample.row == row)
    }

    fn values(&self, subject: Subject, row: Row) -> Spread {
        Spread::of(
            self.samples(subject, row)
                .map(|sample| sample.value)
                .collect(),
        )
    }

    /// The ratios to the reference, one for each round that has both numbers.
    fn ratios(&self, subject: Subject, row: Row) -> Spread {
        let ratio = |sample: &Sample| {
            let mut reference = self.samples(Subject::Reference, row);
            let reference = reference.find(|other| other.round == sample.round)?;
            (reference.value > 0.0).then(|| sample.value / reference.value)
        };
        Spread::of(self.samples(subject, row).filter_map(ratio).collect())
    }

    fn cell(&self, subject: Subject, row: Row) -> String {
        let Some(value) = self.values(subject, row).median() else {
            return "–".into();
        };
        let comparable = subject != Subject::Reference && row != Row::SmallCore;
        match self.ratios(subject, row).median().filter(|_| comparable) {
            Some(ratio) => format!("{value:.1} {ratio:6.2}×"),
            None => format!("{value:.1} {:7}", ""),
        }
    }

    /// What is said of the target: of the first gateway that was measured.
    fn verdict(&self, row: Row) -> Option<String> {
        let spafe = self
            .subjects
            .iter()
            .copied()
            .find(|subject| subject.is_spafe())?;
        let (measured, limit, unit) = match row.target()? {
            Target::Ratio(limit) => (self.ratios(spafe, row), limit, "×"),
            Target::Value(limit) => (self.values(spafe, row), limit, ""),
        };
        let median = measured.median()?;
        let held = if median <= limit { "holds" } else { "MISSED" };
        let (least, most) = measured.range()?;
        Some(format!("≤ {limit}{unit} {held} ({least:.2}…{most:.2})"))
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The names stand over the numbers, not over the ratios.
        let names = self
            .subjects
            .iter()
            .map(|subject| format!("{subject} {:7}", ""));
        let gateway = self.subjects.iter().any(|subject| subject.is_spafe());
        let heading = if gateway { "target of spafe" } else { "" };
        write_line(f, "", names, heading)?;
        let measured = |row: &Row| self.samples.iter().any(|sample| sample.row == *row);
        for row in Row::ALL.into_iter().filter(measured) {
            let cells = self.subjects.iter().map(|&subject| self.cell(subject, row));
            write_line(
                f,
                row.label(),
                cells,
                &self.verdict(row).unwrap_or_default(),
            )?;
        }
        Ok(())
    }
}

fn write_line(
    f: &mut fmt::Formatter<'_>,
    label: &str,
    cells: impl Iterator<Item = String>,
    verdict: &str,
) -> fmt::Result {
    let mut line = format!("{label:LABEL_WIDTH$}");
    for cell in cells {
        write!(line, "{cell:>CELL_WIDTH$}")?;
    }
    write!(line, "   {verdict}")?;
    writeln!(f, "{}", line.trim_end())
}

/// Numbers of the same thing, in ascending order.
struct Spread(Vec<f64>);

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        Self(values)
    }

    /// The middle one, or the mean of the two in the middle.
    fn median(&self) -> Option<f64> {
        let Self(values) = self;
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(f64::midpoint(lower, upper))
    }

    fn range(&self) -> Option<(f64, f64)> {
        Some((*self.0.first()?, *self.0.last()?))
    }
}
