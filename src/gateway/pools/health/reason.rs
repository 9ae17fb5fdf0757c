//! What was one failure too many?
//!
//! An endpoint is put to rest for several reasons, and what an operator does about it is not the
//! same for each.

use super::Learned;

/// What was one failure too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EjectionReason {
    /// So many in a row.
    InARow,
    /// Too large a part of the last ones.
    Share,
    /// An answer that came too late, where the policy bounds that.
    Slow,
    /// The request that tried whether its rest is over.
    Probe,
}

impl EjectionReason {
    /// Every reason, in the order of the enum.
    pub const ALL: [Self; 4] = [Self::InARow, Self::Share, Self::Slow, Self::Probe];

    /// The word for the label and the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InARow => "in_a_row",
            Self::Share => "share",
            Self::Slow => "slow",
            Self::Probe => "probe",
        }
    }
}

impl Learned {
    /// The same, of an answer that came too late. A probe's is told as the probe that it was.
    pub(super) fn of_slowness(self) -> Self {
        match self {
            Self::Eject(EjectionReason::InARow | EjectionReason::Share) => {
                Self::Eject(EjectionReason::Slow)
            }
            learned => learned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_is_told_as_one_unless_it_was_a_probe() {
        let of = |reason| Learned::Eject(reason).of_slowness();
        for often in [EjectionReason::InARow, EjectionReason::Share] {
            assert_eq!(of(often), Learned::Eject(EjectionReason::Slow));
        }
        let probe = EjectionReason::Probe;
        assert_eq!(of(probe), Learned::Eject(probe));
        assert_eq!(Learned::Nothing.of_slowness(), Learned::Nothing);
    }
}
