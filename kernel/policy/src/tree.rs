//! A file as a tree: values with the places where they were written.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use crate::fault::{Fault, Place};

/// Deeper than any policy; the parser bounds it before us.
const DEPTH_MAX: usize = 16;

/// Most faults of writing that are told at once: what follows from the first ones helps nobody.
const FAULTS_MAX: usize = 20;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// Bytes of the file.
    pub(crate) span: Range<usize>,
    /// Which file.
    pub(crate) file: Arc<Source>,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
    Number(f64),
    Bool(bool),
    Date(String),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

/// A file and its lines.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    text: String,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Arc<Source> {
        Arc::new(Source { name: name.to_owned(), text: text.to_owned() })
    }

    pub(crate) fn place(&self, at: usize) -> Place {
        let before = self.text.get(..self.text.floor_char_boundary(at)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Place { file: self.name.clone(), line, column }
    }
}

impl Node {
    /// Reads a file.
    pub(crate) fn read(source: &Arc<Source>) -> Result<Node, Vec<Fault>> {
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        if errors.is_empty() {
            let span = table.span();
            let members = members(table.into_inner(), source, 0);
            return Ok(Node { value: Value::Table(members), span, file: Arc::clone(source) });
        }
        let fault = |error: toml::de::Error| Fault {
            place: source.place(error.span().map_or(0, |span| span.start)),
            key: String::new(),
            why: format!("this is not TOML: {}", error.message()),
            write: "see https://toml.io for how it is written".to_owned(),
        };
        Err(errors.into_iter().take(FAULTS_MAX).map(fault).collect())
    }

    pub(crate) fn place(&self) -> Place {
        self.file.place(self.span.start)
    }

    pub(crate) fn table(&self) -> Option<&BTreeMap<String, Node>> {
        match &self.value {
            Value::Table(members) => Some(members),
            _ => None,
        }
    }

    pub(crate) fn list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Date(text) => Some(text),
            _ => None,
        }
    }

    /// As JSON, without places.
    pub(crate) fn json(&self) -> Json {
        match &self.value {
            Value::Text(text) | Value::Date(text) => Json::from(text.as_str()),
            Value::Int(number) => Json::from(*number),
            Value::Number(number) => Json::from(*number),
            Value::Bool(flag) => Json::from(*flag),
            Value::List(items) => items.iter().map(Node::json).collect(),
            Value::Table(members) => members
                .iter()
                .map(|(name, node)| (name.clone(), node.json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// What it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Text(_) => "a text",
            Value::Int(_) => "a whole number",
            Value::Number(_) => "a number",
            Value::Bool(_) => "true or false",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

fn members(table: DeTable<'_>, source: &Arc<Source>, depth: usize) -> BTreeMap<String, Node> {
    table
        .into_iter()
        .map(|(name, value)| {
            let (key_span, value_span) = (name.span(), value.span());
            // A table of dotted keys has no place of its own: its name does.
            let span = if value_span.is_empty() { key_span } else { value_span };
            (name.into_inner().into_owned(), node(value.into_inner(), span, source, depth + 1))
        })
        .collect()
}

fn node(value: DeValue<'_>, span: Range<usize>, source: &Arc<Source>, depth: usize) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Number(f64::NAN), Value::Int)
        }
        DeValue::Float(number) => Value::Number(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Bool(flag),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(_) | DeValue::Table(_) if depth > DEPTH_MAX => Value::Text(String::new()),
        DeValue::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| {
                    let span = item.span();
                    node(item.into_inner(), span, source, depth + 1)
                })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(members(table, source, depth)),
    };
    Node { value, span, file: Arc::clone(source) }
}
