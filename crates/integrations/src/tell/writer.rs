//! Writes exchanges in our interchange format, masked: what `bartizan record` leaves on disk.

use std::io::{self, Write};

use bartizan_model::Exchange;

use super::exchanges;
use super::mask::Masking;

/// Writes one exchange a line to `out`, each with a single `write_all`. It does not buffer: give it a
/// [`std::io::BufWriter`], and call [`Writer::flush`].
pub struct Writer<W: Write> {
    out: W,
    masking: Option<Masking>,
    line: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Masks every exchange with `masking` before it is written.
    pub fn masked(out: W, masking: Masking) -> Self {
        Self { out, masking: Some(masking), line: Vec::new() }
    }

    /// Writes exchanges as they are, credentials and personal data included. Only where the operator said so.
    pub fn as_is(out: W) -> Self {
        Self { out, masking: None, line: Vec::new() }
    }

    /// Writes one exchange.
    ///
    /// # Errors
    /// When `out` fails; the line may then stand there in part.
    pub fn write(&mut self, exchange: &Exchange) -> io::Result<()> {
        self.line.clear();
        match &self.masking {
            Some(masking) => exchanges::write(&masking.mask(exchange), &mut self.line)?,
            None => exchanges::write(exchange, &mut self.line)?,
        }
        self.out.write_all(&self.line)
    }

    /// Flushes `out`.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Gives `out` back.
    pub fn into_inner(self) -> W {
        self.out
    }
}
