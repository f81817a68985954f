//! From the tree to one expression. It is a plain expression of the engine, so files are pruned by it and the live
//! tail evaluates the very same one.

use candor_model::{EventTime, Signal};
use datafusion::arrow::datatypes::Schema;
use datafusion::common::{Column, ScalarValue};
use datafusion::functions_nested::expr_fn::{array_has, cardinality};
use datafusion::logical_expr::{BinaryExpr, Expr, Like, Operator, cast};
use datafusion::prelude::lit;

use super::keys::{Level, Target, prose, target};
use super::parse::{Comparison, Field, Node, ParseError, Test, Text};
use crate::functions::{attribute, contains, number, pattern};

/// The expression of a search over the rows of a signal.
pub(crate) fn compile(node: &Node, signal: Signal, schema: &Schema) -> Result<Expr, ParseError> {
    Ok(match node {
        Node::And(nodes) => joined(nodes, Operator::And, signal, schema)?,
        Node::Or(nodes) => joined(nodes, Operator::Or, signal, schema)?,
        // What is unknown is not so: `-host:db` finds rows without a host.
        Node::Not(node) => Expr::IsNotTrue(Box::new(compile(node, signal, schema)?)),
        Node::Word(text) => word(text, signal, schema),
        Node::Field(field) => compile_field(field, signal, schema)?,
    })
}

fn joined(nodes: &[Node], operator: Operator, signal: Signal, schema: &Schema) -> Result<Expr, ParseError> {
    let sides = nodes.iter().map(|node| compile(node, signal, schema)).collect::<Result<Vec<Expr>, _>>()?;
    Ok(balanced(sides, operator))
}

/// Joins as a balanced tree: a chain of 256 terms is 8 levels deep, not 256.
fn balanced(mut sides: Vec<Expr>, operator: Operator) -> Expr {
    while sides.len() > 1 {
        let mut halved = Vec::with_capacity(sides.len().div_ceil(2));
        let mut rest = sides.into_iter();
        while let Some(left) = rest.next() {
            halved.push(match rest.next() {
                Some(right) => binary(left, operator, right),
                None => left,
            });
        }
        sides = halved;
    }
    sides.pop().unwrap_or_else(|| lit(operator == Operator::And))
}

fn binary(left: Expr, operator: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)))
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}

/// A text as the pattern that [`contains`] takes.
fn loose(text: &Text) -> String {
    let parts: Vec<String> = text.parts.iter().map(|part| pattern::escape(part)).collect();
    parts.join("*")
}

fn word(text: &Text, signal: Signal, schema: &Schema) -> Expr {
    let places = prose(signal).iter().filter(|name| schema.field_with_name(name).is_ok());
    let found: Vec<Expr> = places.map(|name| contains::call(column(name), &loose(text))).collect();
    balanced(found, Operator::Or)
}

fn compile_field(field: &Field, signal: Signal, schema: &Schema) -> Result<Expr, ParseError> {
    let error = |what: String| ParseError { what, at: field.at };
    if let Test::Finds(expression) = &field.test {
        check_regex(expression).map_err(error)?;
    }
    Ok(match target(signal, &field.key, schema) {
        Target::Absent => lit(false),
        Target::Level => level(&field.test, signal).map_err(error)?,
        Target::Prose(name) => match &field.test {
            Test::Is(text) => contains::call(column(&name), &loose(text)),
            test => of_text(column(&name), test),
        },
        Target::Text(name) => of_text(column(&name), &field.test),
        Target::Attribute { map, key } => of_text(attribute::call(column(&map), &key), &field.test),
        Target::Int(name) => {
            of_number(column(&name), &field.test, number::parse, "a number").map_err(error)?
        }
        Target::Duration(name) => {
            of_number(column(&name), &field.test, duration, "a duration, like 250ms").map_err(error)?
        }
        Target::Time(name) => of_time(&name, &field.test, schema).map_err(error)?,
        Target::Subject(kind) => subject(&field.test, kind, schema),
        Target::List(name) => of_list(column(&name), &field.test).map_err(error)?,
        Target::Values(name) => match &field.test {
            Test::Exists => binary(cardinality(column(&name)), Operator::Gt, lit(0_u64)),
            Test::Is(text) => contains::call(column(&name), &loose(text)),
            Test::Compares(_, text) | Test::Finds(text) => {
                return Err(error(format!(
                    "{} has many values: name one, like {}.{text}",
                    field.key, field.key
                )));
            }
        },
    })
}

fn check_regex(expression: &str) -> Result<(), String> {
    match regex::RegexBuilder::new(expression).size_limit(1 << 20).build() {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => Err("the regular expression is too large".to_owned()),
        Err(_) => Err("this is no regular expression".to_owned()),
    }
}

fn operator(comparison: Comparison) -> Operator {
    match comparison {
        Comparison::Less => Operator::Lt,
        Comparison::LessOrEqual => Operator::LtEq,
        Comparison::Greater => Operator::Gt,
        Comparison::GreaterOrEqual => Operator::GtEq,
    }
}

fn of_text(value: Expr, test: &Test) -> Expr {
    match test {
        Test::Exists => value.is_not_null(),
        Test::Is(text) => match text.plain() {
            Some(text) => binary(value, Operator::Eq, lit(text)),
            None => like(value, text),
        },
        Test::Compares(comparison, text) => match number::parse(text) {
            Some(bound) => binary(number::call(value), operator(*comparison), lit(bound)),
            None => binary(value, operator(*comparison), lit(text.as_str())),
        },
        Test::Finds(expression) => binary(value, Operator::RegexMatch, lit(expression.as_str())),
    }
}

fn like(value: Expr, text: &Text) -> Expr {
    let parts: Vec<String> = text
        .parts
        .iter()
        .map(|part| part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))
        .collect();
    let pattern = Box::new(lit(parts.join("%")));
    Expr::Like(Like::new(false, Box::new(value), pattern, None, false))
}

fn of_number(
    value: Expr,
    test: &Test,
    parse: impl Fn(&str) -> Option<f64>,
    wanted: &str,
) -> Result<Expr, String> {
    let bound = |text: &str| {
        let number = parse(text).ok_or_else(|| format!("expected {wanted}"))?;
        // Whole numbers stay integers: files are pruned by them.
        Ok::<Expr, String>(if number.fract() == 0.0 && number.abs() < 9e15 {
            lit(number as i64)
        } else {
            lit(number)
        })
    };
    Ok(match test {
        Test::Exists => value.is_not_null(),
        Test::Is(text) => match text.plain() {
            Some(text) => binary(value, Operator::Eq, bound(text)?),
            None => like(cast(value, datafusion::arrow::datatypes::DataType::Utf8), text),
        },
        Test::Compares(comparison, text) => binary(value, operator(*comparison), bound(text)?),
        Test::Finds(expression) => {
            let text = cast(value, datafusion::arrow::datatypes::DataType::Utf8);
            binary(text, Operator::RegexMatch, lit(expression.as_str()))
        }
    })
}

/// Nanoseconds of `250ms`, `1.5s`, `10us`; milliseconds without a unit.
fn duration(text: &str) -> Option<f64> {
    let digits = text
        .find(|character: char| character.is_ascii_alphabetic() || character == 'µ')
        .unwrap_or(text.len());
    let (value, unit) = text.split_at(digits);
    let nanos = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" | "" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        _ => return None,
    };
    number::parse(value).map(|value| value * nanos)
}

fn of_time(name: &str, test: &Test, schema: &Schema) -> Result<Expr, String> {
    let zone = match schema.field_with_name(name).map(|field| field.data_type()) {
        Ok(datafusion::arrow::datatypes::DataType::Timestamp(_, zone)) => zone.clone(),
        _ => None,
    };
    let time = |text: &str| {
        let micros = EventTime::parse(text).map(|time| time.micros);
        let micros = micros.ok_or_else(|| "expected a time, like 2026-11-20T10:00:00Z".to_owned())?;
        Ok::<Expr, String>(lit(ScalarValue::TimestampMicrosecond(Some(micros), zone.clone())))
    };
    match test {
        Test::Exists => Ok(column(name).is_not_null()),
        Test::Is(text) => match text.plain() {
            Some(text) => Ok(binary(column(name), Operator::Eq, time(text)?)),
            None => Err("a time has no wildcards: use >= and <".to_owned()),
        },
        Test::Compares(comparison, text) => Ok(binary(column(name), operator(*comparison), time(text)?)),
        Test::Finds(_) => Err("a time has no text: use >= and <".to_owned()),
    }
}

fn of_list(list: Expr, test: &Test) -> Result<Expr, String> {
    match test {
        Test::Exists => Ok(binary(cardinality(list), Operator::Gt, lit(0_u64))),
        Test::Is(text) => Ok(match text.plain() {
            Some(text) => array_has(list, lit(text)),
            None => contains::call(list, &loose(text)),
        }),
        Test::Compares(..) | Test::Finds(_) => Err("a list is searched for one of its values".to_owned()),
    }
}

fn subject(test: &Test, kind: Option<&str>, schema: &Schema) -> Expr {
    if schema.field_with_name("subjects").is_err() {
        return lit(false);
    }
    let code = |text: &str| match kind {
        Some(kind) if !text.contains(':') => format!("{kind}:{text}"),
        _ => text.to_owned(),
    };
    match (test, kind) {
        (Test::Exists, Some(kind)) => {
            contains::call(column("subjects"), &pattern::escape(&format!("{kind}:")))
        }
        (Test::Exists, None) => column("subject").is_not_null(),
        (Test::Is(text), _) => match text.plain() {
            Some(text) => array_has(column("subjects"), lit(code(text))),
            None => contains::call(column("subjects"), &loose(text)),
        },
        (test, _) => of_text(column("subject"), test),
    }
}

fn level(test: &Test, signal: Signal) -> Result<Expr, String> {
    let known = |name: &str| {
        Level::from_name(name).ok_or_else(|| {
            let names: Vec<&str> = Level::ALL.iter().map(|level| level.name()).collect();
            format!("unknown level: one of {}", names.join(", "))
        })
    };
    let text_column = match signal {
        Signal::Logs => "severity_text",
        _ => "level",
    };
    match test {
        Test::Exists => Ok(column(text_column).is_not_null()),
        Test::Finds(_) => Ok(of_text(column(text_column), test)),
        Test::Is(text) => match text.plain() {
            // A name that is in no order can still be what a sender wrote.
            Some(name) => Ok(match Level::from_name(name) {
                Some(level) => levels(&[level], signal),
                None => binary(column(text_column), Operator::Eq, lit(name)),
            }),
            None => Ok(like(column(text_column), text)),
        },
        Test::Compares(comparison, name) => {
            let bound = known(name)?;
            let within: Vec<Level> = Level::ALL
                .into_iter()
                .filter(|level| match comparison {
                    Comparison::Less => *level < bound,
                    Comparison::LessOrEqual => *level <= bound,
                    Comparison::Greater => *level > bound,
                    Comparison::GreaterOrEqual => *level >= bound,
                })
                .collect();
            Ok(levels(&within, signal))
        }
    }
}

/// Rows of these severities, which follow each other.
fn levels(levels: &[Level], signal: Signal) -> Expr {
    let (Some(first), Some(last)) = (levels.first(), levels.last()) else { return lit(false) };
    let names: Vec<Expr> = levels.iter().flat_map(|level| level.names()).map(|name| lit(*name)).collect();
    if signal != Signal::Logs {
        return lower(column("level")).in_list(names, false);
    }
    let number = column("severity_number");
    let (least, _) = first.numbers();
    let (_, most) = last.numbers();
    let by_number = binary(
        binary(number.clone(), Operator::GtEq, lit(least)),
        Operator::And,
        binary(number.clone(), Operator::LtEq, lit(most)),
    );
    // Senders may give a name alone.
    let unnumbered = binary(number.clone().is_null(), Operator::Or, binary(number, Operator::LtEq, lit(0)));
    let by_name = binary(unnumbered, Operator::And, lower(column("severity_text")).in_list(names, false));
    binary(by_number, Operator::Or, by_name)
}

fn lower(value: Expr) -> Expr {
    datafusion::functions::expr_fn::lower(value)
}
