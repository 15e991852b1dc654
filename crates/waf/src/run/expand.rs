//! Templates → bytes: what macros stand for at this moment.

use crate::inputs::Inputs;
use crate::plan::{Piece, RuleInfo, Source, Template};

use super::persistent::Persistent;
use super::tx::{Tx, TxValue};
use super::values::Matched;

/// LIMIT: bytes of an expanded text; longer ones are cut.
const EXPANDED_BYTES_MAX: usize = 64 << 10;

/// What macros are taken from.
pub(crate) struct Expander<'a> {
    pub(crate) inputs: &'a Inputs,
    pub(crate) tx: &'a Tx,
    pub(crate) matched: &'a [Matched],
    pub(crate) persistent: &'a Persistent,
    pub(crate) info: Option<&'a RuleInfo>,
}

impl Expander<'_> {
    /// Appends the text.
    pub(crate) fn expand(&self, template: &Template, out: &mut Vec<u8>) {
        for piece in &template.0 {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Tx(slot) => self.tx_value(self.tx.slot(*slot), out),
                Piece::Rule(name) => self.rule(name, out),
                Piece::Value(source, member) => self.value(*source, member.as_deref(), out),
            }
        }
        out.truncate(EXPANDED_BYTES_MAX);
    }

    fn tx_value(&self, value: TxValue, out: &mut Vec<u8>) {
        match value {
            TxValue::Unset => {}
            TxValue::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
            TxValue::Text(span) => out.extend_from_slice(self.inputs.text.at(span)),
        }
    }

    fn rule(&self, name: &str, out: &mut Vec<u8>) {
        let Some(info) = self.info else { return };
        match name {
            "id" => out.extend_from_slice(info.id.to_string().as_bytes()),
            "msg" => out.extend_from_slice(info.message.as_bytes()),
            "severity" => out.extend(info.severity.map(|severity| b'0' + severity)),
            _ => {}
        }
    }

    fn value(&self, source: Source, member: Option<&[u8]>, out: &mut Vec<u8>) {
        let span = match source {
            Source::Lists(lists, is_names) => lists.iter().flat_map(|list| self.inputs.list(*list)).find_map(|item| {
                let is_meant = member.is_none_or(|member| self.inputs.text.at(item.name).eq_ignore_ascii_case(member));
                is_meant.then_some(if is_names { item.name } else { item.value })
            }),
            Source::Scalar(variable) => self.inputs.scalar(variable),
            Source::LastMatched(is_name) | Source::Matched(is_name) => return self.last(is_name, out),
            Source::Slot(slot) => return self.tx_value(self.tx.slot(slot), out),
            Source::Persistent(collection) => {
                let member = member.unwrap_or_default();
                return self.persistent.each(collection, Some(member), &mut |_, value| value.append_to(out));
            }
            Source::Tx | Source::Nothing => None,
        };
        out.extend_from_slice(span.map(|span| self.inputs.text.at(span)).unwrap_or_default());
    }

    fn last(&self, is_name: bool, out: &mut Vec<u8>) {
        let Some(matched) = self.matched.last() else { return };
        if is_name {
            matched.append_name(&self.inputs.text, out);
        } else {
            out.extend_from_slice(self.inputs.text.at(matched.value));
        }
    }
}
