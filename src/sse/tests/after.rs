//! What do those make of a stream who come after the scanner?

use super::*;
use crate::sse::finished::Finished;
use crate::sse::without_usage::WithoutUsage;

/// Asks for the tokens, as OpenAI's last chunk tells them.
const USAGE: &str = r#"data: {"id":"a","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}

"#;

fn filter<'a>(slices: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut filter = WithoutUsage::default();
    let mut out = Vec::new();
    for slice in slices {
        filter.feed(&Bytes::copy_from_slice(slice), &mut out);
    }
    filter.end(&mut out);
    assert!(out.iter().all(|slice| !slice.is_empty()));
    out.concat()
}

/// What goes out of this stream; the same where `|` cuts it, and byte by byte.
fn check(stream: &str, expected: &str) {
    let parts = filter(stream.split('|').map(str::as_bytes));
    let whole = stream.replace('|', "");
    assert_eq!(String::from_utf8(parts).unwrap(), expected, "{stream:?}");
    assert_eq!(filter(whole.as_bytes().chunks(1)), expected.as_bytes());
    assert_eq!(filter([whole.as_bytes()]), expected.as_bytes());
}

#[test]
fn only_the_event_that_counts_tokens_is_withheld() {
    let done = "data: [DONE]\n\n";
    check("", "");
    check(&format!("{CHUNK}{USAGE}{done}"), &format!("{CHUNK}{done}"));
    check(
        &format!("{CHUNK}|{USAGE}|{done}"),
        &format!("{CHUNK}{done}"),
    );
    check(&format!("{USAGE}{USAGE}{CHUNK}{USAGE}"), CHUNK);
    let kept = |event: &str| {
        check(
            &format!("{CHUNK}{event}\n\n{done}"),
            &format!("{CHUNK}{event}\n\n{done}"),
        );
    };
    check(&format!("{CHUNK}|{}", USAGE.trim_end()), CHUNK);
    kept(r#"data: {"choices":[],"usage":null}"#);
    kept(r#"data: {"choices":[]}"#);
    kept(r#"data: {"usage":{"prompt_tokens":9}}"#);
    kept(r#"data: {"choices":null,"usage":{"prompt_tokens":9}}"#);
    kept(r#"data: {"choices":[{}],"usage":{"prompt_tokens":9}}"#);
    kept(r#"data: {"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":9}}"#);
    kept(r#"data: {"choices":[],"usage":{"prompt_tokens":9},"error":{"message":"no"}}"#);
    kept(r#"data: {"choices":[{"delta":{"content":"\"usage\":{}"}}]}"#);
    kept(r#"data: {"choices":[],"usage":{"#);
    kept(r#"data: [[],{"usage":{}}]"#);
    kept(r#"data: [null,null,[],{"usage":{}}]"#);
    kept(r#": {"choices":[],"usage":{}}"#);
    let withheld = |event: &str| {
        check(
            &format!("{CHUNK}{event}\n\n{done}"),
            &format!("{CHUNK}{done}"),
        );
    };
    withheld(r#"data:{"usage":{},"choices":[]}"#);
    withheld("id: 7\n: b\ndata: {\"choices\":\ndata: [ ] , \"usage\" : {\"a\":1}}");
}

#[test]
fn the_line_ends_of_what_is_withheld_go_with_it() {
    let usage = USAGE.trim_end();
    check(
        &format!("a\r\n\r\n{usage}\r\n\r\nb\r\n\r\n"),
        "a\r\n\r\nb\r\n\r\n",
    );
    check(
        &format!("a\r\n\r|\n{usage}\r\n\r|\nb\r\n\r|\n"),
        "a\r\n\r\nb\r\n\r\n",
    );
    check(&format!("a\r\r{usage}\r\r|b\r\r"), "a\r\rb\r\r");
    check(&format!("a\n\n{usage}\n\r|\nb\n\n"), "a\n\nb\n\n");
}

#[test]
fn an_event_waits_no_longer_than_for_its_empty_line() {
    let mut filter = WithoutUsage::default();
    let mut out = Vec::new();
    let feed = |filter: &mut WithoutUsage, slice: &str, out: &mut Vec<Bytes>| {
        out.clear();
        filter.feed(&Bytes::copy_from_slice(slice.as_bytes()), out);
        String::from_utf8(out.concat()).unwrap()
    };
    assert_eq!(feed(&mut filter, CHUNK, &mut out), CHUNK);
    let (begin, end) = CHUNK.split_at(20);
    assert_eq!(feed(&mut filter, begin, &mut out), "");
    assert_eq!(feed(&mut filter, end, &mut out), CHUNK);
    let cr = CHUNK.replace('\n', "\r");
    assert_eq!(feed(&mut filter, &cr, &mut out), cr);
    assert_eq!(feed(&mut filter, "\n", &mut out), "\n");
    assert_eq!(feed(&mut filter, "\n", &mut out), "\n");
}

#[test]
fn what_is_too_long_to_count_tokens_does_not_wait() {
    let mut filter = WithoutUsage::default();
    let mut out = Vec::new();
    let long = format!("data: {{\"choices\":[],\"x\":\"{}", "x".repeat(20_000));
    filter.feed(&Bytes::from(long.clone()), &mut out);
    let end = "\",\"usage\":{}}\n\n";
    assert_eq!(out.concat(), long.as_bytes());
    filter.feed(
        &Bytes::from(format!("{end}{CHUNK}{USAGE}{CHUNK}")),
        &mut out,
    );
    filter.end(&mut out);
    let expected = format!("{long}{end}{CHUNK}{CHUNK}");
    assert_eq!(out.concat(), expected.as_bytes());
}

#[test]
fn slices_go_out_uncopied_and_as_few_as_they_came() {
    let slice = Bytes::from(format!("{CHUNK}{CHUNK}{USAGE}{CHUNK}{CHUNK}"));
    let mut filter = WithoutUsage::default();
    let mut out = Vec::new();
    filter.feed(&slice, &mut out);
    assert_eq!(out.len(), 2);
    assert_eq!(out[0].as_ptr(), slice.as_ptr());
    assert_eq!(out[1].as_ptr_range().end, slice.as_ptr_range().end);
}

#[test]
fn as_much_as_may_wait_does() {
    let begin = r#"data: {"choices":[],"usage":{},"x":""#;
    let end = "\"}";
    for (bytes, waits) in [(16 * 1024, true), (16 * 1024 + 1, false)] {
        let padding = "x".repeat(bytes - begin.len() - end.len());
        let event = [begin, &padding, end].concat();
        let out = filter([event.as_bytes(), b"\n\n"]);
        assert_eq!(out.is_empty(), waits, "{bytes}");
    }
}

#[test]
fn a_finished_stream_is_read_to_its_end() {
    fn check(stream: &str, data: &[&str], done: bool, cut: bool) {
        let found = Finished::read(stream.as_bytes());
        let texts: Vec<&[u8]> = found.data.iter().map(|data| &**data).collect();
        let expected: Vec<&[u8]> = data.iter().map(|data| data.as_bytes()).collect();
        assert_eq!(
            (texts, found.done, found.cut),
            (expected, done, cut),
            "{stream:?}"
        );
    }
    check("", &[], false, false);
    check(
        "\u{feff}data: a\n\n: b\n\ndata:c\r\rid: 1\r\n\r\n\n",
        &["a", "c"],
        false,
        false,
    );
    check("data: a\ndata: b\n\n", &["a\nb"], false, false);
    check("data\n\n", &[""], false, false);
    check("data: a\n", &[], false, true);
    check("data: a", &[], false, true);
    check(": a", &[], false, false);
    check("data: [DONE]", &[], false, false);
    check("data: [DONE]\n\ndata: a\n\nb", &[], true, false);
    check(
        "data: a\n\ndata: [DONE]\r\n\r\ndata: a",
        &["a"],
        true,
        false,
    );
}

/// Every event on its own slice, as the specification cuts them: slow, and not our way.
fn events(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut scanner = Scanner::new(EVENT_BYTES_MAX);
    let mut events: Vec<Vec<u8>> = Vec::new();
    let mut before = 0;
    for byte in stream {
        let mut out = Vec::new();
        let held = scanner.held_bytes();
        scanner.feed(Bytes::copy_from_slice(&[*byte]), &mut out);
        let out = out.concat();
        let is_half = out == b"\n" && held == 0 && before == b'\r';
        match events.last_mut() {
            Some(last) if is_half => last.extend(out),
            _ if !out.is_empty() => events.push(out),
            _ => {}
        }
        before = *byte;
    }
    events.push(scanner.held.joined(&[]));
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn cuts_make_no_difference_to_what_is_withheld(
        stream in super::cuts::any_stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let whole = filter([&stream[..]]);
        prop_assert_eq!(&filter(super::cuts::cut(&stream, &cuts)), &whole);
        prop_assert_eq!(&filter(stream.chunks(1)), &whole);
        let end = stream.len() - events_behind_done(&stream);
        let mut kept = events(&stream[..end]);
        kept.retain(|event| !event::only_tells_usage(event));
        prop_assert_eq!(filter([&stream[..end]]), kept.concat());
    }
}

/// How much the scanner drops because it stands behind `[DONE]`.
fn events_behind_done(stream: &[u8]) -> usize {
    let run = run(EVENT_BYTES_MAX, [stream]);
    stream.len() - run.out.len() - run.held.len()
}
