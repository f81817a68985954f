//! `contains_text(column, 'word')`: the words of a search, over text, the values of a map and the items of a list.
//! Never null, so that `-word` finds rows without text.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, StringArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::lit;
use parking_lot::Mutex;

use super::attribute::is_text_map;
use super::pattern::Pattern;
use super::text;

/// The function's name.
pub(crate) const NAME: &str = "contains_text";

static UDF: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(Contains { signature: Signature::user_defined(Volatility::Immutable) }))
});

/// Patterns compiled last, newest last: a query evaluates a few over thousands of batches.
static COMPILED: Mutex<Vec<(String, Arc<Pattern>)>> = Mutex::new(Vec::new());

/// How many compiled patterns are kept: the words of a few searches at once.
const COMPILED_MAX: usize = 32;

/// The function.
pub(crate) fn udf() -> Arc<ScalarUDF> {
    Arc::clone(&UDF)
}

/// `contains_text(column, pattern)`; in the pattern `*` stands for anything.
pub(crate) fn call(column: Expr, pattern: &str) -> Expr {
    udf().call(vec![column, lit(pattern)])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Contains {
    signature: Signature,
}

fn is_text_list(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(item) if item.data_type() == &DataType::Utf8)
}

impl ScalarUDFImpl for Contains {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [column, pattern]
                if text::is_text(pattern)
                    && (text::is_text(column)
                        || is_text_map(column)
                        || is_text_list(column)
                        || matches!(column, DataType::Null)) =>
            {
                Ok(vec![column.clone(), DataType::Utf8])
            }
            _ => plan_err!("contains_text(column, word) takes a text, a MAP or a list of text, and a text"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn is_nullable(&self, _args: &[Expr], _schema: &dyn datafusion::common::ExprSchema) -> bool {
        false
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [column, pattern] = args.args.as_slice() else {
            return exec_err!("contains_text(column, word) takes two arguments");
        };
        let Some(Some(pattern)) = text::constant(pattern) else {
            return exec_err!("the word of contains_text is a constant");
        };
        let pattern = compiled(pattern)?;
        text::map_value(column, |array| Ok(Arc::new(matches(array, &pattern)?) as ArrayRef))
    }
}

fn compiled(text: &str) -> Result<Arc<Pattern>> {
    let mut kept = COMPILED.lock();
    if let Some((_, pattern)) = kept.iter().rev().find(|(of, _)| of == text) {
        return Ok(Arc::clone(pattern));
    }
    let pattern = Arc::new(Pattern::new(text).map_err(|e| exec_datafusion_err!("{e}"))?);
    if kept.len() >= COMPILED_MAX {
        kept.remove(0);
    }
    kept.push((text.to_owned(), Arc::clone(&pattern)));
    Ok(pattern)
}

fn matches(array: &ArrayRef, pattern: &Pattern) -> Result<BooleanArray> {
    let found = match array.data_type() {
        DataType::Utf8 => in_strings(array.as_string(), pattern),
        DataType::Map(_, _) => {
            let map = array.as_map();
            let Some(values) = map.values().as_string_opt() else {
                return exec_err!("expected a MAP(VARCHAR, VARCHAR)");
            };
            grouped(values, map.value_offsets(), pattern)
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let Some(values) = list.values().as_string_opt() else {
                return exec_err!("expected a list of text");
            };
            grouped(values, list.value_offsets(), pattern)
        }
        _ => {
            let mut found = BooleanBufferBuilder::new(array.len());
            text::walk(array, |value| found.append(value.is_some_and(|value| pattern.matches(value))))?;
            found.finish()
        }
    };
    // What a null covers may be anything.
    let found = match array.nulls() {
        Some(nulls) => &found & nulls.inner(),
        None => found,
    };
    Ok(BooleanArray::new(found, None))
}

fn in_strings(values: &StringArray, pattern: &Pattern) -> BooleanBuffer {
    let mut found = BooleanBufferBuilder::new(values.len());
    found.append_n(values.len(), false);
    pattern.scan(values.value_data(), values.value_offsets(), |value| found.set_bit(value, true));
    found.finish()
}

/// Rows that own a value that matches: row `i` owns values `offsets[i]` to `offsets[i + 1]`.
fn grouped(values: &StringArray, offsets: &[i32], pattern: &Pattern) -> BooleanBuffer {
    let rows = offsets.len().saturating_sub(1);
    let mut found = BooleanBufferBuilder::new(rows);
    found.append_n(rows, false);
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return found.finish() };
    let (first, last) = (*first as usize, *last as usize);
    let mut row = 0;
    let window = &values.value_offsets()[first..=last];
    pattern.scan(values.value_data(), window, |value| {
        let value = value + first;
        if values.is_null(value) {
            return;
        }
        while (offsets[row + 1] as usize) <= value {
            row += 1;
        }
        found.set_bit(row, true);
    });
    found.finish()
}
