//! One request that is wrong, or odd, in one way: its bytes, the pieces they are sent in, and its class.

use std::collections::HashSet;

use super::{framing, http1, http2};

/// Stands for the mutation's number in its bytes; the number has as many digits, so that lengths stay right.
pub(super) const NUMBER: &str = "NNNN";

/// What the second request says that an attacker would like to pass off as part of the first.
pub(super) const SMUGGLED: &str = "GET /smuggled/NNNN HTTP/1.1\r\nHost: origin.example\r\nX-Marker: smuggled\r\n\r\n";

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1: several requests may follow each other on a connection
    Http1,
    /// HTTP/2: one stream on a connection
    Http2,
}

/// One odd request.
#[derive(Clone, Debug)]
pub(super) struct Mutation {
    /// What it belongs to: a row of the table
    pub(super) class: &'static str,
    pub(super) protocol: Protocol,
    /// Sent one after the other, with a pause between them
    pub(super) pieces: Vec<Vec<u8>>,
}

impl Mutation {
    /// HTTP/1 in one piece.
    pub(super) fn http1(class: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { class, protocol: Protocol::Http1, pieces: vec![bytes.into()] }
    }

    /// HTTP/1 in several pieces.
    pub(super) fn http1_in(class: &'static str, pieces: Vec<Vec<u8>>) -> Self {
        Self { class, protocol: Protocol::Http1, pieces }
    }

    /// HTTP/2 frames behind the preface.
    pub(super) fn http2(class: &'static str, frames: Vec<u8>) -> Self {
        Self { class, protocol: Protocol::Http2, pieces: vec![frames] }
    }

    /// With its number in the place of [`NUMBER`]; every second one goes where bodies are held.
    fn numbered(mut self, number: usize) -> Self {
        let digits = format!("{number:04}");
        for piece in &mut self.pieces {
            if number % 2 == 1 {
                replace(piece, b"/m/", b"/h/");
            }
            replace(piece, NUMBER.as_bytes(), digits.as_bytes());
        }
        self
    }
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let mut at = 0;
    while let Some(window) = bytes.get_mut(at..at + from.len()) {
        if window == from {
            window.copy_from_slice(to);
        }
        at += 1;
    }
}

/// Every mutation, the same each time; no two have the same bytes.
pub(super) fn all() -> Vec<Mutation> {
    let mut known = HashSet::new();
    let mutations = framing::all().into_iter().chain(http1::all()).chain(http2::all());
    let distinct = mutations.filter(|mutation| known.insert(mutation.pieces.clone()));
    distinct.enumerate().map(|(number, mutation)| mutation.numbered(number)).collect()
}
