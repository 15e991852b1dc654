//! The JSON Schema (2020-12) of the document, generated from its types.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::Value;

use crate::document::Document;

/// The JSON Schema (draft 2020-12) that every document must fit; editors can use it for completion.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(NoNull);
    let mut schema = settings.into_generator().into_root_schema_for::<Document>();
    schema.insert("title".to_owned(), "Bartizan configuration".into());
    schema.to_value()
}

/// Takes `null` out of the schema: a key without a value is a slip of the pen, never a way to say "default".
/// (`tls:` with nothing after it must not mean clear text.)
#[derive(Clone)]
struct NoNull;

impl Transform for NoNull {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".to_owned(), only);
            }
        }
        if schema.get("default").is_some_and(Value::is_null) {
            schema.remove("default");
        }
        if let Some(Value::Object(members)) = schema.get_mut("default") {
            members.retain(|_, value| !value.is_null());
        }
        if let Some(Value::Array(mut choices)) = schema.remove("anyOf") {
            choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
            match (choices.len(), choices.pop()) {
                (1, Some(Value::Object(only))) => {
                    for (keyword, value) in only {
                        schema.insert(keyword, value);
                    }
                }
                (_, Some(last)) => {
                    choices.push(last);
                    schema.insert("anyOf".to_owned(), Value::Array(choices));
                }
                (_, None) => {}
            }
        }
        transform_subschemas(self, schema);
    }
}
