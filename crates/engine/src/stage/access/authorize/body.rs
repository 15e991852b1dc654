//! Parameters in bodies: JSON, forms and multipart forms, for rules over objects.
//!
//! A body that cannot be read whole and for certain says nothing that could be believed: too large, another kind, broken,
//! packed in a way that is not understood, of a kind that two header fields contradict each other about, or called a form
//! while it begins like JSON. Members are compared without case, and all that have the name count: servers differ in which
//! of two they take. A form that is called plain text is a form: servers that do not look at the type take it for one.

use std::borrow::Cow;

use bartizan_content::{Content, FaultClass, Format, Kind, Limits, NodeRef, decode};
use bartizan_model::{Part, Principal};

use super::checks;
use super::object::{Given, Object};
use super::requirement::Fault;
use crate::parameters::{below, folded, is_dotted, plain_name};
use crate::stage::access::media::{Body, second_reading};

/// Why a body says nothing that could be believed, in words for the event.
type Unreadable = Cow<'static, str>;

/// A body, unpacked.
pub(crate) type Unpacked<'b> = Result<Cow<'b, [u8]>, Unreadable>;

/// The parameters of a body.
#[derive(Debug)]
pub(crate) enum Parameters<'b> {
    /// It is empty
    None,
    Json(Content<'b>),
    Form(Content<'b>),
}

/// What a body says, or why nothing that could be believed.
pub(crate) type Reading<'b> = Result<Parameters<'b>, Unreadable>;

/// Unpacks a body that is whole.
pub(crate) fn unpack(body: Body<'_>) -> Unpacked<'_> {
    if body.form.is_ambiguous {
        return Err("two fields say what kind of body it is".into());
    }
    match body.unpack(&Limits::default()) {
        Some(inflated) if inflated.fault.is_some() => Err("the body cannot be unpacked".into()),
        inflated => Ok(inflated.and_then(|inflated| inflated.bytes).map_or(Cow::Borrowed(body.bytes), Cow::Owned)),
    }
}

/// Reads a body that was unpacked.
pub(crate) fn read<'b>(body: Body<'b>, unpacked: &'b Unpacked<'_>) -> Reading<'b> {
    let bytes: &[u8] = unpacked.as_ref().map_err(Clone::clone)?;
    if bytes.is_empty() {
        return Ok(Parameters::None); // it has no parameters, whatever it is called
    }
    let format = match body.format(bytes) {
        Format::Raw if body.is_plain_text() => Format::Form,
        Format::Raw | Format::Xml | Format::Cookies | Format::Graphql | Format::Protobuf | Format::Grpc => {
            return Err("the body is neither JSON nor a form".into());
        }
        format @ (Format::Json | Format::Form | Format::Multipart(_)) => format,
    };
    if second_reading(format, bytes).is_some() {
        return Err("the body is not what it is called: it begins like JSON or XML".into());
    }
    let content = decode(format, bytes, &Limits::default());
    if let Some(fault) = content.faults().iter().find(|fault| fault.kind.class() != FaultClass::Oddity) {
        return Err(format!("the body cannot be read: {}", fault.name()).into());
    }
    Ok(if format == Format::Json { Parameters::Json(content) } else { Parameters::Form(content) })
}

/// What the body has against the first of `objects` that does not agree.
pub(crate) fn fault<'o>(
    parameters: &Reading<'_>,
    principal: &Principal,
    groups_claim: &str,
    mut objects: impl Iterator<Item = &'o Object>,
) -> Option<Fault> {
    let parameters = match parameters {
        Ok(parameters) => parameters,
        Err(words) => return Some(Fault::new(&checks::UNDECIDED, words.to_string(), Part::Body)),
    };
    objects.find_map(|object| object.body_fault(principal, groups_claim, values(parameters, object).into_iter()))
}

/// The values that a body has for `object`.
fn values<'c>(parameters: &'c Parameters<'_>, object: &Object) -> Vec<Given<'c>> {
    let mut values = Vec::new();
    match parameters {
        Parameters::None => {}
        Parameters::Json(content) => {
            let mut walk = content.walk();
            while let Some((path, leaf)) = walk.next_node() {
                let path = path.strip_prefix(b"json.").or_else(|| path.strip_prefix(b"json")).unwrap_or(path);
                values.extend(json_value(object, &folded(path), leaf));
            }
        }
        Parameters::Form(content) => {
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
    values
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::access::media::BodyForm;
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
        let body = Body { form: &form, bytes: body.as_bytes(), is_cut: false };
        let unpacked = unpack(body);
        let fault = fault(&read(body, &unpacked), &principal, "groups", std::iter::once(&object));
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
    fn a_form_that_is_called_plain_text_is_a_form() {
        for kind in ["text/plain", "Text/Plain; charset=UTF-8"] {
            assert_eq!(check("account accounts", kind, "account=7&account=8"), None);
            for body in ["account=9", "account=7&account=9", "other=7", "account=7\r\nother=1", "hello"] {
                assert!(
                    check("account accounts", kind, body).is_some_and(|fault| fault.starts_with("ACC-306")),
                    "{body}"
                );
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (content_type, body) in [
            ("application/json", r#"{"account": 7"#),
            ("application/json", r#"{"account": 7} {"account": 9}"#),
            ("text/csv", "account\n7"),
            ("text/plain", r#"{"account": 7}"#),
            ("text/plainer", "account=7"),
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
