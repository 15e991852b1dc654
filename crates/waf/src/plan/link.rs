//! One link of a chain, compiled: what it looks at, with what, and what follows.

use regex_automata::meta::Regex;

use crate::ast::{self, AllowScope, BodyProcessor, EngineMode, Selector};
use crate::gate::need::{self, Need, Needs};
use crate::inputs::List;
use crate::operator::Matcher;
use crate::{Transform, Variable};

use super::keep::Keep;
use super::names::{Slot, Template, lists_of};

/// One link of a chain; a rule without a chain has one.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) targets: Vec<Target>,
    /// Targets that are left out
    pub(crate) excluded: Vec<Target>,
    pub(crate) test: Test,
    /// What a value must contain for the operator to match
    pub(crate) needs: Needs,
    pub(crate) transforms: Vec<Transform>,
    pub(crate) is_capturing: bool,
    /// How many of `TX.0` to `TX.9` it must find, if it is capturing
    pub(crate) captures: usize,
    /// The operator is asked after every transformation that changes something
    pub(crate) is_multi_match: bool,
    /// Run for each value that matches
    pub(crate) set_vars: Vec<SetVarOp>,
    /// Collections opened and members aged, for each value that matches
    pub(crate) keeps: Vec<Keep>,
    /// Run when this link and all after it have matched
    pub(crate) effects: Vec<Effect>,
    pub(crate) message: Option<Template>,
    pub(crate) data: Option<Template>,
    pub(crate) severity: Option<u8>,
}

impl Link {
    /// Whether it makes a member of `TX` of each value, whatever it is, for a later link to look at.
    pub(crate) fn makes_members(&self) -> bool {
        let Test::Operator { matcher, is_negated: false, .. } = &self.test else { return false };
        matcher.takes_all() && self.set_vars.iter().any(|set| set.collection == Variable::Tx && set.slot.is_none())
    }

    /// Its texts.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let sets = self.set_vars.iter().flat_map(SetVarOp::templates);
        let keeps = self.keeps.iter().flat_map(Keep::templates);
        self.test.argument().into_iter().chain(sets).chain(keeps).chain(&self.message).chain(&self.data)
    }
}

/// What a link asks about its targets.
#[derive(Debug)]
pub(crate) enum Test {
    /// `SecAction`
    Always,
    /// An operator
    Operator {
        /// Compiled
        matcher: Box<Matcher>,
        /// `!`
        is_negated: bool,
        /// The argument, when macros make it another for each exchange
        argument: Option<Template>,
    },
}

impl Test {
    /// The operator's argument, when macros make it another for each exchange.
    pub(crate) const fn argument(&self) -> Option<&Template> {
        match self {
            Self::Operator { argument, .. } => argument.as_ref(),
            Self::Always => None,
        }
    }
}

/// What a rule looks at.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) variable: Variable,
    pub(crate) source: Source,
    pub(crate) subject: Subject,
    pub(crate) is_count: bool,
    /// For a pattern over the names of `TX`: the numbered members that it means
    pub(crate) slots: Vec<Slot>,
}

/// Which members of the source.
#[derive(Debug)]
pub(crate) enum Subject {
    /// Every one
    All,
    /// The one of this name, in lower case
    Named(Box<[u8]>),
    /// Those whose names match
    Matching(Box<NamePattern>),
}

impl Subject {
    /// Whether a member of this name is meant.
    pub(crate) fn is_named(&self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Named(lower) => name.eq_ignore_ascii_case(lower),
            Self::Matching(names) => names.regex.is_match(name),
        }
    }
}

/// A pattern over the names of members, without regard to case.
#[derive(Debug)]
pub(crate) struct NamePattern {
    regex: Regex,
    /// What it needs anywhere in a name
    need: Need,
    /// What names begin with, in lower case; empty when that is not known
    beginning: Vec<u8>,
}

impl NamePattern {
    /// # Errors
    /// What is wrong with the pattern.
    fn new(pattern: &str) -> Result<Self, String> {
        let hir = crate::operator::hir(format!("(?i){pattern}").as_bytes()).map_err(|fault| fault.message)?;
        let regex = Regex::builder().build_from_hir(&hir).map_err(|error| error.to_string())?;
        Ok(Self { regex, need: need::of_hir(&hir), beginning: need::beginning(&hir) })
    }

    /// What a name needs, anywhere in it, to match.
    pub(crate) const fn need(&self) -> &Need {
        &self.need
    }

    /// Whether every name that matches begins with this.
    pub(crate) fn all_begin_with(&self, prefix: &[u8]) -> bool {
        self.beginning.starts_with(prefix)
    }

    /// Whether some name that matches may begin with this.
    pub(crate) fn may_begin_with(&self, prefix: &[u8]) -> bool {
        self.beginning.starts_with(prefix) || prefix.starts_with(&self.beginning)
    }
}

/// Where a variable's values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Collections that the exchange fills: their values, or their names
    Lists(&'static [List], bool),
    /// A single value
    Scalar(Variable),
    /// Members of `TX`
    Tx,
    /// One member of `TX`
    Slot(Slot),
    /// What the links so far have matched: values, or names
    Matched(bool),
    /// The last match: value, or name
    LastMatched(bool),
    /// A collection that outlives the exchange
    Persistent(Variable),
    /// Not known here; never has a value
    Nothing,
}

/// `setvar:` compiled.
#[derive(Debug)]
pub(crate) struct SetVarOp {
    pub(crate) collection: Variable,
    /// The member of `TX`, when the name is plain
    pub(crate) slot: Option<Slot>,
    pub(crate) name: Template,
    pub(crate) change: Change,
}

impl SetVarOp {
    /// Its texts.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let change = match &self.change {
            Change::Set(template) | Change::Add(template, _) => Some(template),
            Change::SetNumber(_) | Change::AddNumber(_) | Change::Unset => None,
        };
        std::iter::once(&self.name).chain(change)
    }
}

/// What a `setvar:` does.
#[derive(Debug)]
pub(crate) enum Change {
    /// To a number that is known
    SetNumber(i64),
    /// To a text
    Set(Template),
    /// Adds a number that is known
    AddNumber(i64),
    /// Adds, or takes away
    Add(Template, i64),
    /// Forgets it
    Unset,
}

/// What happens besides.
#[derive(Debug)]
pub(crate) enum Effect {
    /// `ctl:ruleEngine`
    Mode(EngineMode),
    /// `ctl:requestBodyProcessor`
    Processor(BodyProcessor),
    /// `ctl:forceRequestBodyVariable`
    ForceRequestBody(bool),
    /// `ctl:requestBodyAccess`
    RequestBodyAccess(bool),
    /// `ctl:responseBodyAccess`
    ResponseBodyAccess(bool),
    /// `ctl:ruleRemove…`: these rules do not run any more
    RemoveRules(RuleSet),
    /// `ctl:ruleRemoveMatched…`: the rules of this number among [`super::Plan::value_removals`] do not look at the values
    /// that the link has matched
    RemoveMatched(u32),
    /// `ctl:ruleRemoveTarget…`: these rules do not look there any more
    RemoveTarget(RuleSet, Target),
}

/// A set of heads by their index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RuleSet(Vec<u64>);

impl RuleSet {
    pub(crate) fn insert(&mut self, index: usize) {
        let word = index / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (index % 64);
        }
    }

    pub(crate) fn contains(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// What becomes of the exchange when a rule matches.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It goes on
    Pass,
    /// It is answered with this status
    Deny(u16),
    /// The connection is closed
    Drop,
    /// Rules are skipped
    Allow(AllowScope),
    /// It is sent elsewhere
    Redirect(Template, u16),
}

/// Where a variable's values come from. `lower`: the member's name, for those that have only one kind of member.
pub(crate) fn source_of(variable: Variable, lower: Option<&[u8]>) -> Source {
    match variable {
        Variable::Tx => Source::Tx,
        Variable::MatchedVars => Source::Matched(false),
        Variable::MatchedVarsNames => Source::Matched(true),
        Variable::MatchedVar => Source::LastMatched(false),
        Variable::MatchedVarName => Source::LastMatched(true),
        Variable::Ip | Variable::Global | Variable::Session | Variable::User | Variable::Resource => {
            Source::Persistent(variable)
        }
        Variable::Xml => match lower {
            Some(b"//@*") => Source::Lists(&[List::XmlAttributes], false),
            Some(b"/*" | b"//*") | None => Source::Lists(&[List::XmlText], false),
            Some(_) => Source::Nothing,
        },
        Variable::Rule => Source::Nothing,
        other => match lists_of(other) {
            Some((lists, is_names)) => Source::Lists(lists, is_names),
            None => Source::Scalar(other),
        },
    }
}

/// Compiles a target. `slot`: numbers a member of `TX`.
pub(crate) fn target(target: &ast::Target, slot: &mut dyn FnMut(&[u8]) -> Slot) -> Result<Target, String> {
    let lower = match &target.selector {
        Selector::Name(name) => Some(plain_indexes(&name.to_ascii_lowercase()).into_bytes().into_boxed_slice()),
        Selector::All | Selector::Regex(_) => None,
    };
    let mut source = source_of(target.variable, lower.as_deref());
    if source == Source::Nothing {
        return Err(format!("`{}` with this selector has no values here", target.variable.name()));
    }
    let subject = match (&target.selector, lower) {
        (Selector::Regex(pattern), _) => Subject::Matching(Box::new(NamePattern::new(pattern)?)),
        (Selector::Name(_), Some(lower)) if target.variable == Variable::Tx => {
            source = Source::Slot(slot(&lower));
            Subject::All
        }
        (Selector::Name(_), Some(lower)) if target.variable != Variable::Xml => Subject::Named(lower),
        _ => Subject::All,
    };
    Ok(Target { variable: target.variable, source, subject, is_count: target.is_count, slots: Vec::new() })
}

/// ModSecurity 3 names elements of JSON arrays `json.items.array_0`, which is `json.items.0` here.
fn plain_indexes(name: &str) -> String {
    if !name.starts_with("json.") {
        return name.to_owned();
    }
    let is_index = |digits: &&str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let steps = name.split('.').map(|step| step.strip_prefix("array_").filter(is_index).unwrap_or(step));
    steps.collect::<Vec<_>>().join(".")
}
