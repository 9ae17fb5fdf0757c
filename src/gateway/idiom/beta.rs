//! Which of Anthropic's betas does a caller want?
//!
//! Members of a body may mean nothing without the word that stands for them in a field of its
//! head, so that goes along to whoever gets the body as it came. It is the only text of a
//! caller's head, but for its id, that an upstream sees, and is a list of plain words or nothing.

use http::{HeaderMap, HeaderValue};

/// Where they stand.
const FIELD: &str = "anthropic-beta";
/// All of them; the longest list in use is a third of this.
const BYTES_MAX: usize = 1024;

/// The betas that are wanted; `None` where there are none, or they are no list of words.
#[must_use]
pub fn wanted(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all(FIELD).iter();
    let first = lines.next()?;
    let all = match lines.next() {
        None => first.clone(),
        Some(second) => {
            let mut all = first.as_bytes().to_vec();
            for line in std::iter::once(second).chain(lines) {
                if all.len() > BYTES_MAX {
                    return None;
                }
                all.push(b',');
                all.extend_from_slice(line.as_bytes());
            }
            HeaderValue::from_bytes(&all).ok()?
        }
    };
    let bytes = all.as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._, ".contains(byte);
    let is_list = bytes.len() <= BYTES_MAX && bytes.iter().all(is_plain);
    (is_list && !bytes.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FIELD, HeaderValue::from_str(line).unwrap());
        }
        let found = wanted(&headers);
        let found = found.as_ref().map(|found| found.to_str().unwrap());
        assert_eq!(found, expected);
    }

    #[test]
    fn a_list_of_plain_words_goes_along_and_nothing_else() {
        check(&[], None);
        check(&[""], None);
        check(&["a-2025-01-01"], Some("a-2025-01-01"));
        check(&["a, b"], Some("a, b"));
        check(&["a", "b", "c"], Some("a,b,c"));
        check(&["a; b"], None);
        check(&["a\tb"], None);
        check(&["a", "<b>"], None);
        let long = "a".repeat(BYTES_MAX);
        check(&[&long], Some(&long));
        check(&[&long, "b"], None);
        check(&[&long, &long, &long], None);
    }
}
