//! Reduces an exchange to what makes a difference: parts are taken out as long as the same rule differs for the same
//! cause.

use anyhow::Result;

use crate::compare::{Difference, Engines};
use crate::harness::{Exchange, field};

/// LIMIT: questions to both engines for one exchange; libmodsecurity takes milliseconds for each.
const QUESTIONS_MAX: usize = 600;

/// What must stay as it is.
struct Wanted<'a> {
    kind: &'static str,
    rule: u32,
    is_ours: bool,
    cause: Option<&'a str>,
    asked: usize,
}

impl Wanted<'_> {
    /// The difference, if it is still the one that is looked for.
    fn found(&mut self, exchange: &Exchange, engines: &mut Engines) -> Result<Option<Difference>> {
        self.asked += 1;
        let found = engines.ask(self.kind, exchange)?;
        Ok(found.filter(|difference| {
            let case = difference.case(self.rule, self.is_ours);
            case.is_some_and(|case| case.cause().map(|cause| cause.name) == self.cause)
        }))
    }
}

/// A part of an exchange that can become shorter.
#[derive(Clone, Copy)]
enum Place {
    Target,
    Body,
    Header(usize),
}

impl Place {
    fn bytes(self, exchange: &mut Exchange) -> Option<&mut Vec<u8>> {
        match self {
            Self::Target => Some(&mut exchange.target),
            Self::Body => Some(&mut exchange.body),
            Self::Header(at) => exchange.headers.get_mut(at).map(|(_, value)| value),
        }
    }
}

/// The exchange with less in it; `None` when nothing can be left out.
pub fn shrunk(
    difference: &Difference,
    rule: u32,
    is_ours: bool,
    cause: Option<&str>,
    engines: &mut Engines,
) -> Result<Option<Difference>> {
    let mut wanted = Wanted { kind: difference.kind, rule, is_ours, cause, asked: 0 };
    let mut best = None;
    let mut exchange = difference.exchange.clone();
    for at in (0..exchange.headers.len()).rev() {
        let mut shorter = exchange.clone();
        shorter.headers.remove(at);
        if let Some(found) = wanted.found(&shorter, engines)? {
            (exchange, best) = (shorter, Some(found));
        }
    }
    let headers = (0..exchange.headers.len()).map(Place::Header);
    for place in [Place::Target, Place::Body].into_iter().chain(headers) {
        shorten(place, &mut exchange, &mut best, &mut wanted, engines)?;
    }
    Ok(best)
}

/// Takes out halves, then smaller and smaller pieces.
fn shorten(
    place: Place,
    exchange: &mut Exchange,
    best: &mut Option<Difference>,
    wanted: &mut Wanted<'_>,
    engines: &mut Engines,
) -> Result<()> {
    let mut piece = place.bytes(exchange).map_or(0, |bytes| bytes.len().div_ceil(2));
    while piece > 0 {
        let mut at = 0;
        while place.bytes(exchange).is_some_and(|bytes| at < bytes.len()) {
            if wanted.asked >= QUESTIONS_MAX {
                return Ok(());
            }
            let mut shorter = exchange.clone();
            if let Some(bytes) = place.bytes(&mut shorter) {
                bytes.drain(at..bytes.len().min(at + piece));
            }
            set_length(&mut shorter);
            if let Some(found) = wanted.found(&shorter, engines)? {
                (*exchange, *best) = (shorter, Some(found));
            } else {
                at += piece;
            }
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    Ok(())
}

/// A length that is told stays the body's.
fn set_length(exchange: &mut Exchange) {
    if field(&exchange.headers, "Content-Length").is_none() {
        return;
    }
    let length = exchange.body.len().to_string().into_bytes();
    for (name, value) in &mut exchange.headers {
        if name.eq_ignore_ascii_case(b"Content-Length") {
            value.clone_from(&length);
        }
    }
}
