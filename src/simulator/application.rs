//! Which answer fits a request that no script is waiting for?
//!
//! OpenAI's upstream side, as far as a gateway uses it: chat completions, images, models;
//! and that of vendors with words of their own, each in its file.
//! Any prefix before the endpoint is taken, because vendors differ in it and the gateway
//! appends to whatever base address is configured. What is wrong is answered in OpenAI's
//! envelope with OpenAI's codes, so that a client library raises the class it would.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde_json::{Value, json};

use super::record::Request;
use super::script::Script;
use super::{Options, audio, azure, chat, gemini, image, messages, offer, responses, text};

/// A simulated vendor.
#[derive(Debug)]
pub(super) struct Application {
    options: Options,
    /// Where image URLs point when the request names no host.
    address: SocketAddr,
    answers: AtomicU64,
}

/// A request that cannot be answered, in OpenAI's terms.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: Option<&'static str>,
    pub(super) param: Option<&'static str>,
    pub(super) message: String,
}

impl Application {
    pub(super) fn new(options: Options, address: SocketAddr) -> Self {
        Self {
            options,
            address,
            answers: AtomicU64::new(0),
        }
    }

    pub(super) fn answer(&self, request: &Request) -> Script {
        let number = self.answers.fetch_add(1, Ordering::Relaxed);
        let script = self.route(request, number);
        let script = script.unwrap_or_else(|refusal| refusal.script());
        script.header("x-request-id", format!("req_simulated_{number}"))
    }

    fn route(&self, request: &Request, number: u64) -> Result<Script, Refusal> {
        let path = request.target.split(['?', '#']).next().unwrap_or_default();
        if let Some(deployment) = azure::deployment(path) {
            return azure::answer(request, &deployment, &self.options, number);
        }
        if let Some(asked_for) = gemini::asked_for(path).filter(|_| request.method == "POST") {
            return Ok(gemini::answer(request, asked_for, &self.options, number));
        }
        if path.ends_with("/chat/completions") {
            let body = posted(request)?;
            return chat::answer(&body, &self.options, number);
        }
        if path.ends_with("/messages") && request.method == "POST" {
            return Ok(messages::answer(request, &self.options, number));
        }
        if path.ends_with("/messages/count_tokens") && request.method == "POST" {
            return Ok(messages::count(request));
        }
        if let Some(answer) = self.beside_chats(path, request, number) {
            return answer;
        }
        if path.ends_with("/images/generations") {
            let body = posted(request)?;
            return image::answer(&body, &self.options, &self.base_url(request));
        }
        if request.method != "GET" && request.method != "HEAD" {
            return Err(Refusal::unknown_path(request));
        }
        if path.ends_with("/models") {
            let models = self.options.models.iter().map(|id| model(id));
            let list = json!({"object": "list", "data": models.collect::<Vec<_>>()});
            return Ok(Script::json(200, list.to_string()));
        }
        if let Some((_, id)) = path.split_once("/models/") {
            return self.one_model(id);
        }
        let painted = path.rsplit_once("/images/").map(|(_, name)| name);
        painted
            .and_then(image::painted)
            .ok_or_else(|| Refusal::unknown_path(request))
    }

    /// What is asked for that is no chat and no image.
    fn beside_chats(
        &self,
        path: &str,
        request: &Request,
        number: u64,
    ) -> Option<Result<Script, Refusal>> {
        let options = &self.options;
        let json = |answer: &dyn Fn(&Value) -> Result<Script, Refusal>| {
            posted(request).and_then(|body| answer(&body))
        };
        let (_, last) = path.rsplit_once('/')?;
        Some(match last {
            "completions" => json(&|body| text::completions(body, options, number)),
            "responses" => json(&|body| responses::answer(body, options, number)),
            "embeddings" => json(&offer::embeddings),
            "moderations" => json(&|body| offer::moderations(body, number)),
            "rerank" => json(&|body| offer::rerank(body, number)),
            "speech" => json(&|body| audio::speech(body, options)),
            "transcriptions" if request.method == "POST" => audio::transcriptions(request, options),
            _ => return None,
        })
    }

    fn one_model(&self, id: &str) -> Result<Script, Refusal> {
        if self.options.models.iter().any(|listed| listed == id) {
            return Ok(Script::json(200, model(id).to_string()));
        }
        Err(Refusal {
            status: 404,
            code: Some("model_not_found"),
            param: Some("model"),
            message: "The simulator does not list this model; GET …/models does.".to_owned(),
        })
    }

    /// What the client called us, since only that is sure to lead back here.
    fn base_url(&self, request: &Request) -> String {
        let scheme = if self.options.tls.is_some() {
            "https"
        } else {
            "http"
        };
        match request.authority.as_str() {
            "" => format!("{scheme}://{}", self.address),
            host => format!("{scheme}://{host}"),
        }
    }
}

impl Refusal {
    pub(super) fn missing(param: &'static str) -> Self {
        Self {
            status: 400,
            code: Some("missing_required_parameter"),
            param: Some(param),
            message: format!("Missing required parameter: '{param}'."),
        }
    }

    pub(super) fn invalid(param: &'static str, expected: &str) -> Self {
        Self {
            status: 400,
            code: Some("invalid_value"),
            param: Some(param),
            message: format!("Invalid value for '{param}': expected {expected}."),
        }
    }

    fn unknown_path(request: &Request) -> Self {
        let asked: String = request.target.chars().take(100).collect();
        Self {
            status: 404,
            code: Some("unknown_url"),
            param: None,
            message: format!("Unknown request URL: {} {asked}", request.method),
        }
    }

    fn script(&self) -> Script {
        let Self {
            status,
            code,
            param,
            message,
        } = self;
        let error = json!({"message": message, "type": "invalid_request_error", "param": param, "code": code});
        Script::json(*status, json!({ "error": error }).to_string())
    }
}

/// The body of a POST as an object.
pub(super) fn posted(request: &Request) -> Result<Value, Refusal> {
    if request.method != "POST" {
        return Err(Refusal {
            status: 405,
            code: Some("method_not_supported"),
            param: None,
            message: "This endpoint takes POST only.".to_owned(),
        });
    }
    let body = serde_json::from_slice(&request.body).ok();
    body.filter(Value::is_object).ok_or_else(|| Refusal {
        status: 400,
        code: None,
        param: None,
        message: "The body of this request is not one JSON object.".to_owned(),
    })
}

fn model(id: &str) -> Value {
    // A constant moment: an upstream's list does not change from call to call.
    json!({"id": id, "object": "model", "created": 1_730_419_200, "owned_by": "simulator"})
}

/// The name of a model, which every question has.
pub(super) fn model_of(body: &Value) -> Result<&str, Refusal> {
    match body.get("model") {
        None => Err(Refusal::missing("model")),
        Some(model) => model
            .as_str()
            .filter(|model| !model.is_empty())
            .ok_or_else(|| Refusal::invalid("model", "the name of a model")),
    }
}

/// A whole number of a field within bounds; absent and `null` are the default.
pub(super) fn bounded(
    body: &Value,
    field: &'static str,
    bounds: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, Refusal> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().filter(|number| bounds.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(Refusal::invalid(
                field,
                &format!("an integer from {} to {}", bounds.start(), bounds.end()),
            )),
        },
    }
}

/// JSON in the order of the fields of a type, which is the order people know.
pub(super) fn written(value: &impl Serialize) -> String {
    // Only maps with keys that are no strings cannot be written, and we have no maps.
    serde_json::to_string(value).unwrap_or_default()
}
