//! What does one hear, and how does it sound?
//!
//! Speech is a tone as long as its text, as a WAV file, in pieces as they are made. What was
//! said in a recording nobody here knows; so its size is written down, which tells a test that
//! every byte of it arrived.
//!
//! Source: OpenAI's API reference.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use serde_json::{Value, json};

use super::Options;
use super::application::{Refusal, model_of};
use super::record::Request;
use super::script::Script;

/// Samples a second, of one byte each.
const RATE: u32 = 8000;
/// Samples for each letter.
const LETTER_SAMPLES: usize = 200;
/// Letters of the longest speech, OpenAI's own bound.
const LETTERS_MAX: usize = 4096;
/// Bytes that leave at once.
const PIECE_BYTES: usize = 4096;

/// Answers with speech.
pub(super) fn speech(body: &Value, options: &Options) -> Result<Script, Refusal> {
    model_of(body)?;
    let input = match body.get("input") {
        None => return Err(Refusal::missing("input")),
        Some(input) => input.as_str().filter(|input| !input.is_empty()),
    };
    let input = input.ok_or_else(|| Refusal::invalid("input", "a text that is not empty"))?;
    let letters = input.chars().count();
    if letters > LETTERS_MAX {
        return Err(Refusal::invalid("input", "at most 4096 characters"));
    }
    let sound = wave(letters);
    let pieces = sound.chunks(PIECE_BYTES);
    if body
        .get("stream_format")
        .is_some_and(|format| format == "sse")
    {
        let mut script = Script::event_stream().delay_head(options.first_token);
        for piece in pieces {
            let event = json!({"type": "speech.audio.delta", "audio": STANDARD.encode(piece)});
            script = script.piece_after(options.token_gap, format!("data: {event}\n\n"));
        }
        let usage =
            json!({"input_tokens": letters, "output_tokens": letters, "total_tokens": 2 * letters});
        let event = json!({"type": "speech.audio.done", "usage": usage});
        return Ok(script.piece(format!("data: {event}\n\n")));
    }
    let mut script = Script::body(200, "audio/wav", Vec::new()).chunked();
    for piece in pieces {
        script = script.piece_after(options.token_gap, piece.to_vec());
    }
    Ok(script.delay_head(options.first_token))
}

/// A WAV file of a tone.
fn wave(letters: usize) -> Vec<u8> {
    let samples = letters * LETTER_SAMPLES;
    let length = u32::try_from(samples).unwrap_or(u32::MAX);
    let mut file = Vec::with_capacity(44 + samples);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&length.saturating_add(36).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    for number in [16, 0x0001_0001, RATE, RATE, 0x0008_0001] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    file.extend_from_slice(b"data");
    file.extend_from_slice(&length.to_le_bytes());
    // A square of 500 Hz.
    file.extend((0..samples).map(|at| if at / 8 % 2 == 0 { 0x60 } else { 0xA0 }));
    file
}

/// Answers with what was said, as far as anybody here knows.
pub(super) fn transcriptions(request: &Request, options: &Options) -> Result<Script, Refusal> {
    let missing = |param| Refusal::missing(param);
    let boundary = request.header("content-type").and_then(|kind| {
        let (_, boundary) = kind.split_once("boundary=")?;
        Some(boundary.trim_matches('"').to_owned())
    });
    let boundary = boundary.ok_or_else(|| missing("file"))?;
    let field = |name: &str| part(&request.body, &boundary, name);
    let word = |name| field(name).and_then(|value| std::str::from_utf8(value).ok());
    let model = word("model").ok_or_else(|| missing("model"))?;
    let file = field("file").ok_or_else(|| missing("file"))?;
    let text = format!("{model} heard {} bytes of sound.", file.len());
    if word("stream") == Some("true") {
        let mut script = Script::event_stream().delay_head(options.first_token);
        for delta in text.split_inclusive(' ') {
            let event = json!({"type": "transcript.text.delta", "delta": delta});
            script = script.piece_after(options.token_gap, format!("data: {event}\n\n"));
        }
        let event = json!({"type": "transcript.text.done", "text": text, "usage": usage(&text)});
        return Ok(script.piece(format!("data: {event}\n\n")));
    }
    let script = match word("response_format").unwrap_or("json") {
        "json" => Script::json(
            200,
            json!({"text": text, "usage": usage(&text)}).to_string(),
        ),
        "verbose_json" => {
            let answer = json!({"task": "transcribe", "language": "english", "duration": 1.0,
                "text": text, "segments": [], "usage": {"type": "duration", "seconds": 1}});
            Script::json(200, answer.to_string())
        }
        "text" => Script::body(200, "text/plain; charset=utf-8", format!("{text}\n")),
        "srt" => {
            let srt = format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n\n");
            Script::body(200, "text/plain; charset=utf-8", srt)
        }
        "vtt" => {
            let vtt = format!("WEBVTT\n\n00:00.000 --> 00:01.000\n{text}\n\n");
            Script::body(200, "text/vtt; charset=utf-8", vtt)
        }
        _ => return Err(Refusal::invalid("response_format", "a known format")),
    };
    Ok(script.delay_head(options.first_token))
}

fn usage(text: &str) -> Value {
    let tokens = text.split(' ').count();
    json!({"type": "tokens", "input_tokens": 10, "output_tokens": tokens, "total_tokens": 10 + tokens})
}

/// The value of a field of a form, found as simply as a simulator may.
fn part<'a>(body: &'a [u8], boundary: &str, name: &str) -> Option<&'a [u8]> {
    let delimiter = format!("--{boundary}");
    let named = format!("name=\"{name}\"");
    let mut ends = memmem::find_iter(body, &delimiter);
    let mut start = ends.next()? + delimiter.len();
    for end in ends {
        let part = body.get(start..end)?;
        start = end + delimiter.len();
        let head = memmem::find(part, b"\r\n\r\n")?;
        if memmem::find(part.get(..head)?, named.as_bytes()).is_some() {
            return part.get(head + 4..)?.strip_suffix(b"\r\n");
        }
    }
    None
}
