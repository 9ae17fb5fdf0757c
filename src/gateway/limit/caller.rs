//! Under which numbers is a caller counted?
//!
//! A name, an address or a network is a number of 64 bits here, by a hash whose key nobody
//! outside has: so nobody can choose addresses that meet in one place of a table, and no
//! table holds an address. A limit's own number, and a model's, are laid over it.

use std::hash::{BuildHasher, RandomState};

use smallvec::SmallVec;

use crate::config::limits::By;
use crate::gateway::client::Client;
use crate::gateway::client::subject::Subject;

/// Makes numbers.
#[derive(Debug)]
pub struct Numbers {
    hasher: RandomState,
    /// Where callers are not told apart.
    nobody: Counted,
}

/// Something that is counted apart.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Its number.
    pub number: u64,
    /// How many times what a limit says it may have, ≥ 1.
    pub times: u32,
    /// Whether it stands in the configuration.
    pub named: bool,
}

/// The numbers of one caller.
#[derive(Debug)]
pub struct Caller {
    /// Its own, from the narrowest on: of its key, or of its address and the networks around it.
    subjects: SmallVec<[Counted; 3]>,
    nobody: Counted,
}

impl Numbers {
    /// Numbers by a hasher of this process.
    #[must_use]
    pub fn new(hasher: RandomState) -> Self {
        let nobody = Counted {
            number: hasher.hash_one(()),
            times: 1,
            named: true,
        };
        Self { hasher, nobody }
    }

    /// The numbers of a caller.
    #[must_use]
    pub fn of(&self, client: &Client) -> Caller {
        let subjects = client.subjects().map(|counted| Counted {
            number: self.hasher.hash_one(counted.subject),
            times: counted.times,
            named: matches!(counted.subject, Subject::Key(_)),
        });
        Caller {
            subjects: subjects.collect(),
            nobody: self.nobody,
        }
    }
}

impl Caller {
    /// What a limit counts of its request for a model.
    pub fn counted(&self, by: By, model: u64) -> impl Iterator<Item = Counted> {
        let nobody = std::slice::from_ref(&self.nobody);
        let (subjects, model) = match by {
            By::Client | By::Key => (&*self.subjects, 0),
            By::ClientModel => (&*self.subjects, model),
            By::Model => (nobody, model),
            By::Global => (nobody, 0),
        };
        subjects.iter().map(move |counted| Counted {
            number: counted.number ^ model,
            ..*counted
        })
    }

    /// Its narrowest number.
    #[must_use]
    pub fn narrowest(&self) -> u64 {
        let first = self.subjects.first().unwrap_or(&self.nobody);
        first.number
    }
}
