//! Text as a number: what is no number is null. `attributes['http.status_code'] >= 500` goes through it.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, Float64Builder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExpressionPlacement, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::text;

/// The function's name.
pub(crate) const NAME: &str = "text_number";

static UDF: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(Number { signature: Signature::user_defined(Volatility::Immutable) }))
});

/// The function.
pub(crate) fn udf() -> Arc<ScalarUDF> {
    Arc::clone(&UDF)
}

/// `text_number(text)`.
pub(crate) fn call(text: Expr) -> Expr {
    udf().call(vec![text])
}

/// The number that a text is: decimal, with a sign, a fraction and an exponent where it has them.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let text = text.trim_ascii();
    // `parse` also takes `inf` and `nan` in several spellings; none begins as a number does.
    let first = text.bytes().next()?;
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Number {
    signature: Signature,
}

impl ScalarUDFImpl for Number {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [one] if text::is_text(one) || matches!(one, DataType::Null) => Ok(vec![one.clone()]),
            _ => plan_err!("text_number(text) takes a text"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [text] => Ok(text.schema_name().to_string()),
            _ => plan_err!("text_number(text) takes one argument"),
        }
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        // With the attribute that it reads, of which a promoted column may hold the number.
        match args {
            [ExpressionPlacement::MoveTowardsLeafNodes] => ExpressionPlacement::MoveTowardsLeafNodes,
            _ => ExpressionPlacement::KeepInPlace,
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text] = args.args.as_slice() else { return exec_err!("text_number(text) takes one argument") };
        text::map_value(text, |array| {
            let mut numbers = Float64Builder::with_capacity(array.len());
            text::walk(array, |value| numbers.append_option(value.and_then(parse)))?;
            Ok(Arc::new(numbers.finish()) as ArrayRef)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_is_no_number_is_none() {
        for (text, number) in [
            ("500", Some(500.0)),
            (" -1.5e3 ", Some(-1500.0)),
            (".5", Some(0.5)),
            ("", None),
            ("nan", None),
            ("-inf", None),
            ("1e999", None),
            ("12ms", None),
            ("0x10", None),
        ] {
            assert_eq!(parse(text), number, "{text:?}");
        }
    }
}
