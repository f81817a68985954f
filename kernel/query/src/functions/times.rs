//! Functions of time that count in 64-bit nanoseconds, which hold the years 1677 to 2262: a sender's clock may say 2500,
//! and one such row must not fail the query for a whole table. What lies beyond is taken for the end that it passed.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// The functions that are wrapped.
pub(crate) const NAMES: [&str; 1] = ["date_trunc"];

/// 1678-01-01 and the last microsecond of 2261: whole years within what nanoseconds hold.
const MICROS_MIN: i64 = -9_214_560_000_000_000;
const MICROS_MAX: i64 = 9_214_646_400_000_000 - 1;

/// `inner` over times that it can count.
pub(crate) fn bounded(inner: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Bounded { inner }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Bounded {
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

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // What the inner one makes of it would no longer be wrapped.
        let _ = info;
        Ok(ExprSimplifyResult::Original(args))
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(input)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args.iter_mut().for_each(bound);
        self.inner.invoke_with_args(args)
    }
}

fn bound(value: &mut ColumnarValue) {
    match value {
        ColumnarValue::Array(array) => {
            if let DataType::Timestamp(TimeUnit::Microsecond, _) = array.data_type() {
                let times = array.as_primitive::<TimestampMicrosecondType>();
                let beyond = |micros: &i64| !(MICROS_MIN..=MICROS_MAX).contains(micros);
                if times.values().iter().any(beyond) {
                    let bounded =
                        times.unary::<_, TimestampMicrosecondType>(|t| t.clamp(MICROS_MIN, MICROS_MAX));
                    *array = Arc::new(bounded.with_data_type(array.data_type().clone()));
                }
            }
        }
        ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(Some(micros), _)) => {
            *micros = (*micros).clamp(MICROS_MIN, MICROS_MAX);
        }
        ColumnarValue::Scalar(_) => {}
    }
}
