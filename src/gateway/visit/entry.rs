//! May it come in, and how much is left for its caller?
//!
//! The questions to `client` and `limit`, in the order of a request: who is it, is there
//! a place, and, once its body has told what it will cost, is there room in every limit.

use std::sync::Arc;
use std::time::SystemTime;

use super::Visit;
use crate::config::costs::Used;
use crate::gateway::door::Endpoint;
use crate::gateway::door::boundary::Boundary;
use crate::gateway::inspect::form::inspect_form;
use crate::gateway::inspect::{self, Ask, Within};
use crate::gateway::limit::{Asked, Bounds, Cost, Full, Limiter, Quota, Refused};
use crate::gateway::pressure::Pressure;
use crate::gateway::record::outcome::Shed;
use crate::gateway::refusal::Refusal;
use crate::gateway::route::Plan;
use crate::operation::Operation;
use crate::sys;

impl<'a> Visit<'a> {
    /// Whether its caller may come in, and with which key.
    pub(in crate::gateway) fn admit(&mut self, endpoint: &Endpoint) -> Result<(), Refusal> {
        // A page that was refused this could not read why it may not ask what it wants to.
        if matches!(endpoint, Endpoint::Preflight(_)) {
            return Ok(());
        }
        let clients = &self.snapshot.clients;
        let client = &mut self.record.client;
        clients.let_in(client).map_err(Refusal::Client)?;
        if !endpoint.asks_for_keys() {
            return Ok(());
        }
        let now = self.record.began_wall();
        let unix = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
        let head = self.session.req_header();
        let identified = clients.identify(&mut self.record.client, head, seconds);
        identified.map_err(Refusal::Client)
    }

    /// Takes a place among the requests that are answered at once.
    pub(in crate::gateway) fn permit(
        &mut self,
        limiter: &'a Limiter,
        pressure: Pressure,
    ) -> Result<(), Refusal> {
        if pressure > Pressure::None {
            self.record.shed = Some(Shed::Memory);
            // A connection holds memory, too, and may come back when there is some.
            self.session.set_keepalive(None);
            return Err(Refusal::Overloaded);
        }
        let bounds = &self.snapshot.config.bounds;
        let client = &self.record.client;
        let times = usize::try_from(client.times).unwrap_or(usize::MAX);
        let bounds = Bounds {
            all: bounds.in_flight_max,
            per_client: match client.key {
                // Known, and bounded by its own limits.
                Some(_) => usize::MAX,
                None => bounds.in_flight_per_client_max.saturating_mul(times),
            },
        };
        let limits = &self.snapshot.limits;
        let entered = limiter.enter(limits, client, bounds, self.record.began());
        let mut permit = entered.map_err(|refused| self.refused(refused))?;
        self.record.shadowed.append(&mut permit.take_shadowed());
        self.stay.permit = Some(permit);
        Ok(())
    }

    /// What is asked in its body.
    pub(in crate::gateway) fn inspected(
        &self,
        operation: Operation,
        body: &[u8],
        boundary: Option<Boundary>,
    ) -> Result<Ask, Refusal> {
        let config = &self.snapshot.config;
        let is_anonymous = self.record.client.key.is_none();
        let within = Within {
            bounds: &self.snapshot.bounds,
            inputs_max: config.bounds.inputs_max,
            caps: is_anonymous.then_some(&config.anonymous),
        };
        let ask = match boundary {
            None => inspect::inspect_for(operation, body, &within),
            Some(boundary) => inspect_form(operation, body, boundary, &within),
        };
        ask.map_err(Refusal::Body)
    }

    /// Takes what the request is expected to use of its limits.
    pub(in crate::gateway) async fn reserve(
        &mut self,
        limiter: &'a Limiter,
        plan: &Plan,
        ask: &Ask,
        body: &[u8],
    ) -> Result<(), Refusal> {
        let snapshot = Arc::clone(&self.snapshot);
        let config = &snapshot.config.limiter;
        self.question_tokens = if ask.operation.costs_tokens() {
            ask.question_tokens(body, config.bytes_per_token)
        } else {
            0
        };
        let answer_tokens = ask.answer_tokens_max(u64::from(config.output_tokens));
        self.answer_tokens = (!ask.operation.answers_in_text()).then_some(answer_tokens);
        self.images = ask.images(plan.modality);
        let expected = Used {
            input: self.question_tokens,
            cached: 0,
            output: answer_tokens,
            images: self.images,
        };
        let asked = Asked {
            client: &self.record.client,
            model: &plan.model,
            stream: ask.stream,
            cost: Cost {
                requests: plan.weight,
                tokens: self.question_tokens.saturating_add(answer_tokens),
                usd: plan.cost(&expected),
            },
            shared: snapshot.shared.as_ref(),
        };
        let reserved = limiter
            .reserve(&snapshot.limits, &asked, sys::instant())
            .await;
        let mut reservation = reserved.map_err(|refused| self.refused(refused))?;
        self.record
            .shadowed
            .append(&mut reservation.take_shadowed());
        self.common.quota = reservation.quota();
        self.stay.reservation = Some(reservation);
        self.record.admitted = true;
        Ok(())
    }

    /// Looks how much is left for a caller that is refused before its limits were asked for it.
    pub(in crate::gateway) fn look_what_is_left(&mut self) {
        if self.common.quota == Quota::default()
            && let Some(permit) = &self.stay.permit
        {
            let limits = &self.snapshot.limits;
            self.common.quota = permit.quota(limits, &self.record.client, sys::instant());
        }
    }

    /// What is told of who was refused, to the record and to the caller.
    fn refused(&mut self, refused: Refused) -> Refusal {
        match refused {
            Refused::Full(Full::All) => {
                self.record.shed = Some(Shed::InFlight);
                Refusal::Overloaded
            }
            Refused::Full(Full::Client) => {
                self.record.shed = Some(Shed::Client);
                Refusal::TooManyAtOnce
            }
            Refused::Limited(limited) => {
                self.common.quota = *limited.quota;
                self.record.limited = Some((limited.name.clone(), limited.kind));
                Refusal::Limited(limited)
            }
        }
    }
}
