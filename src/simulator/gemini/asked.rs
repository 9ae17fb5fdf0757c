//! Is this a request that Gemini would take?

use serde_json::{Value, json};

use super::Invalid;
use crate::simulator::messages::said::along;

/// What was asked, as far as it shapes the answer.
pub(super) struct Asked<'a> {
    pub model: &'a str,
    pub candidates: u64,
    pub tokens_max: usize,
    pub thinks: bool,
    pub shows: bool,
    pub schema: Option<&'a Value>,
    stops: Vec<&'a str>,
    contents: &'a [Value],
    functions: &'a [Value],
    calling: &'a Value,
}

/// Fields that are known, by where they stand; any other is refused.
const KNOWN: [(&str, &[&str]); 2] = [
    (
        "",
        &[
            "contents",
            "systemInstruction",
            "tools",
            "toolConfig",
            "safetySettings",
            "generationConfig",
            "cachedContent",
        ],
    ),
    (
        "/generationConfig",
        &[
            "maxOutputTokens",
            "candidateCount",
            "temperature",
            "topP",
            "topK",
            "presencePenalty",
            "frequencyPenalty",
            "seed",
            "stopSequences",
            "responseLogprobs",
            "logprobs",
            "responseModalities",
            "responseMimeType",
            "responseSchema",
            "responseJsonSchema",
            "thinkingConfig",
            "mediaResolution",
            "speechConfig",
        ],
    ),
];
/// What a part may be, one of them.
const KINDS: [&str; 5] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
];

fn invalid<T>(message: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid(message.into()))
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

fn known(value: &Value, at: &str, names: &[&str]) -> Result<(), Invalid> {
    let mut members = value.as_object().into_iter().flatten();
    match members.find(|(name, _)| !names.contains(&name.as_str())) {
        Some((name, _)) => invalid(format!(
            "Invalid JSON payload received. Unknown name \"{name}\" at '{at}': Cannot find field."
        )),
        None => Ok(()),
    }
}

impl<'a> Asked<'a> {
    pub(super) fn parse(body: &'a Value, model: &'a str) -> Result<Self, Invalid> {
        for (pointer, names) in KNOWN {
            known(
                body.pointer(pointer).unwrap_or(&Value::Null),
                pointer,
                names,
            )?;
        }
        let settings = &body["generationConfig"];
        let candidates = settings["candidateCount"].as_u64().unwrap_or(1);
        if !(1..=8).contains(&candidates) {
            return invalid("Only 1 to 8 candidates can be specified");
        }
        if settings["responseJsonSchema"].is_object() && !settings["responseMimeType"].is_string() {
            return invalid("response_mime_type is required with response_json_schema");
        }
        let contents = list(body, "/contents");
        turns(contents, model)?;
        let calling = body.pointer("/toolConfig/functionCallingConfig");
        let calling = calling.unwrap_or(&Value::Null);
        let mode = calling["mode"].as_str();
        if calling["allowedFunctionNames"].is_array() && !matches!(mode, Some("ANY" | "VALIDATED"))
        {
            return invalid("allowed_function_names should only be set when mode is ANY");
        }
        let tokens_max = settings["maxOutputTokens"].as_u64().unwrap_or(u64::MAX);
        let stops = list(settings, "/stopSequences").iter();
        Ok(Self {
            model,
            candidates,
            tokens_max: usize::try_from(tokens_max).unwrap_or(usize::MAX),
            thinks: settings.pointer("/thinkingConfig/includeThoughts") == Some(&Value::Bool(true)),
            shows: list(settings, "/responseModalities").contains(&json!("IMAGE")),
            schema: settings.get("responseJsonSchema"),
            stops: stops.filter_map(Value::as_str).collect(),
            contents,
            functions: list(body, "/tools/0/functionDeclarations"),
            calling,
        })
    }

    /// What was said last by the caller.
    pub(super) fn question(&self) -> String {
        let turns = self
            .contents
            .iter()
            .rev()
            .filter(|turn| turn["role"] == "user");
        let mut texts = turns.map(|turn| {
            let texts = list(turn, "/parts")
                .iter()
                .filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join(" ")
        });
        texts.find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// The conversation as OpenAI's protocol has it, for what is said of it.
    pub(super) fn as_chat(&self) -> Value {
        let messages = json!([{"role": "user", "content": self.question()}]);
        json!({"model": self.model, "messages": messages, "stop": self.stops})
    }

    /// What came of the calls, where that is what was said last.
    pub(super) fn results(&self) -> Vec<String> {
        let last = self
            .contents
            .last()
            .map_or(&[][..], |turn| list(turn, "/parts"));
        let results = last.iter().filter_map(|part| part.get("functionResponse"));
        results
            .map(|result| match result.pointer("/response/output") {
                Some(Value::String(text)) => text.clone(),
                _ => result["response"].to_string(),
            })
            .collect()
    }

    /// The calls that are made: of each function, or of those that may be called.
    pub(super) fn calls(&self) -> Vec<Value> {
        if !self.results().is_empty() || self.calling["mode"] == "NONE" {
            return Vec::new();
        }
        let allowed = list(self.calling, "/allowedFunctionNames");
        let is_allowed =
            |function: &&Value| allowed.is_empty() || allowed.contains(&function["name"]);
        let functions = self.functions.iter().filter(is_allowed).enumerate();
        let call = |(place, function): (usize, &Value)| {
            let args = along(&function["parametersJsonSchema"]);
            let args = if args.is_null() { json!({}) } else { args };
            let call = json!({"name": function["name"], "args": args});
            // Of several calls at once the first has the signature of all.
            match place {
                0 => json!({"functionCall": call, "thoughtSignature": "c2ltdWxhdGVk"}),
                _ => json!({"functionCall": call}),
            }
        };
        functions.map(call).collect()
    }
}

/// Whether the turns are as they must be.
fn turns(contents: &[Value], model: &str) -> Result<(), Invalid> {
    if contents.is_empty() {
        return invalid("* GenerateContentRequest.contents: contents is not specified\n");
    }
    let is_said = |turn: &Value| turn["role"] == "user" && turn.pointer("/parts/0/text").is_some();
    let current = contents.iter().rposition(is_said).unwrap_or(0);
    let mut open = 0;
    for (place, turn) in contents.iter().enumerate() {
        known(turn, &format!("contents[{place}]"), &["role", "parts"])?;
        if turn["role"] != "user" && turn["role"] != "model" {
            return invalid("Please use a valid role: user, model.");
        }
        let parts = list(turn, "/parts");
        if parts.is_empty() {
            return invalid(format!(
                "* GenerateContentRequest.contents[{place}].parts: contents.parts must not be empty."
            ));
        }
        for part in parts {
            let names = [&KINDS[..], &["thought", "thoughtSignature"]].concat();
            known(part, &format!("contents[{place}].parts"), &names)?;
            let kinds = KINDS.iter().filter(|kind| part.get(**kind).is_some());
            if kinds.count() != 1 && part.get("thoughtSignature").is_none() {
                return invalid("required oneof field 'data' must have one initialized field");
            }
        }
        let of = |kind: &str| parts.iter().filter(|part| part.get(kind).is_some()).count();
        if open != of("functionResponse") {
            return invalid(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            );
        }
        open = of("functionCall");
        let first = parts.iter().find(|part| part.get("functionCall").is_some());
        let lacks = first.is_some_and(|part| part.get("thoughtSignature").is_none());
        if lacks && place > current && model.starts_with("gemini-3") {
            return invalid("Function call is missing a thought_signature in functionCall parts.");
        }
    }
    Ok(())
}
