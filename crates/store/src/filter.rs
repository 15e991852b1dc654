//! The console's query language over events: `method:GET status:>=400 -host:internal.example path:/users/* timeout`.
//!
//! Terms are separated by spaces and must all hold. `field:value`, `field:a,b` (any of them), `-field:value` (not),
//! `status:>=400` and `status:4xx` for numbers, `path:/users/*` (glob), and free text, which is searched without case
//! in path, host, user agent, actor and id. Double quotes take away every other character's meaning:
//! `user_agent:"curl/8.0, libcurl"`; `api:""` is an event without an API. `auth:none` is one without a credential.
//!
//! A query becomes a DataFusion expression, never SQL text. [`Filter::is_match`] gives the same answer for one row in
//! memory; a property test holds the two together.

use datafusion::logical_expr::{Expr, col, lit};
use datafusion::prelude::{cast, coalesce, contains, lower};

use crate::schema::{ColumnSpec, Kind, column_named};
use crate::{Error, EventRow};

/// LIMIT: bytes of a query.
const QUERY_BYTES_MAX: usize = 4096;
/// LIMIT: terms of a query, and values of a term.
const TERMS_MAX: usize = 64;
/// Columns that free text is searched in.
const TEXT_COLUMNS: [&str; 5] = ["path", "host", "user_agent", "actor", "id"];
/// Columns that hold comma-separated words.
const WORD_COLUMNS: [&str; 2] = ["auth", "missing"];
/// Columns that are no fields of [`EventRow`].
const HIDDEN_COLUMNS: [&str; 6] = ["client_via", "tls_version", "parameters", "checks", "findings", "principal"];

/// A parsed query: terms that must all hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq)]
struct Term {
    negated: bool,
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq)]
enum Wanted {
    /// Lower-case text somewhere in the event
    Text(String),
    /// Any of the patterns in a column
    Field(&'static ColumnSpec, Vec<Pattern>),
}

#[derive(Clone, Debug, PartialEq)]
enum Pattern {
    /// No value, or the empty one
    Absent,
    /// This text
    Is(String),
    /// This word among comma-separated ones
    Word(String),
    /// Text with `*` for anything: the parts between the stars
    Glob(Vec<String>),
    /// A number from the first to the second, both inclusive
    Range(i64, i64),
    /// True or false
    Boolean(bool),
}

/// One word of a query as written, with the quoted characters marked.
struct Word {
    text: String,
    /// (character, whether it was quoted)
    characters: Vec<(char, bool)>,
}

impl Filter {
    /// Reads a query; empty means everything.
    ///
    /// # Errors
    /// [`Error::Query`] naming the term that is bad.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(Error::Query(format!("the query is longer than {QUERY_BYTES_MAX} bytes")));
        }
        let terms = words(text)?.iter().map(Term::parse).collect::<Result<Vec<_>, _>>()?;
        if terms.len() > TERMS_MAX {
            return Err(Error::Query(format!("the query has more than {TERMS_MAX} terms")));
        }
        Ok(Self { terms })
    }

    /// Whether `row` fits: the same answer as a search gives, for the live view.
    pub fn is_match(&self, row: &EventRow) -> bool {
        self.terms.iter().all(|term| term.is_match(row))
    }

    /// The query as an expression over table `events`; `None` for everything.
    pub(crate) fn expression(&self) -> Option<Expr> {
        self.terms.iter().map(Term::expression).reduce(Expr::and)
    }
}

/// Whether a field can be asked for: the fields of [`EventRow`].
pub(crate) fn field_named(name: &str) -> Option<&'static ColumnSpec> {
    column_named(name).filter(|column| !HIDDEN_COLUMNS.contains(&column.name))
}

/// Splits at white space outside quotes.
fn words(text: &str) -> Result<Vec<Word>, Error> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quoted = false;
    for character in text.chars() {
        if character.is_whitespace() && !quoted {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_with(|| Word { text: String::new(), characters: Vec::new() });
        word.text.push(character);
        if character == '"' {
            quoted = !quoted;
            continue;
        }
        word.characters.push((character, quoted));
    }
    match word {
        Some(word) if quoted => Err(bad_term(&word, "the quotation mark is not closed")),
        word => {
            words.extend(word);
            Ok(words)
        }
    }
}

fn bad_term(word: &Word, why: &str) -> Error {
    let shown: String = word.text.chars().take(100).collect();
    Error::Query(format!("`{shown}`: {why}"))
}

impl Term {
    fn parse(word: &Word) -> Result<Self, Error> {
        let negated = word.characters.len() > 1 && word.characters.first() == Some(&('-', false));
        let rest = word.characters.get(usize::from(negated)..).unwrap_or_default();
        let Some(colon) = rest.iter().position(|character| *character == (':', false)) else {
            return Ok(Self { negated, wanted: Wanted::Text(plain(rest).to_lowercase()) });
        };
        let (name, value) = (plain(rest.get(..colon).unwrap_or_default()), rest.get(colon + 1..).unwrap_or_default());
        let Some(column) = field_named(&name) else {
            return Err(bad_term(
                word,
                &format!(
                    "there is no field `{name}`; put text with a colon in quotation marks, or use a field such as `path`, `status` or `method`"
                ),
            ));
        };
        let values: Vec<_> = value.split(|character| *character == (',', false)).collect();
        if values.len() > TERMS_MAX {
            return Err(bad_term(word, "too many values"));
        }
        let was_quoted = word.text.ends_with("\"\"");
        let patterns = values.iter().map(|value| Pattern::parse(column, value, was_quoted));
        let patterns = patterns.collect::<Result<_, _>>().map_err(|why| bad_term(word, &why))?;
        Ok(Self { negated, wanted: Wanted::Field(column, patterns) })
    }

    fn expression(&self) -> Expr {
        let any = match &self.wanted {
            Wanted::Text(text) => {
                let is_in = |name: &&str| contains(lower(text_column(name)), lit(text.clone()));
                TEXT_COLUMNS.iter().map(is_in).reduce(Expr::or)
            }
            Wanted::Field(column, patterns) => {
                patterns.iter().map(|pattern| pattern.expression(column)).reduce(Expr::or)
            }
        };
        let any = any.unwrap_or_else(|| lit(true));
        if self.negated { any.is_not_true() } else { any }
    }

    fn is_match(&self, row: &EventRow) -> bool {
        let any = match &self.wanted {
            Wanted::Text(text) => TEXT_COLUMNS.iter().any(|name| {
                matches!(cell(row, name), Cell::Text(Some(value)) if value.to_lowercase().contains(text.as_str()))
            }),
            Wanted::Field(column, patterns) => {
                let cell = cell(row, column.name);
                patterns.iter().any(|pattern| pattern.is_match(&cell))
            }
        };
        any != self.negated
    }
}

fn plain(characters: &[(char, bool)]) -> String {
    characters.iter().map(|(character, _)| *character).collect()
}

fn text_column(name: &str) -> Expr {
    coalesce(vec![col(quoted(name)), lit("")])
}

/// Names are quoted for `col`, which otherwise reads them as SQL identifiers.
fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

impl Pattern {
    fn parse(column: &ColumnSpec, value: &[(char, bool)], was_quoted: bool) -> Result<Self, String> {
        let text = plain(value);
        if text.is_empty() {
            let hint = format!("a value is missing; `{}:\"\"` finds events without one", column.name);
            return if was_quoted && column.kind == Kind::Text { Ok(Self::Absent) } else { Err(hint) };
        }
        match column.kind {
            Kind::Text if WORD_COLUMNS.contains(&column.name) => {
                Ok(if text == "none" { Self::Absent } else { Self::Word(text) })
            }
            Kind::Text if value.contains(&('*', false)) => {
                Ok(Self::Glob(value.split(|character| *character == ('*', false)).map(plain).collect()))
            }
            Kind::Text => Ok(Self::Is(text)),
            Kind::Boolean => match text.as_str() {
                "true" | "yes" => Ok(Self::Boolean(true)),
                "false" | "no" => Ok(Self::Boolean(false)),
                _ => Err("write `true` or `false`".to_owned()),
            },
            Kind::Time => range(&text, |text| {
                text.parse::<bartizan_model::Timestamp>().map(bartizan_model::Timestamp::as_micros).ok()
            })
            .ok_or_else(|| "write a time as `>=2026-01-31T12:00:00Z`".to_owned()),
            Kind::Small if text.len() == 3 && text.ends_with("xx") => {
                let class = text.chars().next().and_then(|digit| digit.to_digit(10)).map(i64::from);
                let class = class.ok_or_else(|| "write a class of statuses as `4xx`".to_owned())?;
                Ok(Self::Range(class * 100, class * 100 + 99))
            }
            Kind::Small | Kind::Integer => range(&text, |text| text.parse().ok())
                .ok_or_else(|| "write a number, `>=400`, `<500`, or for statuses `4xx`".to_owned()),
        }
    }

    fn expression(&self, column: &ColumnSpec) -> Expr {
        let value = col(quoted(column.name));
        match self {
            Self::Absent => text_column(column.name).eq(lit("")),
            Self::Is(text) => value.eq(lit(text.clone())),
            Self::Word(word) => {
                let list = datafusion::prelude::concat(vec![lit(","), value, lit(",")]);
                contains(list, lit(format!(",{word},")))
            }
            Self::Glob(parts) => value.like(lit(parts.iter().map(|part| escaped(part)).collect::<Vec<_>>().join("%"))),
            Self::Range(from, to) => {
                let number = match column.kind {
                    Kind::Time => return value.clone().gt_eq(time(*from)).and(value.lt_eq(time(*to))),
                    Kind::Small => cast(value, arrow::datatypes::DataType::Int64),
                    Kind::Integer | Kind::Text | Kind::Boolean => value,
                };
                number.clone().gt_eq(lit(*from)).and(number.lt_eq(lit(*to)))
            }
            Self::Boolean(wanted) => value.eq(lit(*wanted)),
        }
    }

    fn is_match(&self, cell: &Cell<'_>) -> bool {
        match (self, cell) {
            (Self::Absent, Cell::Text(value)) => value.unwrap_or_default().is_empty(),
            (Self::Absent, Cell::Words(words)) => words.is_empty(),
            (Self::Is(text), Cell::Text(Some(value))) => text == value,
            (Self::Word(word), Cell::Words(words)) => words.contains(word),
            (Self::Glob(parts), Cell::Text(Some(value))) => is_glob_match(parts, value),
            (Self::Range(from, to), Cell::Number(Some(number))) => (from..=to).contains(&number),
            (Self::Boolean(wanted), Cell::Boolean(value)) => wanted == value,
            (
                Self::Absent | Self::Is(_) | Self::Word(_) | Self::Glob(_) | Self::Range(..) | Self::Boolean(_),
                Cell::Text(_) | Cell::Words(_) | Cell::Number(_) | Cell::Boolean(_),
            ) => false,
        }
    }
}

/// A time as a literal of column `time`'s type.
pub(crate) fn time(micros: i64) -> Expr {
    lit(datafusion::common::ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
}

/// `>=1`, `>1`, `<=1`, `<1` or `1`.
fn range(text: &str, number: impl Fn(&str) -> Option<i64>) -> Option<Pattern> {
    let (from, to) = if let Some(rest) = text.strip_prefix(">=") {
        (number(rest)?, i64::MAX)
    } else if let Some(rest) = text.strip_prefix('>') {
        (number(rest)?.checked_add(1)?, i64::MAX)
    } else if let Some(rest) = text.strip_prefix("<=") {
        (i64::MIN, number(rest)?)
    } else if let Some(rest) = text.strip_prefix('<') {
        (i64::MIN, number(rest)?.checked_sub(1)?)
    } else {
        (number(text)?, number(text)?)
    };
    Some(Pattern::Range(from, to))
}

/// Text for LIKE, in which `%`, `_` and `\` mean themselves.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// Whether `value` is the parts in order, with anything between them. The leftmost place for each is always right.
fn is_glob_match(parts: &[String], value: &str) -> bool {
    let [first, middle @ .., last] = parts else { return false };
    let Some(mut rest) = value.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        match rest.split_once(part.as_str()) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

/// A field of a row.
enum Cell<'a> {
    Text(Option<&'a str>),
    Words(&'a [String]),
    Number(Option<i64>),
    Boolean(bool),
}

fn cell<'a>(row: &'a EventRow, name: &str) -> Cell<'a> {
    let number = |value: u64| Cell::Number(Some(i64::try_from(value).unwrap_or(i64::MAX)));
    match name {
        "id" => Cell::Text(Some(&row.id)),
        "time" => Cell::Number(Some(row.time.as_micros())),
        "source" => Cell::Text(Some(&row.source)),
        "client_ip" => Cell::Text(row.client_ip.as_deref()),
        "actor_kind" => Cell::Text(Some(&row.actor_kind)),
        "actor" => Cell::Text(Some(&row.actor)),
        "scheme" => Cell::Text(Some(&row.scheme)),
        "version" => Cell::Text(Some(&row.version)),
        "host" => Cell::Text(Some(&row.host)),
        "method" => Cell::Text(Some(&row.method)),
        "path" => Cell::Text(Some(&row.path)),
        "api" => Cell::Text(row.api.as_deref()),
        "endpoint_id" => Cell::Text(row.endpoint_id.as_deref()),
        "template" => Cell::Text(row.template.as_deref()),
        "auth" => Cell::Words(&row.auth),
        "user_agent" => Cell::Text(row.user_agent.as_deref()),
        "request_type" => Cell::Text(row.request_type.as_deref()),
        "response_type" => Cell::Text(row.response_type.as_deref()),
        "ending" => Cell::Text(Some(&row.ending)),
        "status" => number(row.status.into()),
        "request_bytes" => number(row.request_bytes),
        "response_bytes" => number(row.response_bytes),
        "duration_us" => number(row.duration_us),
        "upstream_us" => row.upstream_us.map_or(Cell::Number(None), number),
        "upstream" => Cell::Text(row.upstream.as_deref()),
        "decision" => Cell::Text(Some(&row.decision)),
        "applied" => Cell::Boolean(row.applied),
        "decision_status" => number(row.decision_status.into()),
        "check" => Cell::Text(row.check.as_deref()),
        "policy" => Cell::Text(row.policy.as_deref()),
        "findings_count" => number(row.findings_count.into()),
        "missing" => Cell::Words(&row.missing),
        "application" => Cell::Text(row.application.as_deref()),
        "credential_id" => Cell::Text(row.credential_id.as_deref()),
        "cache_status" => Cell::Text(row.cache_status.as_deref()),
        _ => Cell::Text(None), // `field_named` lets no other name through
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(query: &str) -> String {
        Filter::parse(query).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_query_is_everything() {
        assert_eq!(Filter::parse("  ").unwrap(), Filter::default());
        assert!(Filter::default().expression().is_none());
    }

    #[test]
    fn a_bad_term_is_named_with_what_to_do() {
        assert!(fault("method:GET colour:red").starts_with("`colour:red`: there is no field `colour`"));
        assert!(fault("status:many").starts_with("`status:many`: write a number"));
        assert!(fault("status:yxx").contains("4xx"));
        assert!(fault("applied:maybe").contains("`true` or `false`"));
        assert!(fault("path:").contains("a value is missing"));
        assert!(fault("method:GET,").contains("a value is missing"));
        assert!(fault("path:\"/a").contains("quotation mark"));
        assert!(fault("time:>yesterday").contains("2026-01-31T12:00:00Z"));
        assert!(fault("findings:x").contains("no field"));
        assert!(fault(&"a".repeat(5000)).contains("longer"));
        assert!(fault(&"a ".repeat(100)).contains("more than 64 terms"));
    }

    #[test]
    fn a_glob_is_anchored_at_both_ends() {
        let parts = |glob: &str| glob.split('*').map(str::to_owned).collect::<Vec<_>>();
        for (glob, value, fits) in [
            ("/users/*", "/users/1", true),
            ("/users/*", "/a/users/1", false),
            ("*/orders", "/users/1/orders", true),
            ("*/orders", "/orders/1", false),
            ("/a*b*c", "/abbc", true),
            ("/a*b", "/a", false),
            ("a*a", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(is_glob_match(&parts(glob), value), fits, "{glob} {value}");
        }
    }
}
