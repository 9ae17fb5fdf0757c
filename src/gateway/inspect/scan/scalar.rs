//! What is a string, and what is a number?
//!
//! The two values of which a body has most, read to the letter of the grammar
//! (RFC 8259, sections 6 and 7).

use super::Scanner;
use crate::gateway::inspect::plain::blocks::{self, Blocks};
use crate::gateway::inspect::plain::{escapes_len, plain_len};
use crate::gateway::inspect::{Fault, InspectError};

impl Scanner<'_> {
    /// Reads a string, which may be long with many escapes, and tells whether it holds one.
    pub(super) fn string(&mut self, mut may_be_long: bool) -> Result<bool, InspectError> {
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at += plain_len(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') if may_be_long => {
                    may_be_long = false;
                    match blocks::read(self.bytes.get(self.at..).unwrap_or_default()) {
                        Blocks::End { len, .. } => {
                            self.at += len + 1;
                            return Ok(true);
                        }
                        Blocks::More { len, escaped: more } => {
                            self.at += len;
                            escaped |= more;
                        }
                        Blocks::Doubt => {}
                    }
                }
                Some(b'\\') => {
                    escaped = true;
                    let simple = escapes_len(self.bytes.get(self.at..).unwrap_or_default());
                    self.at += simple;
                    if simple == 0 {
                        self.escape()?;
                    }
                }
                Some(_) => return Err(self.fail(Fault::ControlCharacter)),
                None => return Err(self.fail(Fault::Truncated)),
            }
        }
    }

    /// Reads an escape of four hexadecimal digits.
    fn escape(&mut self) -> Result<(), InspectError> {
        match self.bytes.get(self.at + 1) {
            Some(b'u') => {
                for _ in 0..4 {
                    match self.bytes.get(self.at + 2) {
                        Some(byte) if byte.is_ascii_hexdigit() => self.at += 1,
                        Some(_) => return Err(self.fail(Fault::Escape)),
                        None => return Err(self.fail(Fault::Truncated)),
                    }
                }
                self.at += 2;
                Ok(())
            }
            Some(_) => Err(self.fail(Fault::Escape)),
            None => Err(self.fail(Fault::Truncated)),
        }
    }

    pub(super) fn number(&mut self) -> Result<(), InspectError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        match self.peek() {
            // `01`, `1.2.3`, `0x10`, `1_000`
            Some(b'0'..=b'9' | b'.' | b'x' | b'X' | b'_' | b'-' | b'+') => {
                Err(self.fail(Fault::Number))
            }
            _ => Ok(()),
        }
    }

    /// Reads at least one digit.
    fn digits(&mut self) -> Result<(), InspectError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(rest.len());
        self.at += count;
        if count > 0 {
            return Ok(());
        }
        Err(self.fail(if rest.is_empty() {
            Fault::Truncated
        } else {
            Fault::Number
        }))
    }
}
