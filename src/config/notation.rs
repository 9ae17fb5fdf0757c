//! What may stand in a text of the file?
//!
//! Each kind of text (a length of time, an address, a pool's name …) is one
//! [`Notation`]: how it is read, how it is written, what the JSON Schema says of
//! it. The check reads a text with it to find problems with their place, and serde
//! reads the same text with it into a value; so the two cannot disagree.
//! A message never repeats the text: it may be a secret in the wrong place.

/// Paths and names.
pub(super) mod name;
/// URLs, hosts, origins.
pub(super) mod place;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use self::name::{
    ApiVersion, File, Label, Member, ModelAlias, ModelPattern, PoolLabel, Variable, Words,
};
use self::place::{CollectorUrl, Host, Origin, Path, PublicUrl, RedisUrl, Store, TargetUrl};
use super::units;

/// One kind of text.
pub(super) trait Notation {
    /// What the text means.
    type Value;
    /// Its `format` in the JSON Schema; the check finds the notation by it.
    const FORMAT: &'static str;
    /// A text that is right.
    const EXAMPLE: &'static str;
    /// Whether a bare whole number may stand for the text.
    const WHOLE_NUMBERS: bool = false;

    /// The meaning, or what is wrong, in words that follow the key.
    fn read(text: &str) -> Result<Self::Value, String>;
    /// The text that means it.
    fn write(value: &Self::Value) -> String;
}

/// A value of the file, read by its notation.
pub(super) struct Written<K: Notation>(pub(super) K::Value);

/// A reader that keeps only what is wrong.
pub(super) type Reader = fn(&str) -> Result<(), String>;

/// The reader for a `format` of the schema.
pub(super) fn reader(format: &str) -> Option<Reader> {
    fn of<K: Notation>(text: &str) -> Result<(), String> {
        K::read(text).map(|_| ())
    }
    let readers: [(&str, Reader); 24] = [
        (Length::FORMAT, of::<Length>),
        (LengthOrZero::FORMAT, of::<LengthOrZero>),
        (Size::FORMAT, of::<Size>),
        (Address::FORMAT, of::<Address>),
        (TargetUrl::FORMAT, of::<TargetUrl>),
        (PublicUrl::FORMAT, of::<PublicUrl>),
        (Path::FORMAT, of::<Path>),
        (Host::FORMAT, of::<Host>),
        (Origin::FORMAT, of::<Origin>),
        (Store::FORMAT, of::<Store>),
        (File::FORMAT, of::<File>),
        (Variable::FORMAT, of::<Variable>),
        (PoolLabel::FORMAT, of::<PoolLabel>),
        (ApiVersion::FORMAT, of::<ApiVersion>),
        (ModelPattern::FORMAT, of::<ModelPattern>),
        (ModelAlias::FORMAT, of::<ModelAlias>),
        (Words::FORMAT, of::<Words>),
        (Day::FORMAT, of::<Day>),
        (Label::FORMAT, of::<Label>),
        (Member::FORMAT, of::<Member>),
        (Network::FORMAT, of::<Network>),
        (Digest::FORMAT, of::<Digest>),
        (RedisUrl::FORMAT, of::<RedisUrl>),
        (CollectorUrl::FORMAT, of::<CollectorUrl>),
    ];
    readers
        .into_iter()
        .find(|(name, _)| *name == format)
        .map(|(_, reader)| reader)
}

/// A length of time.
pub(super) enum Length {}

impl Notation for Length {
    type Value = Duration;
    const FORMAT: &'static str = "duration";
    const EXAMPLE: &'static str = "30s";

    fn read(text: &str) -> Result<Duration, String> {
        units::duration(text)
    }

    fn write(value: &Duration) -> String {
        units::duration_text(*value)
    }
}

/// A length of time, or none at all.
pub(super) enum LengthOrZero {}

impl Notation for LengthOrZero {
    type Value = Duration;
    const FORMAT: &'static str = "duration-or-zero";
    const EXAMPLE: &'static str = "30s";

    fn read(text: &str) -> Result<Duration, String> {
        units::duration_or_zero(text)
    }

    fn write(value: &Duration) -> String {
        units::duration_text(*value)
    }
}

/// An amount of bytes.
pub(super) enum Size {}

impl Notation for Size {
    type Value = u64;
    const FORMAT: &'static str = "size";
    const EXAMPLE: &'static str = "10MiB";
    const WHOLE_NUMBERS: bool = true;

    fn read(text: &str) -> Result<u64, String> {
        units::size(text)
    }

    fn write(value: &u64) -> String {
        units::size_text(*value)
    }
}

/// An address to listen on.
pub(super) enum Address {}

impl Notation for Address {
    type Value = SocketAddr;
    const FORMAT: &'static str = "address";
    const EXAMPLE: &'static str = "127.0.0.1:8080";

    fn read(text: &str) -> Result<SocketAddr, String> {
        text.parse().map_err(|_| {
            "is no address; write an IP address and a port such as \"0.0.0.0:8080\" or \"[::]:8080\"".to_owned()
        })
    }

    fn write(value: &SocketAddr) -> String {
        value.to_string()
    }
}

/// A day, at its beginning in UTC, in Unix seconds.
pub(super) enum Day {}

impl Notation for Day {
    type Value = i64;
    const FORMAT: &'static str = "date";
    const EXAMPLE: &'static str = "2024-05-13";

    fn read(text: &str) -> Result<i64, String> {
        let date = text
            .parse::<jiff::civil::Date>()
            .ok()
            .filter(|_| text.len() == Self::EXAMPLE.len());
        let zoned = date.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
        let seconds = zoned
            .map(|zoned| zoned.timestamp().as_second())
            .filter(|seconds| *seconds >= 0);
        seconds.ok_or_else(|| {
            "is no day since 1970; write year, month and day such as 2024-05-13".to_owned()
        })
    }

    fn write(value: &i64) -> String {
        jiff::Timestamp::from_second(*value)
            .map(|timestamp| {
                timestamp
                    .to_zoned(jiff::tz::TimeZone::UTC)
                    .date()
                    .to_string()
            })
            .unwrap_or_default()
    }
}

/// A network of addresses, or one address.
pub(super) enum Network {}

impl Notation for Network {
    type Value = IpNet;
    const FORMAT: &'static str = "network";
    const EXAMPLE: &'static str = "10.0.0.0/8";

    fn read(text: &str) -> Result<IpNet, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(canonical(IpNet::from(address)));
        }
        let network: IpNet = text.parse().map_err(|_| {
            "is no network; write an address, or one with the length of its prefix, such as \"10.0.0.0/8\" or \"2001:db8::/32\"".to_owned()
        })?;
        if network != network.trunc() {
            return Err(format!(
                "has bits behind its prefix; write \"{}\" for the whole network, or the address alone",
                network.trunc()
            ));
        }
        Ok(canonical(network))
    }

    fn write(value: &IpNet) -> String {
        value.to_string()
    }
}

/// An IPv4 network in IPv6 clothes is the IPv4 network, as addresses of callers are.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else {
        return network;
    };
    let v4 = v6.addr().to_ipv4_mapped();
    let bits = v6.prefix_len().checked_sub(96);
    v4.zip(bits)
        .and_then(|(address, bits)| IpNet::new(address.into(), bits).ok())
        .unwrap_or(network)
}

/// A SHA-256 hash.
pub(super) enum Digest {}

impl Notation for Digest {
    type Value = [u8; 32];
    const FORMAT: &'static str = "sha256";
    const EXAMPLE: &'static str =
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn read(text: &str) -> Result<[u8; 32], String> {
        let mut digest = [0; 32];
        let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
            let digits = text.get(at..at + 2).filter(|_| is_hex);
            *byte = digits
                .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                .ok_or("is no SHA-256 hash; write the 64 hexadecimal digits that `printf %s KEY | sha256sum` prints, never the key itself")?;
        }
        Ok(digest)
    }

    fn write(value: &[u8; 32]) -> String {
        const DIGITS: [char; 16] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
        ];
        let halves = |byte: &u8| [byte >> 4, byte & 15];
        let digits = value.iter().flat_map(halves);
        digits
            .filter_map(|half| DIGITS.get(usize::from(half)))
            .collect()
    }
}

impl<'de, K: Notation> Deserialize<'de> for Written<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Text(String),
            Whole(u64),
            Moment(toml::value::Datetime),
        }
        let text = match Raw::deserialize(deserializer)? {
            Raw::Text(text) => text,
            Raw::Whole(number) => number.to_string(),
            Raw::Moment(moment) => moment.to_string(),
        };
        K::read(&text).map(Self).map_err(de::Error::custom)
    }
}

impl<K: Notation> Serialize for Written<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&K::write(&self.0))
    }
}

impl<K: Notation> JsonSchema for Written<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed(K::FORMAT)
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        if K::WHOLE_NUMBERS {
            return json_schema!({ "type": ["string", "integer"], "format": K::FORMAT, "examples": [K::EXAMPLE] });
        }
        json_schema!({ "type": "string", "format": K::FORMAT, "examples": [K::EXAMPLE] })
    }
}
