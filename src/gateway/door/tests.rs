//! Is every head let in, answered or refused as the description says?

use super::*;

fn rules() -> Rules {
    Rules {
        line_bytes_max: 8 * 1024,
        head_bytes_max: 32 * 1024,
        fields_max: 100,
        body_bytes_max: 1000,
        form_bytes_max: 2000,
        allowed_hosts: Vec::new(),
        origins: Vec::new(),
        public_url: None,
    }
}

/// A head from its request line and fields, one a line.
fn head(text: &str) -> RequestHeader {
    let mut lines = text.lines().map(str::trim);
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let mut head = RequestHeader::build(method, target.as_bytes(), None).unwrap();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        head.append_header(name.trim().to_owned(), value.trim())
            .unwrap();
    }
    head
}

fn entered(text: &str) -> Result<Endpoint, Refusal> {
    rules().enter(&head(text), None)
}

fn path(target: &str) -> Result<Endpoint, Refusal> {
    entered(&format!("GET {target}\nhost: a"))
}

#[test]
fn a_path_means_one_protocol_however_it_is_written() {
    for written in [
        "/v1/messages",
        "/api/v1/messages",
        "/v1/%6dessages",
        "/%61pi/v1%2Fmessages?beta=true",
        "/v1/messages/count_tokens",
        "/v1/messages%2fcount_tokens",
        "/v1/messages/count%5ftokens",
    ] {
        let head = head(&format!("POST {written}\nhost: a"));
        let endpoint = rules().enter(&head, None);
        let is_anthropics = matches!(
            endpoint,
            Ok(Endpoint::Messages | Endpoint::Operation(Operation::Counting))
        );
        assert!(is_anthropics, "{written}: {endpoint:?}");
        assert_eq!(Rules::idiom(&head), Idiom::Anthropic, "{written}");
    }
}

#[test]
fn a_path_is_compared_exactly_after_decoding_once() {
    let allow = Refusal::MethodNotAllowed {
        allow: "POST, OPTIONS",
    };
    for chat in [
        "/api/v1/chat/completions",
        "/v1/chat/completions",
        "/v1/chat%2fcompletions",
        "/v1/chat/completions?a=b",
    ] {
        assert_eq!(path(chat), Err(allow.clone()), "{chat}");
        assert_eq!(
            entered(&format!("POST {chat}\nhost: a")),
            Ok(Endpoint::Operation(Operation::Chat))
        );
    }
    assert_eq!(path("/v1/models"), Ok(Endpoint::Models));
    assert_eq!(
        path("/v1/models/meta-llama/Llama"),
        Ok(Endpoint::Model("meta-llama/Llama".to_owned()))
    );
    assert_eq!(
        path("/api/v1/models/meta-llama%2FLlama"),
        Ok(Endpoint::Model("meta-llama/Llama".to_owned()))
    );
    assert_eq!(
        path("/images/x.png"),
        Ok(Endpoint::Image("x.png".to_owned()))
    );
    for elsewhere in [
        "/v1",
        "/v1/",
        "//v1/models",
        "/v1//models",
        "/v1/models/",
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/models%00",
        "/v1/models%0a",
        "/v1/models%zz",
        "/v1/models%2",
        "/v1/models%ff",
        "/V1/models",
        "/v1/chat/completions/",
        "/v1/chat%252fcompletions",
        "/metrics",
        "/config",
        "/api/api/v1/models",
        "*",
    ] {
        assert_eq!(path(elsewhere), Err(Refusal::UnknownPath), "{elsewhere}");
    }
    for page in ["/", "/?a=b", "/robots.txt", "/pages%2fpage.css"] {
        assert!(matches!(path(page), Ok(Endpoint::Page(_))), "{page}");
    }
}

#[test]
fn a_method_is_known_or_told() {
    for method in [
        "GET",
        "PUT",
        "TRACE",
        "CONNECT",
        "post",
        "DELETE",
        &"X".repeat(64),
    ] {
        let told = entered(&format!("{method} /v1/chat/completions\nhost: a"));
        assert_eq!(
            told,
            Err(Refusal::MethodNotAllowed {
                allow: "POST, OPTIONS"
            }),
            "{method}"
        );
    }
    let told = entered("POST /v1/models\nhost: a");
    assert_eq!(
        told,
        Err(Refusal::MethodNotAllowed {
            allow: "GET, HEAD, OPTIONS"
        })
    );
    assert_eq!(entered("HEAD /v1/models\nhost: a"), Ok(Endpoint::Models));
    assert!(matches!(
        entered("OPTIONS /anything\nhost: a"),
        Ok(Endpoint::Preflight(None))
    ));
}

#[test]
fn a_host_is_there_once_and_agrees_with_the_target() {
    let get = |fields: &str| entered(&format!("GET /v1/models{fields}"));
    assert_eq!(get(""), Err(Refusal::BadHost));
    assert_eq!(get("\nhost: a\nhost: a"), Err(Refusal::BadHost));
    for bad in [
        "", "user@a", "a b", "a/b", "a:port", "a:99999", "[::1", "[zz]", "a,b",
    ] {
        assert_eq!(
            get(&format!("\nhost: {bad}")),
            Err(Refusal::BadHost),
            "{bad}"
        );
    }
    for good in [
        "a",
        "a:80",
        "A.example",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:80",
        "a:",
    ] {
        assert_eq!(
            get(&format!("\nhost: {good}")),
            Ok(Endpoint::Models),
            "{good}"
        );
    }
    // As HTTP/2 says it; in HTTP/1 pingora keeps the authority to itself, and compares.
    let absolute = |host: &str| {
        let mut head = head(&format!("GET /v1/models\nhost: {host}"));
        head.set_uri("http://a.test/v1/models".parse().unwrap());
        rules().enter(&head, None)
    };
    assert_eq!(absolute("a.test"), Ok(Endpoint::Models));
    assert_eq!(absolute("b.test"), Err(Refusal::BadHost));
}

#[test]
fn a_foreign_host_is_told_so_where_hosts_are_listed() {
    let rules = Rules {
        allowed_hosts: vec!["api.example".to_owned()],
        ..rules()
    };
    let get = |host: &str| rules.enter(&head(&format!("GET /v1/models\nhost: {host}")), None);
    assert_eq!(get("api.example"), Ok(Endpoint::Models));
    assert_eq!(get("API.example:8443"), Ok(Endpoint::Models));
    assert_eq!(get("evil.example"), Err(Refusal::UnknownHost));
    assert_eq!(get("api.example.evil.example"), Err(Refusal::UnknownHost));
}

#[test]
fn bounds_of_a_head_are_told_apart() {
    let small = head("GET /v1/models\nhost: a");
    let raw =
        |line: usize, rest: usize| [vec![b'a'; line], b"\n".to_vec(), vec![b'b'; rest]].concat();
    let told = |raw: &[u8]| rules().enter(&small, Some(raw));
    assert_eq!(told(&raw(8 * 1024, 10)), Ok(Endpoint::Models));
    assert_eq!(told(&raw(8 * 1024 + 1, 10)), Err(Refusal::UriTooLong));
    assert_eq!(told(&raw(100, 32 * 1024)), Err(Refusal::HeadersTooLarge));
    let mut many = "GET /v1/models\nhost: a".to_owned();
    for number in 0..99 {
        many = format!("{many}\nx-{number}: 1");
    }
    assert_eq!(entered(&many), Ok(Endpoint::Models));
    many.push_str("\nx-last: 1");
    assert_eq!(entered(&many), Err(Refusal::HeadersTooLarge));
}

#[test]
fn connection_names_nothing_that_matters_and_little_at_all() {
    let get = |value: &str| entered(&format!("GET /v1/models\nhost: a\nconnection: {value}"));
    for fine in [
        "close",
        "keep-alive",
        "Upgrade, HTTP2-Settings",
        "te, close",
    ] {
        assert_eq!(get(fine), Ok(Endpoint::Models), "{fine}");
    }
    let eleven = ["x-a"; 11].join(",");
    for bad in [
        "authorization",
        "close, X-Request-Id",
        "host",
        "Content-Length",
        &eleven,
    ] {
        assert_eq!(get(bad), Err(Refusal::BadConnectionHeader), "{bad}");
    }
}

fn body(fields: &str) -> Result<Framing, Refusal> {
    let text = format!("POST /v1/chat/completions\nhost: a\n{fields}");
    rules().body(&head(&text), Some(text.as_bytes()), Question::Json)
}

#[test]
fn a_body_is_json_and_framed_once() {
    let json = "content-type: application/json\n";
    let length = |length| {
        Ok(Framing {
            length,
            awaits_continue: false,
            bytes_max: 1000,
            boundary: None,
        })
    };
    assert_eq!(body(&format!("{json}content-length: 10")), length(Some(10)));
    assert_eq!(
        body(&format!("{json}content-length: 10, 10")),
        length(Some(10))
    );
    assert_eq!(
        body(&format!("{json}transfer-encoding: Chunked")),
        length(None)
    );
    for coding in ["gzip, chunked", "xchunked", "chunked, chunked", "identity"] {
        let told = body(&format!("{json}transfer-encoding: {coding}"));
        assert_eq!(told, Err(Refusal::AmbiguousFraming), "{coding}");
    }
    let both = format!("{json}transfer-encoding: chunked\nContent-Length : 3");
    let text = format!("POST /v1/chat/completions\nhost: a\n{both}");
    let told = rules().body(
        &head("POST /\nhost: a\ntransfer-encoding: chunked"),
        Some(text.as_bytes()),
        Question::Json,
    );
    assert_eq!(told, Err(Refusal::AmbiguousFraming));
    assert_eq!(
        body(&format!("{json}content-length: 1001")),
        Err(Refusal::BodyTooLarge)
    );
    assert_eq!(
        body(&format!("{json}content-length: 4611686018427387904")),
        Err(Refusal::BodyTooLarge)
    );
}

#[test]
fn a_body_is_soon_over_where_its_length_alone_says_so() {
    for (fields, soon) in [
        ("content-length: 0", true),
        ("content-length: 65536", true),
        ("content-length: 7, 7", false),
        ("content-length: +7", false),
        ("content-length: 7\ncontent-length: 7", false),
        ("content-length: 65537", false),
        ("content-length: x", false),
        ("x: y", false),
        ("transfer-encoding: chunked", false),
        ("content-length: 7\ntransfer-encoding: chunked", false),
        ("content-length: 7\ntransfer-encoding:", false),
        ("content-length: 7\nexpect: 100-continue", false),
        ("content-length: 7\nexpect:", false),
    ] {
        let head = head(&format!("POST /v1/chat/completions\nhost: a\n{fields}"));
        assert_eq!(Rules::is_soon_over(&head), soon, "{fields}");
    }
}

#[test]
fn a_media_type_is_json_and_nothing_else() {
    for fine in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/json;",
    ] {
        assert!(body(&format!("content-type: {fine}")).is_ok(), "{fine}");
    }
    for bad in [
        "text/plain",
        "multipart/form-data",
        "application/json; charset=utf-16",
        "application/jsonx",
        "application/json; boundary=x",
        "application/x-www-form-urlencoded",
    ] {
        assert_eq!(
            body(&format!("content-type: {bad}")),
            Err(Refusal::UnsupportedMediaType),
            "{bad}"
        );
    }
    assert_eq!(body("x-a: b"), Err(Refusal::UnsupportedMediaType));
    let twice = "content-type: application/json\ncontent-type: application/json";
    assert_eq!(body(twice), Err(Refusal::UnsupportedMediaType));
    for coding in ["gzip", "deflate", "br", "identity, gzip", "identity"] {
        let told = body(&format!(
            "content-type: application/json\ncontent-encoding: {coding}"
        ));
        assert_eq!(told, Err(Refusal::UnsupportedMediaType), "{coding}");
    }
}

#[test]
fn only_one_expectation_can_be_met() {
    let json = "content-type: application/json\n";
    let told = body(&format!("{json}expect: 100-Continue"));
    assert!(told.is_ok_and(|framing| framing.awaits_continue));
    assert_eq!(
        body(&format!("{json}expect: x")),
        Err(Refusal::ExpectationFailed)
    );
    let large = body(&format!("{json}expect: 100-continue\ncontent-length: 5000"));
    assert_eq!(large, Err(Refusal::BodyTooLarge));
}

#[test]
fn origins_are_any_or_the_listed() {
    let with = |origin: &str| head(&format!("GET /\nhost: a\norigin: {origin}"));
    assert_eq!(
        rules().allow_origin(&with("https://a.example")),
        AllowOrigin::Any
    );
    let listed = Rules {
        origins: vec!["https://a.example".to_owned()],
        ..rules()
    };
    let this = AllowOrigin::This(HeaderValue::from_static("https://A.example"));
    assert_eq!(listed.allow_origin(&with("https://A.example")), this);
    assert_eq!(
        listed.allow_origin(&with("https://b.example")),
        AllowOrigin::Foreign
    );
    assert_eq!(listed.allow_origin(&with("null")), AllowOrigin::Foreign);
    // A head that cannot be read names no origin that is listed.
    assert_eq!(rules().allow_unknown_origin(), AllowOrigin::Any);
    assert_eq!(listed.allow_unknown_origin(), AllowOrigin::Foreign);
}

#[test]
fn an_image_url_begins_with_what_the_caller_can_reach() {
    let asked = head("POST /\nhost: a.example:8443");
    assert_eq!(rules().base_url(&asked, true), "https://a.example:8443");
    assert_eq!(rules().base_url(&asked, false), "http://a.example:8443");
    let public = Rules {
        public_url: Some("https://pics.example".to_owned()),
        ..rules()
    };
    assert_eq!(public.base_url(&asked, false), "https://pics.example");
}
