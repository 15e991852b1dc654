//! A file of lines that is begun anew when it grows large: `audit.json` → `audit.json.1` → `audit.json.2` …
//!
//! Lines are written whole or not at all: what a full disk cut off is taken back, and the half line that a crash left
//! is ended before the next one. A file that was moved away (by `logrotate`) is left when the owner says
//! [`LogFile::reopen`].

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// When the file is begun anew, and what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFileOptions {
    /// Bytes beyond which the file is renamed and another begun
    pub bytes_max: u64,
    /// Renamed files that are kept
    pub files_kept: u32,
}

/// A log file cannot be used; what was to be written is lost, unless only the renaming failed.
#[derive(Debug, Error)]
pub enum LogFileError {
    /// It cannot be opened
    #[error("`{}` cannot be opened: {error}", path.display())]
    Open {
        /// The file
        path: PathBuf,
        /// Why
        error: std::io::Error,
    },
    /// It is a pipe or a folder
    #[error("`{}` is neither a file nor a terminal", path.display())]
    NotAFile {
        /// What was named
        path: PathBuf,
    },
    /// The disk is full, or gone
    #[error("`{}` cannot be written: {error}", path.display())]
    Write {
        /// The file
        path: PathBuf,
        /// Why
        error: std::io::Error,
    },
    /// It could not be begun anew; the lines were written, to the old one
    #[error("`{}` cannot be renamed and grows on: {error}", path.display())]
    Rename {
        /// The file
        path: PathBuf,
        /// Why
        error: std::io::Error,
    },
}

/// A file of lines.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    options: LogFileOptions,
    open: Option<Open>,
    lost: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    /// It can be cut and renamed; a terminal cannot
    is_regular: bool,
}

impl LogFile {
    /// A file that is opened when there is something to write.
    pub const fn new(path: PathBuf, options: LogFileOptions) -> Self {
        Self { path, options, open: None, lost: 0 }
    }

    /// Lines that could not be written.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Opens the file anew for the next line.
    pub fn reopen(&mut self) {
        self.open = None;
    }

    /// Appends whole lines, `count` of them. Nothing is kept for later: what cannot be written is lost and counted.
    ///
    /// # Errors
    /// What went wrong; [`LogFileError::Rename`] means that the lines were written all the same.
    pub fn append(&mut self, lines: &[u8], count: u64) -> Result<(), LogFileError> {
        let renamed = self.begin_anew_if_large(lines.len() as u64);
        self.write(lines).inspect_err(|_| self.lost += count)?;
        renamed
    }

    fn write(&mut self, lines: &[u8]) -> Result<(), LogFileError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::new(&self.path)?,
        };
        match open.file.write_all(lines) {
            Ok(()) => {
                open.bytes += lines.len() as u64;
                self.open = Some(open);
                Ok(())
            }
            Err(error) => {
                if open.is_regular {
                    let _ = open.file.set_len(open.bytes); // a half line is ended when the file is opened again
                }
                Err(LogFileError::Write { path: self.path.clone(), error })
            }
        }
    }

    fn begin_anew_if_large(&mut self, more: u64) -> Result<(), LogFileError> {
        let is_large = |open: &Open| open.is_regular && open.bytes > 0 && open.bytes + more > self.options.bytes_max;
        if !self.open.as_ref().is_some_and(is_large) {
            return Ok(());
        }
        for number in (1..self.options.files_kept).rev() {
            let _ = std::fs::rename(numbered(&self.path, number), numbered(&self.path, number + 1)); // not there yet
        }
        let renamed = std::fs::rename(&self.path, numbered(&self.path, 1));
        match renamed {
            Ok(()) => self.open = None,
            // Moved away by someone else: theirs is the old file, ours is the new one.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.open = None,
            Err(error) => return Err(LogFileError::Rename { path: self.path.clone(), error }),
        }
        Ok(())
    }
}

impl Open {
    fn new(path: &Path) -> Result<Self, LogFileError> {
        let fault = |error| LogFileError::Open { path: path.to_owned(), error };
        // A pipe without a reader would hold the writer up for ever.
        if std::fs::metadata(path).is_ok_and(|there| there.is_dir() || there.file_type().is_fifo()) {
            return Err(LogFileError::NotAFile { path: path.to_owned() });
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).mode(0o600).open(path);
        let mut file = file.or_else(|_| OpenOptions::new().append(true).open(path)).map_err(fault)?;
        let there = file.metadata().map_err(fault)?;
        let (is_regular, mut bytes) = (there.is_file(), there.len());
        if is_regular && bytes > 0 && !ends_with_line(&mut file) {
            file.write_all(b"\n").map_err(fault)?;
            bytes += 1;
        }
        Ok(Self { file, bytes, is_regular })
    }
}

/// Whether the last byte ends a line; when it cannot be read, it is taken to.
fn ends_with_line(file: &mut File) -> bool {
    let mut last = [b'\n'];
    let _ = file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last));
    last == *b"\n"
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: LogFileOptions = LogFileOptions { bytes_max: 20, files_kept: 2 };

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("bartizan-log-file-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        folder
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_large_file_is_begun_anew_and_the_oldest_goes() {
        let path = folder("rotation").join("audit.json");
        let mut log = LogFile::new(path.clone(), SMALL);
        for line in ["first line\n", "second one\n", "third line\n", "fourth one\n"] {
            log.append(line.as_bytes(), 1).unwrap();
        }
        assert_eq!(read(&path), "fourth one\n");
        assert_eq!(read(&numbered(&path, 1)), "third line\n");
        assert_eq!(read(&numbered(&path, 2)), "second one\n");
        assert!(!numbered(&path, 3).exists());
        assert_eq!(log.lost(), 0);
    }

    #[test]
    fn a_file_that_was_there_is_gone_on_with_and_its_half_line_is_ended() {
        let path = folder("half").join("audit.json");
        std::fs::write(&path, "whole\nhal").unwrap();
        let mut log = LogFile::new(path.clone(), LogFileOptions { bytes_max: 1000, files_kept: 1 });
        log.append(b"next\n", 1).unwrap();
        assert_eq!(read(&path), "whole\nhal\nnext\n");
    }

    #[test]
    fn a_file_that_was_moved_away_is_left_when_it_is_opened_anew() {
        let path = folder("moved").join("audit.json");
        let moved = path.with_extension("old");
        let mut log = LogFile::new(path.clone(), LogFileOptions { bytes_max: 1000, files_kept: 1 });
        log.append(b"one\n", 1).unwrap();
        std::fs::rename(&path, &moved).unwrap();
        log.append(b"two\n", 1).unwrap();
        log.reopen();
        log.append(b"three\n", 1).unwrap();
        assert_eq!((read(&moved), read(&path)), ("one\ntwo\n".to_owned(), "three\n".to_owned()));
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_later_lines_are_written() {
        let folder = folder("lost");
        let path = folder.join("later/audit.json");
        let mut log = LogFile::new(path.clone(), SMALL);
        assert!(matches!(log.append(b"a\nb\n", 2), Err(LogFileError::Open { .. })));
        std::fs::create_dir(folder.join("later")).unwrap();
        log.append(b"c\n", 1).unwrap();
        assert_eq!((log.lost(), read(&path)), (2, "c\n".to_owned()));
    }

    #[test]
    fn a_full_disk_loses_lines_and_leaves_no_half_one() {
        if !Path::new("/dev/full").exists() {
            return;
        }
        let mut log = LogFile::new("/dev/full".into(), SMALL);
        assert!(matches!(log.append(b"a\n", 1), Err(LogFileError::Write { .. })));
        assert!(matches!(log.append(b"a\n", 1), Err(LogFileError::Write { .. })));
        assert_eq!(log.lost(), 2);
    }

    #[test]
    fn a_folder_is_no_file() {
        let mut log = LogFile::new(folder("folder"), SMALL);
        assert!(matches!(log.append(b"a\n", 1), Err(LogFileError::NotAFile { .. })));
    }

    #[test]
    fn only_the_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder("mode").join("audit.json");
        LogFile::new(path.clone(), SMALL).append(b"a\n", 1).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
