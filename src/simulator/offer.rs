//! What does one answer that makes no text?
//!
//! Vectors that follow from their text, a moderator that knows one word, a rank by words in
//! common: enough for a client library to be content, and for a test to predict.
//!
//! Sources: OpenAI's API reference; of `rerank` what Cohere, Jina and vLLM have in common.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::application::{Refusal, bounded, model_of};
use super::script::Script;

/// Numbers in a vector, where nobody says how many.
const DIMENSIONS: u64 = 8;
/// As many as any vendor has.
const DIMENSIONS_MAX: u64 = 3072;

/// Answers embeddings.
pub(super) fn embeddings(body: &Value) -> Result<Script, Refusal> {
    let model = model_of(body)?;
    let inputs = inputs(body)?;
    let dimensions = bounded(body, "dimensions", 1..=DIMENSIONS_MAX)?.unwrap_or(DIMENSIONS);
    let is_base64 = body
        .get("encoding_format")
        .is_some_and(|format| format == "base64");
    let data = inputs.iter().enumerate().map(|(index, input)| {
        let vector = vector(input, dimensions);
        let embedding = if is_base64 {
            let bytes: Vec<u8> = vector
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect();
            json!(STANDARD.encode(bytes))
        } else {
            json!(vector)
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    let data: Vec<Value> = data.collect();
    let tokens: usize = inputs.iter().map(|input| input.len().div_ceil(4)).sum();
    let list = json!({"object": "list", "data": data, "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens}});
    Ok(Script::json(200, list.to_string()))
}

/// The texts that are asked about; tokens are one as they are written.
fn inputs(body: &Value) -> Result<Vec<String>, Refusal> {
    match body.get("input") {
        None => Err(Refusal::missing("input")),
        Some(Value::String(text)) if !text.is_empty() => Ok(vec![text.clone()]),
        Some(Value::Array(all)) if all.first().is_some_and(Value::is_number) => {
            Ok(vec![Value::Array(all.clone()).to_string()])
        }
        Some(Value::Array(all)) if !all.is_empty() => Ok(all
            .iter()
            .map(|input| {
                input
                    .as_str()
                    .map_or_else(|| input.to_string(), str::to_owned)
            })
            .collect()),
        Some(_) => Err(Refusal::invalid("input", "a text or a list of some")),
    }
}

/// Numbers between −1 and 1 that follow from a text.
fn vector(text: &str, dimensions: u64) -> Vec<f32> {
    let mut numbers = blake3::Hasher::new().update(text.as_bytes()).finalize_xof();
    let mut next = || {
        let mut byte = [0];
        numbers.fill(&mut byte);
        f32::from(byte.first().copied().unwrap_or(0)) / 128.0 - 1.0
    };
    (0..dimensions).map(|_| next()).collect()
}

/// Answers a moderation: whoever speaks of killing is flagged.
pub(super) fn moderations(body: &Value, number: u64) -> Result<Script, Refusal> {
    const CATEGORIES: [&str; 13] = [
        "harassment",
        "harassment/threatening",
        "hate",
        "hate/threatening",
        "illicit",
        "illicit/violent",
        "self-harm",
        "self-harm/instructions",
        "self-harm/intent",
        "sexual",
        "sexual/minors",
        "violence",
        "violence/graphic",
    ];
    let model = model_of(body)?;
    let results = inputs(body)?.into_iter().map(|input| {
        let flagged = input.contains("kill");
        let of = |held: Value, other: Value| -> Value {
            let entries = CATEGORIES.iter().map(|category| {
                let is_it = flagged && *category == "violence";
                let value = if is_it { held.clone() } else { other.clone() };
                ((*category).to_owned(), value)
            });
            Value::Object(entries.collect())
        };
        json!({"flagged": flagged, "categories": of(true.into(), false.into()),
            "category_scores": of(json!(0.98), json!(0.01)),
            "category_applied_input_types": of(json!(["text"]), json!(["text"]))})
    });
    let results: Vec<Value> = results.collect();
    let answer =
        json!({"id": format!("modr-simulated{number:010}"), "model": model, "results": results});
    Ok(Script::json(200, answer.to_string()))
}

/// Ranks documents by how many of the query's words they have.
pub(super) fn rerank(body: &Value, number: u64) -> Result<Script, Refusal> {
    let model = model_of(body)?;
    let query = body.get("query").and_then(Value::as_str);
    let query = query.ok_or_else(|| Refusal::missing("query"))?;
    let documents = body.get("documents").and_then(Value::as_array);
    let documents = documents.ok_or_else(|| Refusal::missing("documents"))?;
    let words: Vec<&str> = query.split_whitespace().collect();
    let mut ranked: Vec<(usize, f64, String)> = documents
        .iter()
        .enumerate()
        .map(|(index, document)| {
            let text = document.get("text").unwrap_or(document);
            let text = text.as_str().unwrap_or_default().to_owned();
            let common = words.iter().filter(|word| text.contains(**word)).count();
            #[expect(clippy::cast_precision_loss, reason = "a few words")]
            let score = common as f64 / words.len().max(1) as f64;
            (index, score, text)
        })
        .collect();
    ranked.sort_by(|one, other| other.1.total_cmp(&one.1));
    let most = bounded(body, "top_n", 1..=u64::MAX)?.unwrap_or(u64::MAX);
    ranked.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    let results = ranked.iter().map(|(index, score, text)| {
        json!({"index": index, "relevance_score": score, "document": {"text": text}})
    });
    let results: Vec<Value> = results.collect();
    let tokens = body.to_string().len().div_ceil(4);
    let answer = json!({"id": format!("rerank-simulated{number:010}"), "model": model,
        "results": results, "usage": {"total_tokens": tokens}});
    Ok(Script::json(200, answer.to_string()))
}
