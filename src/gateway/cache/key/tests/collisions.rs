//! Can bodies be made that have the same key?
//!
//! The hashes of tables are made to be quick: whoever knows one makes two bodies of the same
//! hash in a moment, as is done here. An answer that is kept by such a hash could be chosen by
//! whoever asks first.

use super::*;

/// The hash that rustc's tables use, and many others: eight bytes at a time.
fn fx(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words
        .iter()
        .fold(0, |hash, word| fx_add(hash, u64::from_le_bytes(*word)));
    rest.iter()
        .fold(hash, |hash, byte| fx_add(hash, u64::from(*byte)))
}

fn fx_add(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// Bytes that stand in a prompt as they are.
fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..0x7F) && !matches!(byte, b'"' | b'\\')
}

/// A body whose prompt has these two words at a place where the hash takes them whole.
fn body(words: [u64; 2]) -> String {
    let prompt = words.map(u64::to_le_bytes).concat();
    let prompt = String::from_utf8(prompt).unwrap();
    format!(r#"{{"messages":[{{"role":"user","content":"Goodbye. {prompt}"}}]}}"#)
}

/// The hash of what stands before those words.
fn before() -> u64 {
    let body = body([u64::from_le_bytes(*b"aaaaaaaa"); 2]);
    let at = body.find("aaaaaaaa").unwrap();
    assert_eq!(at % 8, 0, "the words stand askew");
    fx(&body.as_bytes()[..at])
}

/// Two bodies of the same hash: what the first word has changed, the second makes up for.
fn colliding() -> [String; 2] {
    let before = before();
    let first = u64::from_le_bytes(*b"00000000");
    for number in 1..100_000_u32 {
        let other = u64::from_le_bytes(format!("{number:08}").into_bytes().try_into().unwrap());
        let apart = (fx_add(before, first) ^ fx_add(before, other)).rotate_left(5);
        let made_up = apart.to_le_bytes().map(|difference| {
            (0..0x7F).find(|byte| is_plain(*byte) && is_plain(*byte ^ difference))
        });
        if made_up.iter().all(Option::is_some) {
            let second = u64::from_le_bytes(made_up.map(Option::unwrap));
            return [body([first, second]), body([other, second ^ apart])];
        }
    }
    panic!("no two bodies were found");
}

#[test]
fn bodies_that_collide_in_a_table_have_other_keys() {
    let [one, other] = colliding();
    assert_ne!(one, other);
    assert_eq!(fx(one.as_bytes()), fx(other.as_bytes()), "{one} {other}");
    for body in [&one, &other] {
        let asked: serde_json::Value = serde_json::from_str(body).unwrap();
        assert!(asked["messages"][0]["content"].is_string());
    }
    let snapshot = snapshot(CONFIG);
    let keys = [&one, &other].map(|body| key(&snapshot, "m", body));
    assert_ne!(keys[0], keys[1]);
    // A table that hashes them once more starts with other bits, too.
    assert_ne!(keys[0].bytes()[..8], keys[1].bytes()[..8]);
}
