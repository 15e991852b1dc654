//! Policies that say what callers may do: operations, rules over them, and what can never hold.

use bartizan_model::{PathTemplate, Segment, excerpt};

use super::{Checker, authenticate, condition};
use crate::authorization::{
    Attribute, AuthorizationRule, Authorize, CedarSettings, ClaimType, Comparison, ObjectPlace, ObjectRule, Operation,
    Requirement, Words,
};
use crate::defaults;
use crate::document;
use crate::path::SettingPath;
use crate::report;

/// How a rule over an object is written, for messages.
const OBJECT_HELP: &str = "write a parameter, `==` or `in`, and what is known of the caller, such as \
                           `path.accountId in principal.claims.accounts`";
/// What is known of a caller, for messages.
const ATTRIBUTES: &str = "`principal.subject`, `principal.application`, `principal.scopes`, `principal.roles`, \
                          `principal.groups` and `principal.claims.NAME`";

/// The meaning of `authorize`.
pub(super) fn authorize(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Authorize) -> Authorize {
    if written.rules.is_empty() && written.cedar.is_none() {
        let message = "`authorize` says nothing about who may do what".to_owned();
        checker.error(at, report::EMPTY, message, "add `rules` or `cedar`");
    }
    if written.cedar.is_some() && written.operations.is_empty() {
        let message = "Cedar policies have no action: there is no operation".to_owned();
        checker.error(&at.key("cedar"), report::MISSING_KEY, message, "add `operations`; their ids are the actions");
    }
    for (list, most) in [("operations", defaults::OPERATIONS_MAX), ("rules", defaults::AUTHORIZATION_RULES_MAX)] {
        let count = if list == "rules" { written.rules.len() } else { written.operations.len() };
        if count > most {
            let message = format!("{count} {list} are more than one policy can have");
            let help = format!("write at most {most}, and another policy for another `scope`");
            checker.error(&at.key(list), report::OUT_OF_RANGE, message, help);
        }
    }
    let operations = operations(checker, &at.key("operations"), &written.operations);
    let known: Vec<&str> = written.operations.iter().map(|operation| operation.id.as_str()).collect();
    let rules = rules(checker, &at.key("rules"), &written.rules, &known, &operations);
    for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.anonymous && written.cedar.is_some()) {
        let message = format!("Cedar policies are about known callers, so `{}` lets nobody in", excerpt(&rule.name));
        let help = "write operations for nobody in a policy without `cedar`";
        let at = at.key("rules").index(index).key("anonymous");
        checker.error(&at, report::CONTRADICTION, message, help);
    }
    let is_unmatched_allowed = matches!(written.unmatched, document::Unmatched::Allow);
    if is_unmatched_allowed {
        let message = "what no operation names is open to everybody".to_owned();
        checker.warning(&at.key("unmatched"), report::WEAK, message, "name every operation, and leave this out");
    }
    Authorize {
        operations,
        rules,
        is_unmatched_allowed,
        groups_claim: written.groups_claim.clone(),
        body_bytes_max: checker.size(
            &at.key("body_bytes_max"),
            &written.body_bytes_max,
            defaults::AUTHORIZE_BODY_BYTES,
        ),
        cedar: written.cedar.as_ref().map(|cedar| self::cedar(checker, &at.key("cedar"), cedar)),
    }
}

fn operations(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &[document::Operation]) -> Vec<Operation> {
    names(checker, at, "operation", "id", written.iter().map(|operation| operation.id.as_str()));
    let mut operations: Vec<Operation> = Vec::new();
    for (index, operation) in written.iter().enumerate() {
        let at = at.index(index);
        let methods = checker.methods(&at.key("methods"), &operation.methods);
        let errors = checker.report.errors();
        let Some((template, is_open)) = template(checker, &at.key("path"), &operation.path) else { continue };
        let meant = Operation { id: operation.id.clone(), methods, template, is_open, query: operation.query.clone() };
        let twin = operations.iter().position(|other| is_same(other, &meant));
        if let Some(other) = twin.and_then(|twin| operations.get(twin)).filter(|_| checker.report.errors() == errors) {
            let message = format!("`{}` and `{}` are the same operation", excerpt(&other.id), excerpt(&meant.id));
            checker.error(&at.key("path"), report::CONTRADICTION, message, "keep one, or give them other methods");
        }
        operations.push(meant);
    }
    operations
}

/// Whether two operations take the same requests, so that nothing would say which is meant.
fn is_same(a: &Operation, b: &Operation) -> bool {
    let segment = |segment: &Segment| match segment {
        Segment::Literal(literal) => Some(literal.to_ascii_lowercase()),
        Segment::Parameter(_) => None,
    };
    let is_one_form = a.is_open == b.is_open
        && a.template.segments().iter().map(segment).eq(b.template.segments().iter().map(segment));
    is_one_form
        && (a.methods.is_empty() && b.methods.is_empty() || a.methods.iter().any(|method| b.methods.contains(method)))
}

/// A path template, and whether anything may follow it.
fn template(checker: &mut Checker<'_, '_>, at: &SettingPath, text: &str) -> Option<(PathTemplate, bool)> {
    let (form, is_open) = match text.strip_suffix("/**") {
        Some(form) => (form, true),
        None => (text, false),
    };
    let trimmed = form.strip_suffix('/').unwrap_or(form);
    let form = if trimmed.is_empty() { "/" } else { trimmed };
    let fault = if form.contains('*') {
        Some("write `{name}` for a segment that varies, and `/**` only at the end".to_owned())
    } else if form.contains(['?', '#', '%', ';', '\\']) || form.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
        Some("write the path decoded, in ASCII, without query".to_owned())
    } else if form.split('/').skip(1).any(|segment| matches!(segment, "." | "..") || segment.is_empty()) && form != "/"
    {
        Some("write whole segments, without `.` and `..`".to_owned())
    } else {
        None
    };
    let parsed = form.parse::<PathTemplate>();
    let fault = fault.or_else(|| parsed.as_ref().err().map(ToString::to_string));
    if let Some(help) = fault {
        checker.error(at, report::MALFORMED_PATH, format!("`{}` is not a path template", excerpt(text)), help);
    }
    let template = parsed.ok()?;
    let mut seen: Vec<&str> = Vec::new();
    for segment in template.segments() {
        let Segment::Parameter(name) = segment else { continue };
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if !is_name || seen.contains(&&**name) {
            let message = format!("`{{{}}}` does not name one parameter", excerpt(name));
            checker.error(at, report::MALFORMED_PATH, message, "use each name once: letters, digits, `_` and `-`");
        }
        seen.push(name);
    }
    Some((template, is_open))
}

fn rules(
    checker: &mut Checker<'_, '_>,
    at: &SettingPath,
    written: &[document::AuthorizationRule],
    known: &[&str],
    operations: &[Operation],
) -> Vec<AuthorizationRule> {
    names(checker, at, "rule", "name", written.iter().map(|rule| rule.name.as_str()));
    let mut rules = Vec::new();
    for (index, rule) in written.iter().enumerate() {
        let at = at.index(index);
        let mut about = Vec::new();
        for (index, id) in rule.operations.iter().enumerate() {
            checker.known_name(&at.key("operations").index(index), "operation", id, known);
            about.extend(known.iter().position(|known| known == id));
        }
        about.sort_unstable();
        about.dedup();
        let in_scope: Vec<&Operation> = (0..)
            .zip(operations)
            .filter(|(at, _)| about.is_empty() || about.contains(at))
            .map(|(_, one)| one)
            .collect();
        let require = rule.require.as_ref();
        let require = require.map(|require| requirement(checker, &at.key("require"), require, &in_scope));
        let require = require.unwrap_or_default();
        let any_of: Vec<Requirement> = rule
            .any_of
            .iter()
            .enumerate()
            .map(|(index, one)| requirement(checker, &at.key("any_of").index(index), one, &in_scope))
            .collect();
        let is_for_anybody = require.is_for_anybody() && any_of.iter().all(Requirement::is_for_anybody);
        if rule.anonymous && !is_for_anybody {
            let message =
                "nobody has scopes, roles, groups, claims or objects, so `anonymous` lets nobody in".to_owned();
            let help = "leave out `anonymous: true`, or demand conditions (`when`) only";
            checker.error(&at.key("anonymous"), report::CONTRADICTION, message, help);
        }
        let name = rule.name.clone();
        rules.push(AuthorizationRule { name, operations: about, anonymous: rule.anonymous, require, any_of });
    }
    rules
}

fn requirement(
    checker: &mut Checker<'_, '_>,
    at: &SettingPath,
    written: &document::Requirement,
    operations: &[&Operation],
) -> Requirement {
    let scopes_at = at.key("scopes");
    let scopes = Words {
        all: authenticate::scopes(checker, &scopes_at.key("all"), &written.scopes.all),
        any: authenticate::scopes(checker, &scopes_at.key("any"), &written.scopes.any),
    };
    let words = |words: &document::Words| Words { all: words.all.clone(), any: words.any.clone() };
    let objects_at = at.key("objects");
    let objects = written.objects.iter().enumerate();
    let objects: Vec<ObjectRule> =
        objects.filter_map(|(index, text)| object(checker, &objects_at.index(index), text, operations)).collect();
    if let Some(when) = &written.when {
        condition::check(checker, &at.key("when"), when);
    }
    Requirement {
        scopes,
        roles: words(&written.roles),
        groups: words(&written.groups),
        claims: written.claims.iter().map(authenticate::claim_rule).collect(),
        objects,
        when: written.when.clone(),
    }
}

/// `path.accountId in principal.claims.accounts`
fn object(
    checker: &mut Checker<'_, '_>,
    at: &SettingPath,
    text: &str,
    operations: &[&Operation],
) -> Option<ObjectRule> {
    let mut refuse = |message: String, help: &str| {
        checker.error(at, report::MALFORMED_PATTERN, message, help);
        None
    };
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [parameter, comparison, attribute] = words.as_slice() else {
        return refuse(format!("`{}` is not a rule over an object", excerpt(text)), OBJECT_HELP);
    };
    let place = parameter.split_once('.').and_then(|(place, name)| {
        let place = ObjectPlace::ALL.into_iter().find(|known| known.as_str() == place)?;
        (!name.is_empty()).then_some((place, name))
    });
    let Some((place, name)) = place else {
        let help = "begin with `path.`, `query.`, `header.`, `cookie.` or `body.` and the parameter's name";
        return refuse(format!("`{}` is not a parameter", excerpt(parameter)), help);
    };
    let comparison = match *comparison {
        "==" => Comparison::Equal,
        "in" => Comparison::In,
        other => return refuse(format!("`{}` is not a comparison", excerpt(other)), "write `==` or `in`"),
    };
    let Some(attribute) = self::attribute(attribute) else {
        let help = format!("write one of {ATTRIBUTES}");
        return refuse(format!("`{}` is nothing that is known of a caller", excerpt(attribute)), &help);
    };
    match (&attribute, comparison) {
        (Attribute::Subject | Attribute::Application, Comparison::In) => {
            return refuse(format!("`{attribute}` is one value, not a list"), "write `==`");
        }
        (Attribute::Scopes | Attribute::Roles | Attribute::Groups, Comparison::Equal) => {
            return refuse(format!("`{attribute}` is a list, not one value"), "write `in`");
        }
        (Attribute::Claim(_), _)
        | (Attribute::Subject | Attribute::Application, Comparison::Equal)
        | (Attribute::Scopes | Attribute::Roles | Attribute::Groups, Comparison::In) => {}
    }
    if place == ObjectPlace::Path {
        let lacks = operations.iter().find(|operation| operation.path_parameters().all(|known| known != name));
        if operations.is_empty() {
            return refuse("there is no operation whose path has parameters".to_owned(), "add `operations`");
        } else if let Some(lacks) = lacks {
            let message = format!("the path of `{}` has no parameter `{}`", excerpt(&lacks.id), excerpt(name));
            return refuse(message, "name the operations that the rule is about in `operations`");
        }
    }
    let name = match place {
        ObjectPlace::Header => checker.header_name(at, name),
        ObjectPlace::Path | ObjectPlace::Query | ObjectPlace::Cookie | ObjectPlace::Body => name.to_owned(),
    };
    Some(ObjectRule { place, name, comparison, attribute })
}

fn attribute(text: &str) -> Option<Attribute> {
    Some(match text.strip_prefix("principal.")? {
        "subject" => Attribute::Subject,
        "application" => Attribute::Application,
        "scopes" => Attribute::Scopes,
        "roles" => Attribute::Roles,
        "groups" => Attribute::Groups,
        other => Attribute::Claim(other.strip_prefix("claims.").filter(|name| !name.is_empty())?.to_owned()),
    })
}

fn cedar(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Cedar) -> CedarSettings {
    let files_at = at.key("files");
    let files = written.files.iter().enumerate();
    let files = files.map(|(index, name)| checker.file(&files_at.index(index), name)).collect();
    let claims_at = at.key("claims");
    let mut claims: Vec<(String, ClaimType)> = Vec::new();
    for (index, claim) in written.claims.iter().enumerate() {
        if claims.iter().any(|(known, _)| *known == claim.name) {
            let message = format!("the claim `{}` is declared twice", excerpt(&claim.name));
            checker.error(&claims_at.index(index).key("name"), report::NOT_UNIQUE, message, "keep one");
        }
        claims.push((claim.name.clone(), claim_type(claim.kind)));
    }
    CedarSettings { files, claims }
}

const fn claim_type(written: document::ClaimType) -> ClaimType {
    match written {
        document::ClaimType::String => ClaimType::String,
        document::ClaimType::Long => ClaimType::Long,
        document::ClaimType::Boolean => ClaimType::Boolean,
        document::ClaimType::Strings => ClaimType::Strings,
        document::ClaimType::Longs => ClaimType::Longs,
    }
}

/// Names of one kind, under a key of their own: well-formed and unique.
fn names<'n>(
    checker: &mut Checker<'_, '_>,
    list: &SettingPath,
    kind: &str,
    key: &str,
    names: impl Iterator<Item = &'n str>,
) {
    let mut seen = std::collections::HashMap::new();
    for (index, name) in names.enumerate() {
        let at = list.index(index).key(key);
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
            let message = format!("`{}` is not a name", excerpt(name));
            checker.error(&at, report::MALFORMED_NAME, message, "use letters, digits, `-`, `_` and `.`");
        }
        if let Some(first) = seen.insert(name, index) {
            let line = checker.line_of(&list.index(first).key(key));
            let message = format!("two {kind}s have the {key} `{}`", excerpt(name));
            checker.error(&at, report::NOT_UNIQUE, message, format!("the other is on line {line}; rename one"));
        }
    }
}
