//! Does inspection answer every body, and does another reader agree with what it read?
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run inspect`

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use spafe::gateway::inspect::image::image_ask;
use spafe::gateway::inspect::{Ask, Bounds, Fault, InspectError, inspect};

const BOUNDS: Bounds = Bounds {
    depth_max: 64,
    keys_max: 1_000,
};

fuzz_target!(|body: &[u8]| {
    match inspect(body, &BOUNDS) {
        Ok(ask) => {
            agrees(body, &ask);
            let _ = image_ask(body, &ask);
        }
        Err(InspectError::Json { fault, offset }) => {
            assert!(offset <= body.len());
            let ours_alone = matches!(
                fault,
                Fault::NotAnObject | Fault::TooDeep | Fault::TooManyKeys | Fault::SurrogateInKey
            );
            assert!(ours_alone || serde_json::from_slice::<Value>(body).is_err());
        }
        Err(_) => {}
    }
});

fn agrees(body: &[u8], ask: &Ask) {
    // serde refuses half surrogate pairs and numbers beyond f64, which pass here.
    let Ok(read) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    assert_eq!(read["model"].as_str(), Some(&*ask.model));
    assert_eq!(read["stream"].as_bool().unwrap_or(false), ask.stream);
    assert_eq!(read["n"].as_u64(), ask.n.map(u64::from));
    assert_eq!(read["max_tokens"].as_u64(), ask.max_tokens);
    assert_eq!(
        read["max_completion_tokens"].as_u64(),
        ask.max_completion_tokens
    );
    assert_eq!(read["user"].as_str(), ask.user.as_deref());
    assert_eq!(read["store"].as_bool().unwrap_or(false), ask.store);
    // serde's reader of fractions is off by the last bit now and then.
    let temperature = read["temperature"].as_f64().unwrap_or(0.0);
    let difference = temperature - ask.temperature.unwrap_or(0.0);
    assert!(difference.abs() <= temperature.abs() * 1e-12);
    let include_usage = read["stream_options"]["include_usage"].as_bool();
    assert_eq!(include_usage.unwrap_or(false), ask.include_usage);
    let model: Value = serde_json::from_slice(&body[ask.model_span.clone()]).unwrap();
    assert_eq!(model, read["model"]);
    let messages: Value = serde_json::from_slice(&body[ask.messages_span.clone()]).unwrap();
    assert_eq!(messages, read["messages"]);
}
