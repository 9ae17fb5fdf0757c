//! How is a body written so that white space and the order of keys make no difference?
//!
//! Members of objects in the order of their keys' texts, no white space, and all else to the
//! byte as the caller wrote it: `1.0` is not `1`, and `"\u0061"` is not `"a"`. That asks more
//! of two bodies than that they mean the same, and never less. Nothing of this form is ever
//! built: its pieces are pieces of the body, put onto the stage in their order.
//!
//! The walk trusts what inspection found, never calls itself, and gives up on what inspection
//! cannot have let through.

use super::outline::{Outline, Span};
use super::stage::Stage;
use crate::gateway::inspect::literal::Literal;

/// A body on its way into its canonical form.
pub(super) struct Canonical<'a> {
    body: &'a [u8],
    outline: Outline,
    /// Everything before this is read, or stepped over.
    at: usize,
    /// The first note of the outline that does not begin before `at`.
    note: usize,
    /// The members of the open objects, outermost first, those of each in their order.
    members: Vec<Member>,
    /// How many of them are the outermost object's.
    top_len: usize,
    /// The texts of keys that are written with escapes.
    texts: String,
    /// The arrays and objects that are open, outermost first.
    open: Vec<Open>,
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    /// Its key as it is written, quotes included.
    key: Span,
    text: Text,
    value: Span,
    /// Whether its value is an array or object.
    is_nested: bool,
    /// The first note that does not begin before its value.
    note: u32,
}

/// Where the text of a key stands.
#[derive(Debug, Clone, Copy)]
enum Text {
    /// In the body, between its quotes.
    Written(Span),
    /// In `texts`.
    Decoded(Span),
}

/// What is put in part.
#[derive(Clone, Copy)]
enum Open {
    Array {
        /// Whether nothing of it was put yet.
        is_new: bool,
    },
    Object(Object),
}

/// An object that is put in part.
#[derive(Clone, Copy)]
struct Object {
    /// Its first member.
    first: usize,
    /// Its next member.
    next: usize,
    /// Where it ends.
    after: usize,
    /// The first note behind it.
    note_after: usize,
}

impl<'a> Canonical<'a> {
    /// A body that is one object; `None` where it cannot have been inspected, or is nested too
    /// deeply to be followed.
    pub(super) fn of(body: &'a [u8]) -> Option<Self> {
        let mut canonical = Self {
            body,
            outline: Outline::of(body)?,
            at: 0,
            note: 0,
            members: Vec::with_capacity(48),
            top_len: 0,
            texts: String::new(),
            open: Vec::with_capacity(16),
        };
        canonical.expect(b'{')?;
        canonical.read_members()?;
        canonical.top_len = canonical.members.len();
        canonical.token().is_none().then_some(canonical)
    }

    /// The members of the outermost object, in the order of their keys.
    pub(super) fn top(&self) -> Vec<Member> {
        self.members.clone()
    }

    /// The text of a key.
    pub(super) fn text(&self, member: &Member) -> &[u8] {
        member.text(self.body, &self.texts)
    }

    /// Puts a member onto the stage, with everything in it.
    pub(super) fn put(&mut self, member: &Member, stage: &mut Stage) -> Option<()> {
        self.members.truncate(self.top_len);
        self.open.clear();
        self.put_member(*member, stage)?;
        while let Some(open) = self.open.last_mut() {
            match open {
                Open::Array { is_new } => {
                    let is_first = std::mem::take(is_new);
                    self.put_element(is_first, stage)?;
                }
                Open::Object(object) => {
                    let object = *object;
                    self.put_next_member(object, stage)?;
                }
            }
        }
        Some(())
    }

    /// Puts a key and its value, of which an array or object is only opened.
    fn put_member(&mut self, member: Member, stage: &mut Stage) -> Option<()> {
        stage.put_piece(self.body, member.key);
        stage.put_byte(b':');
        if member.is_nested {
            self.at = member.value.start();
            self.note = member.note as usize;
            return self.put_value(stage);
        }
        stage.put_piece(self.body, member.value);
        Some(())
    }

    /// Puts the next value, of which an array or object is only opened.
    fn put_value(&mut self, stage: &mut Stage) -> Option<()> {
        match self.body.get(self.at)? {
            b'[' => {
                stage.put_byte(b'[');
                self.enter();
                self.open.push(Open::Array { is_new: true });
            }
            b'{' => {
                stage.put_byte(b'{');
                self.enter();
                let first = self.members.len();
                self.read_members()?;
                self.open.push(Open::Object(Object {
                    first,
                    next: first,
                    after: self.at,
                    note_after: self.note,
                }));
            }
            _ => {
                let start = self.at;
                self.step_over()?;
                stage.put_piece(self.body, Span::new(start, self.at));
            }
        }
        Some(())
    }

    /// Puts what is next of the innermost array.
    fn put_element(&mut self, is_first: bool, stage: &mut Stage) -> Option<()> {
        if self.token()? == b']' {
            self.at += 1;
            self.open.pop();
            stage.put_byte(b']');
            return Some(());
        }
        if !is_first {
            self.expect(b',')?;
            stage.put_byte(b',');
            self.token()?;
        }
        self.put_value(stage)
    }

    /// Puts what is next of the innermost object.
    fn put_next_member(&mut self, object: Object, stage: &mut Stage) -> Option<()> {
        // Whatever lay in it is closed, so its members are the last.
        let Some(member) = self.members.get(object.next).copied() else {
            self.members.truncate(object.first);
            (self.at, self.note) = (object.after, object.note_after);
            self.open.pop();
            stage.put_byte(b'}');
            return Some(());
        };
        if object.next > object.first {
            stage.put_byte(b',');
        }
        let next = object.next + 1;
        *self.open.last_mut()? = Open::Object(Object { next, ..object });
        self.put_member(member, stage)
    }

    /// Reads the members of an object behind its brace, and brings them into order.
    fn read_members(&mut self) -> Option<()> {
        let first = self.members.len();
        loop {
            let token = self.token()?;
            if token == b'}' {
                break;
            }
            if self.members.len() > first {
                self.expect(b',')?;
                self.token()?;
            }
            let member = self.read_member()?;
            self.members.push(member);
        }
        self.at += 1;
        let Self {
            body,
            texts,
            members,
            ..
        } = self;
        let own = members.get_mut(first..)?;
        own.sort_unstable_by(|one, other| one.text(body, texts).cmp(other.text(body, texts)));
        Some(())
    }

    /// Reads a key, and steps over its value.
    fn read_member(&mut self) -> Option<Member> {
        let start = self.at;
        let may_be_escaped = self.string()?;
        let key = Span::new(start, self.at);
        let text = if may_be_escaped {
            let decoded: String = serde_json::from_slice(key.of(self.body)).ok()?;
            let start = self.texts.len();
            self.texts.push_str(&decoded);
            Text::Decoded(Span::new(start, self.texts.len()))
        } else {
            Text::Written(Span::new(start + 1, self.at - 1))
        };
        self.expect(b':')?;
        let is_nested = matches!(self.token()?, b'{' | b'[');
        let (start, note) = (self.at, u32::try_from(self.note).ok()?);
        self.step_over()?;
        let value = Span::new(start, self.at);
        Some(Member {
            key,
            text,
            value,
            is_nested,
            note,
        })
    }

    /// Goes into an array or object.
    fn enter(&mut self) {
        if self.outline.note(self.at, self.note).is_some() {
            self.note += 1;
        }
        self.at += 1;
    }

    /// Steps over a value with everything in it.
    fn step_over(&mut self) -> Option<()> {
        match self.body.get(self.at)? {
            b'"' => self.string().map(|_| ()),
            b'{' | b'[' => {
                if let Some(note) = self.outline.note(self.at, self.note) {
                    self.at = note.end();
                    self.note = note.next();
                    return Some(());
                }
                self.step_over_nested()
            }
            _ => {
                let rest = self.body.get(self.at..)?;
                let len = rest.iter().position(|byte| is_delimiter(*byte))?;
                self.at += len;
                (len > 0).then_some(())
            }
        }
    }

    /// Steps over an array or object that is too short to be noted, or none in an object.
    fn step_over_nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.body.get(self.at)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Reads a string, and tells whether an escape is in it where that was seen on the way.
    #[inline]
    fn string(&mut self) -> Option<bool> {
        if let Some(note) = self.outline.note(self.at, self.note) {
            self.at = note.end();
            self.note = note.next();
            return Some(true);
        }
        let Literal { len, escaped } = Literal::at(self.body.get(self.at..)?)?;
        self.at += len;
        Some(escaped)
    }

    /// Reads a byte that must be next but for white space.
    fn expect(&mut self, expected: u8) -> Option<()> {
        let is_there = self.token()? == expected;
        self.at += 1;
        is_there.then_some(())
    }

    /// The next byte that is not white space, not read yet.
    #[inline]
    fn token(&mut self) -> Option<u8> {
        loop {
            match self.body.get(self.at).copied() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                token => return token,
            }
        }
    }
}

impl Member {
    /// How many bytes of it are put before its value.
    pub(super) fn before_value(&self) -> u64 {
        self.key.len() as u64 + 1
    }

    /// The text of its key.
    fn text<'t>(&self, body: &'t [u8], texts: &'t str) -> &'t [u8] {
        match self.text {
            Text::Written(span) => span.of(body),
            Text::Decoded(span) => span.of(texts.as_bytes()),
        }
    }
}

/// Whether no number and no word goes on with this byte.
fn is_delimiter(byte: u8) -> bool {
    matches!(
        byte,
        b',' | b':' | b'"' | b'{' | b'}' | b'[' | b']' | b' ' | b'\n' | b'\r' | b'\t'
    )
}
