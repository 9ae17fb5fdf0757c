//! Is a replay, put together, what was replayed? And does its cutting matter?

use proptest::prelude::*;

use super::*;
use crate::gateway::cache::generated::{any_completion, ordered};
use crate::gateway::cache::replay;
use crate::openai::glance::{Ending, Glance};

/// The same answer, with what is not told anew as a stream tells it.
fn expected(answer: &str, usage: Option<&str>) -> String {
    let mut members = Members::read(answer).unwrap();
    members.take("usage");
    let mut object = Object::new();
    object.members(&members);
    object.member("usage", usage.unwrap_or("null"));
    ordered(&String::from_utf8(object.close()).unwrap())
}

fn cut(stream: &[u8], cuts: &[prop::sample::Index]) -> Vec<Bytes> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    at.extend([0, stream.len()]);
    at.sort_unstable();
    let slices = at.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
    slices.map(Bytes::copy_from_slice).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_replay_put_together_is_the_answer(answer in any_completion(true)) {
        let told = replay::events(answer.completion.as_bytes(), true).unwrap();
        let found = completion(&told, false).unwrap();
        let bytes = std::str::from_utf8(&found.bytes).unwrap();
        prop_assert_eq!(ordered(bytes), expected(&answer.completion, answer.usage));
        prop_assert_eq!(found.usage.is_some(), answer.usage.is_some());
        let (before, after) = (Glance::read(answer.completion.as_bytes()), Glance::read(&found.bytes));
        prop_assert_eq!(before, after);

        let untold = replay::events(answer.completion.as_bytes(), false).unwrap();
        let found = completion(&untold, false).unwrap();
        let bytes = std::str::from_utf8(&found.bytes).unwrap();
        prop_assert_eq!(ordered(bytes), expected(&answer.completion, None));
        prop_assert_eq!(found.usage, None);
    }

    #[test]
    fn cuts_make_no_difference(
        answer in any_completion(true),
        crlf: bool,
        end in prop::sample::select(vec!["", "data: {", "data: {\"choices\":[]}\n\n", ": a\n\n"]),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        done_was_added: bool,
    ) {
        let events = replay::events(answer.completion.as_bytes(), true).unwrap();
        let mut stream = events[..events.len() - 1].concat();
        stream.extend_from_slice(end.as_bytes());
        if crlf {
            stream = String::from_utf8(stream).unwrap().replace('\n', "\r\n").into_bytes();
        }
        let whole = completion(&[Bytes::from(stream.clone())], done_was_added);
        prop_assert_eq!(whole.is_ok(), done_was_added && end != "data: {");
        prop_assert_eq!(&completion(&cut(&stream, &cuts), done_was_added), &whole);
        let bytewise: Vec<Bytes> = stream.chunks(1).map(Bytes::copy_from_slice).collect();
        prop_assert_eq!(&completion(&bytewise, done_was_added), &whole);
    }

    #[test]
    fn anything_else_is_refused_and_no_more(
        stream in any_completion(true).prop_map(|answer| {
            replay::events(answer.completion.as_bytes(), true).unwrap().concat()
        }),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let mut stream = stream;
        let at = at.index(stream.len());
        stream[at] = byte;
        if let Ok(found) = completion(&[Bytes::from(stream)], false) {
            let glance = Glance::read(&found.bytes).unwrap();
            prop_assert!(!glance.error && glance.is_completion);
            prop_assert!(glance.ending != Ending::Odd && glance.ending < Ending::Unfinished);
        }
    }
}
