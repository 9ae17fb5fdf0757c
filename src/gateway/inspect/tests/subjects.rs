//! What each operation is asked about, and how its answer is wanted.

use super::*;
use crate::operation::Operation::{
    Chat, Completions, Counting, Embeddings, Images, Moderations, Rerank, Responses, Speech,
};

/// What is read of this body by a gateway that takes three inputs at once.
fn read(operation: Operation, body: &str) -> Result<Ask, InspectError> {
    let within = Within {
        bounds: &BOUNDS,
        inputs_max: 3,
        caps: None,
    };
    inspect_for(operation, body.as_bytes(), &within)
}

/// With these members beside a model.
#[track_caller]
fn with(operation: Operation, members: &str) -> Ask {
    let body = format!(r#"{{"model":"m",{members}}}"#);
    let read = read(operation, &body);
    read.unwrap_or_else(|error| panic!("{operation:?}, {body}: {error}"))
}

/// Such a body is refused with this code for this field, whose name the message tells.
#[track_caller]
fn refused(operation: Operation, members: &str, code: &str, field: &str) {
    let body = format!(r#"{{"model":"m"{members}}}"#);
    let error = read(operation, &body).unwrap_err();
    let told = (error.code(), error.param());
    assert_eq!(told, (code, Some(field)), "{operation:?}, {body}");
    let message = error.message();
    assert!(message.contains(&format!("`{field}`")), "{message}");
}

#[test]
fn what_it_is_about_is_found_and_counted() {
    for (operation, before, subject, inputs) in [
        (Chat, "", r#""messages":[1, 2, 3, 4]"#, 1),
        (Counting, "", r#""messages":[]"#, 1),
        (Completions, "", r#""prompt":"a""#, 1),
        (Completions, "", r#""prompt":["a", "b"]"#, 2),
        (Completions, "", r#""prompt":[ 17, 4, 5, 6]"#, 1),
        (Completions, "", r#""prompt":[-1, 2]"#, 1),
        (Completions, "", r#""prompt":[[1, 2], [3], [4]]"#, 3),
        (Embeddings, "", r#""input":["a", "b", "c"]"#, 3),
        (Embeddings, "", r#""input":"a""#, 1),
        (Moderations, "", r#""input":[{}, {}]"#, 2),
        (Images, "", r#""prompt":"a cat""#, 1),
        (Speech, "", r#""input":"say it""#, 1),
        (Responses, "", r#""input":"a""#, 1),
        (Responses, "", r#""input":[1, 2, 3, 4]"#, 1),
        (Responses, r#""input":null,"#, r#""prompt":{"id":"p"}"#, 1),
        // What it is about is what is there to be answered, not what that is filled into.
        (Responses, r#""prompt":{"id":"p"},"#, r#""input":"a""#, 1),
        (Rerank, r#""query":"q","#, r#""documents":["a", {}]"#, 2),
    ] {
        let ask = with(operation, &format!("{before}{subject}"));
        assert_eq!(ask.inputs, inputs, "{operation:?}, {subject}");
        let (_, value) = subject.split_once(':').unwrap();
        let start = r#"{"model":"m","#.len() + before.len() + subject.len() - value.len();
        let span = start..start + value.len();
        assert_eq!(ask.messages_span, span, "{operation:?}, {subject}");
    }
}

#[test]
fn without_it_there_is_nothing_to_answer() {
    for (operation, field) in [
        (Chat, "messages"),
        (Counting, "messages"),
        (Completions, "prompt"),
        (Images, "prompt"),
        (Embeddings, "input"),
        (Responses, "input"),
        (Speech, "input"),
        (Moderations, "input"),
        (Rerank, "query"),
    ] {
        refused(operation, "", "missing_field", field);
    }
    refused(Rerank, r#","query":"q""#, "missing_field", "documents");
    for (operation, members, field) in [
        (Chat, r#","messages":"a""#, "messages"),
        (Completions, r#","prompt":{}"#, "prompt"),
        (Completions, r#","prompt":[]"#, "prompt"),
        (Images, r#","prompt":["a"]"#, "prompt"),
        (Speech, r#","input":["a"]"#, "input"),
        (Embeddings, r#","input":7"#, "input"),
        (Responses, r#","input":{}"#, "input"),
        (Responses, r#","prompt":"p""#, "prompt"),
        (Responses, r#","prompt":["p"]"#, "prompt"),
        (Rerank, r#","query":"q","documents":"a""#, "documents"),
        (Rerank, r#","query":"q","documents":[]"#, "documents"),
        // One more than is taken at once.
        (Embeddings, r#","input":["a","b","c","d"]"#, "input"),
    ] {
        refused(operation, members, "invalid_value", field);
    }
}

#[test]
fn a_stream_is_what_each_of_them_calls_one() {
    for (operation, members, expected) in [
        (Chat, r#""messages":[]"#, false),
        (Chat, r#""messages":[],"stream":false"#, false),
        (Chat, r#""messages":[],"stream":null"#, false),
        (Chat, r#""messages":[],"stream":true"#, true),
        (Responses, r#""input":"a","stream":true"#, true),
        (
            Responses,
            r#""input":"a","stream":false,"background":false"#,
            false,
        ),
        (Speech, r#""input":"a","stream":true"#, false),
        (Speech, r#""input":"a","stream_format":"audio""#, false),
        (Speech, r#""input":"a","stream_format":"sse""#, true),
        (Embeddings, r#""input":"a","stream":true"#, false),
    ] {
        let is_stream = with(operation, members).stream;
        assert_eq!(is_stream, expected, "{operation:?}, {members}");
    }
    refused(
        Responses,
        r#","input":"a","background":true"#,
        "invalid_value",
        "background",
    );
    refused(
        Chat,
        r#","messages":[],"stream":1"#,
        "invalid_value",
        "stream",
    );
}

#[test]
fn of_responses_all_is_kept_of_which_nothing_is_said() {
    for (operation, members, expected) in [
        (Chat, r#""messages":[]"#, false),
        (Chat, r#""messages":[],"store":true"#, true),
        (Responses, r#""input":"a""#, true),
        (Responses, r#""input":"a","store":null"#, true),
        (Responses, r#""input":"a","store":true"#, true),
        (Responses, r#""input":"a","store":false"#, false),
        (
            Responses,
            r#""input":"a","store":false,"conversation":"c""#,
            true,
        ),
        (
            Responses,
            r#""input":"a","store":false,"conversation":null"#,
            false,
        ),
        (
            Responses,
            r#""input":"a","store":false,"previous_response_id":"r""#,
            true,
        ),
        (
            Responses,
            r#""input":"a","store":false,"prompt":{"id":"p"}"#,
            true,
        ),
    ] {
        let store = with(operation, members).store;
        assert_eq!(store, expected, "{operation:?}, {members}");
    }
}

#[test]
fn in_another_protocol_the_model_is_found_wherever_it_stands() {
    for (before, behind) in [
        ("{", "}"),
        (r#"{"max_tokens":1,"#, r#","messages":[{"model":"x"}]}"#),
    ] {
        let body = format!(r#"{before}"model":"m"{behind}"#);
        let start = before.len() + r#""model":"#.len();
        let span = strict::model(body.as_bytes(), &BOUNDS).unwrap();
        assert_eq!(span, start..start + 3, "{body}");
    }
    for (body, code) in [
        (r#"{"messages":[]}"#, "missing_field"),
        (r#"{"model":"m","model":"m"}"#, "duplicate_key"),
        ("[]", "invalid_json"),
    ] {
        let refused = strict::model(body.as_bytes(), &BOUNDS).unwrap_err();
        assert_eq!(refused.code(), code, "{body}");
    }
}
