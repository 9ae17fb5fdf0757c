//! What do all replicas say together?
//!
//! Windows of `scope = "shared"` are decided by [`Shared`] in one question. What it says is
//! written into the table too, as a mirror: whoever has used up a window of requests is then
//! refused without a question, for requests are not given back but where they could not be had here,
//! and that is written down, too. (Tokens are given back when they are settled, by other
//! replicas as well, so a mirror of those is asked nothing; nor is one of money.) While nobody decides, the same
//! windows are kept here at this replica's part of them, going on from what the mirror says.
//!
//! The windows of this process, and its places, are taken after that. Where one of them refuses,
//! what was taken together is given back.

use std::sync::Arc;

use super::claims::{self, WindowClaim, WindowClaims};
use super::gcra::{Rate, Ticks};
use super::policy::{Rule, RuleWindow};
use super::standing::name_of;
use super::{Cost, Kind, Level, Limited, Limiter, Question, Reservation};
use crate::config::limits::By;
use crate::gateway::client::Client;
use crate::gateway::shared::{Receipt, Shared, Told, Window};
use crate::names::ModelId;

/// What was taken of windows that replicas share.
#[derive(Debug)]
pub struct Together {
    shared: Arc<Shared>,
    taken: Vec<Taken>,
}

/// What was taken of one of them.
#[derive(Debug)]
struct Taken {
    kind: Kind,
    window: Window,
    /// By what Redis knows it.
    receipt: Receipt,
    /// How fast it refills, and when it is full as was told.
    rate: Rate,
    full: Ticks,
}

impl Limiter {
    /// Takes from windows that are shared and from those that are not, or from none.
    pub(super) async fn reserve_together(
        &self,
        question: &Question<'_>,
        shared: &Arc<Shared>,
    ) -> Result<Reservation<'_>, Limited> {
        let now = question.now;
        let (mut ours, mut here) = (WindowClaims::new(), WindowClaims::new());
        let mut windows = WindowClaims::new();
        question.add_windows(&mut windows);
        for claim in windows {
            let list = if claim.of.rule.is_shared {
                &mut ours
            } else {
                &mut here
            };
            list.push(claim);
        }
        self.refuse_if_hopeless(question, &ours, &here)?;
        let windows: Vec<Window> = ours
            .iter()
            .map(|claim| window(claim, question, shared))
            .collect();
        let Ok(told) = shared.admit(&windows).await else {
            let replicas = shared.replicas();
            let parts = ours.into_iter().map(|claim| part(claim, replicas));
            return self.reserve_here(question, &mut parts.chain(here).collect());
        };
        self.mirror(&mut ours, &told, now);
        if let Some(limited) = claims::refusal(&ours, &[], now) {
            return Err(limited);
        }
        let taken = ours.iter().zip(windows).zip(&told.windows);
        let taken = taken.filter(|((claim, _), _)| claim.verdict.is_ok());
        let together = Together {
            shared: Arc::clone(shared),
            taken: taken
                .map(|((claim, window), level)| Taken {
                    kind: claim.of.window.kind,
                    window,
                    receipt: level.receipt,
                    rate: claim.rate,
                    full: claim.full_with(),
                })
                .collect(),
        };
        let quota = claims::quota(&ours, now, claims::When::After);
        let mut shadowed = claims::shadowed(&ours, &[]);
        match self.reserve_here(question, &mut here) {
            Err(limited) => {
                together.hand_back();
                self.mirror_handed_back(&ours, now);
                Err(limited)
            }
            Ok(mut reservation) => {
                reservation.quota = reservation.quota.tighter(quota);
                reservation.shadowed.append(&mut shadowed);
                reservation.together = Some(Box::new(together));
                Ok(reservation)
            }
        }
    }

    /// Refuses whoever would be refused without a question to anybody.
    fn refuse_if_hopeless<'a>(
        &self,
        question: &Question<'_>,
        ours: &WindowClaims<'a>,
        here: &WindowClaims<'a>,
    ) -> Result<(), Limited> {
        let now = question.now;
        let mut places = question.places();
        drop(self.gate.look(&mut places));
        let mirrored = ours
            .iter()
            .filter(|claim| !claims::may_have_been_given_back(claim));
        let mut all: WindowClaims<'a> = mirrored.chain(here).copied().collect();
        self.table.look(&mut all, now);
        claims::refusal(&all, &places, now).map_or(Ok(()), Err)
    }

    /// Writes down that what was taken is given back: nobody is to be refused for it here.
    fn mirror_handed_back(&self, ours: &WindowClaims<'_>, now: Ticks) {
        for claim in ours.iter().filter(|claim| claim.verdict.is_ok()) {
            let full = claim.full.less(claim.rate.each().by(claim.cost));
            self.table.mirror(claim, full, now);
        }
    }

    /// Writes down what was told.
    fn mirror(&self, ours: &mut WindowClaims<'_>, told: &Told, now: Ticks) {
        for (claim, level) in ours.iter_mut().zip(&told.windows) {
            let full = claim.rate.from(now).plus(Ticks::of(level.debt));
            claim.full = full;
            claim.verdict = if level.wait.is_zero() {
                Ok(full)
            } else {
                Err(Ticks::of(level.wait))
            };
            self.table.mirror(claim, full, now);
        }
    }
}

impl Together {
    /// Replaces estimates by what was used. What is left of tokens then, as far as is known here.
    pub(super) fn settle(&self, used: Cost, now: Ticks) -> Option<Level> {
        let estimated = self.taken.iter().filter(|taken| taken.kind.is_estimated());
        for taken in estimated {
            let more = difference(used.of(taken.kind), taken.window.cost);
            self.shared.settle(&taken.window, taken.receipt, more);
        }
        let tokens = self.taken.iter().filter(|taken| taken.kind == Kind::Tokens);
        let told = tokens.filter(|taken| !taken.window.shadow);
        let used = used.of(Kind::Tokens);
        claims::tightest(
            told.map(|taken| (taken.rate, taken.full_after(used, now))),
            now,
        )
    }

    /// Gives everything back.
    pub fn hand_back(&self) {
        for Taken {
            window, receipt, ..
        } in &self.taken
        {
            let all = difference(0, window.cost);
            self.shared.settle(window, *receipt, all);
        }
    }
}

impl Taken {
    /// When its window is full if so much was used of it.
    fn full_after(&self, used: u64, now: Ticks) -> Ticks {
        let (each, cost) = (self.rate.each(), self.window.cost);
        match used.checked_sub(cost) {
            Some(more) => self.full.max(now).plus(each.by(more)),
            None => self.full.less(each.by(cost.saturating_sub(used))),
        }
    }
}

fn difference(used: u64, cost: u64) -> i64 {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    signed(used).saturating_sub(signed(cost))
}

/// A claim at this replica's part of its window.
fn part(mut claim: WindowClaim<'_>, replicas: u32) -> WindowClaim<'_> {
    claim.rate = claim.rate.shared_by(replicas);
    claim.cost = claim.cost.min(claim.rate.burst());
    claim
}

/// A claim as it is asked of all replicas.
fn window(claim: &WindowClaim<'_>, question: &Question<'_>, shared: &Shared) -> Window {
    let of = claim.of;
    let client = question.asked.client;
    let model = Some(question.asked.model);
    Window {
        key: key(shared, (of.rule, of.window), (client, of.place), model),
        count: of.window.window.count,
        per: of.window.window.per,
        burst: of.window.window.burst,
        calendar: of.window.window.calendar,
        times: of.times,
        cost: claim.cost,
        shadow: claim.shadow,
        personal: counted_by(of.rule.by, client) == "address",
    }
}

/// Under which key replicas count this at that place among a caller's subjects.
pub(super) fn key(
    shared: &Shared,
    (rule, window): (&Rule, &RuleWindow),
    (client, place): (&Client, usize),
    model: Option<&ModelId>,
) -> u128 {
    let model = match rule.by {
        By::Model | By::ClientModel => model.map_or("", ModelId::as_str),
        By::Client | By::Key | By::Global => "",
    };
    let counted = name_of(rule.by, client, place);
    // Another span is another window.
    let span = window.window.per.as_nanos().to_be_bytes();
    shared.key(&[
        rule.name.as_str().as_bytes(),
        window.kind.as_str().as_bytes(),
        &span,
        counted_by(rule.by, client).as_bytes(),
        counted.as_bytes(),
        model.as_bytes(),
    ])
}

fn counted_by(by: By, client: &Client) -> &'static str {
    let counts_callers = matches!(by, By::Client | By::Key | By::ClientModel);
    match (counts_callers, &client.key) {
        (false, _) => "all",
        (true, None) => "address",
        (true, Some(_)) => "key",
    }
}
