//! The answer the host gives in the upstream's place: problem details (RFC 9457), never internals.

use bartizan_model::{Decision, Ending, RequestId};

/// A whole HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code
    pub status: u16,
    /// Header fields, names in lower case; `content-length` is the host's to add
    pub headers: Vec<(&'static str, String)>,
    /// Body
    pub body: Vec<u8>,
}

/// The answer to a request that `decision` stopped. [`crate::Inspection::answer`] also knows the `Allow` field of a 405.
pub fn answer(decision: &Decision, id: RequestId) -> Answer {
    let _ = id;
    Answer { status: decision.status, headers: Vec::new(), body: Vec::new() }
}

/// The answer the host owes after this ending; `None` when the client has its answer, or is gone.
pub fn answer_ending(ending: Ending, id: RequestId) -> Option<Answer> {
    let _ = (ending, id);
    None
}
