//! go-ftw's YAML → tests. What the schema has and this reader does not know is an error: no expectation may get lost.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use saphyr::{Yaml, YamlLoader};
use saphyr_parser::Parser;

use super::Field;

/// One test.
#[derive(Clone, Debug)]
pub struct Test {
    /// Rule and number: `920100-4`
    pub id: String,
    /// The folder of the file: `REQUEST-920-PROTOCOL-ENFORCEMENT`
    pub group: String,
    pub stages: Vec<Stage>,
}

/// One exchange of a test and what is expected of it.
#[derive(Clone, Debug)]
pub struct Stage {
    pub input: Input,
    pub expected: Expected,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// `encoded_request`: the bytes themselves
    Raw(Vec<u8>),
    /// Written as parts
    Parts(Parts),
}

/// A request as the test writes it, before go-ftw completes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    pub method: String,
    pub uri: String,
    pub version: String,
    /// Sorted by name, as go-ftw sends a mapping
    pub headers: Vec<Field>,
    pub data: Option<Vec<u8>>,
    pub is_completed: bool,
}

/// What must be seen. Everything that is named must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    pub status: Option<u16>,
    pub ids: Vec<u32>,
    pub absent_ids: Vec<u32>,
    pub pattern: Option<String>,
    pub absent_pattern: Option<String>,
    pub is_isolated: bool,
}

impl Expected {
    /// Whether something is expected of the log.
    pub fn is_about_log(&self) -> bool {
        let Self { status: _, ids, absent_ids, pattern, absent_pattern, is_isolated } = self;
        !ids.is_empty() || !absent_ids.is_empty() || pattern.is_some() || absent_pattern.is_some() || *is_isolated
    }
}

impl Test {
    /// Whether something is expected of the log in any stage.
    pub fn is_about_log(&self) -> bool {
        self.stages.iter().any(|stage| stage.expected.is_about_log())
    }
}

/// All tests of a rule set's folder, in the order of the file names.
pub fn load(rule_set: &Path) -> Result<Vec<Test>> {
    let mut files = Vec::new();
    collect(&rule_set.join("tests/regression"), &mut files)?;
    files.sort();
    ensure!(!files.is_empty(), "no regression tests in `{}`", rule_set.display());
    let mut tests = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        let group = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        tests.extend(read(&text, &group).with_context(|| format!("in `{}`", file.display()))?);
    }
    Ok(tests)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list `{}`", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    Ok(())
}

/// The nodes of a YAML text, scalars as written.
pub fn documents(text: &str) -> Result<Vec<Yaml<'static>>> {
    let mut loader = YamlLoader::<Yaml<'_>>::default();
    loader.early_parse(false);
    Parser::new_from_str(text).load(&mut loader, true)?;
    Ok(loader.into_documents().into_iter().map(into_owned).collect())
}

fn into_owned(node: Yaml<'_>) -> Yaml<'static> {
    match node {
        Yaml::Representation(text, style, _) => Yaml::Representation(text.into_owned().into(), style, None),
        Yaml::Sequence(items) => Yaml::Sequence(items.into_iter().map(into_owned).collect()),
        Yaml::Mapping(members) => {
            Yaml::Mapping(members.into_iter().map(|(name, value)| (into_owned(name), into_owned(value))).collect())
        }
        Yaml::Tagged(_, inner) => into_owned(*inner),
        Yaml::Value(_) | Yaml::Alias(_) | Yaml::BadValue => Yaml::BadValue,
    }
}

fn read(text: &str, group: &str) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for document in documents(text)? {
        if text_of(&document).is_some_and(|text| text.is_empty() || text == "~") {
            continue; // comments only
        }
        let rule = member(&document, "rule_id").and_then(text_of).context("`rule_id` is missing")?.to_owned();
        for test in list(member(&document, "tests")) {
            let number = member(test, "test_id").and_then(text_of).context("`test_id` is missing")?;
            let id = format!("{rule}-{number}");
            let stages: Result<Vec<_>> = list(member(test, "stages")).map(stage).collect();
            let stages = stages.with_context(|| format!("in test {id}"))?;
            ensure!(!stages.is_empty(), "test {id} has no stages");
            tests.push(Test { id, group: group.to_owned(), stages });
        }
    }
    Ok(tests)
}

fn stage(node: &Yaml<'_>) -> Result<Stage> {
    let input = member(node, "input").context("`input` is missing")?;
    let output = member(node, "output").context("`output` is missing")?;
    Ok(Stage { input: read_input(input)?, expected: read_expected(output)? })
}

fn read_input(node: &Yaml<'_>) -> Result<Input> {
    let mut parts = Parts {
        method: "GET".into(),
        uri: "/".into(),
        version: "HTTP/1.1".into(),
        headers: Vec::new(),
        data: None,
        is_completed: true,
    };
    let mut raw = None;
    for (name, value) in members(node) {
        let text = || text_of(value).with_context(|| format!("`{name}` is no text")).map(str::to_owned);
        match name {
            "dest_addr" | "port" | "protocol" => {}
            "method" => parts.method = text()?,
            "uri" => parts.uri = text()?,
            "version" => parts.version = text()?,
            "headers" => parts.headers = read_headers(value)?,
            "data" => parts.data = Some(expand(&text()?)?),
            "encoded_request" => raw = Some(decode(&text()?)?),
            "autocomplete_headers" => parts.is_completed = text()? == "true",
            _ => bail!("input `{name}` is not known"),
        }
    }
    Ok(raw.map_or(Input::Parts(parts), Input::Raw))
}

fn read_headers(node: &Yaml<'_>) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    for (name, value) in members(node) {
        let value = text_of(value).with_context(|| format!("header `{name}` is no text"))?;
        fields.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    }
    fields.sort();
    Ok(fields)
}

/// What must be seen, from a stage's `output` or from an exception.
pub fn read_expected(node: &Yaml<'_>) -> Result<Expected> {
    let mut expected = Expected::default();
    for (name, value) in members(node) {
        let text = text_of(value);
        match name {
            "status" => expected.status = Some(text.context("`status` is no number")?.parse()?),
            "log" => read_log(value, &mut expected)?,
            "isolated" => expected.is_isolated = text == Some("true"),
            // About the connection: go-ftw sends again, or cannot read an HTTP/0.9 answer.
            "retry_once" | "expect_error" => {}
            _ => bail!("output `{name}` is not known"),
        }
    }
    Ok(expected)
}

fn read_log(node: &Yaml<'_>, expected: &mut Expected) -> Result<()> {
    for (name, value) in members(node) {
        let text = text_of(value).map(str::to_owned);
        match name {
            "expect_ids" => expected.ids = ids(value)?,
            "no_expect_ids" => expected.absent_ids = ids(value)?,
            "match_regex" => expected.pattern = Some(text.context("`match_regex` is no text")?),
            "no_match_regex" => expected.absent_pattern = Some(text.context("`no_match_regex` is no text")?),
            _ => bail!("log expectation `{name}` is not known"),
        }
    }
    Ok(())
}

fn ids(node: &Yaml<'_>) -> Result<Vec<u32>> {
    list(Some(node)).map(|id| Ok(text_of(id).context("an id is no number")?.parse()?)).collect()
}

/// `{{ "x" | repeat N }}`, the one template that the tests use. go-ftw would send nothing where a template is wrong.
fn expand(text: &str) -> Result<Vec<u8>> {
    let Some((before, rest)) = text.split_once("{{") else { return Ok(text.into()) };
    let (template, after) = rest.split_once("}}").context("a template has no end")?;
    let (word, count) = template.split_once('|').context("a template is not known")?;
    let count = count.trim().strip_prefix("repeat ").context("a template is not known")?;
    let repeated = word.trim().trim_matches('"').repeat(count.trim().parse()?);
    let mut expanded = before.as_bytes().to_vec();
    expanded.extend_from_slice(repeated.as_bytes());
    expanded.extend(expand(after)?);
    Ok(expanded)
}

fn decode(text: &str) -> Result<Vec<u8>> {
    let text: String = text.chars().filter(|symbol| !symbol.is_ascii_whitespace()).collect();
    Ok(base64::engine::general_purpose::STANDARD.decode(text)?)
}

/// A scalar as written.
pub fn text_of<'a>(node: &'a Yaml<'_>) -> Option<&'a str> {
    match node {
        Yaml::Representation(text, _, _) => Some(text),
        _ => None,
    }
}

/// The member of this name.
pub fn member<'a, 'b>(node: &'a Yaml<'b>, name: &str) -> Option<&'a Yaml<'b>> {
    members(node).find(|(other, _)| *other == name).map(|(_, value)| value)
}

/// The members of a mapping in order, none of anything else.
pub fn members<'a, 'b>(node: &'a Yaml<'b>) -> impl Iterator<Item = (&'a str, &'a Yaml<'b>)> {
    let members = match node {
        Yaml::Mapping(members) => Some(members),
        _ => None,
    };
    members.into_iter().flatten().filter_map(|(name, value)| Some((text_of(name)?, value)))
}

/// The items of a list, none of anything else.
pub fn list<'a, 'b>(node: Option<&'a Yaml<'b>>) -> impl Iterator<Item = &'a Yaml<'b>> {
    let items = match node {
        Some(Yaml::Sequence(items)) => items.as_slice(),
        _ => &[],
    };
    items.iter()
}
