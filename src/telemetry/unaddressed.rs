//! Whose address would be in the log?
//!
//! pingora writes the whole address of whoever does not finish a TLS handshake, in a line
//! of its own that anybody can cause. An address is personal, so it is taken out of that
//! line. What we did not let in ourselves has been counted, and needs no line at all.

use std::io;

use tracing_subscriber::fmt::MakeWriter;

/// What stands before the address.
const BEFORE: &[u8] = b"Downstream handshake error from ";
/// What stands behind it.
const BEHIND: &[u8] = b": ";
/// What the ingress says of connections that it does not let in.
pub(crate) const NOT_LET_IN: &str = "connection not let in";

/// Writes lines without addresses; each is written at once.
#[derive(Debug)]
pub(super) struct Unaddressed<W>(pub(super) W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Unaddressed<W> {
    type Writer = Unaddressed<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Unaddressed(self.0.make_writer())
    }
}

impl<W: io::Write> io::Write for Unaddressed<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let Some((before, rest)) = cut(line, BEFORE) else {
            return self.0.write(line);
        };
        if cut(rest, NOT_LET_IN.as_bytes()).is_none() {
            let said = cut(rest, BEHIND).map_or(&b"\n"[..], |(_, said)| said);
            self.0
                .write_all(&[before, b"TLS handshake failed: ", said].concat())?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What stands before these words, and what behind them.
fn cut<'a>(line: &'a [u8], words: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memmem::find(line, words)?;
    let (before, from) = line.split_at_checked(at)?;
    Some((before, from.get(words.len()..)?))
}
