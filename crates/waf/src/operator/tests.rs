#![cfg(test)]
//! Every operator, its edges, and the patterns of the Core Rule Set.

use std::path::{Path, PathBuf};

/// Where the Core Rule Set is: `BARTIZAN_CRS`, else beside the checkout. `None`, said aloud, when it is not there.
fn crs() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/crs");
    let path = std::env::var_os("BARTIZAN_CRS").map_or(beside, PathBuf::from);
    let path = path.is_dir().then_some(path);
    if path.is_none() {
        eprintln!("SKIPPED: no Core Rule Set; name its directory in BARTIZAN_CRS");
    }
    path
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The lines of the Core Rule Set's regression tests, as raw material.
pub(super) fn regression_lines() -> Option<Vec<Vec<u8>>> {
    let files = files(&crs()?.join("tests"), "yaml");
    assert!(!files.is_empty());
    Some(files.iter().flat_map(|file| std::fs::read(file).unwrap().split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>()).collect())
}
