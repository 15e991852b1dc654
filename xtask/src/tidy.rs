//! The invariants of ARCHITECTURE.md, checked from `cargo metadata` and the sources. All faults are reported at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::run;

/// LIMIT: lines of a source file before its tests; beyond it a file holds more than one thing.
const LINES_MAX: usize = 800;

/// Who alone may name which outside crates (by prefix).
const OWNED: &[(&str, &[&str])] = &[
    ("gateway", &["pingora"]),
    ("store", &["arrow", "datafusion", "parquet", "rusqlite", "sqlx"]),
    ("content", &["brotli", "flate2", "zstd"]),
];

/// What the sources of a pure crate must not name.
const IMPURE: &[&str] = &[
    "std::env::",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "tokio",
    "getrandom",
];

/// Where a `Decision` may stand as a struct literal: where it is made, where a stored one is read back, its own crate,
/// samples in tests, and this file.
const MAY_BUILD_DECISIONS: &[&str] =
    &["engine/src/decide.rs", "store/src/decode.rs", "crates/model/", "/tests/", "xtask/src/tidy.rs"];

/// File names that say nothing.
const VAGUE: &[&str] = &["common", "helpers", "manager", "misc", "traits", "types", "util", "utils"];

/// One row of the crate table.
struct Row {
    allowed: BTreeSet<String>,
    is_pure: bool,
}

/// Checks everything and lists what is wrong.
pub fn run() -> Result<()> {
    let root = run::root();
    let metadata = MetadataCommand::new().current_dir(&root).no_deps().exec()?;
    let table = read_table(&std::fs::read_to_string(root.join("ARCHITECTURE.md"))?)?;
    let mut faults = Vec::new();
    for package in &metadata.packages {
        let folder = package.manifest_path.parent().map(|path| path.as_std_path().to_path_buf()).unwrap_or_default();
        check_lints(package, &mut faults)?;
        check_sources(&root, &folder, &mut faults)?;
        if folder.parent().is_some_and(|parent| parent.ends_with("crates")) {
            check_crate(package, &folder, &table, &mut faults)?;
        }
    }
    let names: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    for name in table.keys().filter(|name| !names.contains(package_name(name).as_str())) {
        faults.push(format!("ARCHITECTURE.md lists the crate `{name}`, which does not exist"));
    }
    if faults.is_empty() {
        println!("tidy: {} packages keep the invariants", metadata.packages.len());
        return Ok(());
    }
    faults.iter().for_each(|fault| eprintln!("tidy: {fault}"));
    bail!("{} invariants of ARCHITECTURE.md are broken", faults.len())
}

fn package_name(folder: &str) -> String {
    if folder == "bartizan" { folder.to_owned() } else { format!("bartizan-{folder}") }
}

/// Reads the crate table and closes "may depend on" over what the named crates may depend on.
fn read_table(text: &str) -> Result<BTreeMap<String, Row>> {
    let mut direct: BTreeMap<String, (Vec<String>, bool)> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if let [name, _, may, pure] = cells[..] {
            let may = may.split(',').map(str::trim).filter(|name| *name != "–").map(str::to_owned).collect();
            direct.insert(name.trim_matches('`').to_owned(), (may, pure == "yes"));
        }
    }
    if direct.is_empty() {
        bail!("ARCHITECTURE.md has no crate table");
    }
    let closed = |name: &str| {
        let mut allowed = BTreeSet::new();
        let mut open = vec![name.to_owned()];
        while let Some(next) = open.pop() {
            for may in direct.get(&next).map(|(may, _)| may.as_slice()).unwrap_or_default() {
                if allowed.insert(may.clone()) {
                    open.push(may.clone());
                }
            }
        }
        allowed
    };
    Ok(direct
        .iter()
        .map(|(name, (_, is_pure))| (name.clone(), Row { allowed: closed(name), is_pure: *is_pure }))
        .collect())
}

/// A crate of the product: its dependencies against the table, and its purity.
fn check_crate(
    package: &Package,
    folder: &Path,
    table: &BTreeMap<String, Row>,
    faults: &mut Vec<String>,
) -> Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if package.name.as_str() != package_name(&name) {
        faults.push(format!("crates/{name} is called `{}`; call it `{}`", package.name, package_name(&name)));
    }
    let Some(row) = table.get(&name) else {
        faults.push(format!("crates/{name} is not in ARCHITECTURE.md's table"));
        return Ok(());
    };
    for dependency in package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal) {
        check_dependency(&name, &dependency.name, row, faults);
    }
    if row.is_pure {
        for path in rust_files(&folder.join("src"))?.into_iter().filter(|path| !is_test(path)) {
            let text = std::fs::read_to_string(&path)?;
            let code = without_tests(&text);
            for word in IMPURE.iter().filter(|word| code.lines().any(|line| !is_comment(line) && line.contains(**word)))
            {
                faults.push(format!("{}: a pure crate names `{word}`", path.display()));
            }
        }
    }
    Ok(())
}

fn check_dependency(name: &str, dependency: &str, row: &Row, faults: &mut Vec<String>) {
    if let Some(other) = dependency.strip_prefix("bartizan-")
        && !row.allowed.contains(other)
    {
        faults.push(format!("crates/{name} depends on `{other}`, which ARCHITECTURE.md does not allow"));
    }
    for (owner, owned) in OWNED.iter().filter(|(owner, _)| *owner != name) {
        if owned.iter().any(|prefix| dependency.starts_with(prefix)) {
            faults.push(format!("crates/{name} names `{dependency}`; only `{owner}` may"));
        }
    }
    if row.is_pure && matches!(dependency, "tokio" | "getrandom" | "rand") {
        faults.push(format!("crates/{name} is pure and depends on `{dependency}`"));
    }
}

fn check_lints(package: &Package, faults: &mut Vec<String>) -> Result<()> {
    let manifest = std::fs::read_to_string(&package.manifest_path)?;
    if !manifest.contains("[lints]\nworkspace = true") {
        faults.push(format!("{} does not inherit the workspace's lints", package.manifest_path));
    }
    Ok(())
}

/// Every source file of a package: opening comment, length, name, who may build a Decision.
fn check_sources(root: &Path, folder: &Path, faults: &mut Vec<String>) -> Result<()> {
    for path in rust_files(folder)? {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        if !text.starts_with("//!") {
            faults.push(format!("{shown}: begins without `//!`: what is it?"));
        }
        let lines = without_tests(&text).lines().count();
        if lines > LINES_MAX && !is_test(&path) {
            faults.push(format!("{shown}: {lines} lines; split it (limit {LINES_MAX})"));
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if VAGUE.contains(&stem.as_str()) {
            faults.push(format!("{shown}: `{stem}` says nothing; name it after what it holds"));
        }
        let may_decide = MAY_BUILD_DECISIONS.iter().any(|place| shown.contains(place));
        if !may_decide && without_tests(&text).lines().any(|line| !is_comment(line) && builds_decision(line)) {
            faults.push(format!("{shown}: builds a `Decision`; only engine/src/decide.rs may"));
        }
    }
    Ok(())
}

/// A struct literal of `Decision`, not a type position or a pattern in a function signature.
fn builds_decision(line: &str) -> bool {
    line.match_indices("Decision {").any(|(at, _)| {
        let before = &line[..at];
        let is_other_word = before.ends_with(|byte: char| byte.is_alphanumeric() || byte == '_');
        let is_return_type = before.trim_end_matches('&').trim_end().ends_with("->");
        let is_item = ["struct ", "impl ", "for ", "enum "].iter().any(|word| before.contains(word));
        !is_other_word && !is_return_type && !is_item
    })
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// A file of unit tests beside the code: `tests.rs`, or anything in `tests/`.
fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

/// The text before its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text)
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && name != "target" && name != "node_modules" {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn may_depend_on_includes_what_the_named_crates_may_depend_on() {
        let table = read_table("| `a` | x | – | yes |\n| `b` | x | a | no |\n| `c` | x | b | no |\n").unwrap();
        assert!(table["c"].allowed.contains("a"));
        assert!(table["a"].is_pure && table["a"].allowed.is_empty());
    }

    #[test]
    fn a_crate_may_not_reach_upwards() {
        let row = Row { allowed: BTreeSet::from(["model".to_owned()]), is_pure: true };
        let mut faults = Vec::new();
        check_dependency("catalog", "bartizan-model", &row, &mut faults);
        check_dependency("catalog", "serde", &row, &mut faults);
        assert!(faults.is_empty());
        check_dependency("catalog", "bartizan-store", &row, &mut faults);
        check_dependency("catalog", "pingora-core", &row, &mut faults);
        check_dependency("catalog", "tokio", &row, &mut faults);
        assert_eq!(faults.len(), 3);
    }

    #[test]
    fn a_built_decision_is_told_from_a_named_one() {
        assert!(builds_decision("let decision = Decision { action, ..other };"));
        assert!(!builds_decision("fn decision(&self) -> &Decision {"));
        assert!(!builds_decision("pub struct Decision {"));
        assert!(!builds_decision("impl fmt::Display for Decision {"));
        assert!(!builds_decision("struct PolicyDecision {"));
    }
}
