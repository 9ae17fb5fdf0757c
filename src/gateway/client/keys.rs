//! Which key does a caller show?
//!
//! Only hashes of keys are known, so what is shown is hashed and looked for among them.
//! How long that takes must not tell how much of a hash was right. The keys are in
//! order of their hashes, and those that begin with the same byte as the one that was
//! shown are compared, all of them and each to its end: which they are depends on what
//! the caller sent, and it knows that already.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::config::clients::Key;

/// Where Anthropic's clients show their key.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The word in front of a key, RFC 6750, 2.1.
const BEARER: &[u8] = b"bearer ";

/// The keys that are taken.
#[derive(Debug)]
pub(super) struct Keys {
    /// In the order of their hashes, which are unique.
    keys: Vec<Arc<Key>>,
    /// The hashes, each in four numbers, in the same order.
    hashes: Vec<[u64; 4]>,
}

impl Keys {
    /// These keys.
    pub(super) fn new(keys: &[Key]) -> Self {
        let mut keys: Vec<Arc<Key>> = keys.iter().cloned().map(Arc::new).collect();
        keys.sort_unstable_by_key(|key| key.sha256);
        let hashes = keys.iter().map(|key| numbers(&key.sha256)).collect();
        Self { keys, hashes }
    }

    /// The key that this head shows, where it is taken at that time.
    pub(super) fn shown(&self, headers: &HeaderMap, unix_seconds: i64) -> Option<&Arc<Key>> {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.as_bytes().split_at_checked(BEARER.len())?;
            scheme.eq_ignore_ascii_case(BEARER).then_some(token)
        });
        let own = headers.get(X_API_KEY).map(http::HeaderValue::as_bytes);
        let tokens = [bearer, own].into_iter().flatten().map(<[u8]>::trim_ascii);
        // The hash of nothing is one that anybody can show.
        let mut tokens = tokens.filter(|token| !token.is_empty());
        let key = tokens.find_map(|token| self.with_hash(&Sha256::digest(token).into()))?;
        let is_over = key.expires.is_some_and(|end| unix_seconds >= end);
        (!is_over).then_some(key)
    }

    fn with_hash(&self, hash: &[u8; 32]) -> Option<&Arc<Key>> {
        let [first, ..] = numbers(hash);
        let byte = |of: u64| of >> 56;
        let from = self
            .hashes
            .partition_point(|[own, ..]| byte(*own) < byte(first));
        let near = self.hashes.get(from..)?;
        let near = near.get(..near.partition_point(|[own, ..]| byte(*own) == byte(first)))?;
        // One more than the place, so that 0 is none.
        let mut found = 0_u64;
        for (place, own) in (1..).zip(near) {
            found.conditional_assign(&place, equal(own, &numbers(hash)));
        }
        let place = usize::try_from(found).ok()?.checked_sub(1)?;
        self.keys.get(from + place)
    }
}

fn equal(one: &[u64; 4], other: &[u64; 4]) -> Choice {
    let pairs = one.iter().zip(other);
    pairs.fold(Choice::from(1), |equal, (one, other)| {
        equal & one.ct_eq(other)
    })
}

/// A hash in numbers that are in the same order as its bytes.
fn numbers(hash: &[u8; 32]) -> [u64; 4] {
    let mut numbers = [0; 4];
    let (parts, _) = hash.as_chunks::<8>();
    for (number, part) in numbers.iter_mut().zip(parts) {
        *number = u64::from_be_bytes(*part);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::config::limits::Allowance;
    use crate::names::KeyName;

    const NOW: i64 = 1_700_000_000;

    fn key(name: &str, secret: &str) -> Key {
        Key {
            name: KeyName::new(name),
            sha256: Sha256::digest(secret.as_bytes()).into(),
            expires: None,
            models: Vec::new(),
            allowance: Allowance::default(),
        }
    }

    fn keys() -> Keys {
        let mut keys: Vec<Key> = (0..1000)
            .map(|number| key(&format!("team-{number}"), &format!("sk-{number}")))
            .collect();
        keys[7].expires = Some(NOW);
        keys[8].expires = Some(NOW + 1);
        keys.push(key("empty", ""));
        Keys::new(&keys)
    }

    #[track_caller]
    fn check(keys: &Keys, fields: &[(&'static str, &str)], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let shown = keys.shown(&headers, NOW).map(|key| key.name.as_str());
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_key_is_known_where_it_is_one_of_them() {
        let keys = keys();
        for number in (0..1000).filter(|number| *number != 7) {
            let name = format!("team-{number}");
            let shown = format!("Bearer sk-{number}");
            check(&keys, &[("authorization", &shown)], Some(&name));
        }
        for number in 1000..2000 {
            check(
                &keys,
                &[("authorization", &format!("Bearer sk-{number}"))],
                None,
            );
        }
        check(&Keys::new(&[]), &[("authorization", "Bearer sk-1")], None);
    }

    #[test]
    fn a_key_is_shown_in_one_of_two_fields() {
        let keys = keys();
        check(&keys, &[], None);
        check(
            &keys,
            &[("authorization", "bEARER   sk-1 ")],
            Some("team-1"),
        );
        check(&keys, &[("x-api-key", "sk-1")], Some("team-1"));
        check(
            &keys,
            &[("x-api-key", "sk-2"), ("authorization", "Bearer sk-1")],
            Some("team-1"),
        );
        check(
            &keys,
            &[("x-api-key", "sk-2"), ("authorization", "Bearer none")],
            Some("team-2"),
        );
        for nothing in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer  ",
            "sk-1",
            "Basic sk-1",
            "Bearersk-1",
            "Bearer\tsk-1",
            "Bearer sk-1 sk-2",
            "Bearer SK-1",
            "Bearer \"sk-1\"",
        ] {
            check(&keys, &[("authorization", nothing)], None);
        }
        check(&keys, &[("x-api-key", "")], None);
        check(&keys, &[("api-key", "sk-1"), ("cookie", "key=sk-1")], None);
    }

    #[test]
    fn a_key_ends_with_the_second_before_its_day() {
        check(&keys(), &[("x-api-key", "sk-7")], None);
        check(&keys(), &[("x-api-key", "sk-8")], Some("team-8"));
    }

    #[test]
    fn a_key_may_ask_for_the_models_it_lists() {
        #[track_caller]
        fn check(models: &[&str], allowed: &[&str], refused: &[&str]) {
            let mut key = key("a", "sk-a");
            key.models = models.iter().map(|model| (*model).to_owned()).collect();
            assert!(
                allowed.iter().all(|model| key.may_ask_for(model)),
                "{models:?}"
            );
            assert!(
                !refused.iter().any(|model| key.may_ask_for(model)),
                "{models:?}"
            );
        }
        check(&[], &["gpt-4o", "meta-llama/*"], &[]);
        check(
            &["gpt-4o"],
            &["gpt-4o"],
            &["gpt-4o-mini", "gpt-4", "GPT-4o"],
        );
        check(
            &["gpt-*", "o1"],
            &["gpt-4o", "gpt-", "o1"],
            &["o1-mini", "xgpt-4o"],
        );
        check(
            &["meta-llama/*"],
            &["meta-llama/*", "meta-llama/3"],
            &["meta/*"],
        );
    }
}
