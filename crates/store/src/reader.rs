//! The directory of segments as a process sees it that does not own it: changes nothing, and leaves out what cannot be
//! read. The owner renames such a segment when it next starts; until then every reader has to find out for itself.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::answer::{HealthState, Quarantined, StoreHealth};
use crate::log::View;
use crate::segment::{Segment, SegmentDirectory, check_footer, check_pages, split_obsolete};

/// A directory that another process may be writing to.
#[derive(Debug)]
pub(crate) struct Reader {
    directory: SegmentDirectory,
    known: Mutex<Known>,
}

/// What was found out about segments so far, by their names; as many as there are files.
#[derive(Debug, Default)]
struct Known {
    readable: HashSet<String>,
    left_out: BTreeMap<String, String>,
}

impl Reader {
    /// A reader that knows nothing yet.
    pub(crate) fn new(directory: SegmentDirectory) -> Self {
        Self { directory, known: Mutex::default() }
    }

    /// Every event once, as of now, but for those of segments that cannot be read.
    pub(crate) fn view(&self) -> Result<View, Error> {
        let listed = self.directory.list()?.live;
        let mut known = self.lock();
        let readable = listed.into_iter().filter(|segment| known.is_readable(segment)).collect();
        // only now: the output of a compaction that cannot be read gives way to its inputs
        Ok(View { segments: split_obsolete(readable).0, batches: Vec::new() })
    }

    /// After a failure to read `view`: whether another attempt has a chance.
    pub(crate) fn has_moved_on(&self, view: &View) -> bool {
        if view.segments.iter().any(|segment| !segment.path.exists()) {
            return true; // the owner compacted or deleted it meanwhile
        }
        let mut known = self.lock();
        let before = known.left_out.len();
        for segment in &view.segments {
            if let Err(reason) = check_pages(&segment.path) {
                known.left_out.insert(segment.relative.clone(), reason);
            }
        }
        known.left_out.len() > before
    }

    /// Segments that were left out so far, by name.
    pub(crate) fn left_out(&self) -> Vec<Quarantined> {
        let known = self.lock();
        known.left_out.iter().map(|(name, reason)| Quarantined { name: name.clone(), reason: reason.clone() }).collect()
    }

    /// The health that a reader sees: what lies in the directory.
    pub(crate) fn health(&self) -> StoreHealth {
        let looked = self.view().and_then(|view| Ok((view, self.directory.list()?.quarantined)));
        match looked {
            Ok((view, mut quarantined)) => {
                quarantined.extend(self.left_out());
                StoreHealth {
                    bytes: view.segments.iter().map(|segment| segment.bytes).sum(),
                    segments: view.segments.len() as u64,
                    quarantined,
                    ..StoreHealth::default()
                }
            }
            Err(error) => {
                StoreHealth { state: HealthState::Error, detail: error.to_string(), ..StoreHealth::default() }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // an insertion is done or not, so a panic elsewhere does not spoil it
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_readable(&mut self, segment: &Segment) -> bool {
        if self.left_out.contains_key(&segment.relative) {
            return false; // also one whose footer was good and whose pages are not
        }
        if self.readable.contains(&segment.relative) {
            return true;
        }
        match check_footer(&segment.path) {
            Ok(()) => self.readable.insert(segment.relative.clone()),
            Err(_) if !segment.path.exists() => true, // deleted meanwhile: whoever reads it looks again
            Err(reason) => self.left_out.insert(segment.relative.clone(), reason).is_some(),
        }
    }
}
