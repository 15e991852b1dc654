//! Response bodies: passed on as they come, or, when rules are to judge them first, kept back until they have.
//!
//! When head and beginning of the body come in one piece, a denial is answered in their place; else the head has gone to
//! the client, and a denied body ends the connection without a byte of it.

use bartizan_engine::{Inspection, Step};
use bytes::{Bytes, BytesMut};

use crate::record::Record;

/// LIMIT: bytes of a response that are kept back; of a longer one the rest passes with them, judged by what rules look at.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// The body of one response.
#[derive(Default)]
pub(crate) struct ResponseBody {
    kept: BytesMut,
    /// The engine knows that it is complete
    is_ended: bool,
}

impl ResponseBody {
    /// Pingora is about to send `chunk`; puts in its place what may be sent now. `true`: the engine decided against it.
    pub(crate) fn filter(
        &mut self,
        chunk: &mut Option<Bytes>,
        is_end: bool,
        inspection: &mut Inspection,
        record: Option<&mut Record>,
    ) -> bool {
        let fresh = chunk.as_ref().filter(|chunk| !chunk.is_empty());
        if let (Some(record), Some(fresh)) = (record, fresh) {
            record.response_body(fresh);
        }
        let mut step = match fresh {
            Some(fresh) => inspection.response_body(fresh),
            None if self.kept.is_empty() => Step::Continue,
            None => Step::Hold,
        };
        if step == Step::Hold && !self.is_ended {
            self.kept.extend_from_slice(fresh.map(Bytes::as_ref).unwrap_or_default());
            if is_end || self.kept.len() > KEPT_BYTES_MAX {
                self.is_ended = true;
                step = inspection.response_end();
            }
            let is_released = !matches!(step, Step::Hold);
            *chunk = Some(if is_released { self.kept.split().freeze() } else { Bytes::new() });
        }
        matches!(step, Step::Stop(_))
    }

    /// The exchange is over.
    pub(crate) fn end(&mut self, inspection: &mut Inspection) {
        if !self.is_ended {
            self.is_ended = true;
            let _ = inspection.response_end(); // everything has gone
        }
    }
}
