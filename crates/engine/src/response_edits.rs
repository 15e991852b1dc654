//! What the host changes in an answer before it goes to the client: the upstream's, and those of our own.

use std::sync::Arc;

use smallvec::SmallVec;

/// One change, names in lower case, values of visible ASCII and spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseEdit {
    /// Take out every field of this name
    Remove(Arc<str>),
    /// Set the field, in place of those of this name
    Replace(Arc<str>, Arc<str>),
    /// Set the field when there is none of this name
    Keep(Arc<str>, Arc<str>),
    /// Add this name to `Vary`, unless it, or `*`, stands there (RFC 9110 §12.5.5)
    Vary(&'static str),
}

/// Changes to an answer's head, to be made in their order.
#[derive(Clone, Debug, Default)]
pub struct ResponseEdits {
    edits: SmallVec<[Part; 4]>,
}

/// PERF: most of what policies change was compiled with the Snapshot, and is shared.
#[derive(Clone, Debug)]
enum Part {
    Compiled(Arc<[ResponseEdit]>),
    One(ResponseEdit),
}

impl ResponseEdits {
    /// Whether the answer goes on as it came.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The changes.
    pub fn iter(&self) -> impl Iterator<Item = &ResponseEdit> {
        self.edits.iter().flat_map(|part| match part {
            Part::Compiled(edits) => edits.iter(),
            Part::One(edit) => std::slice::from_ref(edit).iter(),
        })
    }

    pub(crate) fn push(&mut self, edit: ResponseEdit) {
        self.edits.push(Part::One(edit));
    }

    pub(crate) fn extend(&mut self, compiled: &Arc<[ResponseEdit]>) {
        self.edits.push(Part::Compiled(Arc::clone(compiled)));
    }
}

/// Whether a `Vary` field lists `name`, or everything.
pub fn varies_by(field: &[u8], name: &str) -> bool {
    let listed = field.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    listed.into_iter().any(|listed| listed == b"*" || listed.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::varies_by;

    #[test]
    fn a_vary_field_lists_names_in_any_case() {
        for (field, name, is_listed) in [
            ("accept-encoding, ORIGIN", "origin", true),
            ("*", "origin", true),
            ("origins", "origin", false),
            ("", "origin", false),
        ] {
            assert_eq!(varies_by(field.as_bytes(), name), is_listed, "{field}");
        }
    }
}
