//! How does a request's head differ from one dialect to the next?
//!
//! In its path, in the field that carries the credential, and in fields that a protocol
//! wants with every request. All of it stands here as values, so that what is rendered from
//! them knows no dialect.

use std::borrow::Cow;

use crate::config::Pool;
use crate::config::dialect::Dialect;
use crate::operation::Operation;

/// What the heads of a dialect's requests have that others have not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manner {
    /// Where requests go, behind the base path of their target.
    pub path: Path,
    /// How the credential is shown.
    pub credential: Credential,
    /// Fields that every request has, names in lower case.
    pub fields: &'static [(&'static str, &'static str)],
}

/// Where requests go, behind the base path of their target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// Always there.
    Fixed(&'static str),
    /// It names the model, and says whether events are wanted.
    Named {
        /// What stands before the model.
        before: &'static str,
        /// What stands behind it, where a whole answer is wanted.
        whole: Cow<'static, str>,
        /// And where events are.
        events: Cow<'static, str>,
    },
}

/// How the credential is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// `authorization: Bearer …`
    Bearer,
    /// It alone, in a field of this name in lower case.
    Field(&'static str),
}

impl Manner {
    /// That of a pool's dialect.
    ///
    /// Source: the API references of OpenAI (`chat/completions`, `responses`,
    /// `images/generations`), of
    /// Azure OpenAI, where a deployment is what others call a model, of Anthropic (`messages`;
    /// its clients all send this version) and of Google's Gemini.
    #[must_use]
    pub fn of(pool: &Pool) -> Self {
        let bearer = |path| Self {
            path: Path::Fixed(path),
            credential: Credential::Bearer,
            fields: &[],
        };
        match pool.dialect {
            Dialect::OpenAi => bearer("/chat/completions"),
            Dialect::Azure => {
                let version = pool.api_version.as_deref().unwrap_or_default();
                let behind = format!("/chat/completions?api-version={version}");
                Self {
                    path: Path::Named {
                        before: "/openai/deployments/",
                        whole: behind.clone().into(),
                        events: behind.into(),
                    },
                    credential: Credential::Field("api-key"),
                    fields: &[],
                }
            }
            Dialect::Responses => bearer("/responses"),
            Dialect::Images => bearer("/images/generations"),
            Dialect::Gemini => Self {
                path: Path::Named {
                    before: "/models/",
                    whole: ":generateContent".into(),
                    events: ":streamGenerateContent?alt=sse".into(),
                },
                credential: Credential::Field("x-goog-api-key"),
                fields: &[],
            },
            Dialect::Anthropic => Self {
                path: Path::Fixed("/messages"),
                credential: Credential::Field("x-api-key"),
                fields: &[("anthropic-version", "2023-06-01")],
            },
        }
    }
}

impl Path {
    /// The path of every request, where they all have one.
    #[must_use]
    pub fn fixed(&self) -> Option<&'static str> {
        match self {
            Self::Fixed(path) => Some(path),
            Self::Named { .. } => None,
        }
    }

    /// The path of a request for this model.
    #[must_use]
    pub fn of(&self, base_path: &str, model: &str, stream: bool) -> String {
        match self {
            Self::Fixed(path) => format!("{base_path}{path}"),
            Self::Named {
                before,
                whole,
                events,
            } => {
                let behind = if stream { events } else { whole };
                let model = segment(model);
                format!("{base_path}{before}{model}{behind}")
            }
        }
    }
}

impl Path {
    /// The path of a request that goes through as it came: where chats have a path that names
    /// the model, so has this.
    #[must_use]
    pub fn passed(&self, base_path: &str, model: &str, path: &str) -> String {
        match self {
            Self::Named { before, whole, .. } => {
                let behind = whole.strip_prefix(Operation::Chat.path());
                let model = segment(model);
                format!(
                    "{base_path}{before}{model}{path}{}",
                    behind.unwrap_or_default()
                )
            }
            Self::Fixed(_) => format!("{base_path}{path}"),
        }
    }
}

impl Credential {
    /// The name of its field, and what it says.
    #[must_use]
    pub fn field(self, key: &str) -> (&'static str, String) {
        match self {
            Self::Bearer => ("authorization", format!("Bearer {key}")),
            Self::Field(name) => (name, key.to_owned()),
        }
    }
}

/// A text as one segment of a path: all but the unreserved characters of RFC 3986 is escaped,
/// so that no model's name leads anywhere else.
fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                segment.push(char::from(byte));
            }
            _ => {
                segment.push('%');
                for digit in [byte >> 4, byte & 15] {
                    let digit = char::from_digit(u32::from(digit), 16).unwrap_or('0');
                    segment.push(digit.to_ascii_uppercase());
                }
            }
        }
    }
    // Two names that mean folders and not what is in them.
    if matches!(text, "." | "..") {
        return segment.replace('.', "%2E");
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_name_the_model_and_say_what_is_wanted() {
        let path = Path::Named {
            before: "/models/",
            whole: ":generate".into(),
            events: ":stream?alt=sse".into(),
        };
        let check = |model, stream, expected: &str| {
            assert_eq!(path.of("/v1", model, stream), expected);
        };
        check("m-1.5", false, "/v1/models/m-1.5:generate");
        check("m-1.5", true, "/v1/models/m-1.5:stream?alt=sse");
        check(
            "a/b?c#d e%",
            false,
            "/v1/models/a%2Fb%3Fc%23d%20e%25:generate",
        );
        check("ä\r\n", false, "/v1/models/%C3%A4%0D%0A:generate");
        check("..", false, "/v1/models/%2E%2E:generate");
        let deployed = Path::Named {
            before: "/openai/deployments/",
            whole: "/chat/completions?api-version=1".into(),
            events: "/chat/completions?api-version=1".into(),
        };
        assert_eq!(
            deployed.passed("/x", "a/b", "/embeddings"),
            "/x/openai/deployments/a%2Fb/embeddings?api-version=1"
        );
        assert_eq!(
            Path::Fixed("/messages").of("/v1", "m", true),
            "/v1/messages"
        );
    }
}
