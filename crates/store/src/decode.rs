//! Columns back into rows and events.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use bartizan_model::{
    Actor, AuthKind, AuthKinds, CheckId, Client, Decision, EndpointRef, Event, EventPrincipal, Missing, Timestamp,
};
use serde::de::DeserializeOwned;

use crate::answer::EventRow;
use crate::{Error, schema};

/// The rows of a batch that has at least the columns of [`EventRow`].
pub(crate) fn event_rows(batch: &RecordBatch) -> Result<Vec<EventRow>, Error> {
    (0..batch.num_rows()).map(|row| Row { batch, row }.event_row()).collect()
}

/// The events of a batch that has every column.
pub(crate) fn events(batch: &RecordBatch) -> Result<Vec<Event>, Error> {
    (0..batch.num_rows()).map(|row| Row { batch, row }.event()).collect()
}

struct Row<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl<'a> Row<'a> {
    fn column(&self, name: &str) -> Result<&'a ArrayRef, Error> {
        let column = self.batch.column_by_name(name);
        column.ok_or_else(|| Error::Encoding(format!("column `{name}` is missing")))
    }

    fn optional_text(&self, name: &str) -> Result<Option<&'a str>, Error> {
        let column = self.column(name)?;
        let text = column.as_string_view_opt().ok_or_else(|| Error::Encoding(format!("column `{name}` is no text")))?;
        Ok((!text.is_null(self.row)).then(|| text.value(self.row)))
    }

    /// NULL, in a segment older than the column, reads as empty.
    fn text(&self, name: &str) -> Result<&'a str, Error> {
        Ok(self.optional_text(name)?.unwrap_or_default())
    }

    fn owned(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.optional_text(name)?.map(str::to_owned))
    }

    fn boxed(&self, name: &str) -> Result<Option<Box<str>>, Error> {
        Ok(self.optional_text(name)?.map(Into::into))
    }

    fn shared(&self, name: &str) -> Result<Option<Arc<str>>, Error> {
        Ok(self.optional_text(name)?.map(Into::into))
    }

    fn optional_number(&self, name: &str) -> Result<Option<u64>, Error> {
        let column = self.column(name)?;
        if column.is_null(self.row) {
            return Ok(None);
        }
        let number = match column.as_primitive_opt::<Int64Type>() {
            Some(numbers) => numbers.value(self.row),
            None => column
                .as_primitive_opt::<Int32Type>()
                .map(|numbers| i64::from(numbers.value(self.row)))
                .ok_or_else(|| Error::Encoding(format!("column `{name}` is no number")))?,
        };
        Ok(Some(u64::try_from(number).unwrap_or_default()))
    }

    fn number(&self, name: &str) -> Result<u64, Error> {
        Ok(self.optional_number(name)?.unwrap_or_default())
    }

    fn status(&self, name: &str) -> Result<u16, Error> {
        Ok(u16::try_from(self.number(name)?).unwrap_or_default())
    }

    fn time(&self) -> Result<Timestamp, Error> {
        let column = self.column("time")?.as_primitive_opt::<TimestampMicrosecondType>();
        let column = column.ok_or_else(|| Error::Encoding("column `time` is no time".to_owned()))?;
        Ok(Timestamp::from_micros(column.value(self.row)))
    }

    fn boolean(&self, name: &str) -> Result<bool, Error> {
        let column = self.column(name)?.as_boolean_opt();
        Ok(column.is_some_and(|column| !column.is_null(self.row) && column.value(self.row)))
    }

    fn words(&self, name: &str) -> Result<Vec<String>, Error> {
        Ok(self.text(name)?.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }

    /// A value of one of our enums, from its word.
    fn word<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let word = self.text(name)?;
        serde_json::from_value(serde_json::Value::from(word)).map_err(|_| unreadable(name, word))
    }

    /// Items of a JSON column; NULL is none.
    fn items<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, Error> {
        match self.optional_text(name)? {
            Some(json) => serde_json::from_str(json).map_err(|_| unreadable(name, json)),
            None => Ok(Vec::new()),
        }
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Error> {
        let parse = |text: &str| text.parse().map_err(|_| unreadable(name, text));
        self.optional_text(name)?.map(parse).transpose()
    }

    fn event_row(&self) -> Result<EventRow, Error> {
        let text = |name| self.text(name).map(str::to_owned);
        Ok(EventRow {
            id: text("id")?,
            time: self.time()?,
            source: text("source")?,
            client_ip: self.owned("client_ip")?,
            actor_kind: text("actor_kind")?,
            actor: text("actor")?,
            scheme: text("scheme")?,
            version: text("version")?,
            host: text("host")?,
            method: text("method")?,
            path: text("path")?,
            api: self.owned("api")?,
            endpoint_id: self.owned("endpoint_id")?,
            template: self.owned("template")?,
            auth: self.words("auth")?,
            user_agent: self.owned("user_agent")?,
            request_type: self.owned("request_type")?,
            response_type: self.owned("response_type")?,
            ending: text("ending")?,
            status: self.status("status")?,
            request_bytes: self.number("request_bytes")?,
            response_bytes: self.number("response_bytes")?,
            duration_us: self.number("duration_us")?,
            upstream_us: self.optional_number("upstream_us")?,
            upstream: self.owned("upstream")?,
            decision: text("decision")?,
            applied: self.boolean("applied")?,
            decision_status: self.status("decision_status")?,
            check: self.owned("check")?,
            policy: self.owned("policy")?,
            findings_count: u32::try_from(self.number("findings_count")?).unwrap_or(u32::MAX),
            missing: self.words("missing")?,
            application: self.owned("application")?,
            credential_id: self.owned("credential_id")?,
            cache_status: self.owned("cache_status")?,
        })
    }

    fn event(&self) -> Result<Event, Error> {
        let id = self.text("endpoint_id")?;
        let endpoint = match self.shared("template")? {
            Some(template) => {
                Some(EndpointRef { id: id.parse().map_err(|_| unreadable("endpoint_id", id))?, template })
            }
            None => None,
        };
        Ok(Event {
            id: self.parsed("id")?.ok_or_else(|| unreadable("id", ""))?,
            time: self.time()?,
            source: self.word("source")?,
            client: Client {
                ip: self.parsed("client_ip")?,
                via: self.parsed("client_via")?,
                tls_version: self.boxed("tls_version")?,
            },
            actor: Actor { kind: self.word("actor_kind")?, id: self.text("actor")?.into() },
            scheme: self.word("scheme")?,
            version: self.word("version")?,
            host: self.text("host")?.into(),
            method: self.text("method")?.into(),
            path: self.text("path")?.into(),
            api: self.shared("api")?,
            endpoint,
            parameters: self.items("parameters")?,
            auth: self.auth()?,
            principal: self.principal()?,
            user_agent: self.boxed("user_agent")?,
            request_type: self.boxed("request_type")?,
            response_type: self.boxed("response_type")?,
            ending: self.word("ending")?,
            status: self.status("status")?,
            request_bytes: self.number("request_bytes")?,
            response_bytes: self.number("response_bytes")?,
            duration_us: self.number("duration_us")?,
            upstream_us: self.optional_number("upstream_us")?,
            upstream: self.shared("upstream")?,
            findings: self.items("findings")?,
            decision: self.decision()?,
            missing: self.missing()?,
            cache_status: self.optional_text("cache_status")?.map(|_| self.word("cache_status")).transpose()?,
        })
    }

    fn decision(&self) -> Result<Decision, Error> {
        Ok(Decision {
            action: self.word("decision")?,
            applied: self.boolean("applied")?,
            status: self.status("decision_status")?,
            check: self.owned("check")?.map(CheckId::imported),
            policy: self.shared("policy")?,
        })
    }

    fn auth(&self) -> Result<AuthKinds, Error> {
        let words = self.words("auth")?;
        Ok(AuthKind::ALL.into_iter().filter(|kind| words.iter().any(|word| word == kind.as_str())).collect())
    }

    /// NULL, also in a segment older than the column, is nobody.
    fn principal(&self) -> Result<Option<Arc<EventPrincipal>>, Error> {
        let Some(json) = self.optional_text("principal")? else { return Ok(None) };
        serde_json::from_str(json).map(|principal| Some(Arc::new(principal))).map_err(|_| unreadable("principal", json))
    }

    fn missing(&self) -> Result<Missing, Error> {
        let words = self.words("missing")?;
        let has = |wanted: &str| words.iter().any(|word| word == wanted);
        Ok(Missing {
            time: has("time"),
            client: has("client"),
            headers: has("headers"),
            request_body: has("request_body"),
            response: has("response"),
            response_body: has("response_body"),
        })
    }
}

fn unreadable(column: &str, value: &str) -> Error {
    debug_assert!(schema::column_named(column).is_some());
    let shown: String = value.chars().take(100).collect();
    Error::Encoding(format!("column `{column}` holds `{shown}`, which cannot be read"))
}
