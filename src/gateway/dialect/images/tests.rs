//! Is a picture asked for, and found in the answer, as the description says?

use super::*;

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_request_has_what_the_caller_gave_and_nothing_else() {
    let check = |ask: ImageAsk, expected: &str| {
        assert_eq!(text(&request(&ask, "black-forest-labs/flux")), expected);
    };
    check(
        ImageAsk {
            prompt: "a \"red\" fox\nin snow".to_owned(),
            n: None,
            size: None,
            quality: None,
            style: None,
            seed: None,
        },
        r#"{"model":"black-forest-labs/flux","prompt":"a \"red\" fox\nin snow"}"#,
    );
    check(
        ImageAsk {
            prompt: "狐".to_owned(),
            n: Some(2),
            size: Some("1024x1024".to_owned()),
            quality: Some("hd".to_owned()),
            style: Some("vivid".to_owned()),
            seed: Some(-7),
        },
        r#"{"model":"black-forest-labs/flux","prompt":"狐","n":2,"size":"1024x1024","quality":"hd","style":"vivid","seed":-7}"#,
    );
}

#[track_caller]
fn check_pictures(body: &str, expected: Result<&[&str], &str>) {
    let pictures = parse(body.as_bytes(), 6).map(|pictures| {
        pictures
            .into_iter()
            .map(|picture| match picture {
                Picture::Url(url) => url,
                Picture::Base64(base64) => format!("base64 {base64}"),
            })
            .collect::<Vec<_>>()
    });
    match (pictures, expected) {
        (Ok(pictures), Ok(expected)) => assert_eq!(pictures, expected, "{body}"),
        (Err(error), Err(part)) => {
            assert!(error.to_string().contains(part), "{body}: {error}");
        }
        (other, _) => panic!("{body}: {other:?}"),
    }
}

#[test]
fn other_servers_shapes_are_understood() {
    let check = check_pictures;
    check(
        r#"{"images":[{"url":"https://a.example/1.png","width":8},{"b64_json":"AAAA"}]}"#,
        Ok(&["https://a.example/1.png", "base64 AAAA"]),
    );
    check(
        r#"{"images":["https://a.example/1.png","data:image/png;base64,AAAA","AA\/A"],"parameters":{}}"#,
        Ok(&["https://a.example/1.png", "base64 AAAA", "base64 AA/A"]),
    );
    check(
        r#"{"url":"https://a.example/1.png"}"#,
        Ok(&["https://a.example/1.png"]),
    );
    check(
        r#"{"url":"data:image/png;base64,AAAA"}"#,
        Ok(&["base64 AAAA"]),
    );
    check(
        r#"{"data":[{"b64_json":"data:image/png;base64,AAAA"}]}"#,
        Ok(&["base64 AAAA"]),
    );
    check(
        r#"{"data":["https://a.example/1.png"],"images":[]}"#,
        Ok(&["https://a.example/1.png"]),
    );
    check(r#"{"images":[]}"#, Err("has no image"));
    check(r#"{"images":[""]}"#, Err("neither url nor b64_json"));
    check(r#"{"images":["javascript:alert(1)"]}"#, Err("neither http"));
    check(r#"{"images":[7]}"#, Err("no list of images"));
    check(r#"{"url":7}"#, Err("no list of images"));
    check(r#"{"created":1}"#, Err("no list of images"));
}

#[test]
fn an_answer_is_its_pictures_or_an_error() {
    let check = check_pictures;
    check(
        r#"{"created":1,"data":[{"url":"https://a.example/1.png","revised_prompt":"x"},{"b64_json":"AAAA"}]}"#,
        Ok(&["https://a.example/1.png", "base64 AAAA"]),
    );
    check(
        r#"{"data":[{"url":null,"b64_json":"AA\/A"},{"url":"","b64_json":"AAAA"}]}"#,
        Ok(&["base64 AA/A", "base64 AAAA"]),
    );
    check(
        r#"{"data":[{"url":"https://a.example/1.png","b64_json":"AAAA"}]}"#,
        Ok(&["https://a.example/1.png"]),
    );
    check(
        r#"{"data":[{"url":"data:image/png;base64,AAAA"}]}"#,
        Ok(&["base64 AAAA"]),
    );
    check(
        r#"{"data":[{"b64_json":"AAAAAAAA"}]}"#,
        Ok(&["base64 AAAAAAAA"]),
    );
    check(
        r#"{"data":[{"b64_json":"AAAAAAAAAAAA"}]}"#,
        Err("more than 6 bytes"),
    );
    check(r#"{"data":[]}"#, Err("has no image"));
    check(r#"{"data":[{}]}"#, Err("neither url nor b64_json"));
    check(
        r#"{"data":[{"url":"javascript:alert(1)"}]}"#,
        Err("neither http"),
    );
    check(
        r#"{"data":[{"url":"data:text/html,hi"}]}"#,
        Err("neither http"),
    );
    check(r#"{"error":{"message":"no"}}"#, Err("no list of images"));
    check(r#"{"data":[{"url":5}]}"#, Err("no list of images"));
    check("<html>", Err("no list of images"));
    check("", Err("no list of images"));
    let many = format!(r#"{{"data":[{}]}}"#, vec!["{}"; 17].join(","));
    check(&many, Err("17 images"));
}

#[test]
fn base64_without_escapes_is_not_copied() {
    let pictures = parse(br#"{"data":[{"b64_json":"AAAA"}]}"#, 6).unwrap();
    assert!(matches!(
        pictures[..],
        [Picture::Base64(Cow::Borrowed("AAAA"))]
    ));
    let pictures = parse(br#"{"images":["AAAA"]}"#, 6).unwrap();
    assert!(matches!(
        pictures[..],
        [Picture::Base64(Cow::Borrowed("AAAA"))]
    ));
}

#[test]
fn an_address_cannot_end_its_link() {
    let check = |url: &str, expected: Option<&str>| {
        assert_eq!(link(url).ok().as_deref(), expected, "{url:?}");
    };
    let unchanged = "https://s.example:8443/a/b_c-d~e.png?X-Sig=a%2Bb%3D&x=1,2;3#f!$*+@:";
    check(unchanged, Some(unchanged));
    check("http://[::1]:9/x", Some("http://[::1]:9/x"));
    check("HTTPS://A.example", Some("https://A.example"));
    check(
        "https://a.example/x)![y](https://b.example/z)",
        Some("https://a.example/x%29!%5By%5D%28https://b.example/z%29"),
    );
    check(
        "https://a.example/<script>\"'`\\|{}^",
        Some("https://a.example/%3Cscript%3E%22%27%60%5C%7C%7B%7D%5E"),
    );
    check("https://a.example/狐", Some("https://a.example/%E7%8B%90"));
    check("https://a.example/x y", None);
    check("https://a.example/x\ny", None);
    check("https://a.example/x\u{2028}y", None);
    check("https://a.example/x\0", None);
    check("https://user:secret@a.example/x", None);
    check("https://a.example\\@b.example/x", None);
    check("https://a.example)x", None);
    check("https://аpple.example/x", None);
    check("https://a.example:port/x", None);
    check("https:///x", None);
    check("https://", None);
    check("//a.example/x", None);
    check("/images/x.png", None);
    check("file:///etc/passwd", None);
    check("ftp://a.example/x", None);
    check(&format!("https://a.example/{}", "x".repeat(8192)), None);
}

#[test]
fn markdown_is_one_image_a_line() {
    let urls = [
        "https://a.example/1".to_owned(),
        "https://a.example/2".to_owned(),
    ];
    assert_eq!(
        markdown(&urls[..1]),
        "![Generated Image](https://a.example/1)"
    );
    assert_eq!(
        markdown(&urls),
        "![Generated Image](https://a.example/1)\n![Generated Image](https://a.example/2)"
    );
}

#[test]
fn a_completion_has_the_shape_of_the_contract() {
    let answer = completion("chatcmpl-1", 1_730_888_458, "flux", "a\n\"b\"");
    assert_eq!(
        text(&answer),
        concat!(
            r#"{"id":"chatcmpl-1","object":"chat.completion","created":1730888458,"model":"flux","#,
            r#""choices":[{"index":0,"message":{"role":"assistant","content":"a\n\"b\""},"finish_reason":"stop"}],"#,
            r#""usage":null}"#
        )
    );
}

#[test]
fn chunks_have_the_shape_of_the_contract() {
    let [first, stop, end] = chunks("chatcmpl-1", 1_730_889_622, "flux", "a\nb");
    assert_eq!(
        text(&first),
        concat!(
            r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1730889622,"model":"flux","#,
            r#""choices":[{"index":0,"delta":{"content":"a\nb","role":"assistant"},"finish_reason":null}],"usage":null}"#,
            "\n\n"
        )
    );
    assert_eq!(
        text(&stop),
        concat!(
            r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1730889622,"model":"flux","#,
            r#""choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":null}"#,
            "\n\n"
        )
    );
    assert_eq!(text(&end), "data: [DONE]\n\n");
}
