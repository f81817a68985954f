//! JSON functions over text: `json_get_str(event, 'exception', 'values', 0, 'type')`, `event->'user'->>'id'`.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, StringBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::scan::{self, Kind, Step};
use super::text;

/// What a function makes of the value at its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Want {
    /// The value as JSON text.
    Json,
    /// As text: a string without quotes, null as null, the rest as JSON.
    Text,
    /// A string; null for anything else.
    Str,
    /// An integer; null for anything else.
    Int,
    /// A number; null for anything else.
    Float,
    /// A boolean; null for anything else.
    Bool,
    /// Whether there is a value.
    Contains,
    /// Members or items.
    Length,
    /// The keys of an object.
    Keys,
    /// `object`, `array`, `string`, `number`, `boolean`, `null`.
    Type,
}

impl Want {
    const ALL: [Want; 10] = [
        Want::Json,
        Want::Text,
        Want::Str,
        Want::Int,
        Want::Float,
        Want::Bool,
        Want::Contains,
        Want::Length,
        Want::Keys,
        Want::Type,
    ];

    fn name(self) -> &'static str {
        match self {
            Want::Json => "json_get",
            Want::Text => "json_get_text",
            Want::Str => "json_get_str",
            Want::Int => "json_get_int",
            Want::Float => "json_get_float",
            Want::Bool => "json_get_bool",
            Want::Contains => "json_contains",
            Want::Length => "json_length",
            Want::Keys => "json_keys",
            Want::Type => "json_type",
        }
    }

    fn aliases(self) -> Vec<String> {
        let names: &[&str] = match self {
            Want::Json => &["json_get_json", "json_extract"],
            Want::Text => &["json_as_text", "json_extract_string"],
            Want::Length => &["json_array_length"],
            Want::Keys => &["json_object_keys"],
            _ => &[],
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn data_type(self) -> DataType {
        match self {
            Want::Json | Want::Text | Want::Str | Want::Type => DataType::Utf8,
            Want::Int | Want::Length => DataType::Int64,
            Want::Float => DataType::Float64,
            Want::Bool | Want::Contains => DataType::Boolean,
            Want::Keys => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        }
    }
}

/// Every JSON function.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    Want::ALL.into_iter().map(udf).collect()
}

fn udf(want: Want) -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(ScalarUDF::from(JsonFunction { want, signature, aliases: want.aliases() }))
}

/// A call of the function that gives `want`.
pub(crate) fn call(want: Want, json: Expr, path: Vec<Expr>) -> Expr {
    let mut args = vec![json];
    args.extend(path);
    udf(want).call(args)
}

/// The arguments of a call of the function that gives `want`, where an expression is one.
pub(crate) fn as_call(expr: &Expr, want: Want) -> Option<&[Expr]> {
    match expr {
        Expr::ScalarFunction(function) if function.func.name() == want.name() => Some(&function.args),
        _ => None,
    }
}

/// True for calls that give text out of JSON.
pub(crate) fn is_text_call(expr: &Expr) -> bool {
    [Want::Json, Want::Text, Want::Str].iter().any(|want| as_call(expr, *want).is_some())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonFunction {
    want: Want,
    signature: Signature,
    aliases: Vec<String>,
}

impl ScalarUDFImpl for JsonFunction {
    fn name(&self) -> &str {
        self.want.name()
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let Some((json, path)) = types.split_first() else {
            return plan_err!("{}(json, key, …) takes a JSON text", self.name());
        };
        if !(text::is_text(json) || matches!(json, DataType::Null)) {
            return plan_err!("{}(json, key, …) takes a JSON text, not {json}", self.name());
        }
        let mut coerced = vec![json.clone()];
        for step in path {
            coerced.push(match step {
                step if text::is_text(step) => DataType::Utf8,
                step if step.is_integer() => DataType::Int64,
                other => return plan_err!("a step of a JSON path is a text or an integer, not {other}"),
            });
        }
        Ok(coerced)
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.want.data_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((json, steps)) = args.args.split_first() else {
            return exec_err!("{}(json, key, …) takes a JSON text", self.name());
        };
        let path = steps.iter().map(step).collect::<Result<Vec<Step>>>()?;
        text::map_value(json, |array| self.compute(array, &path))
    }
}

fn step(value: &ColumnarValue) -> Result<Step> {
    match value {
        ColumnarValue::Scalar(ScalarValue::Utf8(Some(key))) => Ok(Step::Key(key.clone())),
        ColumnarValue::Scalar(ScalarValue::Int64(Some(index))) => Ok(Step::Index(*index)),
        _ => exec_err!("a JSON path is made of constants"),
    }
}

impl JsonFunction {
    fn compute(&self, array: &ArrayRef, path: &[Step]) -> Result<ArrayRef> {
        let rows = array.len();
        Ok(match self.want {
            Want::Json | Want::Text | Want::Str | Want::Type => {
                let mut out = StringBuilder::with_capacity(rows, rows * 16);
                let of = |raw| match self.want {
                    Want::Json => Some(Cow::Borrowed(raw)),
                    Want::Text => scan::text(raw),
                    Want::Str => scan::unquote(raw),
                    _ => scan::kind(raw).map(|kind| Cow::Borrowed(kind_name(kind))),
                };
                text::walk(array, |json| {
                    out.append_option(json.and_then(|json| scan::find(json, path)).and_then(of));
                })?;
                Arc::new(out.finish())
            }
            Want::Int => {
                let mut out = Int64Builder::with_capacity(rows);
                text::walk(array, |json| {
                    out.append_option(found(json, path).flatten().and_then(|raw| raw.parse::<i64>().ok()));
                })?;
                Arc::new(out.finish())
            }
            Want::Float => {
                let mut out = Float64Builder::with_capacity(rows);
                text::walk(array, |json| {
                    out.append_option(found(json, path).flatten().and_then(super::number::parse));
                })?;
                Arc::new(out.finish())
            }
            Want::Bool => {
                let mut out = BooleanBuilder::with_capacity(rows);
                text::walk(array, |json| {
                    out.append_option(found(json, path).flatten().and_then(|raw| match raw {
                        "true" => Some(true),
                        "false" => Some(false),
                        _ => None,
                    }));
                })?;
                Arc::new(out.finish())
            }
            Want::Contains => {
                let mut out = BooleanBuilder::with_capacity(rows);
                text::walk(array, |json| out.append_option(found(json, path).map(|raw| raw.is_some())))?;
                Arc::new(out.finish())
            }
            Want::Length => {
                let mut out = Int64Builder::with_capacity(rows);
                text::walk(array, |json| {
                    out.append_option(found(json, path).flatten().and_then(scan::length).map(|n| n as i64));
                })?;
                Arc::new(out.finish())
            }
            Want::Keys => {
                let mut out = ListBuilder::new(StringBuilder::new());
                text::walk(array, |json| {
                    let members = found(json, path).flatten().and_then(scan::Members::new);
                    let some = members.is_some();
                    for (key, _) in members.into_iter().flatten() {
                        out.values().append_value(key);
                    }
                    out.append(some);
                })?;
                Arc::new(out.finish())
            }
        })
    }
}

/// The raw value at a path: none without a text, none inside without a value there.
fn found<'a>(json: Option<&'a str>, path: &[Step]) -> Option<Option<&'a str>> {
    json.map(|json| scan::find(json, path))
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Object => "object",
        Kind::Array => "array",
        Kind::Text => "string",
        Kind::Number => "number",
        Kind::Boolean => "boolean",
        Kind::Null => "null",
    }
}
