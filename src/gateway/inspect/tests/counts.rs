//! How much is asked for, and how much may come of it.

use super::*;

/// Three texts, of each of which two answers of seven tokens are wanted.
fn asked(operation: Operation) -> Ask {
    Ask {
        operation,
        inputs: 3,
        ..ask(r#"{"model":"m","messages":[],"n":2,"max_tokens":7}"#)
    }
}

#[test]
fn of_completions_each_prompt_has_its_answers() {
    for operation in Operation::ALL {
        let expected = if operation == Operation::Completions {
            (6, 3)
        } else {
            (2, 1)
        };
        let mut ask = asked(operation);
        let said = ask.answers();
        ask.n = None;
        assert_eq!((said, ask.answers()), expected, "{operation:?}");
    }
    let mut most = asked(Operation::Completions);
    most.n = Some(u32::MAX);
    assert_eq!(most.answers(), u32::MAX);
}

#[test]
fn images_are_counted_where_images_are_made() {
    for operation in Operation::ALL {
        let mut ask = asked(operation);
        let is_of_images = operation == Operation::Images;
        let expected = if is_of_images { 2 } else { 0 };
        assert_eq!(ask.images(Modality::Text), expected, "{operation:?}");
        assert_eq!(ask.images(Modality::Image), 2, "{operation:?}");
        ask.n = None;
        assert_eq!(ask.images(Modality::Image), 1, "{operation:?}");
    }
}

#[test]
fn an_answer_has_tokens_where_somebody_counts_them() {
    for operation in Operation::ALL {
        let expected = match operation {
            Operation::Chat | Operation::Responses | Operation::Transcriptions => 14,
            Operation::Completions => 42,
            Operation::Images => 2000,
            _ => 0,
        };
        let found = asked(operation).answer_tokens_max(1000);
        assert_eq!(found, expected, "{operation:?}");
    }
}

#[test]
fn a_question_has_a_token_for_so_many_bytes() {
    let body = r#"{"model":"m","messages":[]}"#;
    let tokens = |bytes_per_token| ask(body).question_tokens(body.as_bytes(), bytes_per_token);
    assert_eq!([4, 1, 0].map(tokens), [7, 27, 27]);
}

#[test]
fn responses_have_a_maximum_of_their_own() {
    let within = Within {
        bounds: &BOUNDS,
        inputs_max: 1,
        caps: None,
    };
    let body = br#"{"model":"m","input":"i","max_output_tokens":7,"max_completion_tokens":9}"#;
    let ask = inspect_for(Operation::Responses, body, &within).unwrap();
    assert_eq!(ask.answer_tokens_max(1000), 7);
    let chat = r#"{"model":"m","messages":[],"max_output_tokens":7}"#;
    assert_eq!(super::ask(chat).answer_tokens_max(1000), 1000);
}
