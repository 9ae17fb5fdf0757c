//! What does a caller call it that a chat names otherwise?
//!
//! Whoever asks in Anthropic's words has never seen the chat that is made of them, so what is
//! said to be wrong with the chat is named as it stands in their own body. A turn may be several
//! messages of a chat, and its blocks stand in another order there: of what a message says, no
//! more is told than whose it is.

/// Where the parts of a chat come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// For each message the turn that it is of; `None`: what is said before all.
    pub turns: Vec<Option<usize>>,
    /// Which member says how hard to think.
    pub effort: &'static str,
}

impl Origins {
    /// The caller's name of a place in the chat.
    #[must_use]
    pub fn name(&self, param: &str) -> String {
        let end = param.find(['.', '[']).unwrap_or(param.len());
        let (top, rest) = param.split_at_checked(end).unwrap_or((param, ""));
        match top {
            "messages" => self.message(rest),
            "stop" => format!("stop_sequences{rest}"),
            "user" => "metadata.user_id".to_owned(),
            "reasoning_effort" if !self.effort.is_empty() => self.effort.to_owned(),
            "parallel_tool_calls" => "tool_choice.disable_parallel_tool_use".to_owned(),
            "response_format" => {
                format!(
                    "output_config.format{}",
                    rest.replacen(".json_schema", "", 1)
                )
            }
            "tools" => {
                let rest = rest.replacen(".function.parameters", ".input_schema", 1);
                format!("tools{}", rest.replacen(".function", "", 1))
            }
            _ => param.to_owned(),
        }
    }

    fn message(&self, rest: &str) -> String {
        let inside = rest.strip_prefix('[');
        let inside = inside.and_then(|rest| rest.split_once(']'));
        let found = inside.and_then(|(place, rest)| {
            let place: usize = place.parse().ok()?;
            Some((*self.turns.get(place)?, rest))
        });
        match found {
            Some((Some(turn), "")) => format!("messages[{turn}]"),
            Some((Some(turn), ".role")) => format!("messages[{turn}].role"),
            Some((Some(turn), _)) => format!("messages[{turn}].content"),
            Some((None, _)) => "system".to_owned(),
            None => "messages".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_chat_is_told_as_the_caller_wrote_it() {
        let origins = Origins {
            turns: vec![None, Some(0), Some(1), Some(2), Some(2)],
            effort: "output_config.effort",
        };
        for (param, name) in [
            ("messages", "messages"),
            ("messages[0].content", "system"),
            ("messages[1].role", "messages[0].role"),
            ("messages[2]", "messages[1]"),
            ("messages[4].tool_call_id", "messages[2].content"),
            (
                "messages[3].content[0].image_url.url",
                "messages[2].content",
            ),
            ("messages[9].content", "messages"),
            ("stop", "stop_sequences"),
            ("user", "metadata.user_id"),
            ("reasoning_effort", "output_config.effort"),
            (
                "parallel_tool_calls",
                "tool_choice.disable_parallel_tool_use",
            ),
            (
                "response_format.json_schema.schema.x",
                "output_config.format.schema.x",
            ),
            ("tools[1].function.parameters.x", "tools[1].input_schema.x"),
            ("tools[1].function.name", "tools[1].name"),
            ("max_tokens", "max_tokens"),
        ] {
            assert_eq!(origins.name(param), name);
        }
    }
}
