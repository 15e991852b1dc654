//! Document → [`Plan`]: rules put together from their links, removals and updates applied, jumps resolved.
//!
//! Removals and updates hold for the whole document, whichever side of the rule they stand on, as in ModSecurity 3.
//! Every fault is collected.

use std::collections::HashMap;

use bartizan_model::{Diagnostic, DiagnosticSeverity, Position};

use crate::ast::{self, Action, Change as AstChange, Ctl, Directive, Disruptive, Document, IdRange, Place, Setting};
use crate::gate::need::{self, Needs};
use crate::inputs::Text;
use crate::operator;
use crate::run::plain_number;
use crate::{Transform, Variable};

use super::keep::Keep;
use super::link::{self, Change, RuleSet};
use super::names::{Names, Template};
use super::{Effect, Head, Link, Options, Outcome, Plan, RuleInfo, SetVarOp, Settings, Skip, Source, Test, XmlInto};

/// The phase of a rule that names none, as in ModSecurity.
const PHASE: u8 = 2;

/// A rule with all its links, as written.
struct Draft<'d> {
    place: &'d Place,
    /// `None` for `SecAction`
    links: Vec<DraftLink<'d>>,
}

struct DraftLink<'d> {
    place: &'d Place,
    rule: Option<&'d ast::Rule>,
    actions: Vec<&'d Action>,
    more_targets: Vec<&'d ast::Target>,
}

/// Which rules a directive is about.
type IsMeant<'d> = Box<dyn Fn(&Draft<'_>) -> bool + 'd>;

/// What is between the rules of a phase.
enum Stop<'d> {
    Rule(usize),
    Marker(&'d str),
}

/// Compiles.
pub(super) fn run(document: &Document, options: Options) -> Result<Plan, Vec<Diagnostic>> {
    let mut compiler = Compiler { faults: Vec::new(), names: Names::new(), value_removals: Vec::new() };
    let (mut drafts, order) = drafts(document);
    remove(document, &mut drafts);
    update(document, &mut drafts);
    let settings = settings(document);
    let infos: Vec<RuleInfo> = drafts.iter().map(|draft| info(draft)).collect();
    let mut heads = Vec::with_capacity(drafts.len());
    let mut phases: [Vec<u32>; 5] = Default::default();
    let positions = positions(&order, &infos, &mut phases);
    for (index, draft) in drafts.iter().enumerate() {
        let defaults = default_actions(document, draft, infos.get(index).map_or(PHASE, |info| info.phase));
        heads.push(compiler.head(draft, &defaults, &infos, index, &positions));
    }
    if compiler.faults.is_empty() {
        Ok(Plan {
            heads,
            infos,
            order: phases,
            phases: Default::default(),
            names: compiler.names,
            initial: Vec::new(),
            initial_text: Text::default(),
            gates: Default::default(),
            value_removals: compiler.value_removals,
            used: Vec::new(),
            has_closed_captures: false,
            keeping: Default::default(),
            settings,
            options,
            serial: 0,
        })
    } else {
        Err(compiler.faults)
    }
}

/// Rules and `SecAction`s with their links, and the order in which they and markers stand.
fn drafts(document: &Document) -> (Vec<Draft<'_>>, Vec<Stop<'_>>) {
    let mut drafts: Vec<Draft<'_>> = Vec::new();
    let mut order = Vec::new();
    let mut is_open = false;
    for (place, directive) in &document.directives {
        let (rule, actions) = match directive {
            Directive::Rule(rule) => (Some(rule), &rule.actions),
            Directive::Action(actions) => (None, actions),
            Directive::Marker(name) => {
                order.push(Stop::Marker(name));
                continue;
            }
            _ => continue,
        };
        let link = DraftLink { place, rule, actions: actions.iter().collect(), more_targets: Vec::new() };
        match drafts.last_mut().filter(|_| is_open) {
            Some(draft) => draft.links.push(link),
            None => {
                order.push(Stop::Rule(drafts.len()));
                drafts.push(Draft { place, links: vec![link] });
            }
        }
        is_open = actions.contains(&Action::Chain);
    }
    (drafts, order)
}

impl<'d> Draft<'d> {
    fn actions(&self) -> impl Iterator<Item = &'d Action> {
        self.links.first().into_iter().flat_map(|link| link.actions.iter().copied())
    }

    fn id(&self) -> u32 {
        self.actions().find_map(|action| if let Action::Id(id) = action { Some(*id) } else { None }).unwrap_or(0)
    }

    fn tags(&self) -> impl Iterator<Item = String> {
        self.actions().filter_map(|action| if let Action::Tag(tag) = action { Some(text_of(tag)) } else { None })
    }

    fn message(&self) -> String {
        let message = |action: &Action| if let Action::Message(text) = action { Some(text_of(text)) } else { None };
        self.actions().find_map(message).unwrap_or_default()
    }
}

/// A text as written.
fn text_of(text: &ast::Text) -> String {
    let mut all = String::new();
    for part in &text.parts {
        match part {
            ast::TextPart::Literal(bytes) => all.push_str(&String::from_utf8_lossy(bytes)),
            ast::TextPart::Macro(variable, name) => {
                all.push_str("%{");
                all.push_str(variable.name());
                if let Some(name) = name {
                    all.push('.');
                    all.push_str(name);
                }
                all.push('}');
            }
        }
    }
    all
}

fn info(draft: &Draft<'_>) -> RuleInfo {
    let mut info = RuleInfo {
        id: draft.id(),
        phase: PHASE,
        message: draft.message(),
        severity: None,
        tags: draft.tags().collect(),
        place: draft.place.clone(),
    };
    for action in draft.actions() {
        match action {
            Action::Phase(phase) => info.phase = *phase,
            Action::Severity(severity) => info.severity = Some(*severity),
            _ => {}
        }
    }
    info
}

/// Fills the phases; the position after each marker and each rule, by phase.
fn positions(order: &[Stop<'_>], infos: &[RuleInfo], phases: &mut [Vec<u32>; 5]) -> HashMap<String, [usize; 5]> {
    let mut positions = HashMap::new();
    for stop in order {
        match stop {
            Stop::Marker(name) => {
                positions.insert((*name).to_owned(), phases.each_ref().map(Vec::len));
            }
            Stop::Rule(index) => {
                let Some(info) = infos.get(*index) else { continue };
                if let Some(phase) = phases.get_mut(usize::from(info.phase).saturating_sub(1)) {
                    phase.push(u32::try_from(*index).unwrap_or(u32::MAX));
                }
                positions.insert(info.id.to_string(), phases.each_ref().map(Vec::len));
            }
        }
    }
    positions
}

/// `SecRuleRemoveBy…`: the rule keeps its place, without links it does nothing.
fn remove(document: &Document, drafts: &mut [Draft<'_>]) {
    for (_, directive) in &document.directives {
        let is_meant: IsMeant<'_> = match directive {
            Directive::RemoveById(ranges) => Box::new(|draft| is_in(ranges, draft.id())),
            Directive::RemoveByTag(pattern) => {
                let matcher = name_matcher(pattern);
                Box::new(move |draft| draft.tags().any(|tag| matcher(&tag)))
            }
            Directive::RemoveByMessage(pattern) => {
                let matcher = name_matcher(pattern);
                Box::new(move |draft| matcher(&draft.message()))
            }
            _ => continue,
        };
        drafts.iter_mut().filter(|draft| is_meant(draft)).for_each(|draft| draft.links.truncate(0));
    }
}

fn is_in(ranges: &[IdRange], id: u32) -> bool {
    ranges.iter().any(|range| range.contains(id))
}

/// Whether a text equals, or is matched by, a pattern of `…ByTag` or `…ByMsg`.
fn name_matcher(pattern: &str) -> impl Fn(&str) -> bool + use<> {
    let literal = pattern.to_owned();
    let regex = operator::hir(pattern.as_bytes())
        .ok()
        .and_then(|hir| regex_automata::meta::Regex::builder().build_from_hir(&hir).ok());
    move |text| text == literal || regex.as_ref().is_some_and(|regex| regex.is_match(text))
}

/// `SecRuleUpdate…`
fn update<'d>(document: &'d Document, drafts: &mut [Draft<'d>]) {
    for (_, directive) in &document.directives {
        let (is_meant, targets): (IsMeant<'d>, &'d [ast::Target]) = match directive {
            Directive::UpdateTargetById(ranges, targets) => {
                (Box::new(|draft: &Draft<'_>| is_in(ranges, draft.id())), targets)
            }
            Directive::UpdateTargetByTag(pattern, targets) => {
                let matcher = name_matcher(pattern);
                (Box::new(move |draft: &Draft<'_>| draft.tags().any(|tag| matcher(&tag))), targets)
            }
            Directive::UpdateTargetByMessage(pattern, targets) => {
                let matcher = name_matcher(pattern);
                (Box::new(move |draft: &Draft<'_>| matcher(&draft.message())), targets)
            }
            Directive::UpdateActionById(id, link, actions) => {
                for draft in drafts.iter_mut().filter(|draft| draft.id() == *id) {
                    if let Some(link) = draft.links.get_mut(*link) {
                        link.actions.retain(|old| !actions.iter().any(|new| is_replaced(old, new)));
                        link.actions.extend(actions);
                    }
                }
                continue;
            }
            _ => continue,
        };
        for draft in drafts.iter_mut().filter(|draft| is_meant(draft)) {
            if let Some(head) = draft.links.first_mut() {
                head.more_targets.extend(targets);
            }
        }
    }
}

/// Whether an action that a rule has at most once takes another's place.
fn is_replaced(old: &Action, new: &Action) -> bool {
    let is_single = !matches!(
        new,
        Action::Tag(_)
            | Action::SetVar(_)
            | Action::InitCollection(..)
            | Action::SetKey(..)
            | Action::ExpireVar(..)
            | Action::DeprecateVar(..)
            | Action::Ctl(_)
            | Action::Transform(_)
    );
    is_single && std::mem::discriminant(old) == std::mem::discriminant(new)
}

fn settings(document: &Document) -> Settings {
    let mut settings = Settings::default();
    let mut has_types = false;
    for (_, directive) in &document.directives {
        let Directive::Setting(setting, value) = directive else { continue };
        let is_on = value.eq_ignore_ascii_case("on");
        match setting {
            Setting::RuleEngine if value.eq_ignore_ascii_case("detectiononly") => {
                settings.mode = ast::EngineMode::DetectionOnly;
            }
            Setting::RuleEngine => settings.mode = if is_on { ast::EngineMode::On } else { ast::EngineMode::Off },
            Setting::RequestBodyAccess => settings.is_request_body_read = is_on,
            Setting::ResponseBodyAccess => settings.is_response_body_read = is_on,
            Setting::ResponseBodyMimeType => {
                // The first takes the place of the defaults, later ones add to it; `…Clear` has no value.
                if value.is_empty() || !has_types {
                    settings.response_types.clear();
                }
                has_types = true;
                let types = value.split_ascii_whitespace().map(|word| word.to_ascii_lowercase().into_bytes());
                settings.response_types.extend(types);
            }
            Setting::RequestBodyJsonDepthLimit => settings.json_depth_max = value.parse().ok(),
            Setting::ArgumentsLimit => settings.arguments_max = value.parse().ok(),
            Setting::ArgumentSeparator => settings.separator = value.bytes().next().unwrap_or(b'&'),
            Setting::ParseXmlIntoArgs if is_on => settings.xml = XmlInto::Both,
            Setting::ParseXmlIntoArgs if value.eq_ignore_ascii_case("onlyargs") => settings.xml = XmlInto::Args,
            Setting::ParseXmlIntoArgs => settings.xml = XmlInto::Xml,
            Setting::ComponentSignature => settings.components.push(value.clone()),
            Setting::CollectionTimeout => {
                settings.collection_timeout_s = value.parse().unwrap_or(settings.collection_timeout_s);
            }
            Setting::Ignored => {}
        }
    }
    settings
}

/// The actions of the last `SecDefaultAction` before the rule, for its phase.
fn default_actions<'d>(document: &'d Document, draft: &Draft<'d>, phase: u8) -> Vec<&'d Action> {
    let mut defaults: &[Action] = &[];
    for (place, directive) in &document.directives {
        if std::ptr::eq(place, draft.place) {
            break;
        }
        if let Directive::DefaultAction(actions) = directive {
            let is_meant = actions.contains(&Action::Phase(phase));
            if is_meant {
                defaults = actions;
            }
        }
    }
    defaults.iter().filter(|action| !matches!(action, Action::Phase(_))).collect()
}

/// LIMIT: `ctl:ruleRemoveMatched…` of one rule set; values are marked with a bit for each. Ours take about half.
const VALUE_REMOVALS_MAX: usize = u64::BITS as usize;

struct Compiler {
    faults: Vec<Diagnostic>,
    names: Names,
    value_removals: Vec<RuleSet>,
}

impl Compiler {
    fn fault(&mut self, place: &Place, message: String, help: &str) {
        self.faults.push(Diagnostic {
            severity: DiagnosticSeverity::Error,
            code: "SEC-060".to_owned(),
            file: place.file.to_string(),
            position: Some(Position { line: place.line as _, column: 1 }),
            path: String::new(),
            message,
            help: help.to_owned(),
        });
    }

    fn head(
        &mut self,
        draft: &Draft<'_>,
        defaults: &[&Action],
        infos: &[RuleInfo],
        index: usize,
        positions: &HashMap<String, [usize; 5]>,
    ) -> Head {
        let phase = infos.get(index).map_or(PHASE, |info| info.phase);
        let links = draft.links.iter().map(|link| self.link(link, defaults, infos)).collect();
        // The outcome of a chain stands at its head.
        let actions: Vec<&Action> = defaults.iter().copied().chain(draft.actions()).collect();
        let mut is_logged = true;
        let mut skip = Skip::No;
        for action in &actions {
            match action {
                Action::Log(on) => is_logged = *on,
                Action::SkipAfter(to) => match positions.get(to.as_str()) {
                    Some(position) => {
                        let at = position.get(usize::from(phase).saturating_sub(1)).copied().unwrap_or(usize::MAX);
                        skip = Skip::To(at);
                    }
                    None => self.fault(draft.place, format!("there is no marker or rule `{to}`"), "check the name"),
                },
                _ => {}
            }
        }
        let outcome = self.outcome(&actions, defaults);
        Head { links, outcome, is_logged, skip }
    }

    fn outcome(&mut self, actions: &[&Action], defaults: &[&Action]) -> Outcome {
        let disruptive = |actions: &[&Action]| {
            let mut all = actions.iter().filter_map(|action| match action {
                Action::Disruptive(disruptive) => Some(disruptive.clone()),
                _ => None,
            });
            all.next_back()
        };
        let last_status = |status: u16| {
            let mut all = actions.iter().filter_map(|action| match action {
                Action::Status(status) => Some(*status),
                _ => None,
            });
            all.next_back().unwrap_or(status)
        };
        let mut wanted = disruptive(actions).unwrap_or(Disruptive::Pass);
        if wanted == Disruptive::Block {
            // `block` in the defaults themselves means nothing.
            wanted = disruptive(defaults).filter(|default| *default != Disruptive::Block).unwrap_or(Disruptive::Pass);
        }
        match wanted {
            Disruptive::Pass | Disruptive::Block => Outcome::Pass,
            Disruptive::Deny => Outcome::Deny(last_status(403)),
            Disruptive::Drop => Outcome::Drop,
            Disruptive::Allow(scope) => Outcome::Allow(scope),
            Disruptive::Redirect(url) => Outcome::Redirect(Template::new(&url, &mut self.names), last_status(302)),
        }
    }

    fn link(&mut self, draft: &DraftLink<'_>, defaults: &[&Action], infos: &[RuleInfo]) -> Link {
        let test = self.test(draft);
        let pattern = draft.rule.and_then(|rule| rule.operator.argument.literal());
        let needs = match &test {
            Test::Operator { matcher, .. } => need::of_matcher(matcher, pattern),
            Test::Always => Needs::NOTHING,
        };
        let mut link = Link {
            targets: Vec::new(),
            excluded: Vec::new(),
            test,
            needs,
            transforms: transforms(defaults, &draft.actions),
            is_capturing: draft.actions.contains(&&Action::Capture),
            captures: operator::CAPTURES_MAX,
            is_multi_match: draft.actions.contains(&&Action::MultiMatch),
            set_vars: Vec::new(),
            keeps: Vec::new(),
            effects: Vec::new(),
            message: None,
            data: None,
            severity: None,
        };
        let written = draft.rule.iter().flat_map(|rule| &rule.targets).chain(draft.more_targets.iter().copied());
        for target in written {
            match link::target(target, &mut |name| self.names.slot(name)) {
                Ok(compiled) if target.is_excluded => link.excluded.push(compiled),
                Ok(compiled) => link.targets.push(compiled),
                Err(message) => self.fault(draft.place, message, "take it out of the rule"),
            }
        }
        for action in defaults.iter().copied().chain(draft.actions.iter().copied()) {
            self.effect(&mut link, action, draft.place, infos);
        }
        self.check_removals(&link, draft.place);
        link
    }

    /// Only what the client sent can be taken away: a rule about `TX`, or about numbers of members, matches none of it.
    fn check_removals(&mut self, link: &Link, place: &Place) {
        let removes = link.effects.iter().any(|effect| matches!(effect, Effect::RemoveMatched(_)));
        let is_sent = |target: &link::Target| {
            let is_value = matches!(
                target.source,
                Source::Lists(..) | Source::Scalar(_) | Source::Matched(_) | Source::LastMatched(_)
            );
            is_value && !target.is_count
        };
        if removes && !link.targets.iter().any(is_sent) {
            let message = "`ctl:ruleRemoveMatched…` on a rule that matches nothing of what the client sent".to_owned();
            self.fault(place, message, "put it on the rule, or the link of its chain, that looks at the values");
        }
    }

    /// The effect that takes what a link matched away from these rules.
    fn remove_matched(&mut self, rules: RuleSet, place: &Place) -> Option<Effect> {
        let known = self.value_removals.iter().position(|set| *set == rules);
        let at = known.unwrap_or(self.value_removals.len());
        if at >= VALUE_REMOVALS_MAX {
            let message = format!("more than {VALUE_REMOVALS_MAX} `ctl:ruleRemoveMatched…` of different rules");
            self.fault(place, message, "name the same rules in more than one of them, or take some out");
            return None;
        }
        if known.is_none() {
            self.value_removals.push(rules);
        }
        u32::try_from(at).ok().map(Effect::RemoveMatched)
    }

    fn test(&mut self, draft: &DraftLink<'_>) -> Test {
        let Some(rule) = draft.rule else { return Test::Always };
        match operator::compile(&rule.operator) {
            Ok(matcher) => Test::Operator {
                matcher: Box::new(matcher),
                is_negated: rule.operator.is_negated,
                argument: match rule.operator.argument.literal() {
                    Some(_) => None,
                    None => Some(Template::new(&rule.operator.argument, &mut self.names)),
                },
            },
            Err(fault) => {
                self.fault(draft.place, fault.message, &fault.help);
                Test::Always
            }
        }
    }

    fn effect(&mut self, link: &mut Link, action: &Action, place: &Place, infos: &[RuleInfo]) {
        match action {
            Action::Message(text) => link.message = Some(Template::new(text, &mut self.names)),
            Action::LogData(text) => link.data = Some(Template::new(text, &mut self.names)),
            Action::Severity(severity) => link.severity = Some(*severity),
            Action::SetVar(set) => match self.set_var(set) {
                Some(compiled) => link.set_vars.push(compiled),
                None => self.fault(
                    place,
                    format!("`setvar` of the unknown collection `{}`", set.collection),
                    "use tx, ip, global, session, user or resource",
                ),
            },
            Action::Ctl(ctl) => {
                if let Some(effect) = self.ctl(ctl, place, infos) {
                    link.effects.push(effect);
                }
            }
            other => link.keeps.extend(Keep::new(other, &mut self.names)),
        }
    }

    fn set_var(&mut self, set: &ast::SetVar) -> Option<SetVarOp> {
        let collection = Variable::of_name(&set.collection)?;
        let name = Template::new(&set.name, &mut self.names);
        let slot = match (collection, name.literal()) {
            (Variable::Tx, Some(literal)) => Some(self.names.slot(literal)),
            _ => None,
        };
        let number = |template: &Template| template.literal().and_then(plain_number);
        let change = match &set.change {
            AstChange::Unset => Change::Unset,
            AstChange::Set(text) => {
                let template = Template::new(text, &mut self.names);
                number(&template).map_or(Change::Set(template), Change::SetNumber)
            }
            AstChange::Add(text) => {
                let template = Template::new(text, &mut self.names);
                number(&template).map_or(Change::Add(template, 1), Change::AddNumber)
            }
            AstChange::Subtract(text) => {
                let template = Template::new(text, &mut self.names);
                number(&template).map_or(Change::Add(template, -1), |number| Change::AddNumber(-number))
            }
        };
        Some(SetVarOp { collection, slot, name, change })
    }

    fn ctl(&mut self, ctl: &Ctl, place: &Place, infos: &[RuleInfo]) -> Option<Effect> {
        let rules = |is_meant: &dyn Fn(&RuleInfo) -> bool| {
            let mut set = RuleSet::default();
            infos.iter().enumerate().filter(|(_, info)| is_meant(info)).for_each(|(index, _)| set.insert(index));
            set
        };
        let by_id = |ranges: &[IdRange]| rules(&|info| is_in(ranges, info.id));
        let by_tag = |pattern: &str| {
            let matcher = name_matcher(pattern);
            rules(&|info| info.tags.iter().any(|tag| matcher(tag)))
        };
        let by_message = |pattern: &str| {
            let matcher = name_matcher(pattern);
            rules(&|info| matcher(&info.message))
        };
        let (set, target) = match ctl {
            Ctl::RuleEngine(mode) => return Some(Effect::Mode(*mode)),
            Ctl::RequestBodyProcessor(processor) => return Some(Effect::Processor(*processor)),
            Ctl::ForceRequestBodyVariable(on) => return Some(Effect::ForceRequestBody(*on)),
            Ctl::RequestBodyAccess(on) => return Some(Effect::RequestBodyAccess(*on)),
            Ctl::ResponseBodyAccess(on) => return Some(Effect::ResponseBodyAccess(*on)),
            Ctl::Audit(_) => return None, // what is kept of an exchange is the event's business
            Ctl::RemoveById(ranges) => return Some(Effect::RemoveRules(by_id(ranges))),
            Ctl::RemoveByTag(pattern) => return Some(Effect::RemoveRules(by_tag(pattern))),
            Ctl::RemoveByMessage(pattern) => return Some(Effect::RemoveRules(by_message(pattern))),
            Ctl::RemoveMatchedById(ranges) => return self.remove_matched(by_id(ranges), place),
            Ctl::RemoveMatchedByTag(pattern) => return self.remove_matched(by_tag(pattern), place),
            Ctl::RemoveMatchedByMessage(pattern) => return self.remove_matched(by_message(pattern), place),
            Ctl::RemoveTargetById(ranges, target) => (by_id(ranges), target),
            Ctl::RemoveTargetByTag(pattern, target) => (by_tag(pattern), target),
            Ctl::RemoveTargetByMessage(pattern, target) => (by_message(pattern), target),
        };
        match link::target(target, &mut |name| self.names.slot(name)) {
            Ok(target) => Some(Effect::RemoveTarget(set, target)),
            Err(message) => {
                self.fault(place, message, "take it out of the rule");
                None
            }
        }
    }
}

/// The transformations of a link: those of the defaults, unless `t:none` forgets them, then its own.
fn transforms(defaults: &[&Action], own: &[&Action]) -> Vec<Transform> {
    let mut all = Vec::new();
    for action in defaults.iter().chain(own) {
        match action {
            Action::TransformNone => all.clear(),
            Action::Transform(transform) => all.push(*transform),
            _ => {}
        }
    }
    all
}
