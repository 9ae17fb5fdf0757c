//! What is given out, in which forms?
//!
//! The bytes as they are and, where that is less, compressed. Either form has a name of its own
//! that is made of its content (`ETag`), so that whoever has it already is told just that.
//! gzip is what everything that reads HTTP understands; these texts are small, and what a second
//! coding would spare of them is less than a packet or two.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Something of ours that is given out as it stands.
#[derive(Debug, Clone)]
pub struct Asset {
    /// Its `Content-Type`.
    pub kind: &'static str,
    plain: Form,
    /// Only where it is smaller than `plain`.
    gzip: Option<Form>,
}

/// One of its forms.
#[derive(Debug, Clone)]
pub struct Form {
    /// The bytes.
    pub bytes: Bytes,
    /// Their name, quotes included.
    pub etag: String,
    /// Whether they are compressed.
    pub is_gzip: bool,
}

impl Asset {
    /// Makes all forms of these bytes.
    #[must_use]
    pub fn new(kind: &'static str, bytes: Bytes) -> Self {
        let hash = blake3::hash(&bytes).to_hex();
        let name: String = hash.chars().take(16).collect();
        let gzip = gzip(&bytes).filter(|gzip| gzip.len() < bytes.len());
        Self {
            kind,
            plain: Form {
                bytes,
                etag: format!("\"{name}\""),
                is_gzip: false,
            },
            gzip: gzip.map(|bytes| Form {
                bytes,
                etag: format!("\"{name}-gzip\""),
                is_gzip: true,
            }),
        }
    }

    /// The form for who sends this `Accept-Encoding`.
    #[must_use]
    pub fn form(&self, accept_encoding: Option<&str>) -> &Form {
        let understood = accept_encoding.is_some_and(understands_gzip);
        self.gzip
            .as_ref()
            .filter(|_| understood)
            .unwrap_or(&self.plain)
    }

    /// Whether it is a page, and no part of one.
    #[must_use]
    pub fn is_page(&self) -> bool {
        self.kind.starts_with("text/html")
    }

    /// Whether who sends another `Accept-Encoding` may get another form.
    #[must_use]
    pub fn varies(&self) -> bool {
        self.gzip.is_some()
    }
}

fn understands_gzip(accept_encoding: &str) -> bool {
    let weight = |wanted: &str| {
        let mut all = weights(accept_encoding);
        all.find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, weight)| weight)
    };
    weight("gzip").or_else(|| weight("*")).unwrap_or(0) > 0
}

/// The members of a list with weights, in thousandths; what has none has all of it.
///
/// Source: RFC 9110, 12.4.2.
pub(super) fn weights(list: &str) -> impl Iterator<Item = (&str, u32)> {
    list.split(',').map(|member| {
        let mut parts = member.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case("q").then(|| value.trim())
        });
        (name, weight.map_or(1000, thousandths))
    })
}

/// `0.5` as 500; what is no weight is none.
fn thousandths(weight: &str) -> u32 {
    let (whole, rest) = weight.split_once('.').unwrap_or((weight, ""));
    let digits: String = rest.chars().chain("000".chars()).take(3).collect();
    match (whole.parse::<u32>(), digits.parse::<u32>()) {
        (Ok(0), Ok(rest)) => rest,
        (Ok(1), Ok(_)) => 1000,
        _ => 0,
    }
}

fn gzip(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn who_understands_gzip_gets_it_where_it_is_less() {
        let text = Bytes::from("the same words again and again, ".repeat(100));
        let asset = Asset::new("text/plain", text.clone());
        assert!(asset.varies());
        let check = |accept: Option<&str>, expected: bool| {
            assert_eq!(asset.form(accept).is_gzip, expected, "{accept:?}");
        };
        check(None, false);
        check(Some(""), false);
        check(Some("gzip, deflate, br, zstd"), true);
        check(Some("br;q=1, GZIP;q=0.1"), true);
        check(Some("gzip;q=0"), false);
        check(Some("gzip;q=0.000, *"), false);
        check(Some("*"), true);
        check(Some("*;q=0"), false);
        check(Some("br"), false);
        let form = asset.form(Some("gzip"));
        let mut again = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&form.bytes[..]);
        decoder.read_to_end(&mut again).unwrap();
        assert_eq!(again, text);
        assert_ne!(form.etag, asset.form(None).etag);

        let short = Asset::new("text/plain", Bytes::from_static(b"x"));
        assert!(!short.varies() && !short.form(Some("gzip")).is_gzip);
    }

    #[test]
    fn other_bytes_have_another_name() {
        let of = |text: &'static str| Asset::new("text/plain", Bytes::from(text)).plain.etag;
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
    }
}
