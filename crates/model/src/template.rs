//! A path template: literal segments and named parameters (OpenAPI's `/users/{userId}/orders`).
//!
//! A template describes raw, undecoded path bytes: what was inspected is what is forwarded, so `%2F` inside a
//! segment is part of that segment. An empty segment is a segment: `/a/` has two, `a` and the empty one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// LIMIT: segments in one template; deeper paths are attackers' or broken clients'.
const SEGMENTS_MAX: usize = 64;

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Must be equal, byte by byte
    Literal(Box<str>),
    /// Any one non-empty segment; the name is for people
    Parameter(Box<str>),
}

/// A path template. Text form: `/users/{userId}/orders`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathTemplate {
    segments: Vec<Segment>,
}

/// The text is not a path template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Does not begin with `/`
    #[error("path template `{0}` must begin with `/`")]
    NotAbsolute(String),
    /// A parameter without a name, or braces inside a segment
    #[error("segment `{0}`: write a parameter as `{{name}}`, alone in its segment")]
    BadParameter(String),
    /// Too deep
    #[error("path template has more than 64 segments")]
    TooDeep,
}

impl PathTemplate {
    /// From segments, in order.
    ///
    /// # Errors
    /// More than 64 segments.
    pub fn new(segments: Vec<Segment>) -> Result<Self, TemplateError> {
        if segments.len() > SEGMENTS_MAX {
            return Err(TemplateError::TooDeep);
        }
        Ok(Self { segments })
    }

    /// The segments, in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How many segments are parameters.
    pub fn parameter_count(&self) -> usize {
        self.segments.iter().filter(|segment| matches!(segment, Segment::Parameter(_))).count()
    }

    /// Whether the raw `path` (without query) has this form.
    pub fn is_match(&self, path: &[u8]) -> bool {
        let mut parts = Self::split(path);
        self.segments.iter().all(|segment| match (segment, parts.next()) {
            (Segment::Literal(literal), Some(part)) => literal.as_bytes() == part,
            (Segment::Parameter(_), Some(part)) => !part.is_empty(),
            (_, None) => false,
        }) && parts.next().is_none()
    }

    /// The raw segments of a path: what stands between the slashes after the first. `/` has one, empty.
    pub fn split(path: &[u8]) -> impl Iterator<Item = &[u8]> {
        path.strip_prefix(b"/").unwrap_or(path).split(|&byte| byte == b'/')
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => write!(f, "/{literal}")?,
                Segment::Parameter(name) => write!(f, "/{{{name}}}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for PathTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(TemplateError::NotAbsolute(text.chars().take(200).collect()));
        };
        Self::new(rest.split('/').map(parse_segment).collect::<Result<_, _>>()?)
    }
}

fn parse_segment(text: &str) -> Result<Segment, TemplateError> {
    let bad = || TemplateError::BadParameter(text.chars().take(200).collect());
    match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) if name.is_empty() || name.contains(['{', '}']) => Err(bad()),
        Some(name) => Ok(Segment::Parameter(name.into())),
        None if text.contains(['{', '}']) => Err(bad()),
        None => Ok(Segment::Literal(text.into())),
    }
}

impl Serialize for PathTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PathTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> PathTemplate {
        text.parse().unwrap()
    }

    #[test]
    fn a_template_survives_its_text_form() {
        for text in ["/", "/users/{userId}/orders", "/a/", "/a//b"] {
            assert_eq!(template(text).to_string(), text);
        }
    }

    #[test]
    fn a_parameter_takes_one_whole_segment() {
        let users = template("/users/{id}");
        assert!(users.is_match(b"/users/42"));
        assert!(users.is_match(b"/users/a%2Fb"));
        assert!(!users.is_match(b"/users/"));
        assert!(!users.is_match(b"/users/42/"));
        assert!(!users.is_match(b"/Users/42"));
    }

    #[test]
    fn braces_stand_alone_in_a_segment() {
        for text in ["users", "/{}", "/a{b}", "/{a}b}"] {
            assert!(text.parse::<PathTemplate>().is_err(), "{text}");
        }
    }
}
