//! Functions that make much out of little, held to a bound: the memory pool does not see what a function allocates.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::text;
use super::wrapped::{Before, wrapped};

/// Most bytes that one call of such a function may make for one batch.
pub(crate) const MADE_BYTES_MAX: u64 = 64 << 20;

/// Most bytes of what a function gives for one batch where it gives more than it got: texts of a batch may be long.
pub(crate) const GIVEN_BYTES_MAX: usize = 256 << 20;

/// Most bytes of a constant: it is repeated for every row of a batch.
pub(crate) const CONSTANT_BYTES_MAX: usize = 32 << 10;

/// Most steps of a function that compares every character with every other, for one batch: a few seconds.
const STEPS_MAX: u64 = 2_000_000_000;

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
            "repeat" | "lpad" | "rpad" | "levenshtein" | "replace" | "regexp_replace" | "concat"
            | "concat_ws" | "encode" | "overlay" | "translate" | "array_concat" | "array_append"
            | "array_prepend" | "array_to_string" | "string_to_array" | "array_replace_all" => {
                wrapped(function, Before::Guard)
            }
            _ => function,
        })
        .collect()
}

/// An error where a call would make more than the bound.
pub(crate) fn check(name: &str, args: &ScalarFunctionArgs) -> Result<()> {
    match name {
        "repeat" | "lpad" | "rpad" if made(name, args)? > MADE_BYTES_MAX => {
            exec_err!("{name} would make more than {} MiB", MADE_BYTES_MAX >> 20)
        }
        "levenshtein" if steps(args)? > STEPS_MAX => {
            exec_err!("{name} would take too long: shorten the texts with substr()")
        }
        _ => Ok(()),
    }
}

/// The value of a call, where it is not too large.
pub(crate) fn given(name: &str, value: ColumnarValue) -> Result<ColumnarValue> {
    match &value {
        ColumnarValue::Array(array) if array.get_array_memory_size() > GIVEN_BYTES_MAX => {
            exec_err!("{name} would make more than {} MiB", GIVEN_BYTES_MAX >> 20)
        }
        ColumnarValue::Scalar(scalar) if scalar.size() > CONSTANT_BYTES_MAX + 1024 => {
            exec_err!("{name} would make a constant of more than {} KiB", CONSTANT_BYTES_MAX >> 10)
        }
        _ => Ok(value),
    }
}

/// The lengths in bytes of a text argument, row by row.
fn lengths(value: &ColumnarValue, rows: usize) -> Result<Vec<u64>> {
    if let Some(constant) = text::constant(value) {
        return Ok(vec![constant.map_or(0, |text| text.len() as u64); rows]);
    }
    let texts = value.to_array(rows)?;
    let mut lengths = Vec::with_capacity(rows);
    text::walk(&texts, |text| lengths.push(text.map_or(0, |text| text.len() as u64)))?;
    Ok(lengths)
}

/// Rows of a call: one where all of it is constant.
fn rows(args: &ScalarFunctionArgs) -> usize {
    let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
    if constant { 1 } else { args.number_rows }
}

/// Calls a function that replaces, for no more rows at once than fit the bound whatever they hold. All rows together
/// are held to it by what they make.
pub(crate) fn replaced(inner: &ScalarUDF, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let refused = || exec_err!("{} would make more than {} MiB", inner.name(), GIVEN_BYTES_MAX >> 20);
    let most = most_replaced(inner.name(), &args)?;
    let bound = GIVEN_BYTES_MAX as u64;
    if most.iter().any(|row| *row > bound) {
        return refused();
    }
    if most.iter().fold(0, |sum: u64, row| sum.saturating_add(*row)) <= bound {
        return inner.invoke_with_args(args);
    }
    let mut pieces: Vec<ArrayRef> = Vec::new();
    let (mut made, mut from) = (0, 0);
    while from < most.len() {
        let mut sum = 0_u64;
        let fits = |row: &&u64| {
            sum = sum.saturating_add(**row);
            sum <= bound
        };
        let rows = most.iter().skip(from).take_while(fits).count();
        let slice = |value: &ColumnarValue| match value {
            ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(from, rows)),
            constant => constant.clone(),
        };
        let slices = args.args.iter().map(slice).collect();
        let piece = ScalarFunctionArgs { args: slices, number_rows: rows, ..args.clone() };
        let piece = inner.invoke_with_args(piece)?.into_array(rows)?;
        made += piece.get_array_memory_size();
        if made > GIVEN_BYTES_MAX {
            return refused();
        }
        pieces.push(piece);
        from += rows;
    }
    let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
    Ok(ColumnarValue::Array(concat(&pieces)?))
}

/// Bytes that replacing would make of each row at most.
fn most_replaced(name: &str, args: &ScalarFunctionArgs) -> Result<Vec<u64>> {
    let [text, pattern, to, flags @ ..] = args.args.as_slice() else { return Ok(Vec::new()) };
    let rows = rows(args);
    let lengths_of_all = lengths(text, rows)?.into_iter().zip(lengths(to, rows)?);
    if name == "replace" {
        let patterns = lengths(pattern, rows)?;
        let most = |((text, to), of): ((u64, u64), u64)| match text.checked_div(of) {
            Some(matches) => text.saturating_add(matches.saturating_mul(to.saturating_sub(of))),
            None => beside_every_byte(text, to),
        };
        return Ok(lengths_of_all.zip(patterns).map(most).collect());
    }
    let constant = |value| text::constant(value).map(Option::unwrap_or_default);
    let all_matches = flags.iter().any(|flags| constant(flags).is_none_or(|flags| flags.contains('g')));
    match constant(to) {
        // One match, and as many times what it matched as the replacement may name that.
        Some(shape) if !all_matches => {
            let named = shape.bytes().filter(|byte| matches!(byte, b'$' | b'\\')).count() as u64;
            Ok(lengths_of_all.map(|(text, to)| (named + 1).saturating_mul(text).saturating_add(to)).collect())
        }
        _ => Ok(lengths_of_all.map(|(text, to)| beside_every_byte(text, to)).collect()),
    }
}

/// Bytes of a text with a replacement beside each of its own.
fn beside_every_byte(text: u64, to: u64) -> u64 {
    text.saturating_add(text.saturating_add(1).saturating_mul(to))
}

/// Pairs of bytes that two texts have.
fn steps(args: &ScalarFunctionArgs) -> Result<u64> {
    let [one, other] = args.args.as_slice() else { return Ok(0) };
    let rows = rows(args);
    let pairs = lengths(one, rows)?.into_iter().zip(lengths(other, rows)?);
    Ok(pairs.fold(0, |sum: u64, (one, other)| sum.saturating_add(one.saturating_mul(other))))
}

/// Bytes that a call would make: length times count for `repeat`, the length asked for (in characters of up to four
/// bytes) for the pads.
fn made(name: &str, args: &ScalarFunctionArgs) -> Result<u64> {
    let [first, second, ..] = args.args.as_slice() else { return Ok(0) };
    let rows = rows(args);
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

static JOINED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(Joined { signature: Signature::any(1, Volatility::Immutable) }))
});

/// What `||` gave, held to the bound: every step of a chain doubles what the step before it made.
pub(crate) fn joined(expr: Expr) -> Expr {
    JOINED.call(vec![expr])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    signature: Signature,
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &str {
        "joined"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [of] => Ok(of.clone()),
            _ => plan_err!("|| gives one value"),
        }
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [of] => Ok(of.schema_name().to_string()),
            _ => plan_err!("|| gives one value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(value) => given("||", value),
            None => exec_err!("|| gives one value"),
        }
    }
}
