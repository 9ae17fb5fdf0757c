//! Does a form say the same to everybody who reads it?

use proptest::prelude::*;

use super::*;
use crate::gateway::inspect::Bounds;

const BOUNDS: Bounds = Bounds {
    depth_max: 64,
    keys_max: 10_000,
};

const WITHIN: Within<'_> = Within {
    bounds: &BOUNDS,
    inputs_max: 1,
    caps: None,
};

fn read(body: &[u8]) -> Result<Ask, InspectError> {
    let boundary = Boundary::of(b"multipart/form-data; boundary=b").unwrap();
    let read = inspect_form(Operation::Transcriptions, body, boundary, &WITHIN);
    if let Err(error) = &read {
        let message = error.message();
        assert!(message.ends_with('.'), "{message}");
    }
    read
}

fn field(name: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

const FILE: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\0\r\n\r\n-- b\r\n";

fn form(parts: &[&str]) -> String {
    format!("{}--b--\r\n", parts.concat())
}

fn code(body: &str) -> Result<(), (&'static str, Option<&'static str>)> {
    let read = read(body.as_bytes());
    read.map(|_| ())
        .map_err(|error| (error.code(), error.param()))
}

#[test]
fn a_form_is_read_wherever_its_fields_stand() {
    let model = field("model", "whisper-1");
    for body in [
        form(&[&model, FILE]),
        form(&[FILE, &model]),
        form(&[
            FILE,
            &field("language", "en"),
            &model,
            &field("x[]", "1"),
            &field("x[]", "2"),
        ]),
        format!("{model}{FILE}--b--"),
    ] {
        let ask = read(body.as_bytes()).unwrap();
        assert_eq!(&*ask.model, "whisper-1");
        assert_eq!(
            &body.as_bytes()[ask.messages_span.clone()],
            b"RIFF\0\r\n\r\n-- b"
        );
        let part = std::str::from_utf8(&body.as_bytes()[ask.model_span.clone()]).unwrap();
        assert_eq!(
            part,
            "Content-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1"
        );
        assert!(!ask.stream);
    }
    let stream = |said| read(form(&[&model, FILE, &field("stream", said)]).as_bytes());
    assert!(stream("true").unwrap().stream);
    assert!(!stream("false").unwrap().stream);
    for said in ["True", "1", "", "yes", " true"] {
        let error = stream(said).unwrap_err();
        assert_eq!(
            (error.code(), error.param()),
            ("invalid_value", Some("stream"))
        );
    }
}

#[test]
fn a_recording_counts_as_a_picture_does_whatever_its_bytes() {
    let tokens = |file: &str, bytes_per_token| {
        let body = form(&[&field("model", "m"), &FILE.replace("RIFF", file)]);
        let ask = read(body.as_bytes()).unwrap();
        ask.question_tokens(body.as_bytes(), bytes_per_token)
    };
    let text = form(&[&field("model", "m"), FILE]).len() - b"RIFF\0\r\n\r\n-- b".len();
    let text = u64::try_from(text).unwrap();
    for file in ["RIFF", &"RIFF".repeat(1000)] {
        assert_eq!(tokens(file, 4), text.div_ceil(4) + 1000);
        assert_eq!(tokens(file, 0), text + 1000);
    }
}

#[test]
fn a_name_stands_once_in_one_spelling() {
    let model = field("model", "a");
    let twice = form(&[&model, FILE, &field("model", "b")]);
    assert_eq!(code(&twice), Err(("duplicate_key", Some("model"))));
    assert_eq!(
        code(&form(&[&model, FILE, FILE])),
        Err(("duplicate_key", Some("file")))
    );
    let language = field("language", "en");
    let twice = form(&[&model, FILE, &language, &language]);
    assert_eq!(code(&twice), Err(("duplicate_key", Some("language"))));
    for other in ["Model", "model ", "MODEL", "mod\u{200b}el"] {
        let both = form(&[&model, FILE, &field(other, "b")]);
        assert_eq!(
            code(&both),
            Err(("duplicate_key", Some("model"))),
            "{other}"
        );
    }
    let steering = form(&[&model, FILE, &field("api_base", "http://127.0.0.1")]);
    assert_eq!(code(&steering), Err(("invalid_value", Some("api_base"))));
}

#[test]
fn what_is_needed_is_there() {
    let model = field("model", "a");
    assert_eq!(code(&form(&[FILE])), Err(("missing_field", Some("model"))));
    assert_eq!(code(&form(&[&model])), Err(("missing_field", Some("file"))));
    let message = read(form(&[&model]).as_bytes()).unwrap_err().message();
    assert!(message.contains("`file`"), "{message}");
    assert_eq!(code(&form(&[])), Err(("missing_field", Some("model"))));
    let empty = form(&[&field("model", ""), FILE]);
    assert_eq!(code(&empty), Err(("invalid_value", Some("model"))));
    let no_file = form(&[&model, &field("file", "RIFF")]);
    assert_eq!(code(&no_file), Err(("invalid_value", Some("file"))));
    let file = "--b\r\nContent-Disposition: form-data; name=\"model\"; filename=\"m\"\r\n\r\na\r\n";
    assert_eq!(
        code(&form(&[file, FILE])),
        Err(("invalid_value", Some("model")))
    );
    let encoded = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\nContent-Type: text/plain; charset=utf-16\r\n\r\na\r\n";
    assert_eq!(
        code(&form(&[encoded, FILE])),
        Err(("invalid_value", Some("model")))
    );
}

#[test]
fn a_boundary_stands_between_parts_and_nowhere_else() {
    let model = field("model", "a");
    let whole = form(&[&model, FILE]);
    for (body, fault) in [
        (String::new(), FormFault::Start),
        (format!("\r\n{whole}"), FormFault::Start),
        (format!("preamble\r\n{whole}"), FormFault::Start),
        (whole.replace("\r\n", "\n"), FormFault::Delimiter),
        (whole.replace("RIFF", "RIFF\n--b\n"), FormFault::Delimiter),
        (whole.replace("RIFF", "--b"), FormFault::Delimiter),
        (whole.replace("RIFF", "\r\n--bb"), FormFault::Delimiter),
        (whole.replace("RIFF", "\r\n--b \r\n"), FormFault::Delimiter),
        (
            whole.replace("--b--", "--b--\r\n--b--"),
            FormFault::Trailing,
        ),
        (format!("{whole}epilogue"), FormFault::Trailing),
        (format!("{whole}\r\n"), FormFault::Trailing),
        (format!("--b\r\n{whole}"), FormFault::Delimiter),
        (whole.replace("a\r\n--b", "a--b"), FormFault::Delimiter),
        ("--bx".to_owned(), FormFault::Delimiter),
        ("--b".to_owned(), FormFault::Truncated),
        ("--b\r".to_owned(), FormFault::Truncated),
        ("--b-".to_owned(), FormFault::Truncated),
        ("--b\r\n".to_owned(), FormFault::Truncated),
        ("--b\r\n\r\n--b--".to_owned(), FormFault::Head),
    ] {
        assert_eq!(place(&body).0, fault, "{body}");
    }
    assert_eq!(place("--b\r\n\r\n--b--"), (FormFault::Head, 5));
    assert_eq!(place("--b--\r\nx"), (FormFault::Trailing, 5));
    assert_eq!(place("--b\r\na"), (FormFault::Truncated, 6));
    for end in 0..whole.len() - 2 {
        assert!(read(&whole.as_bytes()[..end]).is_err(), "{end}");
    }
    let with = |more: usize| form(&[&model, FILE, &field("x", "1").repeat(more)]);
    assert_eq!(code(&with(PARTS_MAX - 2)), Ok(()));
    assert_eq!(place(&with(PARTS_MAX - 1)).0, FormFault::TooManyParts);
}

/// What is wrong with a form, and where.
fn place(body: &str) -> (FormFault, usize) {
    match read(body.as_bytes()) {
        Err(InspectError::Form { fault, offset }) => (fault, offset),
        other => panic!("{other:?}: {body}"),
    }
}

#[test]
fn who_asks_is_read_and_what_is_no_text_is_refused() {
    let (model, user) = (field("model", "a"), field("user", "u"));
    let ask = read(form(&[&model, &user, FILE]).as_bytes()).unwrap();
    assert_eq!(ask.user.as_deref(), Some("u"));
    let other = FILE.replace("filename=\"a.wav\"", "filename*=utf-8''a.wav");
    assert_eq!(code(&form(&[&model, &other])), Ok(()));
    let empty = FILE.replace("RIFF\0\r\n\r\n-- b", "");
    let nothing = form(&[&model, &empty]);
    assert_eq!(code(&nothing), Err(("invalid_value", Some("file"))));
    let mut binary = form(&[&model, &user, FILE]).into_bytes();
    let at = binary.windows(3).position(|it| it == b"\nu\r").unwrap();
    binary[at + 1] = 0xff;
    let error = read(&binary).unwrap_err();
    assert_eq!(
        (error.code(), error.param()),
        ("invalid_value", Some("user"))
    );
}

#[test]
fn a_head_is_as_long_as_it_may_be() {
    let with = |bytes: usize| {
        let head = "Content-Disposition: form-data; name=\"model\"\r\nX: ";
        let padding = "a".repeat(bytes - head.len() - 4);
        form(&[&format!("--b\r\n{head}{padding}\r\n\r\na\r\n"), FILE])
    };
    assert_eq!(code(&with(HEAD_BYTES_MAX)), Ok(()));
    assert_eq!(place(&with(HEAD_BYTES_MAX + 1)), (FormFault::Head, 5));
}

#[test]
fn a_head_is_one_that_all_read_alike() {
    let with = |head: &str| form(&[&format!("--b\r\n{head}\r\n\r\na\r\n"), FILE]);
    for fine in [
        "Content-Disposition: form-data; name=\"model\"",
        "content-disposition:form-data;name=model",
        "Content-Type: text/plain; charset=UTF-8\r\nContent-Disposition: form-data; name=\"model\"",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Length: 1\r\nContent-Transfer-Encoding: binary",
        "Content-Disposition: form-data; name=\"model\"\r\nX-Note: a\tb",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: 8BIT",
        "Content-Type: text/plain; charset=us-ascii\r\nContent-Disposition: form-data; name=\"model\"",
        "Content-Type: text/plain\r\nContent-Disposition: Form-Data ; Name=model",
    ] {
        assert_eq!(code(&with(fine)), Ok(()), "{fine}");
    }
    let long = format!(
        "X: {}\r\nContent-Disposition: form-data; name=\"model\"",
        "a".repeat(5000)
    );
    for odd in [
        "",
        "Content-Disposition: form-data",
        "Content-Disposition: form-data; filename=\"a\"",
        "Content-Disposition: attachment; name=\"model\"",
        "Content-Disposition: form-data; name=\"x\"; name=\"model\"",
        "Content-Disposition: form-data; name=\"x\\\"; name=\\\"model\"",
        "Content-Disposition: form-data; name=\"mo\\del\"",
        "Content-Disposition: form-data; name=\"%6Dodel\"",
        "Content-Disposition: form-data; name=\"x\" name=\"model\"",
        "Content-Disposition: form-data; name*=utf-8''model",
        "Content-Disposition: form-data; name=\"_charset_\"",
        "Content-Disposition: form-data; name=\"x\"\r\nContent-Disposition: form-data; name=\"model\"",
        "Content-Disposition : form-data; name=\"model\"",
        "Content-Disposition: form-data;\r\n name=\"model\"",
        "Content-Disposition: form-data; name=\"model\"\nX: y",
        "Content-Disposition: form-data; name=\"model\"\r\nX: \u{1}",
        "Content-Disposition: form-data; name=\"model\"\r\nX_Y: z",
        "Content-Disposition: form-data; name=\"model\"\r\n: z",
        "Content-Disposition: form-data; name=\"model\"; filename=a; filename=b",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Length: +1",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Length: 1\r\nContent-Length: 1",
        "Content-Type: text/plain\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name=\"model\"",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Length: 2",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: base64",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Type: multipart/mixed; boundary=c",
        &long,
    ] {
        assert_eq!(code(&with(odd)), Err(("invalid_form", None)), "{odd}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic_and_what_passes_names_its_model(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("--b\r\n".to_owned()), Just("--b--\r\n".to_owned()), Just("\r\n".to_owned()),
                Just(field("model", "m")), Just(FILE.to_owned()), Just("--b".to_owned()),
                Just("Content-Disposition: form-data; name=\"model\"".to_owned()),
                Just("; filename=\"".to_owned()), ".{0,12}",
            ],
            0..12,
        ),
    ) {
        let body = pieces.concat();
        if let Ok(ask) = read(body.as_bytes()) {
            let part = &body.as_bytes()[ask.model_span.clone()];
            prop_assert!(part.ends_with(ask.model.as_bytes()));
            prop_assert!(memmem::find(&body.as_bytes()[ask.messages_span], b"\r\n--b").is_none());
        }
    }
}
