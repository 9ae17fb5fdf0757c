//! What is made of requests, answers and streams of those who ask in Anthropic's words?
//!
//! `tests/golden/messages/CASE.*`, each pair read by a person against the vendor's reference:
//! * `CASE.asked.json` → `CASE.chat.json`, behind a line with what it does not say, or
//!   `CASE.refused.txt`: field and reason;
//! * `CASE.completion.json` → `CASE.message.json`, or `CASE.unreadable.txt`;
//! * `CASE.chunks.sse` → `CASE.events.sse`, and behind a stream that is not understood a comment
//!   with the reason. However it is cut, the same must come of it.
//!
//! `SPAFE_GOLDEN=write` writes what is made, to be read before it is committed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;
use spafe::config::dialect::{Dialect, StreamUsage, Thinking, Unsupported};
use spafe::gateway::dialect::original::Original;
use spafe::gateway::dialect::{self, Asked, Inexpressible, Terms};
use spafe::gateway::idiom::{Idiom, Telling, answer, question};
use spafe::gateway::inspect::{Bounds, inspect, strict};
use spafe::gateway::record::id::RequestId;

const BOUNDS: Bounds = Bounds {
    depth_max: 64,
    keys_max: 1000,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/messages")
}

/// The cases that end so, by name.
fn cases(ending: &str) -> BTreeMap<String, Bytes> {
    let files = std::fs::read_dir(folder()).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let cases = paths.filter_map(|path| {
        let name = path.file_name()?.to_str()?.strip_suffix(ending)?.to_owned();
        Some((name, std::fs::read(&path).unwrap().into()))
    });
    cases.collect()
}

/// What is made must be what stands in the file of this case.
fn check(case: &str, endings: [&str; 2], made: Result<String, String>) {
    let ending = endings[usize::from(made.is_err())];
    let mut made = made.unwrap_or_else(|why| why);
    if !made.ends_with('\n') {
        made.push('\n');
    }
    let path = folder().join(format!("{case}{ending}"));
    if std::env::var("SPAFE_GOLDEN").is_ok_and(|word| word == "write") {
        std::fs::write(&path, &made).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(made, expected, "{}", path.display());
}

fn id() -> RequestId {
    RequestId::accept(&http::HeaderValue::from_static("req-1")).unwrap()
}

#[test]
fn requests_are_chats_and_what_they_do_not_say_is_known() {
    let cases = cases(".asked.json");
    assert!(cases.len() >= 15, "{}", cases.len());
    for (case, body) in cases {
        strict::model(&body, &BOUNDS).unwrap();
        let made = question::chat(&body);
        let made = made.map(|chat| {
            let ask = inspect(&chat.body, &BOUNDS).unwrap();
            assert_eq!(&*ask.model, "m", "{case}");
            let unsaid = chat.unsaid;
            let top_k = unsaid.top_k.map(|_| Inexpressible::unknown("top_k"));
            let unsaid = [unsaid.content.or(unsaid.shown), unsaid.setting.or(top_k)];
            let unsaid = unsaid.map(|what| what.map(|what| what.param).unwrap_or_default());
            let body = String::from_utf8(chat.body).unwrap();
            format!("// content: {}, setting: {}\n{body}", unsaid[0], unsaid[1])
        });
        let made = made.map_err(|what| format!("{}: {:?}", what.param, what.why));
        check(&case, [".chat.json", ".refused.txt"], made);
    }
}

/// What a pool of this dialect is asked whose model is called so, or the field that it refuses.
fn put(dialect: Dialect, model: &str, members: &str) -> Result<Value, String> {
    let body = format!(r#"{{"model": "m", "max_tokens": 64, {members}}}"#);
    let body = Bytes::from(body);
    let chat = question::chat(&body).unwrap();
    let ask = inspect(&chat.body, &BOUNDS).unwrap();
    let original = Original {
        model_span: strict::model(&body, &BOUNDS).unwrap(),
        body,
        unsaid: chat.unsaid,
        origins: chat.origins,
    };
    let asked = Asked {
        body: &chat.body.into(),
        ask: &ask,
        original: Some(&original),
        image: None,
        model,
        terms: Terms {
            unsupported: Unsupported::Refuse,
            stream_usage: StreamUsage::Leave,
            max_tokens_default: 8192,
            thinking: Thinking::Budget,
        },
    };
    let put = dialect::request(dialect, &asked).map_err(|what| what.param)?;
    let bytes: Vec<u8> = put.parts().flatten().copied().collect();
    Ok(serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn what_a_chat_cannot_say_is_told_who_understands_it() {
    let top_k = r#""messages": [{"role": "user", "content": "Hi"}], "top_k": 5"#;
    let config = |model, members| {
        put(Dialect::Gemini, model, members).map(|mut body| body["generationConfig"].take())
    };
    let said = config("gemini-2.5-pro", top_k).unwrap();
    assert_eq!(said["topK"], 5);
    for dialect in [Dialect::OpenAi, Dialect::Azure, Dialect::Responses] {
        assert_eq!(put(dialect, "m", top_k).unwrap_err(), "top_k");
    }
    let disabled =
        r#""messages": [{"role": "user", "content": "Hi"}], "thinking": {"type": "disabled"}"#;
    for (model, budget) in [
        ("gemini-2.5-flash", Some(0)),
        ("gemini-2.5-flash-lite", Some(0)),
        // It would refuse.
        ("gemini-2.5-pro", None),
        ("gemini-2.5-flash-image", None),
        ("gemini-2.0-flash", None),
    ] {
        let said = config(model, disabled).unwrap();
        let told = said["thinkingConfig"]["thinkingBudget"].as_u64();
        assert_eq!(told, budget, "{model}");
    }
    let said = put(Dialect::OpenAi, "m", disabled).unwrap();
    assert_eq!(said.get("reasoning_effort"), None);
    let user = r#""messages": [{"role": "user", "content": "Hi"}], "metadata": {"user_id": "u"}"#;
    assert_eq!(put(Dialect::Gemini, "m", user).unwrap().get("user"), None);
}

/// The chat that is made of it has a message before all, and one for each result.
#[test]
fn what_cannot_be_said_is_named_as_the_caller_wrote_it() {
    let members = r#""system": "Be brief.", "messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "stray", "content": "x"}]}]"#;
    assert_eq!(
        put(Dialect::Gemini, "m", members).unwrap_err(),
        "messages[1].content"
    );
    let members = r#""messages": [{"role": "user", "content": "Hi"}], "stop_sequences": ["a", "b", "c", "d", "e", "f"]"#;
    assert_eq!(
        put(Dialect::Gemini, "m", members).unwrap_err(),
        "stop_sequences"
    );
    assert_eq!(
        put(Dialect::Responses, "m", members).unwrap_err(),
        "stop_sequences"
    );
}

/// A chat of OpenAI's has no place for a picture in what came of a call.
#[test]
fn a_picture_that_a_tool_made_is_told_who_looks_at_it() {
    let body = cases(".asked.json").remove("picture-of-a-result").unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let members = format!(r#""messages": {}"#, body["messages"]);
    let put = |dialect| put(dialect, "m", &members);
    let said = put(Dialect::Responses).unwrap();
    let picture = &said["input"][2]["output"][0];
    assert_eq!(picture["type"], "input_image");
    assert_eq!(picture["image_url"], "https://pictures.test/a.png");
    for dialect in [Dialect::OpenAi, Dialect::Azure] {
        let refused = put(dialect).unwrap_err();
        assert_eq!(refused, "messages[2].content[0].content[0]");
    }
}

#[test]
fn answers_are_messages() {
    for (case, body) in cases(".completion.json") {
        let made = answer::message(&body, &id()).map_err(|why| why.to_string());
        let made = made.map(|body| {
            let _: Value = serde_json::from_slice(&body).unwrap();
            String::from_utf8(body.into()).unwrap()
        });
        check(&case, [".message.json", ".unreadable.txt"], made);
    }
}

/// What a stream is told as, if it comes in these slices.
fn told<'a>(slices: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut telling = Telling::new(Idiom::Anthropic, &id()).unwrap();
    let mut out = Vec::new();
    let mut why = None;
    for slice in slices {
        why = telling.feed(slice, &mut out).err();
        if why.is_some() {
            break;
        }
    }
    if why.is_none() {
        telling.end(&mut out);
    }
    let text = String::from_utf8(out.concat()).unwrap();
    if let Some(why) = why {
        return format!("{text}: {why}\n\n");
    }
    text
}

#[test]
fn streams_are_events() {
    for (case, stream) in cases(".chunks.sse") {
        let made = told([&*stream]);
        for data in made.lines().filter_map(|line| line.strip_prefix("data: ")) {
            let _: Value = serde_json::from_str(data).unwrap();
        }
        check(&case, [".events.sse", ".events.sse"], Ok(made));
    }
}

proptest! {
    #[test]
    fn however_a_stream_is_cut_the_same_comes_of_it(
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..24),
    ) {
        for (case, stream) in cases(".chunks.sse") {
            let mut places: Vec<usize> =
                cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            places.extend([0, stream.len()]);
            places.sort_unstable();
            let slices = places.windows(2).map(|cut| &stream[cut[0]..cut[1]]);
            prop_assert_eq!(told(slices), told([&*stream]), "{}", case);
        }
    }

    /// Half of a golden file is somebody's mistake; none ends the program.
    #[test]
    fn nothing_that_is_cut_off_panics(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for ending in [".asked.json", ".completion.json", ".chunks.sse"] {
            for (_, body) in cases(ending) {
                let mut changed = body.to_vec();
                let at = at.index(changed.len());
                changed[at] = byte;
                let _ = question::chat(&changed);
                let _ = answer::message(&changed, &id());
                let _ = question::chat(&changed[..at]);
                let mut telling = Telling::new(Idiom::Anthropic, &id()).unwrap();
                let _ = telling.feed(&changed, &mut Vec::new());
            }
        }
    }
}
