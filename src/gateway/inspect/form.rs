//! What is asked in a form?
//!
//! Of a recording that is to be written down, the model's name stands in a form beside it. As
//! with JSON, the upstream reads the same bytes with a reader of its own, and readers of forms
//! differ more than those of JSON: in line ends, in what may stand before the first boundary,
//! in escapes within names, in which of two fields of one name counts. So only what all of them
//! read alike is let through. The boundary may stand nowhere but between parts, whatever stands
//! around it; a head has few lines and no escapes; a known name stands once, in one spelling.
//!
//! Nothing is copied, and the file itself is searched for the boundary and looked at no further.
//!
//! Sources: RFC 7578; RFC 2046, section 5.1.1.

use std::ops::Range;

use memchr::memmem;

use super::field::Field;
use super::parameters::parameters;
use super::{Ask, InspectError, Within, keys};
use crate::gateway::door::boundary::Boundary;
use crate::operation::Operation;

/// Parts of one form; a transcription has about ten parameters, some of them lists.
const PARTS_MAX: usize = 128;
/// Bytes of a part's head.
const HEAD_BYTES_MAX: usize = 4096;

/// What keeps a body from being one strict form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormFault {
    /// Its first bytes are not the boundary.
    Start,
    /// It ends too early.
    Truncated,
    /// The boundary stands where it separates nothing.
    Delimiter,
    /// Something follows its end.
    Trailing,
    /// A part's head is not one that everybody reads alike.
    Head,
    /// More parts than anybody needs.
    TooManyParts,
}

/// Reads what is asked for in a form.
///
/// # Errors
///
/// The body is not one strict form, a name is ambiguous, a required field is missing, or a field
/// that the gateway acts on has an unusable value.
pub fn inspect_form(
    operation: Operation,
    body: &[u8],
    boundary: Boundary,
    within: &Within<'_>,
) -> Result<Ask, InspectError> {
    let is_strict = within.caps.is_some_and(|caps| caps.unknown_fields_refused);
    let mut found = Found::default();
    let mut names: Vec<&str> = Vec::new();
    for span in parts(body, &boundary)? {
        let part = Part::read(body, span)?;
        let offset = part.span.start;
        let field = keys::recognise(operation, part.name, offset)?;
        let known = parameters(operation).names.iter();
        if let Some(param) = known.copied().find(|known| *known == part.name) {
            // What ends in brackets is a list, and stands there once for each of its entries.
            if names.contains(&param) && !param.ends_with("[]") {
                let param = Some(param);
                return Err(InspectError::DuplicateKey { param, offset });
            }
            names.push(param);
        } else if is_strict {
            return Err(InspectError::UnknownField { offset });
        }
        found.keep(field, part, body)?;
    }
    found.ask(operation, boundary)
}

/// Where the parts stand, heads included.
fn parts(body: &[u8], boundary: &Boundary) -> Result<Vec<Range<usize>>, InspectError> {
    let fault = |fault, offset| Err(InspectError::Form { fault, offset });
    let delimiter = [b"--", boundary.as_bytes()].concat();
    if !body.starts_with(&delimiter) {
        return fault(FormFault::Start, 0);
    }
    let mut parts = Vec::new();
    let mut begins: Option<usize> = None;
    for at in memmem::find_iter(body, &delimiter) {
        let before = body.get(..at).unwrap_or_default();
        if at > 0 && !before.ends_with(b"\r\n") {
            return fault(FormFault::Delimiter, at);
        }
        if let Some(start) = begins {
            // One boundary right behind another leaves no room for both line ends.
            let end = at.saturating_sub(2);
            if end < start {
                return fault(FormFault::Delimiter, at);
            }
            parts.push(start..end);
        }
        if parts.len() > PARTS_MAX {
            return fault(FormFault::TooManyParts, at);
        }
        let behind = at + delimiter.len();
        let rest = body.get(behind..).unwrap_or_default();
        if rest.starts_with(b"--") {
            return match rest {
                b"--" | b"--\r\n" => Ok(parts),
                _ => fault(FormFault::Trailing, behind + 2),
            };
        }
        if !rest.starts_with(b"\r\n") {
            let cut = b"\r\n".starts_with(rest) || b"--".starts_with(rest);
            let what = if cut {
                FormFault::Truncated
            } else {
                FormFault::Delimiter
            };
            return fault(what, behind);
        }
        begins = Some(behind + 2);
    }
    fault(FormFault::Truncated, body.len())
}

/// One part.
struct Part<'a> {
    name: &'a str,
    has_filename: bool,
    /// Its media type is that of plain text, or none.
    is_plain: bool,
    /// Head and value.
    span: Range<usize>,
    value: Range<usize>,
}

impl<'a> Part<'a> {
    fn read(body: &'a [u8], span: Range<usize>) -> Result<Self, InspectError> {
        let fault = InspectError::Form {
            fault: FormFault::Head,
            offset: span.start,
        };
        let whole = body.get(span.clone()).unwrap_or_default();
        let start = whole.get(..HEAD_BYTES_MAX).unwrap_or(whole);
        let end = memmem::find(start, b"\r\n\r\n").ok_or(fault)?;
        let head = start
            .get(..end)
            .and_then(|head| std::str::from_utf8(head).ok());
        let value = span.start + end + 4..span.end;
        let head = Head::read(head.ok_or(fault)?).ok_or(fault)?;
        if head.length.is_some_and(|length| length != value.len()) {
            return Err(fault);
        }
        Ok(Self {
            name: head.name.ok_or(fault)?,
            has_filename: head.has_filename,
            is_plain: head.is_plain,
            span,
            value,
        })
    }
}

/// What a part's head says.
#[derive(Default)]
struct Head<'a> {
    name: Option<&'a str>,
    has_filename: bool,
    has_type: bool,
    is_plain: bool,
    length: Option<usize>,
}

impl<'a> Head<'a> {
    /// `None` where two readers could read it differently.
    fn read(text: &'a str) -> Option<Self> {
        let mut head = Self {
            is_plain: true,
            ..Self::default()
        };
        for line in text.split("\r\n") {
            let (name, value) = line.split_once(':')?;
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            let is_clean = !value.contains(|c: char| c.is_control() && c != '\t');
            if name.is_empty() || !name.bytes().all(is_token) || !is_clean {
                return None;
            }
            head.add(&name.to_ascii_lowercase(), value.trim_matches([' ', '\t']))?;
        }
        Some(head)
    }

    fn add(&mut self, name: &str, value: &'a str) -> Option<()> {
        match name {
            "content-disposition" if self.name.is_none() => self.disposition(value),
            "content-type" if !self.has_type => {
                self.has_type = true;
                let value = value.to_ascii_lowercase();
                self.is_plain = matches!(
                    value.replace(' ', "").as_str(),
                    "text/plain" | "text/plain;charset=utf-8" | "text/plain;charset=us-ascii"
                );
                (!value.starts_with("multipart/")).then_some(())
            }
            "content-transfer-encoding" => {
                let encodings = ["binary", "8bit", "7bit"];
                let same = |known: &&str| value.eq_ignore_ascii_case(known);
                encodings.iter().find(|known| same(known)).map(|_| ())
            }
            "content-length" if self.length.is_none() => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                self.length = Some(value.parse().ok().filter(|_| digits)?);
                Some(())
            }
            "content-disposition" | "content-type" | "content-length" => None,
            _ => Some(()),
        }
    }

    /// `form-data; name="…"; filename="…"`
    fn disposition(&mut self, value: &'a str) -> Option<()> {
        let (kind, mut rest) = value.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("form-data") {
            return None;
        }
        loop {
            let (name, value) = rest.trim_start().split_once('=')?;
            let (value, behind) = match value.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => value.split_at(value.find(';').unwrap_or(value.len())),
            };
            // Some readers take a backslash for an escape, some for itself.
            if value.contains('\\') {
                return None;
            }
            match name.to_ascii_lowercase().as_str() {
                // So do some with percent signs.
                "name" if self.name.is_none() && !value.contains('%') => {
                    self.name = Some(value).filter(|name| *name != "_charset_");
                    self.name?;
                }
                "filename" if !self.has_filename => self.has_filename = true,
                "filename*" => self.has_filename = true,
                _ => return None,
            }
            match behind.trim_start() {
                "" => return self.name.map(|_| ()),
                behind => rest = behind.strip_prefix(';')?,
            }
        }
    }
}

/// What was found of what is acted on.
#[derive(Default)]
struct Found {
    model: Option<(Box<str>, Range<usize>)>,
    file: Option<Range<usize>>,
    stream: bool,
    user: Option<Box<str>>,
}

impl Found {
    fn keep(
        &mut self,
        field: Option<Field>,
        part: Part<'_>,
        body: &[u8],
    ) -> Result<(), InspectError> {
        let Some(field) = field else {
            return Ok(());
        };
        let invalid = InspectError::InvalidValue {
            field,
            offset: part.value.start,
        };
        let is_file = part.has_filename;
        let value = body.get(part.value.clone()).unwrap_or_default();
        if field == Field::File {
            self.file = Some(part.value).filter(|file| is_file && !file.is_empty());
            return self.file.as_ref().map(|_| ()).ok_or(invalid);
        }
        if !matches!(field, Field::Model | Field::Stream | Field::User) {
            return Ok(());
        }
        let text = std::str::from_utf8(value).ok();
        let text = text.filter(|_| !is_file && part.is_plain).ok_or(invalid)?;
        match (field, text) {
            (Field::Model, "") => return Err(invalid),
            (Field::Model, name) => self.model = Some((name.into(), part.span)),
            (Field::Stream, "true") => self.stream = true,
            (Field::Stream, "false") => self.stream = false,
            (Field::Stream, _) => return Err(invalid),
            (_, user) => self.user = Some(user.into()),
        }
        Ok(())
    }

    fn ask(self, operation: Operation, boundary: Boundary) -> Result<Ask, InspectError> {
        let missing = |field| InspectError::MissingField { field };
        let (model, model_span) = self.model.ok_or(missing(Field::Model))?;
        Ok(Ask {
            operation,
            model,
            model_span,
            stream: self.stream,
            n: None,
            max_tokens: None,
            max_completion_tokens: None,
            user: self.user,
            prompt_cache_key: None,
            include_usage: false,
            stream_options_span: None,
            store: false,
            temperature: None,
            messages_span: self.file.ok_or(missing(Field::File))?,
            inputs: 1,
            boundary: Some(boundary),
        })
    }
}

#[cfg(test)]
mod tests;
