//! Is this JSON, strictly, and where does each value stand?
//!
//! A scanner over text that is known to be UTF-8. It keeps no tree and never calls
//! itself: open arrays and objects lie on a stack of its own, so that no nesting
//! can overflow the thread's. Keys of the open objects lie on a second stack and
//! are compared when their object closes. Nearly all bytes of a body are inside
//! strings, and those are skipped many at a time (`plain.rs`).

/// Which keys stand in the objects that are open?
mod key;
/// What is a string, and what is a number?
mod scalar;

use std::ops::Range;

use super::keys::Duplicates;
use super::{Bounds, Fault, InspectError};
use key::{Keys, Mark};

/// Where a value stands and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// Its bytes, delimiters included.
    pub(super) span: Range<usize>,
    /// What it is.
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    True,
    False,
    Number,
    String {
        /// Whether it holds an escape, so that its bytes are not its text.
        escaped: bool,
    },
    Array,
    Object,
}

/// Reads one object: `begin`, then `key` and `value` in turn until there is no key, then `end`.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    /// Everything before this is read.
    at: usize,
    bounds: Bounds,
    /// The open arrays and objects, outermost first.
    open: Vec<Open>,
    keys: Keys<'a>,
    duplicates: Duplicates,
}

enum Open {
    Array,
    Object {
        /// Its keys are those from here on, once what it encloses is closed.
        keys: Mark,
    },
}

/// What follows a value.
enum Next {
    /// Another value of the same array, or of the same object with its key read.
    Value,
    /// The end of the array or object.
    Close,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, bounds: Bounds) -> Self {
        Self {
            bytes: text.as_bytes(),
            at: 0,
            bounds,
            open: Vec::with_capacity(8),
            keys: Keys::new(text.as_bytes()),
            duplicates: Duplicates::default(),
        }
    }

    /// Reads the opening brace of the outermost object.
    pub(super) fn begin(&mut self) -> Result<(), InspectError> {
        match self.peek_token() {
            Some(b'{') => self.descend_into_object(),
            Some(_) => Err(self.fail(Fault::NotAnObject)),
            None => Err(self.fail(Fault::Empty)),
        }
    }

    /// Reads the next key of the outermost object and its colon; `None` at the object's end.
    pub(super) fn key<T>(
        &mut self,
        recognise: impl FnOnce(&str, usize) -> Result<T, InspectError>,
    ) -> Result<Option<T>, InspectError> {
        let token = self.peek_token();
        if token == Some(b'}') {
            return Ok(None);
        }
        if self.keys.count(self.innermost()) > 0 {
            self.expect(token, b',')?;
        }
        self.member_key()?;
        recognise(self.keys.last(), self.at).map(Some)
    }

    /// Reads the closing brace of the outermost object, and that nothing follows it.
    pub(super) fn end(
        mut self,
        name: impl FnOnce(&str) -> Option<&'static str>,
    ) -> Result<(), InspectError> {
        self.differ(self.innermost(), name)?;
        self.at += 1;
        match self.peek_token() {
            None => Ok(()),
            Some(_) => Err(self.fail(Fault::Trailing)),
        }
    }

    /// Reads one value with everything inside it.
    pub(super) fn value(&mut self) -> Result<Value, InspectError> {
        let outside = self.open.len();
        self.peek_token();
        let start = self.at;
        let kind = self.opening()?;
        while self.open.len() > outside {
            match self.next()? {
                Next::Value => {
                    self.opening()?;
                }
                Next::Close => self.close()?,
            }
        }
        Ok(Value {
            span: start..self.at,
            kind,
        })
    }

    /// Reads a scalar whole, or the opening of an array or object.
    fn opening(&mut self) -> Result<Kind, InspectError> {
        match self.peek_token() {
            Some(b'"') => {
                let escaped = self.string(true)?;
                Ok(Kind::String { escaped })
            }
            Some(b'{') => {
                self.descend_into_object()?;
                Ok(Kind::Object)
            }
            Some(b'[') => {
                self.descend(Open::Array)?;
                Ok(Kind::Array)
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Ok(Kind::Number)
            }
            Some(b't') => self.literal(b"true", Kind::True),
            Some(b'f') => self.literal(b"false", Kind::False),
            Some(b'n') => self.literal(b"null", Kind::Null),
            Some(_) => Err(self.fail(Fault::Syntax)),
            None => Err(self.fail(Fault::Truncated)),
        }
    }

    /// Reads up to the next value of the innermost array or object, its key included.
    fn next(&mut self) -> Result<Next, InspectError> {
        // The byte just read tells an opening from what follows a value: no value ends so.
        let first = matches!(self.byte_before(), Some(b'[' | b'{'));
        let token = self.peek_token();
        match (self.open.last(), token) {
            (Some(Open::Object { .. }), Some(b'}')) | (Some(Open::Array), Some(b']')) => {
                Ok(Next::Close)
            }
            (Some(Open::Object { .. }), _) => {
                if !first {
                    self.expect(token, b',')?;
                }
                self.member_key()?;
                Ok(Next::Value)
            }
            (Some(Open::Array), _) => {
                if !first {
                    self.expect(token, b',')?;
                }
                Ok(Next::Value)
            }
            (None, _) => Err(self.fail(Fault::Syntax)),
        }
    }

    fn descend_into_object(&mut self) -> Result<(), InspectError> {
        let keys = self.keys.mark();
        self.descend(Open::Object { keys })
    }

    fn descend(&mut self, open: Open) -> Result<(), InspectError> {
        if self.open.len() >= self.bounds.depth_max {
            return Err(self.fail(Fault::TooDeep));
        }
        self.open.push(open);
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), InspectError> {
        if let Some(Open::Object { keys }) = self.open.pop() {
            self.differ(keys, |_| None)?;
            self.keys.truncate(keys);
        }
        self.at += 1;
        Ok(())
    }

    /// None of the keys from there on stands twice; one that does is told by this name.
    fn differ(
        &mut self,
        keys: Mark,
        name: impl FnOnce(&str) -> Option<&'static str>,
    ) -> Result<(), InspectError> {
        let keys = self.keys.texts(keys);
        match self.duplicates.find(&keys) {
            None => Ok(()),
            Some(key) => Err(InspectError::DuplicateKey {
                param: name(std::str::from_utf8(key).unwrap_or_default()),
                offset: self.at,
            }),
        }
    }

    /// Reads a key and its colon, and puts the key on the stack.
    fn member_key(&mut self) -> Result<(), InspectError> {
        let token = self.peek_token();
        if token != Some(b'"') {
            return Err(self.unexpected(token));
        }
        let start = self.at;
        let escaped = self.string(false)?;
        if self.keys.count(self.innermost()) >= self.bounds.keys_max {
            return Err(self.fail(Fault::TooManyKeys));
        }
        // The escapes are known to be right but for half a surrogate pair.
        let read = self.keys.push(start + 1, self.at - 1, escaped);
        read.ok_or_else(|| self.fail(Fault::SurrogateInKey))?;
        let token = self.peek_token();
        self.expect(token, b':')
    }

    /// Where the keys of the innermost object begin.
    fn innermost(&self) -> Mark {
        match self.open.last() {
            Some(Open::Object { keys }) => *keys,
            Some(Open::Array) | None => Mark::default(),
        }
    }

    fn literal(&mut self, word: &[u8], kind: Kind) -> Result<Kind, InspectError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(kind);
        }
        Err(self.fail(if word.starts_with(rest) {
            Fault::Truncated
        } else {
            Fault::Syntax
        }))
    }

    fn expect(&mut self, token: Option<u8>, expected: u8) -> Result<(), InspectError> {
        if token == Some(expected) {
            self.at += 1;
            return Ok(());
        }
        Err(self.unexpected(token))
    }

    fn unexpected(&self, token: Option<u8>) -> InspectError {
        self.fail(match token {
            Some(_) => Fault::Syntax,
            None => Fault::Truncated,
        })
    }

    /// The next byte that is not white space, not read yet.
    fn peek_token(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                token => return token,
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn byte_before(&self) -> Option<u8> {
        self.bytes.get(self.at.checked_sub(1)?).copied()
    }

    fn fail(&self, fault: Fault) -> InspectError {
        InspectError::Json {
            fault,
            offset: self.at,
        }
    }
}
