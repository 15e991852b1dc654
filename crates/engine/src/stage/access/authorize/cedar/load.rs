//! Policy files: read, held against the schema, every fault at its line.

use std::collections::BTreeMap;
use std::sync::Arc;

use bartizan_config::Authorize;
use bartizan_model::{Diagnostic, DiagnosticSeverity, Position, excerpt};
use cedar_policy::{
    ActionConstraint, Authorizer, EntityUid, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};

use super::memo::Reads;
use super::{Action, CedarPlan, DECIDED_MAX, action_uid, schema_text, type_names};
use crate::bounded::Cache;

/// LIMIT: bytes of a policy file.
const FILE_BYTES_MAX: usize = 1 << 20;
/// LIMIT: policies of one `authorize` policy: each is computed for each request.
const POLICIES_MAX: usize = 1000;
/// LIMIT: policies in the sets of all operations together, some 50 MB; operations beyond it share the set of all.
const GATHERED_MAX: usize = 100_000;
/// LIMIT: faults that are told of one file.
const FAULTS_MAX: usize = 50;
/// A Cedar policy file cannot be used.
const UNUSABLE: &str = "CFG-117";
/// A Cedar policy does nothing, or not what it seems to.
const SUSPECT: &str = "CFG-118";

/// A file of Cedar policies, as the host read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CedarFile {
    /// As people know it
    pub name: String,
    /// Its text
    pub text: String,
}

/// What the files say, or every fault of them.
pub(super) fn compile(
    authorize: &Authorize,
    files: &[CedarFile],
) -> Result<(CedarPlan, Vec<Diagnostic>), Vec<Diagnostic>> {
    let Some(settings) = &authorize.cedar else { return Err(Vec::new()) };
    let schema: Schema = match schema_text(&authorize.operations, settings).parse() {
        Ok(schema) => schema,
        Err(error) => {
            let message = format!("the Cedar schema that follows from `operations` and `claims` is none: {error}");
            let help = "give parameters, claims and operations plainer names";
            return Err(vec![fault("", None, DiagnosticSeverity::Error, UNUSABLE, message, help)]);
        }
    };
    let validator = Validator::new(schema.clone());
    let mut found = Vec::new();
    let mut policies = PolicySet::new();
    for file in files {
        read(file, &validator, &mut policies, &mut found);
    }
    let count = policies.num_of_policies();
    if count > POLICIES_MAX {
        let message = format!("{count} Cedar policies are more than one request can be held against");
        let help = "write one `authorize` policy for each part of the API, with its own `scope`";
        found.push(fault("", None, DiagnosticSeverity::Error, UNUSABLE, message, help));
    }
    if found.iter().any(|fault| fault.severity == DiagnosticSeverity::Error) {
        return Err(found);
    }
    let plan = || {
        Some(CedarPlan {
            actions: actions(authorize, policies)?.into(),
            policy_count: count,
            authorizer: Authorizer::new(),
            claims: settings.claims.as_slice().into(),
            caller: "Caller".parse().ok()?,
            role: "Role".parse().ok()?,
            group: "Group".parse().ok()?,
            decided: Cache::new(DECIDED_MAX),
            schema,
        })
    };
    match plan() {
        Some(plan) => Ok((plan, found)),
        None => {
            let message = "an operation's id cannot be named in Cedar".to_owned();
            Err(vec![fault("", None, DiagnosticSeverity::Error, UNUSABLE, message, "give it a plainer id")])
        }
    }
}

/// The operations, each with the policies that can be about it. A policy whose scope names other actions is neither
/// satisfied nor computed for this one, so that leaving it out changes no decision, no reason and no error.
fn actions(authorize: &Authorize, policies: PolicySet) -> Option<Vec<Action>> {
    let uids: Vec<EntityUid> = authorize.operations.iter().map(action_uid).collect::<Option<_>>()?;
    let list: Vec<Policy> = policies.policies().cloned().collect();
    let all = (Arc::new(policies), Reads::of(&list));
    let mut gathered = 0;
    let mut sets: BTreeMap<Vec<usize>, (Arc<PolicySet>, Reads)> = BTreeMap::new();
    let names = type_names(&authorize.operations);
    let actions = authorize.operations.iter().zip(&names).zip(&uids).map(|((operation, name), uid)| {
        let numbers: Vec<usize> =
            (0..).zip(&list).filter(|(_, policy)| may_be_about(policy, uid)).map(|(number, _)| number).collect();
        let (set, reads) = match sets.get(&numbers) {
            Some(known) => known.clone(),
            None if gathered + numbers.len() > GATHERED_MAX => all.clone(),
            None => {
                gathered += numbers.len();
                let chosen = || numbers.iter().filter_map(|number| list.get(*number)).cloned();
                let set = PolicySet::from_policies(chosen()).ok()?;
                let chosen: Vec<Policy> = chosen().collect();
                sets.entry(numbers).or_insert((Arc::new(set), Reads::of(&chosen))).clone()
            }
        };
        Action::new(operation, name, set, reads)
    });
    actions.collect()
}

/// Whether the policy's scope leaves the action open, or names it. Actions are in no groups here.
fn may_be_about(policy: &Policy, action: &EntityUid) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(named) => named == *action,
        ActionConstraint::In(named) => named.contains(action),
    }
}

/// Reads one file into `policies`, its policies named by their `@id`, else by file and number.
fn read(file: &CedarFile, validator: &Validator, policies: &mut PolicySet, found: &mut Vec<Diagnostic>) {
    let told = |severity, code, position, message: String, help: &str| {
        fault(&file.name, position, severity, code, message, help)
    };
    if file.text.len() > FILE_BYTES_MAX {
        let message = format!("{} bytes are more than a policy file can have", file.text.len());
        found.push(told(DiagnosticSeverity::Error, UNUSABLE, None, message, "split it"));
        return;
    }
    let set: PolicySet = match file.text.parse() {
        Ok(set) => set,
        Err(errors) => {
            let errors: cedar_policy::ParseErrors = errors;
            for error in errors.iter().take(FAULTS_MAX) {
                let (position, help) = place(error, &file.text);
                found.push(told(DiagnosticSeverity::Error, UNUSABLE, position, error.to_string(), &help));
            }
            return;
        }
    };
    if let Some(template) = set.templates().next() {
        let message = format!("`{}` is a template, and nothing fills it in", template.id());
        found.push(told(
            DiagnosticSeverity::Error,
            UNUSABLE,
            None,
            message,
            "write policies without `?principal` and `?resource`",
        ));
    }
    let result = validator.validate(&set, ValidationMode::Strict);
    for error in result.validation_errors().take(FAULTS_MAX) {
        let (position, help) = place(error, &file.text);
        found.push(told(DiagnosticSeverity::Error, UNUSABLE, position, error.to_string(), &help));
    }
    for warning in result.validation_warnings().take(FAULTS_MAX) {
        let (position, help) = place(warning, &file.text);
        found.push(told(DiagnosticSeverity::Warning, SUSPECT, position, warning.to_string(), &help));
    }
    let mut ordered: Vec<_> = set.policies().collect();
    ordered.sort_by_key(|policy| number(policy.id()));
    for (index, policy) in ordered.into_iter().enumerate() {
        let stem = file.name.rsplit(['/', '\\']).next().unwrap_or(&file.name);
        let id = policy.annotation("id").map_or_else(|| format!("{stem}#{}", index + 1), str::to_owned);
        if policies.add(policy.new_id(PolicyId::new(&id))).is_err() {
            let message = format!("two policies have the id `{}`", excerpt(&id));
            found.push(told(
                DiagnosticSeverity::Error,
                UNUSABLE,
                None,
                message,
                "give one of them another `@id(\"…\")`",
            ));
        }
    }
}

/// Which policy of its file it is: Cedar names them `policy0`, `policy1`, ….
fn number(id: &PolicyId) -> usize {
    let text: &str = id.as_ref();
    text.trim_start_matches(|letter: char| !letter.is_ascii_digit()).parse().unwrap_or(usize::MAX)
}

/// Where a fault is, and what Cedar advises.
fn place(error: &impl miette::Diagnostic, text: &str) -> (Option<Position>, String) {
    let offset = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
    let position = offset.and_then(|offset| {
        let before = text.get(..offset)?;
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        Some(Position { line: u32::try_from(line).ok()?, column: u32::try_from(column).ok()? })
    });
    (position, error.help().map(|help| help.to_string()).unwrap_or_default())
}

fn fault(
    file: &str,
    position: Option<Position>,
    severity: DiagnosticSeverity,
    code: &str,
    message: String,
    help: &str,
) -> Diagnostic {
    Diagnostic {
        severity,
        code: code.to_owned(),
        file: file.to_owned(),
        position,
        path: String::new(),
        message,
        help: help.to_owned(),
    }
}
