//! What is an image called, and what is it?
//!
//! Its name is the hash of its bytes and the extension of its type, and both are read
//! from the bytes, never from what an upstream says. An [`ImageId`] holds the hash as
//! numbers: a name that comes in with a request is parsed into one or refused, so no
//! character of a request ever reaches a path.

use std::fmt;

/// Bytes of the hash in a name. Half of BLAKE3's: names must be unguessable and free of
/// accidental collisions, and whoever could make two images collide would only
/// exchange their own.
const HASH_BYTES: usize = 16;

/// The name of an image.
///
/// Shape: 32 lower-case hexadecimal digits, a dot, `png`, `jpg`, `webp` or `gif`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId {
    hash: [u8; HASH_BYTES],
    kind: ImageKind,
}

/// The types of images that are kept: those a browser only ever draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ImageKind {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
    /// Graphics Interchange Format.
    Gif,
}

impl ImageId {
    /// The name of these bytes, or `None` where they are none of the known types.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let kind = ImageKind::of(bytes)?;
        let mut hash = [0; HASH_BYTES];
        blake3::Hasher::new()
            .update(bytes)
            .finalize_xof()
            .fill(&mut hash);
        Some(Self { hash, kind })
    }

    /// Reads a name exactly as [`fmt::Display`] writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, extension) = text.split_once('.')?;
        let kind = ImageKind::from_extension(extension)?;
        let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
            return None;
        };
        let pairs: &[[u8; 2]; HASH_BYTES] = pairs.try_into().ok()?;
        let mut hash = [0; HASH_BYTES];
        for (byte, &[high, low]) in hash.iter_mut().zip(pairs) {
            *byte = (digit(high)? << 4) | digit(low)?;
        }
        Some(Self { hash, kind })
    }

    /// What type it is.
    #[must_use]
    pub fn kind(self) -> ImageKind {
        self.kind
    }
}

/// The value of one lower-case hexadecimal digit; upper case would be a second name
/// for the same image.
fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.hash {
            write!(f, "{byte:02x}")?;
        }
        write!(f, ".{}", self.kind.extension())
    }
}

impl ImageKind {
    /// The type by its first bytes.
    ///
    /// Source: the WHATWG MIME Sniffing Standard, 6.1.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                b'V',
                b'P',
                ..,
            ] => Some(Self::Webp),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            _ => None,
        }
    }

    /// What `Content-Type` says.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
            Self::Gif => "gif",
        }
    }

    fn from_extension(extension: &str) -> Option<Self> {
        [Self::Png, Self::Jpeg, Self::Webp, Self::Gif]
            .into_iter()
            .find(|kind| kind.extension() == extension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_read_from_the_first_bytes() {
        let check = |bytes: &[u8], expected: Option<&str>| {
            let kind = ImageKind::of(bytes).map(ImageKind::content_type);
            assert_eq!(kind, expected, "{:?}", bytes.escape_ascii().to_string());
        };
        check(b"\x89PNG\r\n\x1a\n....", Some("image/png"));
        check(b"\xff\xd8\xff\xe0....", Some("image/jpeg"));
        check(b"RIFF\x10\0\0\0WEBPVP8L", Some("image/webp"));
        check(b"GIF87a..", Some("image/gif"));
        check(b"GIF89a..", Some("image/gif"));
        check(b"", None);
        check(b"\x89PNG", None);
        check(b"RIFF\x10\0\0\0WAVEfmt ", None);
        check(b"<svg xmlns='http://www.w3.org/2000/svg'/>", None);
        check(b"<?xml version='1.0'?><svg/>", None);
        check(b"<!doctype html><script>alert(1)</script>", None);
        check(b" \x89PNG\r\n\x1a\n", None);
        check(b"BM......", None);
        check(b"%PDF-1.7", None);
    }

    #[test]
    fn a_name_is_the_hash_and_the_type() {
        let id = ImageId::of(b"GIF89a").unwrap();
        let hash = blake3::hash(b"GIF89a").to_hex();
        assert_eq!(id.to_string(), format!("{hash:.32}.gif"));
        assert_eq!(ImageId::parse(&id.to_string()), Some(id));
        assert_ne!(ImageId::of(b"GIF89a."), Some(id));
    }

    #[test]
    fn only_a_whole_and_exact_name_is_one() {
        let check = |text: &str, is_name: bool| {
            assert_eq!(ImageId::parse(text).is_some(), is_name, "{text:?}");
        };
        check("0123456789abcdef0123456789abcdef.png", true);
        check("0123456789abcdef0123456789abcdef.jpg", true);
        check("0123456789ABCDEF0123456789abcdef.png", false);
        check("0123456789abcdef0123456789abcde.png", false);
        check("0123456789abcdef0123456789abcdef0.png", false);
        check("0123456789abcdef0123456789abcdef00.png", false);
        check("0123456789abcdef0123456789abcdef.svg", false);
        check("0123456789abcdef0123456789abcdef.png.png", false);
        check("0123456789abcdef0123456789abcdef.png/", false);
        check("0123456789abcdef0123456789abcdef.png\0", false);
        check("0123456789abcdef0123456789abcdef", false);
        check("../../../../../../../../etc/passwd.png", false);
        check("..%2f..%2f..%2f..%2f..%2f..%2fetc.png", false);
        check("éééééééééééééééé.png", false);
        check(".png", false);
        check("", false);
    }
}
