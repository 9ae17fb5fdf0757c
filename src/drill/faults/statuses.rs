//! What do the statuses of upstreams mean?

use serde_json::json;

use crate::drill::fault::{
    About, Behind, Failed, Fault, INVALID, LIMITED, Means, OVERLOADED, TIMEOUT, UNAVAILABLE,
    Upstream,
};
use crate::simulator::script::Script;

/// The code of an upstream's own refusal.
const CODE: &str = "drilled";

/// Answers of every status.
pub(super) fn faults() -> Vec<Fault> {
    let mut faults = limited();
    faults.extend(server_errors());
    faults.extend(refusals());
    faults.extend(by_subject());
    faults.extend(redirects());
    faults.extend(behind_it());
    faults
}

fn error(status: u16, code: &str) -> Script {
    let error = json!({"error": {
        "message": "No, thank you.", "type": "invalid_request_error", "param": null, "code": code,
    }});
    Script::json(status, error.to_string())
}

fn limited() -> Vec<Fault> {
    let says = |name: &str, field: &str, value: &str, failed: Failed| {
        let script = error(429, CODE).header(field, value);
        Fault::says(name, script, failed.from(429))
    };
    vec![
        says(
            "429-retry-after-2",
            "Retry-After",
            "2",
            LIMITED.retry_after(2),
        ),
        says(
            "429-retry-after-7.5",
            "Retry-After",
            "7.5",
            LIMITED.retry_after(8),
        ),
        says(
            "429-retry-after-ms",
            "Retry-After-Ms",
            "2500",
            LIMITED.retry_after(3),
        ),
        says("429-retry-after-99999", "Retry-After", "99999", LIMITED),
        says("429-retry-after-garbage", "Retry-After", "soon", LIMITED),
        says(
            "429-retry-after-date",
            "Retry-After",
            "Wed, 21 Oct 2015 07:28:00 GMT",
            LIMITED,
        ),
    ]
}

fn server_errors() -> Vec<Fault> {
    let once = |status: u16, failed: Failed| {
        let upstream = Upstream::SaysOnce(error(status, CODE));
        Fault::new(
            format!("{status}-once"),
            upstream,
            Means::Failed(failed.from(status).passing()),
        )
    };
    let lasting = |status: u16, failed: Failed| {
        Fault::says(
            format!("{status}-lasting"),
            error(status, CODE),
            failed.from(status).passing(),
        )
    };
    vec![
        once(500, UNAVAILABLE),
        once(502, UNAVAILABLE),
        once(503, OVERLOADED),
        lasting(500, UNAVAILABLE),
        lasting(502, UNAVAILABLE),
        lasting(503, OVERLOADED),
        lasting(504, TIMEOUT),
        lasting(529, OVERLOADED),
        lasting(408, TIMEOUT),
        lasting(425, INVALID),
    ]
}

fn refusals() -> Vec<Fault> {
    let refused = |status: u16, code: &'static str| Failed {
        status,
        code,
        ..INVALID
    };
    let mut faults: Vec<Fault> = [400, 404, 409, 413, 415, 422]
        .into_iter()
        .map(|status| {
            let failed = refused(status, CODE).from(status);
            Fault::says(format!("{status}-refusal"), error(status, CODE), failed)
        })
        .collect();
    for status in [401, 402, 403] {
        let failed = refused(502, "upstream_auth").from(status);
        faults.push(Fault::says(
            format!("{status}-our-key"),
            error(status, CODE),
            failed,
        ));
    }
    faults
}

/// What a request is refused for decides whether another model may answer it.
fn by_subject() -> Vec<Fault> {
    let refused = |code: &'static str, about: About| {
        let failed = Failed {
            status: 400,
            code,
            ..INVALID
        };
        (error(400, code), failed.from(400).about(about))
    };
    let (script, failed) = refused("context_length_exceeded", About::Context);
    let context = Fault::says("context-length-exceeded", script, failed);
    let (script, failed) = refused("content_policy_violation", About::Policy);
    let policy = Fault::says("content-policy", script, failed);
    vec![
        context.behind(&[
            Behind::Nobody,
            Behind::Pool,
            Behind::Context,
            Behind::Policy,
        ]),
        policy.behind(&[
            Behind::Nobody,
            Behind::Pool,
            Behind::Context,
            Behind::Policy,
        ]),
    ]
}

fn redirects() -> Vec<Fault> {
    // Where it points nobody must ask; the answer would be another than the one expected.
    let elsewhere = "http://169.254.169.254/latest/meta-data/";
    [301, 307]
        .into_iter()
        .map(|status| {
            let script = error(status, CODE).header("Location", elsewhere);
            Fault::says(format!("{status}-elsewhere"), script, INVALID.from(status))
        })
        .collect()
}

/// Who answers instead, and what is told of that.
fn behind_it() -> Vec<Fault> {
    let lasting = || error(503, CODE);
    let failed = OVERLOADED.from(503).passing();
    vec![
        Fault::says("fallback-refuses", lasting(), failed).behind(&[Behind::Refuser]),
        Fault::says("usage-and-model-after-fallback", lasting(), failed)
            .behind(&[Behind::Pool, Behind::Model]),
    ]
}
