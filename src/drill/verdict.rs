//! Did the caller see what they must?
//!
//! What must be seen follows from what a fault means, from who stands behind the upstream,
//! and from the operator's policy: where no second attempt is allowed, none may be made.
//! Some things must hold whatever happens: bytes of one upstream only, never a part of an
//! answer as a whole one, never more attempts than allowed, an end within the deadline.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::drill::client::Seen;
use crate::drill::fault::{About, Behind, Failed, Fault, Means, TIMEOUT, Upstream, Wire};
use crate::drill::policy::Policy;
use crate::drill::said::{FIRST, SPARE};

/// What a busy machine may add to anything.
pub(super) const SLACK: Duration = Duration::from_secs(2);
/// What a caller is told to wait, in seconds.
const WAIT: std::ops::RangeInclusive<u64> = 1..=120;

/// One way of meeting a fault.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// The fault.
    pub fault: Fault,
    /// Whether the answer is asked for as a stream.
    pub stream: bool,
    /// How the upstream is spoken to.
    pub wire: Wire,
    /// Who stands behind it.
    pub behind: Behind,
    /// The name of its model and of its pool.
    pub id: String,
}

/// What happened.
#[derive(Debug, Clone)]
pub(super) struct Happened {
    /// At the caller.
    pub seen: Seen,
    /// Requests at the upstream that is at fault.
    pub at_first: usize,
    /// The model's name in each request behind it.
    pub at_spare: Vec<String>,
}

/// What must be seen.
enum Expected {
    /// This answer.
    Served { body: Bytes, by_first: bool },
    /// This refusal.
    Told(Failed),
    /// What the fault itself comes to after the commit.
    Fault,
}

impl Case {
    /// What stands behind the upstream is a pool or model of this name.
    pub(super) fn spare(&self) -> String {
        format!("{}.spare", self.id)
    }

    /// Why what happened is not what must happen; empty where it is.
    pub(super) fn faults(&self, happened: &Happened, policy: &Policy) -> Vec<String> {
        let mut faults = Vec::new();
        self.check_bounds(happened, policy, &mut faults);
        if happened.seen.gave_up {
            return faults;
        }
        let checked = match self.expected(policy) {
            Expected::Served { body, by_first } => self.check_served(happened, &body, by_first),
            Expected::Told(failed) => check_told(happened, failed),
            Expected::Fault => self.check_broken(happened),
        };
        faults.extend(checked.err());
        faults
    }

    fn expected(&self, policy: &Policy) -> Expected {
        let failed = match &self.fault.means {
            Means::Failed(failed) => *failed,
            Means::Good(body) => {
                return Expected::Served {
                    body: body.clone(),
                    by_first: true,
                };
            }
            Means::Broke { .. } | Means::ToldItself(_) | Means::Severed(_) => {
                return Expected::Fault;
            }
        };
        let attempts = &policy.config.attempts;
        let is_final = failed
            .upstream_status
            .is_some_and(|status| attempts.final_statuses.contains(&status) || status == 401);
        let replaced = !is_final && failed.about == About::Other;
        let in_time = self.fault.costs < policy.pool.timeouts.request;
        if !in_time {
            return Expected::Told(TIMEOUT);
        }
        let is_answered = match self.behind {
            Behind::Nobody | Behind::Refuser => false,
            Behind::Pool | Behind::Model => replaced,
            Behind::Context => failed.about == About::Context,
            Behind::Policy => failed.about == About::Policy,
        };
        if is_answered && attempts.max > 1 {
            let (_, body) = SPARE.answer(self.stream);
            return Expected::Served {
                body,
                by_first: false,
            };
        }
        let once = matches!(self.fault.upstream, Upstream::SaysOnce(_));
        let paid = attempts.budget_per_second > 0 || attempts.budget_percent >= 100;
        let again = once && replaced && failed.may_pass && paid;
        if again && attempts.per_pool_max > 1 && self.behind == Behind::Nobody {
            let (_, body) = FIRST.answer(self.stream);
            return Expected::Served {
                body,
                by_first: true,
            };
        }
        Expected::Told(failed)
    }

    /// What holds whatever happens.
    fn check_bounds(&self, happened: &Happened, policy: &Policy, faults: &mut Vec<String>) {
        let attempts = &policy.config.attempts;
        let (first, spare) = (happened.at_first, happened.at_spare.len());
        if first > attempts.per_pool_max || first + spare > attempts.max {
            faults.push(format!(
                "{first} and {spare} upstream requests, allowed are {} in one pool and {} in all",
                attempts.per_pool_max, attempts.max
            ));
        }
        if first > 0 && matches!(self.fault.upstream, Upstream::Tls(_)) {
            faults
                .push("a request was sent over a connection that is not to be trusted".to_owned());
        }
        if let Some(told) = happened.seen.attempts()
            && told < first + spare
        {
            faults.push(format!(
                "told of {told} attempts, made were {}",
                first + spare
            ));
        }
        // Once an answer has begun, it may go on for longer than attempts may.
        let allowed = match &self.fault.means {
            Means::Failed(_) => self.fault.costs.min(policy.pool.timeouts.request),
            _ => self.fault.costs,
        } + SLACK;
        if happened.seen.gave_up {
            faults.push(format!(
                "no end within {} ms",
                happened.seen.took.as_millis()
            ));
        } else if happened.seen.took > allowed {
            faults.push(format!(
                "took {} ms, allowed are {}",
                happened.seen.took.as_millis(),
                allowed.as_millis()
            ));
        }
        let body = String::from_utf8_lossy(&happened.seen.body);
        if body.contains("127.0.0.1") || body.contains("localhost") {
            faults.push("the answer names the upstream's address".to_owned());
        }
    }

    fn check_served(
        &self,
        happened: &Happened,
        body: &Bytes,
        by_first: bool,
    ) -> Result<(), String> {
        let seen = &happened.seen;
        if seen.status != Some(200) {
            return Err(format!("not served but {}", told(seen)));
        }
        if !seen.whole {
            return Err("the answer was cut off".to_owned());
        }
        let came = if self.stream {
            seen.stream().events
        } else {
            seen.body.to_vec()
        };
        if came != *body {
            return Err(format!(
                "{} bytes that are not the {} of the upstream",
                came.len(),
                body.len()
            ));
        }
        if by_first {
            let once = matches!(self.fault.upstream, Upstream::Says(_));
            let asked = (happened.at_first, happened.at_spare.len());
            return if once && asked != (1, 0) {
                Err(format!(
                    "{} and {} requests for one answer",
                    asked.0, asked.1
                ))
            } else {
                Ok(())
            };
        }
        self.check_provenance(happened)
    }

    /// What is told of an answer from behind, and what its upstream was asked for.
    fn check_provenance(&self, happened: &Happened) -> Result<(), String> {
        let spare = self.spare();
        let model = if self.behind == Behind::Pool {
            &self.id
        } else {
            &spare
        };
        // A head that left before there was an answer cannot tell whose it is.
        if happened.seen.stream().comments == 0 {
            for (field, expected) in [("x-spafe-model", model), ("x-spafe-upstream", &spare)] {
                if happened.seen.field(field) != Some(expected) {
                    return Err(format!("{field} is {:?}", happened.seen.field(field)));
                }
            }
        }
        match happened.at_spare.as_slice() {
            [asked] if *asked == spare => Ok(()),
            asked => Err(format!(
                "behind it {asked:?} was asked for instead of {spare}"
            )),
        }
    }

    /// A stream that broke, or an answer that did on its way through.
    fn check_broken(&self, happened: &Happened) -> Result<(), String> {
        let seen = &happened.seen;
        if seen.status != Some(200) {
            return Err(format!("not begun but {}", told(seen)));
        }
        if (happened.at_first, happened.at_spare.len()) != (1, 0) {
            return Err("another attempt after the first byte".to_owned());
        }
        if let Means::Severed(body) = &self.fault.means {
            return match (seen.whole, body.starts_with(&seen.body)) {
                (true, _) => Err("a part of an answer was passed off as all of it".to_owned()),
                (false, false) => Err("bytes that the upstream did not send".to_owned()),
                (false, true) => Ok(()),
            };
        }
        let stream = seen.stream();
        if stream.done {
            return Err("a broken stream was passed off as a whole one".to_owned());
        }
        if stream.half || !seen.whole {
            return Err("the stream ended inside an event".to_owned());
        }
        match &self.fault.means {
            Means::Broke { code, events, all } => {
                check_error(stream.error.as_ref(), code)?;
                let prefix = events.starts_with(&stream.events);
                if !prefix || (*all && stream.events.len() != events.len()) {
                    return Err(format!(
                        "{} bytes of events, not the {} that came",
                        stream.events.len(),
                        events.len()
                    ));
                }
                Ok(())
            }
            Means::ToldItself(bytes) if seen.without_comments() != *bytes => {
                Err("the upstream's own error is not what came".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// A refusal: with its status, or as an event where comments had left before.
fn check_told(happened: &Happened, failed: Failed) -> Result<(), String> {
    let seen = &happened.seen;
    if !seen.whole {
        return Err("the refusal was cut off".to_owned());
    }
    let stream = seen.stream();
    if seen.status == Some(200) && stream.comments > 0 {
        if !stream.events.is_empty() || stream.done {
            return Err("an answer where there was none".to_owned());
        }
        return check_error(stream.error.as_ref(), failed.code);
    }
    if seen.status != Some(failed.status) {
        return Err(format!(
            "not {} {} but {}",
            failed.status,
            failed.code,
            told(seen)
        ));
    }
    check_error(seen.error().as_ref(), failed.code)?;
    check_refusal(seen)?;
    let wait = seen.field("retry-after").and_then(|wait| wait.parse().ok());
    if failed.retry_after.is_some() && failed.retry_after != wait {
        return Err(format!(
            "Retry-After is {wait:?}, not {:?}",
            failed.retry_after
        ));
    }
    Ok(())
}

/// What every refusal after an attempt tells.
pub(super) fn check_refusal(seen: &Seen) -> Result<(), String> {
    let status = seen.status.unwrap_or_default();
    let wait: Option<u64> = seen.field("retry-after").and_then(|wait| wait.parse().ok());
    if matches!(status, 429 | 503) && !wait.is_some_and(|wait| WAIT.contains(&wait)) {
        return Err(format!("Retry-After is {:?}", seen.field("retry-after")));
    }
    let tried = seen.attempts().is_some_and(|attempts| attempts > 0);
    let spared = seen.field("x-should-retry") == Some("false");
    if tried && (status == 429 || status >= 500) && !spared {
        return Err("x-should-retry: false is missing".to_owned());
    }
    let typed = seen
        .error()
        .is_some_and(|error| error.get("type").is_some_and(Value::is_string));
    if typed {
        Ok(())
    } else {
        Err("the refusal is not in the envelope".to_owned())
    }
}

fn check_error(error: Option<&Value>, code: &str) -> Result<(), String> {
    let told = error
        .and_then(|error| error.get("code"))
        .and_then(Value::as_str);
    match told {
        Some(told) if told == code => Ok(()),
        told => Err(format!("the error's code is {told:?}, not {code}")),
    }
}

/// What a caller was told, for people.
fn told(seen: &Seen) -> String {
    let Some(status) = seen.status else {
        return "no answer".to_owned();
    };
    let code = seen
        .error()
        .and_then(|error| error.get("code")?.as_str().map(str::to_owned));
    format!("{status} {}", code.unwrap_or_default())
}
