//! What is an image model asked?

use super::*;

fn prompt(messages: &str, expected: Option<&str>) {
    let body = format!(r#"{{"messages":{messages},"model":"flux"}}"#);
    assert_eq!(
        last_user_text(body.as_bytes(), &ask(&body)).as_deref(),
        expected,
        "{messages}"
    );
}

#[test]
fn the_prompt_is_the_text_of_the_last_user_message() {
    prompt(r#"[{"role":"user","content":"a cat"}]"#, Some("a cat"));
    prompt(
        r#"[{"role":"user","content":"a"},{"content":"b","role":"user"}]"#,
        Some("b"),
    );
    prompt(
        r#"[{"role":"system","content":"s"},{"role":"user","content":"a\n\u00e9"},{"role":"assistant","content":"c"}]"#,
        Some("a\né"),
    );
    prompt(
        r#"[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:,"}},{"type":"text","text":"b"}]}]"#,
        Some("a\nb"),
    );
    prompt("[]", None);
    prompt(r#"[{"role":"assistant","content":"a"}]"#, None);
    prompt(r#"[{"role":"user"}]"#, None);
    prompt(r#"[{"role":"user","content":null}]"#, None);
    prompt(r#"[{"role":"user","content":" "}]"#, None);
    prompt(
        r#"[{"role":"user","content":[{"type":"image_url"}]}]"#,
        None,
    );
    prompt(r#"[{"role":"user","content":7}]"#, None);
    prompt("[1]", None);
}

#[test]
fn an_image_ask_reads_what_is_given_and_refuses_other_types() {
    let image = |members: &str| {
        let body = format!(
            r#"{{"model":"flux","messages":[{{"role":"user","content":"a cat"}}]{members}}}"#
        );
        image_ask(body.as_bytes(), &ask(&body)).map_err(|error| (error.code(), error.param()))
    };
    let plain = ImageAsk {
        prompt: "a cat".into(),
        n: None,
        size: None,
        quality: None,
        style: None,
        seed: None,
    };
    assert_eq!(image(""), Ok(plain.clone()));
    assert_eq!(
        image(r#","size":null,"seed":null,"response_format":{"type":"text"}"#),
        Ok(plain)
    );
    assert_eq!(
        image(r#","n":2,"size":"512x512","quality":"hd","style":"vivid","seed":-7"#),
        Ok(ImageAsk {
            prompt: "a cat".into(),
            n: Some(2),
            size: Some("512x512".into()),
            quality: Some("hd".into()),
            style: Some("vivid".into()),
            seed: Some(-7),
        })
    );
    for field in ["size", "quality", "style"] {
        assert_eq!(
            image(&format!(",\"{field}\":1")),
            Err(("invalid_value", Some(field)))
        );
    }
    assert_eq!(
        image(r#","seed":1.5"#),
        Err(("invalid_value", Some("seed")))
    );
    assert_eq!(
        image(r#","seed":"1""#),
        Err(("invalid_value", Some("seed")))
    );
    let body = r#"{"model":"flux","messages":[]}"#;
    assert_eq!(
        image_ask(body.as_bytes(), &ask(body)).map_err(|error| error.param()),
        Err(Some("messages"))
    );
}
