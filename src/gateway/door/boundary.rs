//! What stands between the parts of a form?
//!
//! The boundary that `Content-Type` names. It is read strictly, since an upstream reads the
//! same form with a reader of its own: one parameter of that name and no other, 1 to 70 of the
//! characters that a boundary may have, and no blank at its end, which some readers drop.
//!
//! Source: RFC 2046, section 5.1.1; RFC 7578.

use std::fmt;

/// Characters of the longest one.
const BYTES_MAX: usize = 70;

/// What stands between the parts of a form, without its hyphens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Boundary {
    bytes: [u8; BYTES_MAX],
    /// `1 ..= BYTES_MAX`
    len: usize,
}

impl Boundary {
    /// That of a media type, if it is one of forms.
    #[must_use]
    pub fn of(media_type: &[u8]) -> Option<Self> {
        let kind = b"multipart/form-data";
        let (start, rest) = media_type.split_at_checked(kind.len())?;
        if !start.eq_ignore_ascii_case(kind) {
            return None;
        }
        let parameter = rest.trim_ascii().strip_prefix(b";")?.trim_ascii();
        let (name, value) = parameter.split_at_checked(b"boundary=".len())?;
        if !name.eq_ignore_ascii_case(b"boundary=") {
            return None;
        }
        match value.strip_prefix(b"\"") {
            Some(quoted) => Self::new(quoted.strip_suffix(b"\"")?, is_of_boundaries),
            None => Self::new(value, is_of_tokens),
        }
    }

    fn new(bytes: &[u8], fits: impl Fn(u8) -> bool) -> Option<Self> {
        let fits = (1..=BYTES_MAX).contains(&bytes.len())
            && bytes.iter().copied().all(fits)
            && bytes.last() != Some(&b' ');
        let mut boundary = Self {
            bytes: [0; BYTES_MAX],
            len: bytes.len(),
        };
        if fits {
            boundary
                .bytes
                .get_mut(..bytes.len())?
                .copy_from_slice(bytes);
        }
        fits.then_some(boundary)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The media type of a form with it.
    #[must_use]
    pub fn media_type(&self) -> String {
        let boundary = self.to_string();
        if self.as_bytes().iter().copied().all(is_of_tokens) {
            format!("multipart/form-data; boundary={boundary}")
        } else {
            format!("multipart/form-data; boundary=\"{boundary}\"")
        }
    }
}

/// What may stand in one within quotes.
fn is_of_boundaries(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte)
}

/// And without.
fn is_of_tokens(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'+_-.".contains(&byte)
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

impl fmt::Debug for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Boundary({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(media_type: &str, expected: Option<&str>) {
        let boundary = Boundary::of(media_type.as_bytes()).map(|it| it.to_string());
        assert_eq!(boundary.as_deref(), expected, "{media_type}");
        if let Some(boundary) = Boundary::of(media_type.as_bytes()) {
            // What we write is read as the same.
            let again = Boundary::of(boundary.media_type().as_bytes());
            assert_eq!(again, Some(boundary));
        }
    }

    #[test]
    fn a_boundary_is_read_as_everybody_reads_it_or_not_at_all() {
        check("multipart/form-data; boundary=abc", Some("abc"));
        check("Multipart/Form-Data;BOUNDARY=\"a b:c\"", Some("a b:c"));
        check(
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxk",
            Some("----WebKitFormBoundary7MA4YWxk"),
        );
        let longest = "b".repeat(70);
        check(
            &format!("multipart/form-data; boundary={longest}"),
            Some(&longest),
        );
        for bad in [
            "",
            "multipart/form-data",
            "multipart/form-data;",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=a b",
            "multipart/form-data; boundary=\"a \"",
            "multipart/form-data; boundary=\"a",
            "multipart/form-data; boundary=a\"",
            "multipart/form-data; boundary=a;b",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=a; charset=utf-8",
            "multipart/form-data; charset=utf-8; boundary=a",
            "multipart/form-data; boundary=\"a\\\"b\"",
            "multipart/form-data; boundary*=utf-8''a",
            "multipart/form-data boundary=a",
            "multipart/form-datax; boundary=a",
            "multipart/mixed; boundary=a",
            "application/json",
        ] {
            check(bad, None);
        }
        check(&format!("multipart/form-data; boundary={longest}b"), None);
    }
}
