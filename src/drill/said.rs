//! What do the upstreams of a drill say?
//!
//! Each says something of its own, so that every byte a caller sees tells from whom it
//! came: an answer that was put together from two is found by comparing.

use bytes::Bytes;
use serde_json::json;

use crate::simulator::script::Script;

/// Tokens of every answer.
pub(super) const TOKENS: usize = 60;

/// What one upstream says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    who: &'static str,
}

/// The upstream that is asked first, and is at fault.
pub(super) const FIRST: Said = Said { who: "first" };
/// The upstream behind it, which is well.
pub(super) const SPARE: Said = Said { who: "spare" };

impl Said {
    /// An answer that is no stream.
    pub(super) fn json(self) -> String {
        let tokens: Vec<String> = (0..TOKENS).map(|number| self.token(number)).collect();
        json!({
            "id": "chatcmpl-drill", "object": "chat.completion", "created": 1_730_888_458,
            "model": format!("{}-model", self.who),
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": tokens.concat()},
                "finish_reason": "stop",
            }],
            "usage": self.usage(),
        })
        .to_string()
    }

    /// The data of the events of a stream: tokens, the end of the choice, usage.
    pub(super) fn events(self) -> Vec<String> {
        let choice = |delta: serde_json::Value, finish: Option<&str>| json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        let tokens = (0..TOKENS).map(|number| choice(json!({"content": self.token(number)}), None));
        let stop = [choice(json!({}), Some("stop"))];
        let mut events: Vec<String> = tokens
            .chain(stop)
            .map(|choices| self.chunk(&choices, &json!(null)))
            .collect();
        events.push(self.chunk(&json!([]), &self.usage()));
        events
    }

    /// The whole answer as a script, and the bytes of its body.
    pub(super) fn answer(self, stream: bool) -> (Script, Bytes) {
        if stream {
            let events = self.events();
            let events: Vec<&str> = events.iter().map(String::as_str).collect();
            let bytes = format!("{}{DONE}", body(&events));
            (Script::sse(&events), bytes.into())
        } else {
            (Script::json(200, self.json()), self.json().into())
        }
    }

    fn token(self, number: usize) -> String {
        format!("{}-{number} ", self.who)
    }

    fn chunk(self, choices: &serde_json::Value, usage: &serde_json::Value) -> String {
        json!({
            "id": "chatcmpl-drill", "object": "chat.completion.chunk", "created": 1_730_889_622,
            "model": format!("{}-model", self.who), "choices": choices, "usage": usage,
        })
        .to_string()
    }

    fn usage(self) -> serde_json::Value {
        let prompt = self.who.len() + 10;
        json!({"prompt_tokens": prompt, "completion_tokens": TOKENS, "total_tokens": prompt + TOKENS})
    }
}

/// The event after which a stream has ended.
pub(super) const DONE: &str = "data: [DONE]\n\n";

/// Events as they stand in a body.
pub(super) fn body(events: &[&str]) -> String {
    let events = events.iter().map(|data| format!("data: {data}\n\n"));
    events.collect()
}
