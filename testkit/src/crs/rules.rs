//! The configurations of `bench/waf`, with the rule set's folder put in, as a file that both engines read.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The file `name` of `bench/waf`, completed for this rule set, in a folder for files of this program.
pub fn config(name: &str, rule_set: &Path, folder: &Path) -> Result<PathBuf> {
    config_with(name, "", rule_set, folder)
}

/// The same with further directives at its end.
pub fn config_with(name: &str, further: &str, rule_set: &Path, folder: &Path) -> Result<PathBuf> {
    let template = super::workspace().join("bench/waf").join(name);
    let text = std::fs::read_to_string(&template).with_context(|| format!("cannot read `{}`", template.display()))?;
    std::fs::create_dir_all(folder)?;
    let path = folder.join(format!("{}-{name}", std::process::id()));
    std::fs::write(&path, text.replace("CRS_DIR", &rule_set.to_string_lossy()) + further)?;
    Ok(path)
}

/// The files that a path names whose last part may hold `*`, sorted.
pub fn glob(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some((prefix, suffix)) = name.split_once('*') else { return Ok(vec![pattern.to_owned()]) };
    let folder = pattern.parent().unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.len() >= prefix.len() + suffix.len() && name.starts_with(prefix) && name.ends_with(suffix)
        })
        .collect();
    files.sort();
    Ok(files)
}
