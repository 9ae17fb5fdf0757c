//! Does another reader see what ours sees?

use super::*;

/// Whether serde's reader, which is not ours, takes a body for JSON.
fn serde_reads(body: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok()
}

fn agrees_with_serde(body: &str) {
    match inspect(body.as_bytes(), &BOUNDS) {
        Ok(found) => {
            assert!(serde_reads(body), "{body}");
            // serde refuses half surrogate pairs and numbers beyond f64, which we pass on.
            let Ok(read) = serde_json::from_str::<Value>(body) else {
                return;
            };
            assert_eq!(read["model"].as_str(), Some(&*found.model), "{body}");
            assert_eq!(
                read["stream"].as_bool().unwrap_or(false),
                found.stream,
                "{body}"
            );
            assert_eq!(read["n"].as_u64(), found.n.map(u64::from), "{body}");
            assert_eq!(read["max_tokens"].as_u64(), found.max_tokens, "{body}");
            assert_eq!(read["user"].as_str(), found.user.as_deref(), "{body}");
            assert_eq!(
                read["store"].as_bool().unwrap_or(false),
                found.store,
                "{body}"
            );
            // serde's reader of fractions is off by the last bit now and then.
            let temperature = read["temperature"].as_f64().unwrap_or(0.0);
            let difference = temperature - found.temperature.unwrap_or(0.0);
            assert!(difference.abs() <= temperature.abs() * 1e-12, "{body}");
        }
        Err(InspectError::Json { fault, .. }) => {
            let ours_alone = matches!(
                fault,
                Fault::NotAnObject | Fault::TooDeep | Fault::TooManyKeys | Fault::SurrogateInKey
            );
            assert!(ours_alone || !serde_reads(body), "{fault:?} {body}");
        }
        Err(_) => {}
    }
}

fn any_body() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        " ",
        "\n",
        "\"model\":\"a\",",
        "\"messages\":[],",
        "\"stream\":true",
        "\"n\":1",
        "\"user\":\"u\"",
        "\"max_tokens\":5",
        "\"store\":true",
        "\"temperature\":0.7",
        "null",
        "1",
        "-",
        "0",
        "1e5",
        ".5",
        "\\u0041",
        "\\ud800",
        "é",
        "\u{1}",
        "{\"model\":\"b\",\"messages\":[]",
        "\"k\"",
        "01234567012345670123456701234567",
        "\"x\":[{\"y\":\"z\"}]",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = inspect(&bytes, &BOUNDS);
    }

    #[test]
    fn serde_agrees(body in any_body()) {
        agrees_with_serde(&body);
        agrees_with_serde(&format!("{{\"model\":\"a\",\"messages\":[],{body}}}"));
        agrees_with_serde(&format!("{{\"model\":\"a\",\"messages\":[],\"x\":{body}}}"));
    }

    #[test]
    fn a_changed_byte_makes_no_difference_of_opinion(at in any::<prop::sample::Index>(), byte in 0_u8..128) {
        let mut body = br#"{"model":"gpt\n","messages":[{"role":"user","content":[1.5e3,true]}],"n":2,"stream":false}"#.to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        agrees_with_serde(std::str::from_utf8(&body).unwrap());
    }

    #[test]
    fn a_special_byte_is_found_wherever_it_stands(plain in 0_usize..100, byte in any::<u8>(), after in any::<[u8; 8]>()) {
        let mut bytes = vec![b'a'; plain];
        bytes.push(byte);
        bytes.extend(after);
        let expected = bytes.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\');
        prop_assert_eq!(plain::plain_len(&bytes), expected.unwrap_or(bytes.len()));
    }
}
