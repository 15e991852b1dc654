//! Segments: immutable Parquet files of the event log, named so that the directory alone says what is live.
//!
//! `events/2026-01-31/09/<first>-<last>_<min>_<max>_<written>_<rows>.parquet`: the flush numbers that it covers, the
//! range of event times, when it was written, and its rows. The directory is the hour of its first event; the exact
//! range is in the name, so an hour's directory is a hint and pruning never depends on it.
//!
//! INVARIANT: a segment is live unless another readable segment in its directory covers its flush numbers. Compaction
//! writes one file that covers its inputs and renames it into place: that rename is the only step that changes what is
//! live, so a crash before it leaves the inputs, and after it the output. Deleting the inputs is tidying up.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bartizan_model::Timestamp;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;

use crate::Error;
use crate::answer::Quarantined;

const EXTENSION: &str = ".parquet";
const TEMPORARY: &str = ".tmp";
pub(crate) const QUARANTINED: &str = ".quarantined";
/// LIMIT: listings of a directory that another process changes meanwhile; two equal ones in a row are wanted.
const LISTINGS_MAX: usize = 20;

/// What a segment's file name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentName {
    /// First flush that it covers
    pub(crate) first: u64,
    /// Last flush that it covers
    pub(crate) last: u64,
    /// Earliest event time
    pub(crate) min: i64,
    /// Latest event time
    pub(crate) max: i64,
    /// When its newest flush was written
    pub(crate) written: i64,
    /// Rows
    pub(crate) rows: u64,
}

impl SegmentName {
    /// The file name.
    pub(crate) fn file_name(&self) -> String {
        let Self { first, last, min, max, written, rows } = *self;
        let (min, max, written) = (sortable(min), sortable(max), sortable(written));
        format!("{first:012}-{last:012}_{min:016x}_{max:016x}_{written:016x}_{rows}{EXTENSION}")
    }

    /// Reads a file name; `None` when it is no segment's.
    pub(crate) fn parse(file_name: &str) -> Option<Self> {
        let mut parts = file_name.strip_suffix(EXTENSION)?.split('_');
        let (first, last) = parts.next()?.split_once('-')?;
        let mut time = || parts.next().and_then(|part| u64::from_str_radix(part, 16).ok()).map(unsortable);
        let (min, max, written) = (time()?, time()?, time()?);
        let rows = parts.next()?.parse().ok()?;
        let name = Self { first: first.parse().ok()?, last: last.parse().ok()?, min, max, written, rows };
        (parts.next().is_none() && name.first <= name.last && name.min <= name.max).then_some(name)
    }

    fn covers(&self, other: &Self) -> bool {
        self.first <= other.first && other.last <= self.last && self != other
    }
}

/// Times as unsigned numbers in the same order, so that names sort.
fn sortable(micros: i64) -> u64 {
    micros.cast_unsigned() ^ (1 << 63)
}

fn unsortable(number: u64) -> i64 {
    (number ^ (1 << 63)).cast_signed()
}

/// A segment on disk. Dropping the last reference to a doomed one deletes the file: a query that still reads it keeps it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    /// Directory and file name under `events/`
    pub(crate) relative: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    doomed: AtomicBool,
}

impl Segment {
    /// Deletes the file as soon as nobody reads it.
    pub(crate) fn doom(&self) {
        self.doomed.store(true, Ordering::Release);
    }

    /// The hour's directory under `events/`.
    pub(crate) fn hour(&self) -> &str {
        self.relative.rsplit_once('/').map_or("", |(hour, _)| hour)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if self.doomed.load(Ordering::Acquire)
            && let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(segment = %self.relative, %error, "an obsolete segment could not be deleted");
        }
    }
}

/// The directory `events/` of a data directory.
#[derive(Clone, Debug)]
pub(crate) struct SegmentDirectory {
    pub(crate) root: PathBuf,
}

/// What a directory holds.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Live segments, in flush order
    pub(crate) live: Vec<Arc<Segment>>,
    /// Segments that a compaction has replaced and not deleted yet
    pub(crate) obsolete: Vec<Arc<Segment>>,
    /// Files that could not be read
    pub(crate) quarantined: Vec<Quarantined>,
    /// Temporary files of a writer that died
    pub(crate) temporary: Vec<PathBuf>,
    /// Largest flush number in any name
    pub(crate) last_flush: u64,
}

impl SegmentDirectory {
    /// Looks at every file, as its writer: puts unreadable segments aside, deletes temporary and replaced files.
    pub(crate) fn recover(&self) -> Result<Listing, Error> {
        let mut listing = self.list_once()?;
        for path in std::mem::take(&mut listing.temporary) {
            fs::remove_file(&path).map_err(|error| Error::io("cannot delete", &path, error))?;
        }
        let mut readable = Vec::new();
        for segment in std::mem::take(&mut listing.live) {
            match check_footer(&segment.path) {
                Ok(()) => readable.push(segment),
                Err(reason) => listing.quarantined.push(quarantine(&segment, reason)),
            }
        }
        (listing.live, listing.obsolete) = split_obsolete(readable);
        for segment in listing.obsolete.drain(..) {
            segment.doom();
        }
        Ok(listing)
    }

    /// Looks at the names, as a reader beside another process that writes: changes nothing. Replaced segments are among
    /// the live: which those are depends on what can be read.
    pub(crate) fn list(&self) -> Result<Listing, Error> {
        let mut before = self.list_once()?;
        for _ in 0..LISTINGS_MAX {
            // a scan of a directory that changes may miss a compaction's inputs and its output; two equal ones cannot
            let after = self.list_once()?;
            let names = |listing: &Listing| listing.live.iter().map(|segment| segment.name).collect::<Vec<_>>();
            if names(&before) == names(&after) {
                before = after;
                break;
            }
            before = after;
        }
        Ok(before)
    }

    /// Every file, replaced ones among the live.
    fn list_once(&self) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        for day in entries(&self.root)? {
            for hour in entries(&day)? {
                for path in entries(&hour)? {
                    listing.add(&self.root, path);
                }
            }
        }
        listing.live.sort_by_key(|segment| (segment.name.first, segment.name.last));
        listing.quarantined.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listing)
    }

    /// The directory of the hour that `time` falls in; times beyond the calendar fall in its first or last hour.
    pub(crate) fn hour_of(time: i64) -> String {
        const FIRST: i64 = -62_135_596_800_000_000; // 0001-01-01T00:00:00Z
        const LAST: i64 = 253_402_207_200_000_000; // 9999-12-30T22:00:00Z, the last that every time zone can show
        let text = Timestamp::from_micros(time.clamp(FIRST, LAST)).to_string();
        let (day, rest) = text.split_once('T').unwrap_or((&text, "00"));
        format!("{day}/{}", rest.get(..2).unwrap_or("00"))
    }

    /// Writes a segment's bytes so that it is there wholly or not at all, whatever happens meanwhile.
    pub(crate) fn write(&self, hour: &str, name: SegmentName, bytes: &[u8]) -> Result<Arc<Segment>, Error> {
        let directory = self.root.join(hour);
        let file_name = name.file_name();
        let temporary = directory.join(format!("{file_name}{TEMPORARY}"));
        let path = directory.join(&file_name);
        self.create_hour(&directory)?;
        let written = write_and_rename(&temporary, &path, bytes).and_then(|()| sync_directory(&directory));
        if let Err(error) = written {
            for leftover in [&temporary, &path] {
                let _ = fs::remove_file(leftover); // the error that matters is the first
            }
            return Err(Error::io("cannot write", path, error));
        }
        let relative = format!("{hour}/{file_name}");
        Ok(Arc::new(Segment { name, relative, path, bytes: bytes.len() as u64, doomed: AtomicBool::new(false) }))
    }

    fn create_hour(&self, directory: &Path) -> Result<(), Error> {
        if directory.is_dir() {
            return Ok(());
        }
        let day = directory.parent().unwrap_or(&self.root);
        fs::create_dir_all(directory)
            .and_then(|()| sync_directory(day))
            .and_then(|()| sync_directory(&self.root))
            .map_err(|error| Error::io("cannot create", directory, error))
    }

    /// Deletes the directories of an hour that holds nothing any more.
    pub(crate) fn remove_empty(&self, hour: &str) {
        let directory = self.root.join(hour);
        // both refuse when something is left in them, which is what is wanted
        if fs::remove_dir(&directory).is_ok()
            && let Some(day) = directory.parent()
        {
            let _ = fs::remove_dir(day);
        }
    }
}

impl Listing {
    fn add(&mut self, root: &Path, path: PathBuf) {
        let Some(file_name) = path.file_name().and_then(|name| name.to_str()) else { return };
        let relative = relative_to(root, &path);
        let stem = file_name.strip_suffix(QUARANTINED).unwrap_or(file_name);
        if file_name.ends_with(TEMPORARY) {
            self.temporary.push(path);
            return;
        }
        let Some(name) = SegmentName::parse(stem) else { return };
        self.last_flush = self.last_flush.max(name.last);
        if stem.len() < file_name.len() {
            let reason = check_footer(&path).err().unwrap_or_else(|| "its pages cannot be read".to_owned());
            self.quarantined.push(Quarantined { name: relative, reason });
        } else if let Ok(metadata) = fs::metadata(&path) {
            let bytes = metadata.len();
            self.live.push(Arc::new(Segment { name, relative, path, bytes, doomed: AtomicBool::new(false) }));
        } // else: another process deleted it meanwhile
    }
}

/// Renames an unreadable segment so that nobody reads it again.
pub(crate) fn quarantine(segment: &Segment, reason: String) -> Quarantined {
    let name = format!("{}{QUARANTINED}", segment.relative);
    let mut path = segment.path.clone().into_os_string();
    path.push(QUARANTINED);
    tracing::error!(segment = %segment.relative, %reason, "segment cannot be read and was put aside");
    match fs::rename(&segment.path, path) {
        Ok(()) => Quarantined { name, reason },
        Err(error) => Quarantined { name: segment.relative.clone(), reason: format!("{reason}; renaming it: {error}") },
    }
}

/// Whether a file begins and ends as Parquet does and its footer can be read.
pub(crate) fn check_footer(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let reader = SerializedFileReader::new(file).map_err(|error| error.to_string())?;
    let rows = reader.metadata().file_metadata().num_rows();
    let stem = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match SegmentName::parse(stem.strip_suffix(QUARANTINED).unwrap_or(stem)) {
        Some(name) if i64::try_from(name.rows) != Ok(rows) => Err(format!("it has {rows} rows, not {}", name.rows)),
        _ => Ok(()),
    }
}

/// Whether every page can be read.
pub(crate) fn check_pages(path: &Path) -> Result<(), String> {
    check_footer(path)?;
    let read = || -> Result<(), Error> {
        let file = File::open(path).map_err(|error| Error::io("cannot open", path, error))?;
        for batch in parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
            batch?;
        }
        Ok(())
    };
    read().map_err(|error| error.to_string())
}

/// Separates segments that another one in the same hour covers.
pub(crate) fn split_obsolete(segments: Vec<Arc<Segment>>) -> (Vec<Arc<Segment>>, Vec<Arc<Segment>>) {
    let covering: Vec<_> = segments.iter().filter(|segment| segment.name.first < segment.name.last).cloned().collect();
    segments.into_iter().partition(|segment| {
        !covering.iter().any(|other| other.hour() == segment.hour() && other.name.covers(&segment.name))
    })
}

fn write_and_rename(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn relative_to(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

/// What is in a directory; nothing when it is no directory or has gone.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |error| Error::io("cannot list", directory, error);
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_its_text_form_and_sorts_by_time() {
        let name = SegmentName { first: 1, last: 9, min: i64::MIN, max: i64::MAX, written: -1, rows: 3 };
        assert_eq!(SegmentName::parse(&name.file_name()), Some(name));
        assert!(sortable(-1) < sortable(0) && sortable(0) < sortable(1));
    }

    #[test]
    fn other_files_are_no_segments() {
        for name in ["", "a.parquet", "1-2_3_4_5_6.tmp", "2-1_0_0_0_0.parquet", "1-2_5_4_0_0.parquet"] {
            assert_eq!(SegmentName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn absurd_times_fall_in_the_first_and_the_last_hour() {
        assert_eq!(SegmentDirectory::hour_of(0), "1970-01-01/00");
        assert_eq!(SegmentDirectory::hour_of(i64::MAX), "9999-12-30/22");
        assert_eq!(SegmentDirectory::hour_of(i64::MIN), "0001-01-01/00");
    }
}
