//! What becomes of every fault, tried out?
//!
//! `spafe drill`: a whole gateway in this process with the operator's own policy, scripted
//! upstreams behind it, a caller in front that looks at every byte, and one row for each
//! way in which something can go wrong. So that whoever runs a gateway can check what is
//! claimed of it, with one command, without an account and without a network.

/// What can be wrong, and what it means.
mod fault;
/// The table of faults.
mod faults;
/// Faults that take more than one request.
mod traffic;
/// What upstreams say.
mod said;
/// What is drilled, its times made shorter.
mod policy;
/// Who plays, and where.
mod stage;
/// What a caller sees, to the byte.
mod client;
/// Whether that is what must be seen.
mod verdict;
/// Who plays in one case.
mod cast;
/// What is told.
pub mod card;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::config::dialect::Dialect;
use crate::sys;
use card::{Card, Row};
use cast::Cast;
use fault::Fault;
use policy::Policy;
use stage::Stage;
use traffic::Scene;
use verdict::Case;

/// Requests of the table under way at the same time: a machine of one core is not to be
/// late by what is only its own doing.
const AT_ONCE: usize = 24;
/// Cases in one gateway, each with upstreams of its own: both ends of every connection are
/// in this process, and a limit of 1,024 open files must do.
const ON_STAGE: usize = 96;
/// Scenes that are played at the same time, each of which has callers that go on asking.
const SCENES_AT_ONCE: usize = 6;

/// What is to be drilled.
pub struct Wish {
    /// The policy: everything of it but whom its pools name.
    pub config: Config,
    /// The pool whose own policy it is; `None`: the first.
    pub pool: Option<String>,
    /// Only scenarios whose names begin so.
    pub only: Option<String>,
    /// A scenario that is to fail, so that one can see it do so.
    pub spoiled: Option<String>,
    /// Where a folder for what upstreams need may be made.
    pub temporary: PathBuf,
}

/// Why there is no drill.
#[derive(Debug, Error)]
pub enum DrillError {
    /// No scenario has this name.
    #[error("no scenario begins with {name:?}; these are there: {names}")]
    UnknownScenario {
        /// What was asked for.
        name: String,
        /// What there is.
        names: String,
    },
    /// No pool has this name.
    #[error("no pool is called {0:?}; name one of the configuration's")]
    UnknownPool(String),
    /// An upstream cannot be played.
    #[error(
        "cannot set the stage: {0}; are there enough file descriptors (ulimit -n) and is there room in the temporary folder?"
    )]
    Io(#[from] io::Error),
}

impl DrillError {
    fn unset() -> Self {
        Self::Io(io::Error::other("an upstream is missing"))
    }
}

/// Runs through every fault.
///
/// # Errors
/// Where the drill cannot be held; what it finds is in the card.
pub async fn run(wish: Wish) -> Result<Card, DrillError> {
    let began = sys::instant();
    let policy = policy(&wish)?;
    let is_wanted = |name: &str| {
        wish.only
            .as_deref()
            .is_none_or(|only| name.starts_with(only))
    };
    let table = [false, true].map(|stream| (stream, faults::all(stream, &policy)));
    let mut cases = Vec::new();
    for (stream, faults) in &table {
        let wanted = faults.iter().filter(|fault| is_wanted(&fault.name));
        cases.extend(wanted.flat_map(|fault| cast::cases(fault, *stream)));
    }
    let scenes: Vec<Scene> = Scene::ALL
        .into_iter()
        .filter(|scene| is_wanted(scene.name()))
        .collect();
    if cases.is_empty() && scenes.is_empty() {
        return Err(DrillError::UnknownScenario {
            name: wish.only.unwrap_or_default(),
            names: names(&table),
        });
    }
    if let Some(spoiled) = &wish.spoiled {
        let spoil = |case: Case| {
            if case.fault.name == *spoiled {
                case.spoiled()
            } else {
                case
            }
        };
        cases = cases.into_iter().map(spoil).collect();
    }
    let mut rows = single(cases, &policy, &wish.temporary).await?;
    let both = scenes
        .iter()
        .flat_map(|scene| [(*scene, false), (*scene, true)]);
    let slots = Semaphore::new(SCENES_AT_ONCE);
    let scenes = both
        .filter(|(scene, stream)| scene.is_for(*stream, &policy))
        .map(async |(scene, stream)| {
            let _slot = slots.acquire().await;
            Box::pin(scene.play(stream, &policy, &wish.temporary)).await
        });
    for played in futures_util::future::join_all(scenes).await {
        rows.push(played?);
    }
    Ok(Card::new(rows, sys::instant() - began))
}

fn policy(wish: &Wish) -> Result<Policy, DrillError> {
    let mut pools = wish.config.pools.iter();
    let named = match &wish.pool {
        Some(name) => pools.position(|pool| pool.name.as_str() == name),
        None => pools.position(|pool| pool.dialect == Dialect::OpenAi),
    };
    let policy = named.and_then(|place| Policy::of(wish.config.clone(), place));
    policy.ok_or_else(|| DrillError::UnknownPool(wish.pool.clone().unwrap_or_default()))
}

/// Every fault of one request. Those that take long come first, and wait side by side.
async fn single(
    cases: Vec<Case>,
    policy: &Policy,
    temporary: &Path,
) -> Result<Vec<Row>, DrillError> {
    let mut cases: Vec<(usize, Case)> = cases.into_iter().enumerate().collect();
    cases.sort_by_key(|(_, case)| std::cmp::Reverse(case.fault.costs));
    let mut rows = Vec::with_capacity(cases.len());
    for cases in cases.chunks(ON_STAGE) {
        rows.extend(together(cases, policy, temporary).await?);
    }
    rows.sort_by_key(|(place, _)| *place);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// Faults of one request in one gateway.
async fn together(
    cases: &[(usize, Case)],
    policy: &Policy,
    temporary: &Path,
) -> Result<Vec<(usize, Row)>, DrillError> {
    let mut stage = Stage::new(policy.clone(), temporary)?;
    let mut ready = Vec::with_capacity(cases.len());
    for (place, case) in cases {
        ready.push((*place, Cast::enter(case.clone(), &mut stage).await?));
    }
    let running = stage.open()?;
    let slots = Semaphore::new(AT_ONCE);
    let plays = ready.iter().map(async |(place, cast)| {
        let _slot = slots.acquire().await;
        (*place, cast.play(running.address, policy).await)
    });
    Ok(futures_util::future::join_all(plays).await)
}

fn names(table: &[(bool, Vec<Fault>)]) -> String {
    let faults = table.iter().flat_map(|(_, faults)| faults);
    let faults = faults.map(|fault| fault.name.as_str());
    let names: BTreeSet<&str> = faults.chain(Scene::ALL.map(Scene::name)).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}
