//! What does OpenAI's model do with tools and schemas?
//!
//! Given tools, it calls each of them once, and then tells what came of that; given a schema,
//! it answers along it. It is the same in both of OpenAI's protocols, which only write it
//! otherwise: in chat completions a function is a member of its tool, in Responses it is the
//! tool. Calls that nobody answered, and answers to no call, are refused, as the vendor does.

use serde_json::{Value, json};

use super::application::Refusal;
use super::messages::said::along;

/// What is done instead of talking, or told before it.
#[derive(Debug, Default)]
pub(super) struct Doing {
    /// What is called.
    pub(super) calls: Vec<Call>,
    /// What is said for the sake of a schema, and nothing else.
    pub(super) along: Option<String>,
    /// What came of the calls before.
    pub(super) came: Vec<String>,
}

/// One function and what it is called with.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON.
    pub(super) arguments: String,
}

/// Where the parts of an argument are cut, so that whoever joins them has something to join.
const PIECES: usize = 2;

impl Doing {
    /// What a body of chat completions asks for.
    pub(super) fn of_chat(body: &Value) -> Result<Self, Refusal> {
        let messages = list(body, "/messages");
        let mut open: Vec<&str> = Vec::new();
        let mut came = Vec::new();
        for message in messages {
            if message["role"] == "tool" {
                close(&mut open, message["tool_call_id"].as_str(), "messages")?;
                came.push(text(&message["content"]));
                continue;
            }
            all_closed(&open, "messages")?;
            came.clear();
            let calls = list(message, "/tool_calls").iter();
            open = calls.filter_map(|call| call["id"].as_str()).collect();
        }
        all_closed(&open, "messages")?;
        let functions = list(body, "/tools").iter().map(|tool| &tool["function"]);
        let wanted = body.pointer("/tool_choice/function/name");
        Ok(Self {
            calls: calls(body, functions, wanted, &came),
            along: body
                .pointer("/response_format/json_schema/schema")
                .map(|schema| along(schema).to_string()),
            came,
        })
    }

    /// What a body of Responses asks for.
    pub(super) fn of_responses(body: &Value) -> Result<Self, Refusal> {
        let mut open: Vec<&str> = Vec::new();
        let mut came = Vec::new();
        // The call of an answer may be in what the vendor has kept.
        let is_all_here = body["previous_response_id"].is_null();
        for item in list(body, "/input") {
            match item["type"].as_str() {
                Some("function_call") => {
                    if open.is_empty() {
                        came.clear();
                    }
                    open.extend(item["call_id"].as_str());
                }
                Some("function_call_output") => {
                    match close(&mut open, item["call_id"].as_str(), "input") {
                        Err(_) if !is_all_here => {}
                        closed => closed?,
                    }
                    came.push(text(&item["output"]));
                }
                _ => came.clear(),
            }
        }
        all_closed(&open, "input")?;
        let wanted = body.pointer("/tool_choice/name");
        Ok(Self {
            calls: calls(body, list(body, "/tools").iter(), wanted, &came),
            along: body
                .pointer("/text/format/schema")
                .map(|schema| along(schema).to_string()),
            came,
        })
    }

    /// What is said, given what would be said if there were nothing to do.
    pub(super) fn said(&self, otherwise: String) -> String {
        match &self.along {
            Some(along) => along.clone(),
            None if self.came.is_empty() => otherwise,
            None => format!("That came of it: {}. {otherwise}", self.came.join(", ")),
        }
    }
}

impl Call {
    /// The arguments as they come in a stream.
    pub(super) fn pieces(&self) -> [&str; PIECES] {
        let half = self.arguments.len() / PIECES;
        let at = (half..=self.arguments.len()).find(|at| self.arguments.is_char_boundary(*at));
        let (first, rest) = self
            .arguments
            .split_at_checked(at.unwrap_or(0))
            .unwrap_or_default();
        [first, rest]
    }
}

/// A call of each function, or of the one that must be called.
fn calls<'a>(
    body: &Value,
    functions: impl Iterator<Item = &'a Value>,
    wanted: Option<&Value>,
    came: &[String],
) -> Vec<Call> {
    if !came.is_empty() || body["tool_choice"] == "none" {
        return Vec::new();
    }
    let most = if body["parallel_tool_calls"] == false {
        1
    } else {
        usize::MAX
    };
    let functions = functions.filter(|function| {
        function["name"].is_string() && wanted.is_none_or(|wanted| function["name"] == *wanted)
    });
    let calls = functions.take(most).enumerate().map(|(place, function)| {
        let arguments = along(&function["parameters"]);
        Call {
            id: format!("call_simulated{place}"),
            name: function["name"].as_str().unwrap_or_default().to_owned(),
            arguments: if arguments.is_null() {
                json!({}).to_string()
            } else {
                arguments.to_string()
            },
        }
    });
    calls.collect()
}

/// A call has its answer.
fn close(open: &mut Vec<&str>, id: Option<&str>, param: &'static str) -> Result<(), Refusal> {
    let place = open.iter().position(|open| Some(*open) == id);
    let place = place.ok_or_else(|| Refusal::invalid(param, "an answer to a call before it"))?;
    open.swap_remove(place);
    Ok(())
}

fn all_closed(open: &[&str], param: &'static str) -> Result<(), Refusal> {
    if open.is_empty() {
        return Ok(());
    }
    let expected = format!("answers to the calls {}", open.join(", "));
    Err(Refusal::invalid(param, &expected))
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// A text, or the texts of parts.
fn text(content: &Value) -> String {
    if let Value::String(text) = content {
        return text.clone();
    }
    let texts = list(content, "").iter();
    let texts = texts.filter_map(|part| part["text"].as_str());
    texts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> Value {
        let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        json!({"type": "function", "function": {"name": name, "parameters": parameters}})
    }

    #[test]
    fn each_tool_is_called_once_and_then_what_came_is_told() {
        let tools = json!([tool("weather"), tool("time")]);
        let body = json!({"messages": [{"role": "user", "content": "Hi"}], "tools": tools});
        let check = |members: Value, expected: &[&str]| {
            let mut body = body.clone();
            for (name, value) in members.as_object().unwrap() {
                body[name] = value.clone();
            }
            let doing = Doing::of_chat(&body).unwrap();
            let names: Vec<&str> = doing.calls.iter().map(|call| &*call.name).collect();
            assert_eq!(names, expected, "{members}");
            doing
        };
        let calls = check(json!({}), &["weather", "time"]).calls;
        assert_eq!(calls[0].pieces().concat(), r#"{"city":"simulated"}"#);
        assert!(calls[0].pieces().iter().all(|piece| !piece.is_empty()));
        check(json!({"tool_choice": "none"}), &[]);
        check(json!({"parallel_tool_calls": false}), &["weather"]);
        let wanted = json!({"type": "function", "function": {"name": "time"}});
        check(json!({"tool_choice": wanted}), &["time"]);
        let messages = json!([
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "tool_calls": [{"id": "a"}, {"id": "b"}]},
            {"role": "tool", "tool_call_id": "a", "content": "31 C"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "noon"}]},
        ]);
        let doing = check(json!({ "messages": messages }), &[]);
        let said = doing.said("So.".to_owned());
        assert_eq!(said, "That came of it: 31 C, noon. So.");
    }

    #[test]
    fn a_call_without_an_answer_and_an_answer_without_a_call_are_refused() {
        let user = json!({"role": "user", "content": "Hi"});
        let called = json!({"role": "assistant", "tool_calls": [{"id": "a"}]});
        let came = json!({"role": "tool", "tool_call_id": "a", "content": "1"});
        for messages in [
            json!([user, called]),
            json!([user, came]),
            json!([user, called, user]),
            json!([user, called, came, came]),
        ] {
            let refused = Doing::of_chat(&json!({ "messages": messages })).unwrap_err();
            assert_eq!((refused.status, refused.param), (400, Some("messages")));
        }
        let called = json!({"type": "function_call", "call_id": "a"});
        let came = json!({"type": "function_call_output", "call_id": "a", "output": "1"});
        for input in [json!([called]), json!([came]), json!([called, came, came])] {
            let refused = Doing::of_responses(&json!({ "input": input })).unwrap_err();
            assert_eq!((refused.status, refused.param), (400, Some("input")));
        }
        let kept = json!({"input": [came], "previous_response_id": "resp_1"});
        assert_eq!(Doing::of_responses(&kept).unwrap().came, ["1"]);
    }
}
