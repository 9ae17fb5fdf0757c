//! Are lines whole, in order and in the right place, and do they cost no time?

use std::io::{PipeReader, Read as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::*;

fn log(requests: LogTarget) -> Log {
    let mut log = crate::config::example("").log;
    log.requests = requests;
    log
}

/// A log whose reader is this test.
fn piped() -> (RequestLog, PipeReader) {
    let (reader, writer) = io::pipe().unwrap();
    let shared = start(Some(Sink::from(OwnedFd::from(writer)))).unwrap();
    let log = RequestLog {
        shared,
        is_terminal: false,
    };
    (log, reader)
}

#[test]
fn every_line_is_there_in_order_after_the_drop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests.log");
    std::fs::write(&path, "before\n").unwrap();
    let target = LogTarget::File(path.clone());
    let requests = RequestLog::open(&log(target), true).unwrap();
    assert!(requests.is_on());
    for number in 0..1000 {
        requests.write(format!("line {number}").as_bytes());
    }
    assert_eq!(requests.dropped(), 0);
    drop(requests);
    let mut expected = vec!["before".to_owned()];
    expected.extend((0..1000).map(|number| format!("line {number}")));
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn lines_of_many_threads_stay_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests.log");
    let target = LogTarget::File(path.clone());
    let requests = RequestLog::open(&log(target), false).unwrap();
    thread::scope(|scope| {
        for letter in *b"abcd" {
            let requests = &requests;
            scope.spawn(move || (0..500).for_each(|_| requests.write([letter; 300])));
        }
    });
    drop(requests);
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written.lines().count(), 2000);
    for line in written.lines() {
        let first = line.chars().next().unwrap();
        assert!(
            line.len() == 300 && line.chars().all(|c| c == first),
            "{line}"
        );
    }
}

#[test]
fn a_line_is_written_without_waiting_for_the_end() {
    let (log, mut reader) = piped();
    log.write(b"now");
    log.write("here\n");
    let mut line = [0; 9];
    reader.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"now\nhere\n");
    drop(log);
}

#[test]
fn a_reader_that_is_stuck_costs_lines_and_never_time() {
    let (log, mut reader) = piped();
    let line = vec![b'x'; 1023];
    for _ in 0..4096 {
        log.write(&line);
    }
    // One buffer waits, one is being written, and a pipe holds 64 KiB.
    let dropped = log.dropped();
    assert!(dropped >= 4096 - 2 * 1024 - 64, "{dropped}");
    let reading = thread::spawn(move || {
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        all.lines().count() as u64
    });
    drop(log);
    assert_eq!(reading.join().unwrap(), 4096 - dropped);
}

#[test]
fn a_line_larger_than_the_buffer_is_dropped_alone() {
    let (log, mut reader) = piped();
    log.write(vec![b'x'; BUFFER_BYTES_MAX]);
    log.write(b"next");
    assert_eq!(log.dropped(), 1);
    drop(log);
    let mut all = String::new();
    reader.read_to_string(&mut all).unwrap();
    assert_eq!(all, "next\n");
}

#[test]
fn lines_that_could_not_be_written_are_counted() {
    let target = LogTarget::File(PathBuf::from("/dev/full"));
    let requests = RequestLog::open(&log(target), false).unwrap();
    let shared = Arc::clone(&requests.shared);
    requests.write(b"one");
    requests.write(b"two");
    drop(requests);
    assert_eq!(shared.dropped.load(Ordering::Relaxed), 2);
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let target = LogTarget::File(PathBuf::from("/not/there/requests.log"));
    let error = RequestLog::open(&log(target), false).unwrap_err();
    assert!(
        error.to_string().contains("/not/there/requests.log"),
        "{error}"
    );
}

#[test]
fn people_read_text_only_on_a_terminal_unless_asked_otherwise() {
    let check = |target: LogTarget, format, is_terminal, expected| {
        let requests = RequestLog::open(&log(target), is_terminal).unwrap();
        assert_eq!(requests.form(format), expected);
    };
    let file = || LogTarget::File("/dev/null".into());
    check(LogTarget::Stdout, LogFormat::Auto, true, Form::People);
    check(LogTarget::Stdout, LogFormat::Auto, false, Form::Json);
    check(LogTarget::Stdout, LogFormat::Json, true, Form::Json);
    check(LogTarget::Stdout, LogFormat::Text, false, Form::People);
    check(LogTarget::Stdout, LogFormat::Logfmt, true, Form::Logfmt);
    check(file(), LogFormat::Auto, true, Form::Json);
    let off = RequestLog::open(&log(LogTarget::Off), true).unwrap();
    off.write(b"nowhere");
    assert!(!off.is_on());
    assert_eq!(off.dropped(), 0);
}

#[test]
fn a_file_that_was_moved_away_is_opened_again_when_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
    let requests = RequestLog::open(&log(LogTarget::File(path.clone())), false).unwrap();
    requests.write("first");
    written(&requests, 1);
    std::fs::rename(&path, &moved).unwrap();
    requests.write("second");
    // It looked a moment ago, so this one still goes to the file that it has.
    written(&requests, 2);
    requests.open_again();
    soon(|| path.exists());
    requests.write("third");
    drop(requests);
    assert_eq!(std::fs::read_to_string(&moved).unwrap(), "first\nsecond\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "third\n");
}

#[test]
fn a_file_that_was_moved_away_is_missed_without_being_told() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
    let mut sink = Sink::open(&LogTarget::File(path.clone())).unwrap().unwrap();
    let now = sys::instant();
    sink.write(b"first\n", false, now).unwrap();
    std::fs::rename(&path, &moved).unwrap();
    let later = now + Duration::from_millis(999);
    sink.write(b"second\n", false, later).unwrap();
    sink.write(b"third\n", false, now + Duration::from_secs(1))
        .unwrap();
    // Where it cannot be opened, lines go on to where they went.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    sink.write(b"lost with its file\n", false, now + Duration::from_secs(2))
        .unwrap();
    std::fs::remove_dir(&path).unwrap();
    sink.write(b"fourth\n", false, now + Duration::from_secs(3))
        .unwrap();
    assert_eq!(std::fs::read_to_string(&moved).unwrap(), "first\nsecond\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "fourth\n");
}

#[test]
fn lines_go_on_at_another_place_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
    let requests = RequestLog::open(&log(LogTarget::File(one.clone())), false).unwrap();
    requests.write("a");
    for target in [
        LogTarget::Off,
        LogTarget::File(other.clone()),
        LogTarget::File(one.clone()),
    ] {
        requests.turn_to(&target, Sink::open(&target).unwrap());
        soon(|| requests.shared.state().next.is_none());
        requests.write("b");
    }
    drop(requests);
    assert_eq!(std::fs::read_to_string(&one).unwrap(), "a\nb\n");
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "b\n");
}

/// Waits until so many lines are written.
fn written(log: &RequestLog, lines: u64) {
    soon(|| log.written() >= lines);
}

fn soon(is_so: impl Fn() -> bool) {
    let deadline = sys::instant() + Duration::from_secs(20);
    while !is_so() {
        assert!(sys::instant() < deadline, "waited in vain");
        thread::yield_now();
    }
}
