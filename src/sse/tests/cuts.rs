//! Does it matter how a stream is cut?

use super::*;

pub(super) fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\r\n\r\n",
        "\r\r",
        "data: ",
        "data:",
        "data",
        ":",
        ": ping\n\n",
        "event: error\n",
        "id: 1\r\n",
        "\u{feff}",
        "[DONE]",
        "data: [DONE]\n\n",
        "{}",
        "x",
        "é",
        "{\"error\":{\"message\":\"no\"}}",
        "{\"choices\":[{\"index\":1,\"finish_reason\":\"stop\"}]}",
        "{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}",
        "{\"choices\":[],\"usage\":{\"prompt_tokens\":1}}",
        CHUNK,
        "0123456789012345678901234567",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

pub(super) fn cut<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    at.extend([0, stream.len()]);
    at.sort_unstable();
    at.windows(2)
        .map(|pair| &stream[pair[0]..pair[1]])
        .collect()
}

/// Every line end written as LF.
fn line_ends(stream: &[u8]) -> String {
    String::from_utf8_lossy(stream)
        .replace("\r\n", "\n")
        .replace('\r', "\n")
}

/// Whether an event ends here, by the specification's own words: slow, and not the scanner's way.
fn ends_at_boundary(stream: &[u8]) -> bool {
    let lines = line_ends(stream);
    lines.is_empty() || lines == "\n" || lines.ends_with("\n\n")
}

/// What of a stream comes out or waits: all of it, but for what stands behind `[DONE]` or an error.
fn reaching<'a>(run: &Run, stream: &'a [u8]) -> &'a [u8] {
    if !run.facts.done {
        return stream;
    }
    assert!(run.held.is_empty());
    let events = line_ends(&run.out);
    let last = events.trim_end_matches('\n').rsplit("\n\n").next();
    let is_last = last.unwrap().contains("[DONE]") || run.facts.error;
    assert!(is_last, "{events:?}");
    &stream[..run.out.len()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn cuts_make_no_difference(stream in any_stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let whole = run(EVENT_BYTES_MAX, [&stream[..]]);
        prop_assert_eq!(&run(EVENT_BYTES_MAX, cut(&stream, &cuts)), &whole);
        prop_assert_eq!(&run(EVENT_BYTES_MAX, stream.chunks(1)), &whole);
        prop_assert_eq!([&whole.out[..], &whole.held].concat(), reaching(&whole, &stream));
        prop_assert!(ends_at_boundary(&whole.out));
        // All that could go out did: no empty line stands in what waits.
        let waits = line_ends(&whole.held);
        prop_assert!(!waits.starts_with('\n') && !waits.contains("\n\n"));
    }

    #[test]
    fn cuts_make_no_difference_to_facts_where_events_are_too_long(
        stream in any_stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        max in 1_usize..80,
    ) {
        let whole = run(max, [&stream[..]]);
        let parts = run(max, cut(&stream, &cuts));
        prop_assert_eq!(&parts.facts, &whole.facts);
        let reaching = reaching(&whole, &stream);
        prop_assert_eq!([&whole.out[..], &whole.held].concat(), reaching);
        prop_assert_eq!([&parts.out[..], &parts.held].concat(), reaching);
        prop_assert!(whole.facts.oversized || ends_at_boundary(&whole.out));
    }
}
