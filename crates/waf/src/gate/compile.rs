//! Builds a gate: which rules can be gated, what they need, which values they look at.

use std::collections::HashMap;

use crate::inputs::List;
use crate::plan::{Link, Plan, Source, Subject, Target};
use crate::transform::{ByteSet, Trigger};
use crate::{Transform, Variable};

use super::alphabet::ALPHABETS;
use super::automaton::Automaton;
use super::categories::Categories;
use super::eligible::{Gated, links};
use super::idle;
use super::made;
use super::need::{Need, Needs};
use super::steps::{Tree, folded, triggers};
use super::{Bits, Class, Field, Gate, NONE, WORDS, contains, insert, or, remove};

/// Lengths that are told apart: longer values may match every rule.
const LENGTHS: usize = 32;

/// Where values of a class come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    List(List, bool),
    /// A list's member of this name
    Member(List, Box<[u8]>),
    Scalar(Variable),
}

/// The gate for the rules of these phases.
pub(crate) fn build(plan: &Plan, phases: &[usize]) -> Gate {
    let mut gate = Gate::default();
    let mut gated: Vec<Gated<'_>> = Vec::new();
    let mut more = Vec::new();
    let mut add = |head: u32, (place, link, needs): (u8, _, _)| {
        let number = u32::try_from(gated.len()).ok().filter(|_| gated.len() < WORDS * 64);
        let Some(number) = number else { return }; // the rest is always asked
        gated.push(Gated { number, link, needs });
        gate.numbers.entry(head).or_default().push((place, number));
        gate.links.push((head, place));
    };
    // One link of each chain in the order of the rules, which is how they are found again; then the others.
    for index in phases.iter().flat_map(|phase| plan.order(*phase)) {
        let mut links = links(plan, *index).into_iter();
        links.next().into_iter().for_each(|first| add(*index, first));
        more.extend(links.map(|link| (*index, link)));
    }
    for (index, link) in more {
        add(index, link);
    }
    let firsts = (0..).zip(&gate.links).filter(|(_, (_, place))| *place == 0);
    gate.texts = firsts.filter_map(|(number, (head, _))| Some((number, made::texts(plan, *head)?))).collect();
    gate.categories = categories(&gated);
    gate.triggers = Transform::ALL.iter().map(|transform| triggers(&[*transform], &gate.categories)).collect();
    for (number, alphabet) in ALPHABETS.iter().enumerate() {
        let foreign = gate.categories.of_set(&alphabet.complement());
        let need = |needs: &Needs| needs.over.get(number).cloned().flatten();
        gate.fields.push(field(&gated, foreign, need));
    }
    gate.fields.push(field(&gated, 0, |needs| Some(needs.general.clone())));
    gate.lengths = lengths(&gated);
    classes(&mut gate, &gated);
    gate.removers = idle::removers(plan, &gate);
    gate
}

/// What is looked for in values of these bytes.
fn field(gated: &[Gated<'_>], foreign: u64, need: impl Fn(&Needs) -> Option<Need>) -> Field {
    let mut field = Field { foreign, ..Field::default() };
    let mut literals = Vec::new();
    for Gated { number, needs, .. } in gated {
        let Some(need) = need(needs) else { continue };
        insert(&mut field.rules, *number);
        match need {
            Need::Nothing => insert(&mut field.unfiltered, *number),
            Need::Literals(texts) => literals.extend(texts.into_iter().map(|text| (text, *number))),
            Need::Byte(_) | Need::NoProofAgainstSqli => {}
        }
    }
    let (automaton, homeless) = Automaton::new(&literals);
    field.automaton = automaton;
    or(&mut field.unfiltered, &homeless);
    field
}

/// By length: the rules of which a match may be so long.
fn lengths(gated: &[Gated<'_>]) -> Vec<Bits> {
    let rules = |length: usize| {
        let mut rules = NONE;
        gated
            .iter()
            .filter(|Gated { needs, .. }| {
                let may_be_longer = length == LENGTHS;
                (needs.length_min <= length || may_be_longer) && needs.length_max >= length
            })
            .for_each(|gated| insert(&mut rules, gated.number));
        rules
    };
    (0..=LENGTHS).map(rules).collect()
}

fn categories(gated: &[Gated<'_>]) -> Categories {
    let mut sets: Vec<ByteSet> = Vec::new();
    let mut add = |set: ByteSet| {
        if !sets.contains(&set) {
            sets.push(set);
        }
    };
    for Gated { link, needs, .. } in gated {
        for transform in &link.transforms {
            if let Trigger::Bytes(set) = transform.trigger() {
                add(*set);
            }
        }
        if let Need::Byte(set) = &needs.general {
            add(*set);
        }
    }
    ALPHABETS.into_iter().for_each(&mut add);
    Categories::telling_apart(&sets)
}

/// The places that a link looks at.
fn places(link: &Link) -> Vec<Place> {
    let mut places = Vec::new();
    for target in link.targets.iter().filter(|target| !is_left_out(link, target)) {
        match (target.source, &target.subject) {
            (Source::Lists(lists, false), Subject::Named(name)) if is_named_class(lists) => {
                places.extend(lists.iter().map(|list| Place::Member(*list, name.clone())));
            }
            (Source::Lists(lists, is_names), _) => {
                places.extend(lists.iter().map(|list| Place::List(*list, is_names)));
            }
            (Source::Scalar(variable), _) => places.push(Place::Scalar(variable)),
            _ => {}
        }
    }
    places
}

/// Whether the link leaves out all that this target means, as an update of its targets may have it.
pub(super) fn is_left_out(link: &Link, target: &Target) -> bool {
    let is_whole = |excluded: &Target| {
        excluded.variable == target.variable
            && excluded.source == target.source
            && matches!(excluded.subject, Subject::All)
    };
    !target.is_count && link.excluded.iter().any(is_whole)
}

/// Lists whose members have well-known names that rules single out.
fn is_named_class(lists: &[List]) -> bool {
    matches!(lists, [List::RequestHeaders | List::ResponseHeaders])
}

/// Whether the link leaves out the member of this name.
fn excludes(link: &Link, list: List, name: &[u8]) -> bool {
    link.excluded.iter().any(|excluded| {
        let is_here = matches!(excluded.source, Source::Lists(lists, false) if lists == [list]);
        is_here && matches!(&excluded.subject, Subject::Named(left_out) if &**left_out == name)
    })
}

fn classes(gate: &mut Gate, gated: &[Gated<'_>]) {
    let mut rules: HashMap<Place, Bits> = HashMap::new();
    let mut names: Vec<(List, Box<[u8]>)> = Vec::new();
    for Gated { number, link, .. } in gated {
        for place in places(link) {
            if let Place::Member(list, name) = &place {
                names.push((*list, name.clone()));
            }
            insert(rules.entry(place).or_insert(NONE), *number);
        }
        for excluded in &link.excluded {
            if let (Source::Lists([list], false), Subject::Named(name)) = (excluded.source, &excluded.subject)
                && is_named_class(&[*list])
            {
                names.push((*list, name.clone()));
            }
        }
    }
    // A named member is looked at by the rules for it and by those for all members that do not leave it out.
    for (list, name) in names {
        let mut all = rules.get(&Place::List(list, false)).copied().unwrap_or(NONE);
        for Gated { number, link, .. } in gated {
            if excludes(link, list, &name) {
                remove(&mut all, *number);
            }
        }
        or(rules.entry(Place::Member(list, name)).or_insert(NONE), &all);
    }
    let mut known: HashMap<Bits, usize> = HashMap::new();
    for (place, rules) in rules {
        let class = *known.entry(rules).or_insert_with(|| {
            gate.classes.push(class(gated, &rules, &gate.categories));
            gate.classes.len() - 1
        });
        match place {
            Place::List(list, is_name) => {
                if let Some(entry) = gate.lists.get_mut(list as usize) {
                    *if is_name { &mut entry.1 } else { &mut entry.0 } = Some(class);
                }
            }
            Place::Member(list, name) => {
                if let Some(named) = gate.named.get_mut(list as usize) {
                    named.resize_with(named.len().max(name.len() + 1), Vec::new);
                    named.get_mut(name.len()).into_iter().for_each(|named| named.push((name.clone(), class)));
                }
            }
            Place::Scalar(variable) => gate.scalars.push((variable, class)),
        }
    }
}

fn class(gated: &[Gated<'_>], rules: &Bits, categories: &Categories) -> Class {
    let mut class = Class::default();
    let mut tree = Tree::default();
    for gated in gated.iter().filter(|gated| contains(rules, gated.number)) {
        let Gated { number, needs, .. } = gated;
        let chain = gated.transforms();
        if let Need::Byte(set) = &needs.general {
            let present = categories.of_set(set);
            match class.bytes.iter_mut().find(|(known, _)| *known == present) {
                Some((_, rules)) => insert(rules, *number),
                None => {
                    let mut rules = NONE;
                    insert(&mut rules, *number);
                    class.bytes.push((present, rules));
                }
            }
        }
        if needs.general == Need::NoProofAgainstSqli {
            insert(&mut class.sqli, *number);
        }
        if needs.general.is_searched() {
            insert(&mut class.searched, *number);
        }
        // With `multiMatch` the operator is asked after each step.
        let steps = if gated.is_asked_at_each_step() { 0..=chain.len() } else { chain.len()..=chain.len() };
        for step in steps {
            let transforms = chain.get(..step).unwrap_or_default();
            let transforms = if needs.general.is_searched() { folded(transforms) } else { transforms };
            tree.add(transforms, *number, needs, categories);
            if !transforms.contains(&Transform::Base64Decode) {
                insert(&mut class.plain, *number);
            }
        }
    }
    let needs_bytes = class.bytes.iter().fold(class.sqli, |mut all, (_, rules)| {
        or(&mut all, rules);
        all
    });
    tree.loosen(categories, &needs_bytes);
    let (decoders, decoded) = tree.decoders();
    class.triggers = tree.triggers_but(&decoded);
    class.text_bytes = tree.text_bytes();
    let (steps, places) = tree.flat();
    class.steps = steps;
    class.decoders = decoders.iter().filter_map(|at| places.get(*at).copied()).collect();
    class
}
