//! The head of a record for `bench/record`: machine, commit, command.

use std::process::Command;

/// Title and circumstances, as Markdown.
pub fn heading(title: &str, command: &str) -> String {
    let machine = said("sh", &["-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2"]);
    let cores = said("nproc", &["--all"]);
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let is_changed = !said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    let changes = if is_changed { " with changes" } else { "" };
    format!("# {title}\n\nMachine: {machine}, cores: {cores}. Commit: {commit}{changes}. Command: `{command}`\n\n")
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(super::workspace()).output().ok();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
