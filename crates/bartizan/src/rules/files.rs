//! Which files, in which order: set-up, the policy's settings, our own rules, what they make of the Core Rule Set, the
//! Core Rule Set, files, exclusions.
//!
//! Our own rules stand after the Core Rule Set's initialization, which sets the scores to nought, and before its
//! evaluation, so that both add to one score. The Core Rule Set comes as it is released (`crs-setup.conf`, or its
//! example, and `rules/`), or as Debian packs it: there `owasp-crs.load` says what to include.

use std::path::{Path, PathBuf};

use bartizan_config::Threats;
use bartizan_model::Diagnostic;

use super::Place;
use super::sources;
use super::text::{AFTER, BEFORE, BRIDGE, SETTINGS};

/// Debian's list of what belongs to the Core Rule Set.
const DEBIAN_LIST: &str = "owasp-crs.load";
/// The last file of the Core Rule Set that must have run before rules may count.
const INITIALIZATION: &str = "REQUEST-901";
/// Version 3 of the Core Rule Set looks addresses up in block lists and by country, where it is told to; nobody's rules
/// ask the network here.
const REPUTATION: &str = "REQUEST-910-IP-REPUTATION";
/// The file of our own rules that tunes the Core Rule Set's: its own rules take values away from those that follow.
const TUNING: &str = "api-profile.conf";

/// The files of a policy, and what is worth knowing about them.
pub(super) fn of(threats: &Threats, place: &Place<'_>) -> Result<(Vec<PathBuf>, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut core = match &threats.core_rule_set {
        Some(folder) => core_rule_set(folder).map_err(|message| {
            let help = "name the folder that has `rules/` and `crs-setup.conf` (or `crs-setup.conf.example`) in it";
            vec![place.error("core_rule_set", message, help)]
        })?,
        None => Core::default(),
    };
    let (left_out, rules): (Vec<PathBuf>, Vec<PathBuf>) =
        core.rules.into_iter().partition(|file| is_named(file, REPUTATION));
    core.rules = rules;
    let own = if threats.own_rules { sources::own() } else { Vec::new() };
    let (tuning, own): (Vec<PathBuf>, Vec<PathBuf>) = own.into_iter().partition(|file| is_named(file, TUNING));
    let begun = core.rules.iter().rposition(|file| is_named(file, INITIALIZATION)).map_or(0, |at| at + 1);
    let (first, rest) = core.rules.split_at(begun);
    let mut files = vec![PathBuf::from(BEFORE)];
    files.extend(core.set_up);
    files.push(PathBuf::from(SETTINGS));
    files.extend_from_slice(first);
    files.extend(own);
    files.push(PathBuf::from(BRIDGE));
    files.extend(tuning.into_iter().filter(|_| !core.rules.is_empty()));
    files.extend_from_slice(rest);
    files.extend_from_slice(&threats.files);
    files.push(PathBuf::from(AFTER));
    let warning = |file: PathBuf| {
        let message = format!("`{}` is left out: its rules ask the network", file.display());
        place.warning("core_rule_set", message, "deny networks with an `addresses` policy")
    };
    Ok((files, left_out.into_iter().map(warning).collect()))
}

fn is_named(file: &Path, beginning: &str) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning))
}

/// The files of the Core Rule Set.
#[derive(Debug, Default, PartialEq, Eq)]
struct Core {
    set_up: Vec<PathBuf>,
    rules: Vec<PathBuf>,
}

fn core_rule_set(folder: &Path) -> Result<Core, String> {
    if let Ok(list) = std::fs::read_to_string(folder.join(DEBIAN_LIST)) {
        return listed(&list);
    }
    let pattern = folder.join("rules").join("*.conf");
    let rules = sources::glob(&pattern)?;
    if rules.is_empty() {
        return Err(format!("there are no rules in `{}`", folder.join("rules").display()));
    }
    let set_up = ["crs-setup.conf", "crs-setup.conf.example"].map(|name| folder.join(name));
    let set_up = set_up.into_iter().find(|file| file.is_file());
    let set_up = set_up.ok_or_else(|| format!("there is no `crs-setup.conf` in `{}`", folder.display()))?;
    Ok(Core { set_up: vec![set_up], rules })
}

/// What Debian's list includes; its set-up comes before the first file of rules.
fn listed(list: &str) -> Result<Core, String> {
    let mut core = Core::default();
    for line in list.lines().map(str::trim) {
        let Some((directive, pattern)) = line.split_once(char::is_whitespace) else { continue };
        let is_optional = directive.eq_ignore_ascii_case("IncludeOptional");
        if !is_optional && !directive.eq_ignore_ascii_case("Include") {
            continue;
        }
        let pattern = PathBuf::from(pattern.trim().trim_matches('"'));
        let files = if pattern.to_string_lossy().contains('*') {
            sources::glob(&pattern)?
        } else {
            Vec::from_iter((pattern.is_file() || !is_optional).then_some(pattern))
        };
        let is_set_up = |file: &PathBuf| core.rules.is_empty() && is_named(file, "crs-setup");
        let (set_up, rules): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(is_set_up);
        core.set_up.extend(set_up);
        core.rules.extend(rules);
    }
    if core.rules.is_empty() { Err(format!("`{DEBIAN_LIST}` includes no rules")) } else { Ok(core) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[PathBuf]) -> Vec<String> {
        files.iter().map(|file| file.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect()
    }

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn a_release_is_read_with_its_own_set_up_before_the_example() {
        let files = ["crs-setup.conf.example", "rules/REQUEST-901-A.conf", "rules/a.data", "rules/REQUEST-900-B.conf"];
        let example = folder(&files);
        let core = core_rule_set(example.path()).unwrap();
        assert_eq!(names(&core.set_up), ["crs-setup.conf.example"]);
        assert_eq!(names(&core.rules), ["REQUEST-900-B.conf", "REQUEST-901-A.conf"]);
        std::fs::write(example.path().join("crs-setup.conf"), "").unwrap();
        assert_eq!(names(&core_rule_set(example.path()).unwrap().set_up), ["crs-setup.conf"]);
    }

    #[test]
    fn what_is_no_core_rule_set_is_said_to_be_none() {
        assert!(core_rule_set(folder(&["a"]).path()).unwrap_err().contains("rules"));
        assert!(core_rule_set(folder(&["rules/a.conf"]).path()).unwrap_err().contains("crs-setup.conf"));
    }

    #[test]
    fn debian_says_in_a_list_what_belongs_to_it() {
        let there = folder(&["etc/crs-setup.conf", "share/rules/REQUEST-901-A.conf", "etc/RESPONSE-999-Z.conf"]);
        let root = there.path().display();
        let list = format!(
            "# a comment\nInclude {root}/etc/crs-setup.conf\nIncludeOptional {root}/etc/REQUEST-900-A.conf\n\
             Include {root}/share/rules/*.conf\nIncludeOptional {root}/etc/RESPONSE-999-Z.conf\n"
        );
        std::fs::write(there.path().join("share").join(DEBIAN_LIST), list).unwrap();
        let core = core_rule_set(&there.path().join("share")).unwrap();
        assert_eq!(names(&core.set_up), ["crs-setup.conf"]);
        assert_eq!(names(&core.rules), ["REQUEST-901-A.conf", "RESPONSE-999-Z.conf"]);
    }
}
