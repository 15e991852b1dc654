//! Parameters in bodies: JSON, forms and multipart forms, for rules over objects.
//!
//! A body that cannot be read whole and for certain says nothing that could be believed: too large, another kind, broken,
//! packed in a way that is not understood, of a kind that two header fields contradict each other about, or called a form
//! while it begins like JSON. Members are compared without case, and all that have the name count: servers differ in which
//! of two they take.

use bartizan_content::{FaultClass, Format, Kind, Limits, NodeRef, decode, inflate};
use bartizan_model::{Part, Principal};

use super::checks;
use super::object::{Given, Object, plain_name};
use super::requirement::Fault;
use crate::parameters::folded;
use crate::stage::access::media::second_reading;

/// What is remembered of the head to read the body by.
#[derive(Debug, Default)]
pub(crate) struct BodyForm {
    pub(crate) content_type: Option<Box<[u8]>>,
    pub(crate) coding: Option<Box<[u8]>>,
    /// One of the fields stands twice
    pub(crate) is_ambiguous: bool,
}

/// What the body has against the first of `objects` that does not agree.
pub(crate) fn fault<'o>(
    form: &BodyForm,
    bytes: &[u8],
    principal: &Principal,
    groups_claim: &str,
    objects: impl Iterator<Item = &'o Object>,
) -> Option<Fault> {
    let unreadable = |words: &str| Some(Fault::new(&checks::UNDECIDED, words.to_owned(), Part::Body));
    if form.is_ambiguous {
        return unreadable("two fields say what kind of body it is");
    }
    let limits = Limits::default();
    let unpacked = match form.coding.as_deref() {
        Some(coding) => match inflate(coding, bytes, &limits) {
            inflated if inflated.fault.is_some() => return unreadable("the body cannot be unpacked"),
            inflated => inflated.bytes,
        },
        None => None,
    };
    let bytes = unpacked.as_deref().unwrap_or(bytes);
    let format = Format::of(form.content_type.as_deref(), bytes);
    match format {
        Format::Json | Format::Form | Format::Multipart(_) => {}
        Format::Raw | Format::Xml | Format::Cookies | Format::Graphql | Format::Protobuf | Format::Grpc => {
            // An empty body has no parameters, whatever it is called.
            return match bytes.is_empty() {
                true => of_nothing(principal, groups_claim, objects),
                false => unreadable("the body is neither JSON nor a form"),
            };
        }
    }
    if bytes.is_empty() {
        return of_nothing(principal, groups_claim, objects);
    }
    if second_reading(format, bytes).is_some() {
        return unreadable("the body is not what it is called: it begins like JSON or XML");
    }
    let content = decode(format, bytes, &limits);
    if let Some(fault) = content.faults().iter().find(|fault| fault.kind.class() != FaultClass::Oddity) {
        return unreadable(&format!("the body cannot be read: {}", fault.name()));
    }
    for object in objects {
        let mut values = Vec::new();
        match format {
            Format::Json => {
                let mut walk = content.walk();
                while let Some((path, leaf)) = walk.next_node() {
                    let path = path.strip_prefix(b"json.").or_else(|| path.strip_prefix(b"json")).unwrap_or(path);
                    values.extend(json_value(object, &folded(path), leaf));
                }
            }
            _ => {
                let named = plain_name(object.name());
                values.extend(content.roots().filter_map(|pair| {
                    let is_named = plain_name(pair.key()) == named || is_dotted(object.name(), pair.key());
                    is_named.then(|| match pair.kind() {
                        Kind::Pair | Kind::Field => Given::Untyped(pair.value()),
                        _ => Given::Other,
                    })
                }));
            }
        }
        if let Some(fault) = object.body_fault(principal, groups_claim, values.into_iter()) {
            return Some(fault);
        }
    }
    None
}

/// The first object's fault when there is no body.
fn of_nothing<'o>(
    principal: &Principal,
    groups_claim: &str,
    mut objects: impl Iterator<Item = &'o Object>,
) -> Option<Fault> {
    objects.find_map(|object| object.body_fault(principal, groups_claim, std::iter::empty()))
}

/// The value that a node of JSON has for `object`: of the node itself, or of one in a list that the path leads to. What
/// is an object, or lies deeper, can be compared with nothing.
fn json_value<'c>(object: &Object, path: &[u8], node: NodeRef<'c>) -> Option<Given<'c>> {
    let rest = below(object.name(), path)?;
    let is_item = !rest.is_empty() && rest.iter().all(u8::is_ascii_digit);
    Some(match node.kind() {
        Kind::Array if rest.is_empty() => return None, // its items speak for it
        _ if !rest.is_empty() && !is_item => Given::Other,
        Kind::String => Given::Text(node.value()),
        Kind::Number => Given::Number(node.value()),
        Kind::Bool => Given::Boolean(node.value() == b"true"),
        _ => Given::Other,
    })
}

/// Whether a form's `items[0][name]` is what a path such as `items.*.name` means.
fn is_dotted(pattern: &[u8], key: &[u8]) -> bool {
    let dotted = key.iter().filter(|byte| **byte != b']').map(|byte| if *byte == b'[' { b'.' } else { *byte });
    let dotted: Vec<u8> = dotted.collect();
    let dotted = dotted.strip_suffix(b".").unwrap_or(&dotted);
    below(pattern, dotted).is_some_and(|rest| rest.iter().all(u8::is_ascii_digit))
}

/// What of `path` lies below `pattern`, in which `*` stands for one name or index; `None` when it lies elsewhere.
fn below<'p>(pattern: &[u8], path: &'p [u8]) -> Option<&'p [u8]> {
    let mut rest = path;
    for (number, step) in pattern.split(|byte| *byte == b'.').enumerate() {
        if number > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let end = rest.iter().position(|byte| *byte == b'.').unwrap_or(rest.len());
        let (first, after) = rest.split_at_checked(end)?;
        if first.is_empty() || step != b"*" && !first.eq_ignore_ascii_case(step) {
            return None;
        }
        rest = after;
    }
    match rest.split_first() {
        None => Some(b""),
        Some((b'.', below)) => Some(below),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_config::{Attribute, Comparison, ObjectPlace, ObjectRule};
    use bartizan_model::{ClaimValue, CredentialKind, Strength};

    fn check(name: &str, content_type: &str, body: &str) -> Option<String> {
        let mut principal = Principal::new("issuer", "ann", CredentialKind::Jwt, Strength::Bearer);
        principal.claims = vec![
            ("accounts".into(), ClaimValue::Numbers(vec![7, 8])),
            ("names".into(), ClaimValue::List(vec!["a".into(), "b".into()])),
        ];
        let (name, claim) = name.split_once(' ').unwrap();
        let object = Object::new(&ObjectRule {
            place: ObjectPlace::Body,
            name: name.to_owned(),
            comparison: Comparison::In,
            attribute: Attribute::Claim(claim.to_owned()),
        });
        let form = BodyForm { content_type: Some(content_type.as_bytes().into()), coding: None, is_ambiguous: false };
        let fault = fault(&form, body.as_bytes(), &principal, "groups", std::iter::once(&object));
        fault.map(|fault| format!("{} {}", fault.info.id, fault.words))
    }

    #[test]
    fn members_of_json_must_agree_in_value_and_type() {
        for (rule, body) in [
            ("account accounts", r#"{"account": 7}"#),
            ("account accounts", r#"{"Account": 7, "account": 8}"#),
            ("account accounts", r#"{"account": [7, 8]}"#),
            ("from.account accounts", r#"{"from": {"account": 7}, "account": 9}"#),
            ("items.*.name names", r#"{"items": [{"name": "a"}, {"name": "b"}]}"#),
            ("*.name names", r#"[{"name": "a"}]"#),
        ] {
            assert_eq!(check(rule, "application/json", body), None, "{rule} {body}");
        }
        for (rule, body) in [
            ("account accounts", r#"{"account": 9}"#),
            ("account accounts", r#"{"account": "7"}"#),
            ("account accounts", r#"{"account": 7.0}"#),
            ("account accounts", r#"{"account": 7e0}"#),
            ("account accounts", r#"{"account": 7, "account": 9}"#),
            ("account accounts", r#"{"account": 7, "ACCOUNT": 9}"#),
            ("account accounts", r#"{"account": [7, 9]}"#),
            ("account accounts", r#"{"account": [[7]]}"#),
            ("account accounts", r#"{"account": {"id": 7}}"#),
            ("account accounts", r#"{"account": null}"#),
            ("account accounts", r#"{"account": []}"#),
            ("account accounts", r#"{}"#),
            ("account accounts", r#"7"#),
            ("name names", r#"{"name": "A"}"#),
            ("name names", r#"{"name": true}"#),
            ("items.*.name names", r#"{"items": [{"name": "a"}, {"name": "c"}]}"#),
            ("key names", r#"{"key": "a", "\u212aey": "c"}"#),
            ("items.*.name names", r#"{"items": [{"name": "a"}], "item\u017f": [{"name": "c"}]}"#),
            ("name missing", r#"{"name": "a"}"#),
        ] {
            let fault = check(rule, "application/json", body);
            assert!(fault.as_ref().is_some_and(|fault| fault.starts_with("ACC-306")), "{rule} {body}: {fault:?}");
        }
    }

    #[test]
    fn fields_of_forms_carry_text() {
        let form = "application/x-www-form-urlencoded";
        assert_eq!(check("account accounts", form, "account=7&account=8"), None);
        assert_eq!(check("account accounts", form, "%61ccount=%37&other=9"), None);
        for body in ["account=7&account=9", "account=7&Account[]=9", "account=07", "other=7", "account="] {
            assert!(check("account accounts", form, body).is_some_and(|fault| fault.starts_with("ACC-306")), "{body}");
        }
        assert_eq!(check("items.*.id accounts", form, "items[0][id]=7&items[1][id]=8"), None);
        for body in ["items[0][id]=7&items[1][id]=9", "items.0.id=7&items[0][id]=9", "items[id]=7"] {
            assert!(
                check("items.*.id accounts", form, body).is_some_and(|fault| fault.starts_with("ACC-306")),
                "{body}"
            );
        }
        for body in ["from.id=7&from[id]=9", "from_id=7&from[id]=9"] {
            assert!(check("from.id accounts", form, body).is_some_and(|fault| fault.starts_with("ACC-306")), "{body}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (content_type, body) in [
            ("application/json", r#"{"account": 7"#),
            ("application/json", r#"{"account": 7} {"account": 9}"#),
            ("text/csv", "account\n7"),
            ("application/xml", "<account>7</account>"),
            ("application/x-www-form-urlencoded", r#"{"n":"&account=7&","account":9}"#),
            ("application/x-www-form-urlencoded", "\u{feff} [{\"n\":\"&account=7&\"}]"),
            ("application/x-www-form-urlencoded", "<n a='&account=7&'/>"),
            ("application/json", "<account>7</account>"),
            (
                "multipart/form-data; boundary=b",
                "{\"account\":9}\r\n--b\r\nContent-Disposition: form-data; name=account\r\n\r\n7\r\n--b--\r\n",
            ),
        ] {
            let fault = check("account accounts", content_type, body);
            assert!(fault.as_ref().is_some_and(|fault| fault.starts_with("ACC-309")), "{body}: {fault:?}");
        }
        assert_eq!(
            check("account accounts", "application/json", "").as_deref(),
            Some("ACC-306 the parameter is missing")
        );
    }
}
