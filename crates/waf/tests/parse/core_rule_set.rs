//! The OWASP Core Rule Set 4.28.0 as released, found in `BARTIZAN_CRS` or beside the checkout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bartizan_waf::ast::{Action, Directive, Operator, OperatorKind, Selector, Setting, Target};
use bartizan_waf::{Parsed, Sources, Transform, Variable, parse};

use super::told;

/// Its folder; `None`, with a loud line, when it is not there.
fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/crs");
    let folder = std::env::var_os("BARTIZAN_CRS").map_or_else(beside, PathBuf::from);
    if folder.join("crs-setup.conf.example").is_file() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no Core Rule Set in {}; set BARTIZAN_CRS", folder.display());
    None
}

fn parsed() -> Option<Parsed> {
    let folder = folder()?;
    let glob = |pattern: &Path| {
        let entries = std::fs::read_dir(pattern.parent().expect("a folder")).map_err(|error| error.to_string())?;
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
        found.retain(|path| path.extension() == pattern.extension());
        found.sort();
        Ok(found)
    };
    let read = |path: &Path| {
        if path.ends_with("main.conf") {
            return Ok(b"Include crs-setup.conf.example\nInclude rules/*.conf\n".to_vec());
        }
        std::fs::read(path).map_err(|error| error.to_string())
    };
    Some(parse(&[folder.join("main.conf")], &Sources { read: &read, glob: &glob }))
}

/// What `parsed` has in the files under `rules/`.
fn in_rules(parsed: &Parsed) -> impl Iterator<Item = &Directive> {
    let of_rules = parsed.document.directives.iter().filter(|(place, _)| place.file.contains("/rules/"));
    of_rules.map(|(_, directive)| directive)
}

fn rules(parsed: &Parsed) -> impl Iterator<Item = (&[Target], &Operator, &[Action])> {
    in_rules(parsed).filter_map(|directive| match directive {
        Directive::Rule(rule) => Some((rule.targets.as_slice(), &rule.operator, rule.actions.as_slice())),
        _ => None,
    })
}

fn actions(parsed: &Parsed) -> impl Iterator<Item = &Action> {
    in_rules(parsed).flat_map(|directive| match directive {
        Directive::Rule(rule) => rule.actions.as_slice(),
        Directive::Action(actions) => actions.as_slice(),
        _ => &[],
    })
}

fn count<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}

#[test]
fn the_core_rule_set_parses_without_any_diagnostic() {
    let Some(parsed) = parsed() else { return };
    assert_eq!(told(&parsed.diagnostics), [""; 0]);
}

#[test]
fn the_core_rule_set_has_every_directive_that_was_counted_in_it() {
    let Some(parsed) = parsed() else { return };
    let counts = count(in_rules(&parsed).map(|directive| match directive {
        Directive::Rule(_) => "SecRule",
        Directive::Action(_) => "SecAction",
        Directive::Marker(_) => "SecMarker",
        Directive::UpdateTargetById(..) => "SecRuleUpdateTargetById",
        Directive::Setting(Setting::ComponentSignature, _) => "SecComponentSignature",
        other => panic!("not in the Core Rule Set: {other:?}"),
    }));
    let expected = [
        ("SecAction", 7),
        ("SecComponentSignature", 1),
        ("SecMarker", 30),
        ("SecRule", 695),
        ("SecRuleUpdateTargetById", 55),
    ];
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected);
    let setup = parsed.document.directives.iter().filter(|(place, _)| place.file.ends_with("crs-setup.conf.example"));
    let setup = count(setup.map(|(_, directive)| match directive {
        Directive::DefaultAction(_) => "SecDefaultAction",
        Directive::Action(_) => "SecAction",
        other => panic!("not in the setup: {other:?}"),
    }));
    assert_eq!(setup.into_iter().collect::<Vec<_>>(), [("SecAction", 1), ("SecDefaultAction", 5)]);
}

#[test]
fn the_core_rule_set_has_every_operator_that_was_counted_in_it() {
    let Some(parsed) = parsed() else { return };
    let counts = count(rules(&parsed).map(|(_, operator, _)| {
        let sign = if operator.is_negated { "!" } else { "" };
        format!("{sign}{:?}", operator.kind)
    }));
    let expected = [
        ("!BeginsWith", 1),
        ("!EndsWith", 3),
        ("!Eq", 4),
        ("!Lt", 1),
        ("!Pm", 2),
        ("!PmFromFile", 1),
        ("!Rx", 21),
        ("!Streq", 2),
        ("!ValidateByteRange", 1),
        ("!Within", 6),
        ("Contains", 4),
        ("DetectSqli", 2),
        ("DetectXss", 2),
        ("EndsWith", 3),
        ("Eq", 49),
        ("Ge", 42),
        ("Gt", 15),
        ("IpMatch", 2),
        ("Lt", 189),
        ("Pm", 10),
        ("PmFromFile", 20),
        ("Rx", 297),
        ("Streq", 7),
        ("UnconditionalMatch", 1),
        ("ValidateByteRange", 5),
        ("ValidateUrlEncoding", 1),
        ("ValidateUtf8Encoding", 1),
        ("Within", 3),
    ];
    let counts: Vec<(&str, usize)> = counts.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(counts, expected);
    for (_, operator, _) in rules(&parsed) {
        let has_data = !operator.data.is_empty() && operator.data.iter().all(|data| !data.is_empty());
        assert_eq!(operator.kind == OperatorKind::PmFromFile, has_data, "{operator:?}");
        assert!(operator.kind != OperatorKind::Rx || operator.argument.literal().is_some(), "{operator:?}");
    }
}

#[test]
fn the_core_rule_set_has_every_transformation_that_was_counted_in_it() {
    let Some(parsed) = parsed() else { return };
    let counts = count(actions(&parsed).filter_map(|action| match action {
        Action::TransformNone => Some("none"),
        Action::Transform(transform) => Some(transform.name()),
        _ => None,
    }));
    let mut expected = [
        ("none", 431),
        (Transform::UrlDecodeUni.name(), 140),
        (Transform::Lowercase.name(), 46),
        (Transform::JsDecode.name(), 37),
        (Transform::HtmlEntityDecode.name(), 35),
        (Transform::Utf8ToUnicode.name(), 32),
        (Transform::RemoveNulls.name(), 27),
        (Transform::CssDecode.name(), 23),
        (Transform::CmdLine.name(), 13),
        (Transform::RemoveWhitespace.name(), 11),
        (Transform::ReplaceComments.name(), 9),
        (Transform::NormalizePath.name(), 8),
        (Transform::EscapeSeqDecode.name(), 7),
        (Transform::CompressWhitespace.name(), 5),
        (Transform::NormalizePathWin.name(), 4),
        (Transform::Length.name(), 3),
        (Transform::Base64Decode.name(), 3),
        (Transform::Sha1.name(), 2),
        (Transform::HexEncode.name(), 2),
        (Transform::RemoveCommentsChar.name(), 1),
    ];
    expected.sort();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn the_core_rule_set_has_every_action_that_was_counted_in_it() {
    let Some(parsed) = parsed() else { return };
    let counts = count(actions(&parsed).filter_map(|action| {
        let name = format!("{action:?}");
        let name = name.split_once("(SetVar").map_or(name.as_str(), |(before, _)| before);
        let has_own_test = matches!(action, Action::Transform(_) | Action::TransformNone);
        let is_bare = matches!(action, Action::Log(_) | Action::AuditLog(_) | Action::Disruptive(_));
        let end = if is_bare { name.len() } else { name.find('(').unwrap_or(name.len()) };
        (!has_own_test).then(|| name.split_at(end).0.to_owned())
    }));
    let expected = [
        ("AuditLog(false)", 5),
        ("AuditLog(true)", 1),
        ("Capture", 279),
        ("Chain", 73),
        ("Ctl", 10),
        ("Disruptive(Block)", 345),
        ("Disruptive(Deny)", 6),
        ("Disruptive(Pass)", 278),
        ("Id", 629),
        ("InitCollection", 2),
        ("Log(false)", 276),
        ("Log(true)", 8),
        ("LogData", 331),
        ("Message", 355),
        ("MultiMatch", 8),
        ("Phase", 629),
        ("SetVar", 683),
        ("Severity", 346),
        ("SkipAfter", 206),
        ("Status", 2),
        ("Tag", 3088),
        ("Version", 629),
    ];
    let counts: Vec<(&str, usize)> = counts.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(counts, expected);
}

#[test]
fn the_core_rule_set_has_every_chain_and_phase_that_was_counted_in_it() {
    let Some(parsed) = parsed() else { return };
    let mut lengths = Vec::new();
    let mut phases = Vec::new();
    let mut is_link = false;
    for directive in in_rules(&parsed) {
        let actions = match directive {
            Directive::Rule(rule) => &rule.actions,
            Directive::Action(actions) => actions,
            _ => continue,
        };
        if is_link {
            *lengths.last_mut().expect("a link has a head") += 1;
        } else {
            lengths.push(1);
            phases.extend(
                actions.iter().find_map(|action| if let Action::Phase(phase) = action { Some(*phase) } else { None }),
            );
        }
        is_link = actions.contains(&Action::Chain);
    }
    assert_eq!(
        count(lengths.into_iter()).into_iter().collect::<Vec<_>>(),
        [(1, 574), (2, 41), (3, 11), (4, 2), (5, 1)]
    );
    assert_eq!(
        count(phases.into_iter()).into_iter().collect::<Vec<_>>(),
        [(1, 172), (2, 292), (3, 43), (4, 109), (5, 13)]
    );
}

#[test]
fn the_core_rule_set_names_xml_by_xpath_and_others_by_patterns() {
    let Some(parsed) = parsed() else { return };
    let targets: Vec<&Target> = rules(&parsed).flat_map(|(targets, ..)| targets).collect();
    let xml = |path: &str| {
        let is_path =
            |target: &&&Target| target.variable == Variable::Xml && target.selector == Selector::Name(path.to_owned());
        targets.iter().filter(is_path).count()
    };
    // one rule looks at the text of elements only
    assert_eq!((xml("/*"), xml("//@*")), (176, 175));
    assert_eq!(targets.iter().filter(|target| target.is_count).count(), 50);
    assert_eq!(targets.iter().filter(|target| target.is_excluded).count(), 28);
    assert_eq!(targets.iter().filter(|target| matches!(target.selector, Selector::Regex(_))).count(), 8);
    let variables = count(targets.iter().map(|target| target.variable));
    assert_eq!(variables.len(), 33, "{:?}", variables.keys());
}
