//! How much waits for the end of its event, and in how many pieces?

use super::*;

#[test]
fn an_event_that_is_too_long_goes_out_as_it_comes() {
    let mut scanner = Scanner::new(16);
    let mut out = Vec::new();
    scanner.feed(Bytes::from_static(b"data: {}\n\ndata: 6789"), &mut out);
    assert_eq!((out.concat().len(), scanner.at_boundary()), (10, true));
    scanner.feed(Bytes::from_static(b"0123456789"), &mut out);
    assert_eq!((scanner.held_bytes(), scanner.at_boundary()), (0, false));
    assert!(scanner.facts().oversized);
    scanner.feed(Bytes::from_static(b"x"), &mut out);
    assert_eq!((scanner.held_bytes(), scanner.at_boundary()), (0, false));
    scanner.feed(Bytes::from_static(b"\n\ndata:"), &mut out);
    assert_eq!((scanner.held_bytes(), scanner.at_boundary()), (5, true));
    scanner.feed(Bytes::from_static(b"[DONE]\n\n"), &mut out);
    assert_eq!(scanner.facts().events, 3);
    assert!(scanner.facts().done);
    assert_eq!(
        out.concat(),
        b"data: {}\n\ndata: 67890123456789x\n\ndata:[DONE]\n\n"
    );
}

#[test]
fn an_event_as_long_as_one_may_be_is_read() {
    let longest = CHUNK.len();
    let whole = run(longest, [CHUNK.as_bytes()]);
    let bytewise = run(longest, CHUNK.as_bytes().chunks(1));
    assert!(matches!(whole.facts.first_event, Some(First::Chunk)));
    assert_eq!(whole, bytewise);
    assert!(run(longest - 1, [CHUNK.as_bytes()]).facts.oversized);
}

#[test]
fn an_event_in_many_slices_does_not_go_out_in_many() {
    let sent = |size: usize| {
        let mut scanner = Scanner::new(EVENT_BYTES_MAX);
        let mut out = Vec::new();
        for slice in CHUNK.as_bytes().chunks(size) {
            scanner.feed(Bytes::copy_from_slice(slice), &mut out);
        }
        assert_eq!(out.concat(), CHUNK.as_bytes());
        out.len()
    };
    assert!(sent(1) <= 18);
    // A few stay as they came.
    assert_eq!(sent(CHUNK.len().div_ceil(5)), 5);
}

#[test]
fn no_line_end_for_64_mib_holds_no_more_than_the_bound() {
    let mut scanner = Scanner::new(EVENT_BYTES_MAX);
    let mut out = Vec::new();
    let slice = Bytes::from(vec![b'x'; 1 << 16]);
    let mut sent = 0;
    for _ in 0..1024 {
        scanner.feed(slice.clone(), &mut out);
        assert!(scanner.held_bytes() <= EVENT_BYTES_MAX);
        sent += out.drain(..).map(|slice| slice.len()).sum::<usize>();
    }
    assert_eq!(sent, 64 << 20);
    assert!(matches!(
        scanner.facts().first_event,
        Some(First::Oversized)
    ));
}
