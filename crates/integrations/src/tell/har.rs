//! HAR.

use std::io::BufRead;

use super::reader::Item;

pub(crate) struct Entries {}

impl Entries {
    pub(crate) fn new(_input: Box<dyn BufRead + Send>, _limit: usize) -> Self {
        Self {}
    }

    pub(crate) fn next(&mut self) -> Option<Item> {
        None
    }
}
