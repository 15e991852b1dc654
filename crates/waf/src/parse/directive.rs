//! Words of a line → what they say. Nothing here looks at other lines.

use super::action::{self, Placed};
use super::arguments::{Argument, Words};
use super::names::UNSUPPORTED_DIRECTIVES;
use super::operator::{self, ReadFile};
use super::report::{
    APACHE_SECTION, ARGUMENT_COUNT, Fault, MALFORMED_IDS, MALFORMED_SETTING, MISPLACED_ACTION, MISSING_ACTION,
    NOT_UTF8, ONLY_EXCLUSIONS, UNKNOWN_DIRECTIVE, UNSUPPORTED_DIRECTIVE, excerpt, suggestion,
};
use super::setting::{Row as SettingRow, SETTINGS};
use super::target;
use super::text;
use crate::ast::{Action, Directive, Disruptive, IdRange, Operator, Setting, Target};

/// What a line says.
pub(super) enum Said {
    /// `SecRule` or `SecAction`: its place among the others decides whether it is right
    Rule(WrittenRule),
    /// `Include` or `IncludeOptional`
    Include {
        /// File or pattern as written
        pattern: String,
        /// Where it begins in the line
        at: usize,
        /// Whether it may be absent
        is_optional: bool,
    },
    /// All others
    Directive(Directive),
}

/// A rule before it is known whether it is a link of a chain.
pub(super) struct WrittenRule {
    /// `None` for `SecAction`, and where a fault leaves none
    pub(super) test: Option<(Vec<Target>, Operator)>,
    /// Its actions, with their offsets in the line
    pub(super) actions: Vec<Placed>,
    /// Whether a fault was found in it
    pub(super) is_faulty: bool,
    /// Whether it is a `SecAction`
    pub(super) is_action: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Rule,
    Action,
    DefaultAction,
    Marker,
    RemoveById,
    RemoveByTag,
    RemoveByMessage,
    UpdateTargetById,
    UpdateTargetByTag,
    UpdateTargetByMessage,
    UpdateActionById,
    Include,
    IncludeOptional,
}

/// A directive with the number of its arguments and how it is written.
struct Row {
    name: &'static str,
    kind: Kind,
    count: (usize, usize),
    usage: &'static str,
}

const fn row(name: &'static str, kind: Kind, count: (usize, usize), usage: &'static str) -> Row {
    Row { name, kind, count, usage }
}

const DIRECTIVES: &[Row] = &[
    row("SecRule", Kind::Rule, (2, 3), "`SecRule VARIABLES \"@operator argument\" \"actions\"`"),
    row("SecAction", Kind::Action, (1, 1), "`SecAction \"actions\"`"),
    row("SecDefaultAction", Kind::DefaultAction, (1, 1), "`SecDefaultAction \"phase:2,log,pass\"`"),
    row("SecMarker", Kind::Marker, (1, 1), "`SecMarker \"NAME\"`"),
    row("SecRuleRemoveById", Kind::RemoveById, (1, usize::MAX), "`SecRuleRemoveById 942100 942200-942299`"),
    row("SecRuleRemoveByTag", Kind::RemoveByTag, (1, 1), "`SecRuleRemoveByTag \"pattern\"`"),
    row("SecRuleRemoveByMsg", Kind::RemoveByMessage, (1, 1), "`SecRuleRemoveByMsg \"pattern\"`"),
    row("SecRuleUpdateTargetById", Kind::UpdateTargetById, (2, 2), "`SecRuleUpdateTargetById 942100 \"!ARGS:name\"`"),
    row(
        "SecRuleUpdateTargetByTag",
        Kind::UpdateTargetByTag,
        (2, 2),
        "`SecRuleUpdateTargetByTag \"tag\" \"!ARGS:name\"`",
    ),
    row(
        "SecRuleUpdateTargetByMsg",
        Kind::UpdateTargetByMessage,
        (2, 2),
        "`SecRuleUpdateTargetByMsg \"msg\" \"!ARGS:name\"`",
    ),
    row("SecRuleUpdateActionById", Kind::UpdateActionById, (2, 2), "`SecRuleUpdateActionById 942100 \"actions\"`"),
    row("Include", Kind::Include, (1, 1), "`Include FILE`"),
    row("IncludeOptional", Kind::IncludeOptional, (1, 1), "`IncludeOptional FILE`"),
];

/// Reads one line. `None` when it says nothing that could be understood.
pub(super) fn directive(words: &Words, read_file: &mut ReadFile<'_>, faults: &mut Vec<Fault>) -> Option<Said> {
    let is_meant = |name: &str| name.as_bytes().eq_ignore_ascii_case(&words.name);
    if let Some(row) = DIRECTIVES.iter().find(|row| is_meant(row.name)) {
        check_count(words, row.name, row.count, row.usage, faults)?;
        return row.kind.read(words, read_file, faults);
    }
    if let Some(row) = SETTINGS.iter().find(|row| is_meant(row.name)) {
        return setting(words, row, faults);
    }
    if let Some((name, help)) = UNSUPPORTED_DIRECTIVES.iter().find(|(name, _)| is_meant(name)) {
        if let [only] = words.arguments.as_slice()
            && only.text.eq_ignore_ascii_case(b"off")
        {
            return Some(Said::Directive(Directive::Setting(Setting::Ignored, format!("{name} Off"))));
        }
        faults.push(Fault::new(UNSUPPORTED_DIRECTIVE, words.at, format!("`{name}` is not supported"), *help));
        return None;
    }
    faults.push(unknown(words));
    None
}

/// The name in its usual spelling, for the path of a diagnostic.
pub(super) fn usual_name(name: &[u8]) -> &'static str {
    let names = DIRECTIVES.iter().map(|row| row.name).chain(SETTINGS.iter().map(|row| row.name));
    let names = names.chain(UNSUPPORTED_DIRECTIVES.iter().map(|(name, _)| *name));
    let mut names = names.filter(|known| known.as_bytes().eq_ignore_ascii_case(name));
    names.next().unwrap_or_default()
}

fn unknown(words: &Words) -> Fault {
    let shown = excerpt(&words.name);
    if words.name.starts_with(b"<") {
        let message = format!("`{shown}` is a section of Apache, which has no meaning here");
        return Fault::new(APACHE_SECTION, words.at, message, "keep what is to hold, without the lines in `<…>`");
    }
    let known = DIRECTIVES.iter().map(|row| row.name).chain(SETTINGS.iter().map(|row| row.name));
    let help = suggestion(&shown, known, "a line that goes on in the next one must end with a backslash");
    Fault::new(UNKNOWN_DIRECTIVE, words.at, format!("unknown directive `{shown}`"), help)
}

fn setting(words: &Words, row: &SettingRow, faults: &mut Vec<Fault>) -> Option<Said> {
    let usage = format!("`{}` and its value; a value with blanks needs quotes", row.name);
    check_count(words, row.name, row.count(), &usage, faults)?;
    row.read(words.at, &words.arguments, faults).map(Said::Directive)
}

fn check_count(
    words: &Words,
    name: &str,
    (min, max): (usize, usize),
    usage: &str,
    faults: &mut Vec<Fault>,
) -> Option<()> {
    let given = words.arguments.len();
    if (min..=max).contains(&given) {
        return Some(());
    }
    let wanted = if max == usize::MAX {
        format!("at least {min}")
    } else if min == max {
        format!("{min}")
    } else {
        format!("{min} or {max}")
    };
    let message = format!("`{name}` with arguments: {given}, wanted: {wanted}");
    let has_comment = words.arguments.iter().any(|argument| argument.text.starts_with(b"#"));
    let comment = if has_comment { "; a comment needs a line of its own" } else { "" };
    faults.push(Fault::new(ARGUMENT_COUNT, words.at, message, format!("write {usage}{comment}")));
    None
}

impl Kind {
    fn read(self, words: &Words, read_file: &mut ReadFile<'_>, faults: &mut Vec<Fault>) -> Option<Said> {
        let mut arguments = words.arguments.iter();
        let first = arguments.next()?;
        let second = arguments.next();
        Some(Said::Directive(match self {
            Self::Rule => return Some(Said::Rule(rule(words, first, second?, arguments.next(), read_file, faults))),
            Self::Action => {
                let faults_before = faults.len();
                let actions = actions(first, faults);
                let is_faulty = has_error(faults, faults_before);
                return Some(Said::Rule(WrittenRule { test: None, actions, is_faulty, is_action: true }));
            }
            Self::DefaultAction => Directive::DefaultAction(default_action(first, faults)),
            Self::Marker => Directive::Marker(some_text(first, "the name of a marker", faults)?),
            Self::RemoveById => {
                let ranges = words.arguments.iter().flat_map(|argument| ids(argument, faults));
                Directive::RemoveById(ranges.collect())
            }
            Self::RemoveByTag => Directive::RemoveByTag(pattern(first, faults)?),
            Self::RemoveByMessage => Directive::RemoveByMessage(pattern(first, faults)?),
            Self::UpdateTargetById => Directive::UpdateTargetById(ids(first, faults), targets(second?, faults)),
            Self::UpdateTargetByTag => {
                let (pattern, targets) = (pattern(first, faults), targets(second?, faults));
                Directive::UpdateTargetByTag(pattern?, targets)
            }
            Self::UpdateTargetByMessage => {
                let (pattern, targets) = (pattern(first, faults), targets(second?, faults));
                Directive::UpdateTargetByMessage(pattern?, targets)
            }
            Self::UpdateActionById => return update_action(first, second?, faults).map(Said::Directive),
            Self::Include | Self::IncludeOptional => {
                let pattern = some_text(first, "the name of a file", faults)?;
                let is_optional = matches!(self, Self::IncludeOptional);
                return Some(Said::Include { pattern, at: first.offset_in_line(0), is_optional });
            }
        }))
    }
}

fn rule(
    words: &Words,
    list: &Argument,
    test: &Argument,
    list_of_actions: Option<&Argument>,
    read_file: &mut ReadFile<'_>,
    faults: &mut Vec<Fault>,
) -> WrittenRule {
    let faults_before = faults.len();
    let targets = targets(list, faults);
    if !targets.is_empty() && targets.iter().all(|target| target.is_excluded) && !has_error(faults, faults_before) {
        let message = "the rule only excludes variables, so that it never matches";
        faults.push(Fault::new(ONLY_EXCLUSIONS, words.at, message, "write first what it looks at, such as `ARGS`"));
    }
    let operator = test.read(faults, |text, faults| operator::operator(text, read_file, faults));
    let actions = list_of_actions.map(|list| actions(list, faults)).unwrap_or_default();
    let is_faulty = has_error(faults, faults_before);
    WrittenRule { test: operator.map(|operator| (targets, operator)), actions, is_faulty, is_action: false }
}

fn has_error(faults: &[Fault], from: usize) -> bool {
    let is_error = |fault: &Fault| fault.code.severity == bartizan_model::DiagnosticSeverity::Error;
    faults.iter().skip(from).any(is_error)
}

fn actions(argument: &Argument, faults: &mut Vec<Fault>) -> Vec<Placed> {
    let Some(list) = utf8(argument, "a list of actions", faults) else { return Vec::new() };
    let actions = argument.read(faults, |_, faults| action::actions(list, faults));
    actions.into_iter().map(|(at, action)| (argument.offset_in_line(at), action)).collect()
}

fn default_action(argument: &Argument, faults: &mut Vec<Fault>) -> Vec<Action> {
    let faults_before = faults.len();
    let actions = actions(argument, faults);
    for (at, action) in &actions {
        let help = match action {
            Action::Id(_) | Action::Chain | Action::Skip(_) | Action::SkipAfter(_) => "it belongs to one rule",
            Action::Message(_)
            | Action::LogData(_)
            | Action::Severity(_)
            | Action::Tag(_)
            | Action::Version(_)
            | Action::Revision(_)
            | Action::Maturity(_)
            | Action::Accuracy(_) => "what describes a rule belongs to that rule",
            Action::Disruptive(Disruptive::Block) => "`block` means the default: write here what it is to mean",
            Action::Phase(_)
            | Action::Disruptive(_)
            | Action::Status(_)
            | Action::Log(_)
            | Action::AuditLog(_)
            | Action::Capture
            | Action::MultiMatch
            | Action::Transform(_)
            | Action::TransformNone
            | Action::SetVar(_)
            | Action::InitCollection(..)
            | Action::SetKey(..)
            | Action::ExpireVar(..)
            | Action::DeprecateVar(..)
            | Action::Ctl(_)
            | Action::Sanitise(_)
            | Action::XmlNamespace(..) => continue,
        };
        faults.push(Fault::new(MISPLACED_ACTION, *at, "this action may not stand in `SecDefaultAction`", help));
    }
    if !has_error(faults, faults_before) {
        let has = |is_it: fn(&Action) -> bool| actions.iter().any(|(_, action)| is_it(action));
        let needed = [
            ("a phase, such as `phase:2`", has(|action| matches!(action, Action::Phase(_)))),
            ("what to do, such as `pass` or `deny`", has(|action| matches!(action, Action::Disruptive(_)))),
        ];
        for (what, _) in needed.iter().filter(|(_, is_there)| !is_there) {
            let message = format!("`SecDefaultAction` lacks {what}");
            faults.push(Fault::new(MISSING_ACTION, argument.offset_in_line(0), message, "add it to the list"));
        }
    }
    actions.into_iter().map(|(_, action)| action).collect()
}

/// `942100` or `942100:1`, which is the second rule of its chain.
fn update_action(rule: &Argument, list: &Argument, faults: &mut Vec<Fault>) -> Option<Directive> {
    let actions = actions(list, faults);
    for (at, action) in &actions {
        if matches!(action, Action::Id(_) | Action::Phase(_) | Action::Chain) {
            let message = "`id`, `phase` and `chain` of a rule cannot be changed";
            faults.push(Fault::new(MISPLACED_ACTION, *at, message, "remove the rule and write your own"));
        }
    }
    let written = utf8(rule, "a rule id", faults)?;
    let (id, link) = written.split_once(':').unwrap_or((written, "0"));
    let Some((id, link)) = text::number(id).zip(text::number(link)) else {
        let message = format!("`{}` is no rule id", excerpt(written));
        let help = "write an id such as `942100`, or `942100:1` for the second rule of its chain";
        faults.push(Fault::new(MALFORMED_IDS, rule.offset_in_line(0), message, help));
        return None;
    };
    Some(Directive::UpdateActionById(id, link, actions.into_iter().map(|(_, action)| action).collect()))
}

fn targets(argument: &Argument, faults: &mut Vec<Fault>) -> Vec<Target> {
    let Some(list) = utf8(argument, "a list of variables", faults) else { return Vec::new() };
    argument.read(faults, |_, faults| target::targets(list, 0, faults))
}

fn ids(argument: &Argument, faults: &mut Vec<Fault>) -> Vec<IdRange> {
    let Some(list) = utf8(argument, "a list of rule ids", faults) else { return Vec::new() };
    argument.read(faults, |_, faults| text::id_ranges(list, 0, faults))
}

fn pattern(argument: &Argument, faults: &mut Vec<Fault>) -> Option<String> {
    let pattern = some_text(argument, "a pattern", faults)?;
    argument.read(faults, |_, faults| text::pattern(&pattern, 0, faults));
    Some(pattern)
}

fn some_text(argument: &Argument, what: &str, faults: &mut Vec<Fault>) -> Option<String> {
    let text = utf8(argument, what, faults)?;
    if text.trim_ascii().is_empty() {
        let message = format!("{what} is empty");
        faults.push(Fault::new(MALFORMED_SETTING, argument.offset_in_line(0), message, "write one"));
        return None;
    }
    Some(text.to_owned())
}

fn utf8<'a>(argument: &'a Argument, what: &str, faults: &mut Vec<Fault>) -> Option<&'a str> {
    let text = argument.as_str();
    if text.is_none() {
        let message = format!("{what} is not UTF-8");
        let help = "save the file as UTF-8, or write other bytes as `\\xhh` in a pattern";
        faults.push(Fault::new(NOT_UTF8, argument.offset_in_line(0), message, help));
    }
    text
}
