//! Functions that make much out of little, held to a bound: the memory pool does not see what a function allocates.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::{text, times};

/// Most bytes that one call of such a function may make for one batch.
pub(crate) const MADE_BYTES_MAX: u64 = 64 << 20;

/// Functions that make arrays of any length out of a number and have no bound of their own (the table functions
/// `range` and `generate_series` give rows as they are asked for and stay), and those that name files.
const REFUSED: [&str; 7] = [
    "array_repeat",
    "array_resize",
    "range",
    "generate_series",
    "input_file_name",
    "file_row_index",
    "version",
];

/// Takes away what has no bound and wraps what needs one.
pub(crate) fn guarded(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    functions
        .into_iter()
        .filter(|function| !REFUSED.contains(&function.name()))
        .map(|function| match function.name() {
            "repeat" | "lpad" | "rpad" => Arc::new(ScalarUDF::from(Guarded { inner: function })),
            name if times::NAMES.contains(&name) => times::bounded(function),
            _ => function,
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Guarded {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Guarded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if made(self.name(), &args)? > MADE_BYTES_MAX {
            return exec_err!("{} would make more than {} MiB", self.name(), MADE_BYTES_MAX >> 20);
        }
        self.inner.invoke_with_args(args)
    }
}

/// Bytes that a call would make: length times count for `repeat`, the length asked for (in characters of up to four
/// bytes) for the pads.
fn made(name: &str, args: &ScalarFunctionArgs) -> Result<u64> {
    let [first, second, ..] = args.args.as_slice() else { return Ok(0) };
    let constants = matches!((first, second), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
    let rows = if constants { 1 } else { args.number_rows };
    let counts = second.cast_to(&DataType::Int64, None)?.to_array(rows)?;
    let counts = counts.as_primitive::<Int64Type>();
    let count = |row: usize| {
        if counts.is_null(row) { 0 } else { u64::try_from(counts.value(row)).unwrap_or(0) }
    };
    let mut total = 0_u64;
    if name == "repeat" {
        let texts = first.to_array(rows)?;
        let mut row = 0;
        text::walk(&texts, |text| {
            let length = text.map_or(0, |text| text.len() as u64);
            total = total.saturating_add(length.saturating_mul(count(row)));
            row += 1;
        })?;
    } else {
        for row in 0..counts.len() {
            total = total.saturating_add(count(row).saturating_mul(4));
        }
    }
    Ok(total)
}
