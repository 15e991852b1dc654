//! Makes the changes to an answer's head that policies want.

use bartizan_engine::{ResponseEdit, ResponseEdits, varies_by};
use http::header;
use pingora::Result;
use pingora::http::ResponseHeader;

/// Makes each change, in order.
pub(crate) fn apply(response: &mut ResponseHeader, edits: &ResponseEdits) -> Result<()> {
    for edit in edits.iter() {
        match edit {
            ResponseEdit::Remove(name) => _ = response.remove_header(&**name),
            ResponseEdit::Replace(name, value) => response.insert_header(name.to_string(), &**value)?,
            ResponseEdit::Keep(name, value) if !response.headers.contains_key(&**name) => {
                response.insert_header(name.to_string(), &**value)?;
            }
            ResponseEdit::Keep(..) => {}
            ResponseEdit::Vary(name) => {
                let mut fields = response.headers.get_all(header::VARY).iter();
                if !fields.any(|field| varies_by(field.as_bytes(), name)) {
                    response.append_header(header::VARY, *name)?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_made_in_their_order() {
        let text = "
listeners: [{ address: \"127.0.0.1:1\" }]
upstreams: [{ name: a, targets: [{ address: \"127.0.0.1:2\" }] }]
policies:
  - name: pages
    mode: enforce
    cors: { origins: [\"https://a.example\"] }
  - name: answers
    mode: enforce
    response_headers: { set: [{ name: x-a, value: ours, existing: replace }], remove: [server] }
";
        let (_, snapshot) = crate::exchange::tests::compiled(text);
        let connection = bartizan_model::Connection { peer: None, local: None, tls: None };
        let (id, source) = (bartizan_model::RequestId::from_bits(1), bartizan_model::Source::Gateway);
        let now = bartizan_model::Timestamp::default();
        let mut inspection = bartizan_engine::Inspection::new(snapshot, &connection, id, source, now);
        inspection.request_head(&bartizan_model::RequestHead {
            method: b"GET",
            target: b"/",
            scheme: bartizan_model::Scheme::Http,
            authority: b"b.example",
            version: bartizan_model::HttpVersion::Http11,
            headers: &[bartizan_model::HeaderField { name: b"origin", value: b"https://a.example" }],
        });
        let mut response = ResponseHeader::build(200, None).unwrap();
        for (name, value) in [
            ("Server", "x/1"),
            ("X-A", "theirs"),
            ("Referrer-Policy", "same-origin"),
            ("Access-Control-Allow-Origin", "*"),
            ("Vary", "accept"),
        ] {
            response.append_header(name, value).unwrap();
        }
        apply(&mut response, &inspection.response_edits()).unwrap();
        let all =
            |name: &str| response.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(all("server"), [""; 0]);
        assert_eq!(all("x-a"), ["ours"]);
        assert_eq!(all("referrer-policy"), ["same-origin"], "the upstream's own is kept");
        assert_eq!(all("access-control-allow-origin"), ["https://a.example"]);
        assert_eq!(all("vary"), ["accept", "origin"]);
    }
}
