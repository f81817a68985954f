//! Functions of time, over times that senders state: the years -9999 to 9999, in microseconds.
//!
//! The engine's own prefer nanoseconds, which hold the years 1677 to 2262 in 64 bits: a sender's clock may say 2500,
//! and one such row must not fail the query for a whole table. So what makes a time here makes microseconds, and what
//! can only count nanoseconds takes what lies beyond for the end that it passed.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::text;
use super::wrapped::{Before, wrapped};

/// 1678-01-01 and the last microsecond of 2261: whole years within what nanoseconds hold.
const MICROS_MIN: i64 = -9_214_560_000_000_000;
const MICROS_MAX: i64 = 9_214_646_400_000_000 - 1;

/// Microseconds of a day, and of a month where two intervals are compared: 30 days, as PostgreSQL has it.
const DAY_US: i64 = 86_400 * 1_000_000;
const MONTH_US: i64 = 30 * DAY_US;

/// Microseconds within the years -9999 to 9999, which the tables' times keep to.
fn stated(micros: i64) -> i64 {
    micros.clamp(-377_705_023_201_000_000, 253_402_207_200_999_999)
}

/// The type of a time: that of the tables' own columns.
fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The engine's functions with those of time made fit for the tables' times.
pub(crate) fn fitted(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let of_text = functions.iter().find(|function| function.name() == "to_timestamp_micros").cloned();
    functions
        .into_iter()
        .map(|function| match (function.name(), &of_text) {
            ("date_trunc" | "date_bin", _) => wrapped(function, Before::BoundTime),
            ("to_char", _) => wrapped(function, Before::KeepTime),
            ("now", _) => Arc::new(ScalarUDF::from(Now::new())),
            ("to_timestamp", Some(of_text)) => {
                Arc::new(ScalarUDF::from(ToTimestamp::new(Arc::clone(of_text))))
            }
            _ => function,
        })
        .collect()
}

/// The types of the arguments as `inner` wants them, but for its time, which keeps its own.
pub(crate) fn kept(inner: &ScalarUDF, types: &[DataType]) -> Result<Vec<DataType>> {
    let place = usize::from(inner.name() != "to_char");
    let mut types = types.to_vec();
    if let Some(time) = types.get_mut(place)
        && (text::is_text(time) || (inner.name() != "to_char" && matches!(time, DataType::Date32)))
    {
        *time = DataType::Timestamp(TimeUnit::Microsecond, None);
    }
    let fields: Vec<FieldRef> = types.iter().map(|of| Field::new("", of.clone(), true).into()).collect();
    let mut coerced: Vec<DataType> =
        fields_with_udf(&fields, inner)?.iter().map(|field| field.data_type().clone()).collect();
    if let (Some(of), Some(time @ DataType::Timestamp(..))) = (coerced.get_mut(place), types.get(place)) {
        *of = time.clone();
    }
    Ok(coerced)
}

/// Brings a time within what nanoseconds hold.
pub(crate) fn bound(value: &mut ColumnarValue) {
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

/// `now()`, in the type of the tables' own times.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    signature: Signature,
    aliases: Vec<String>,
}

impl Now {
    fn new() -> Now {
        Now {
            signature: Signature::nullary(Volatility::Stable),
            aliases: vec!["current_timestamp".to_owned()],
        }
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        "now"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(utc())
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match info.query_execution_start_time() {
            Some(now) => {
                let micros =
                    ScalarValue::TimestampMicrosecond(Some(now.timestamp_micros()), Some("UTC".into()));
                ExprSimplifyResult::Simplified(Expr::Literal(micros, None))
            }
            None => ExprSimplifyResult::Original(args),
        })
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("now() is decided when a query is planned")
    }
}

/// `to_timestamp(value, format…)`: of text, of seconds since the epoch, of a date or a time.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToTimestamp {
    of_text: Arc<ScalarUDF>,
    signature: Signature,
}

impl ToTimestamp {
    fn new(of_text: Arc<ScalarUDF>) -> ToTimestamp {
        ToTimestamp { of_text, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToTimestamp {
    fn name(&self) -> &str {
        "to_timestamp"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let Some((first, formats)) = types.split_first() else {
            return plan_err!("to_timestamp takes a text, a number of seconds or a time");
        };
        if !formats.iter().all(|format| text::is_text(format) || format.is_null()) {
            return plan_err!("the formats of to_timestamp are text");
        }
        if !formats.is_empty() && !text::is_text(first) {
            return plan_err!("to_timestamp takes formats for a text alone");
        }
        let first = match first {
            of if of.is_signed_integer() => DataType::Int64,
            of if of.is_numeric() => DataType::Float64,
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            DataType::Date32 | DataType::Date64 | DataType::Null => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            of if text::is_text(of) => of.clone(),
            other => return plan_err!("to_timestamp takes no {other}"),
        };
        Ok(std::iter::once(first).chain(formats.iter().cloned()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match types.first() {
            Some(time @ DataType::Timestamp(..)) => time.clone(),
            _ => DataType::Timestamp(TimeUnit::Microsecond, None),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(first) = args.args.first() else { return exec_err!("to_timestamp takes an argument") };
        match first.data_type() {
            DataType::Timestamp(..) => Ok(first.clone()),
            DataType::Int64 => text::map_value(first, |seconds| {
                let seconds = seconds.as_primitive::<Int64Type>();
                Ok(Arc::new(seconds.unary::<_, TimestampMicrosecondType>(|seconds| {
                    stated(seconds.saturating_mul(1_000_000))
                })))
            }),
            DataType::Float64 => text::map_value(first, |seconds| {
                let seconds = seconds.as_primitive::<Float64Type>();
                // No number is no time; the cast takes what is too large for the largest.
                Ok(Arc::new(seconds.unary_opt::<_, TimestampMicrosecondType>(|seconds| {
                    (!seconds.is_nan()).then(|| stated((seconds * 1e6).round() as i64))
                })))
            }),
            of if args.args.len() == 1 => text::map_value(first, |text| {
                if !text::is_text(&of) {
                    return exec_err!("to_timestamp takes no {of}");
                }
                let strict = CastOptions { safe: false, ..CastOptions::default() };
                Ok(cast_with_options(text, &DataType::Timestamp(TimeUnit::Microsecond, None), &strict)?)
            }),
            _ => self.of_text.invoke_with_args(args),
        }
    }
}

static BOUNDED: LazyLock<[(DataType, Arc<ScalarUDF>); 3]> = LazyLock::new(|| {
    [
        DataType::Timestamp(TimeUnit::Nanosecond, None),
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Duration(TimeUnit::Microsecond),
    ]
    .map(|target| (target.clone(), bounded_udf(target)))
});

fn bounded_udf(target: DataType) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Bounded { target, signature: Signature::any(1, Volatility::Immutable) }))
}

/// `expr` cast to `target`, what `target` cannot hold being the end that it passed: times and dates as nanoseconds,
/// durations as intervals, intervals as durations.
pub(crate) fn bounded(expr: Expr, target: &DataType) -> Expr {
    match BOUNDED.iter().find(|(of, _)| of == target) {
        Some((_, udf)) => udf.call(vec![expr]),
        None => bounded_udf(target.clone()).call(vec![expr]),
    }
}

/// A cast that never fails for what is too large.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    target: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        "bounded"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.target.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return exec_err!("a cast takes one value") };
        text::map_value(value, |array| {
            let within = match array.data_type() {
                DataType::Interval(IntervalUnit::MonthDayNano) => return Ok(durations(array)),
                DataType::Duration(unit) | DataType::Timestamp(unit, _) => clamped(array, a_second(*unit))?,
                DataType::Date32 | DataType::Date64 => {
                    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
                    clamped(&cast(array, &micros)?, a_second(TimeUnit::Microsecond))?
                }
                of if text::is_text(of) => return self.parsed(array),
                _ => Arc::clone(array),
            };
            Ok(cast(&within, &self.target)?)
        })
    }
}

impl Bounded {
    /// Text as times: to the nanosecond where they all can be.
    fn parsed(&self, text: &ArrayRef) -> Result<ArrayRef> {
        let lenient = CastOptions { safe: true, ..CastOptions::default() };
        let exact = cast_with_options(text, &self.target, &lenient)?;
        if exact.null_count() == text.logical_null_count() {
            return Ok(exact);
        }
        let DataType::Timestamp(_, zone) = &self.target else { return exec_err!("expected a time") };
        let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let times = cast_with_options(text, &micros, &strict)?;
        Ok(cast(&clamped(&times, a_second(TimeUnit::Microsecond))?, &self.target)?)
    }
}

/// How many of a unit are a second.
fn a_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The values, in units of which `a_second` are a second, within what nanoseconds hold.
fn clamped(array: &ArrayRef, a_second: i64) -> Result<ArrayRef> {
    let (least, greatest) = (MICROS_MIN / 1_000_000 * a_second, (MICROS_MAX / 1_000_000) * a_second);
    let raw = cast(array, &DataType::Int64)?;
    let within = raw.as_primitive::<Int64Type>().unary::<_, Int64Type>(|value| value.clamp(least, greatest));
    Ok(cast(&within, array.data_type())?)
}

/// Intervals as microseconds, so that an hour is less than a day.
fn durations(intervals: &ArrayRef) -> ArrayRef {
    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
    Arc::new(intervals.unary::<_, datafusion::arrow::datatypes::DurationMicrosecondType>(|interval| {
        let months = i64::from(interval.months).saturating_mul(MONTH_US);
        let days = i64::from(interval.days).saturating_mul(DAY_US);
        months.saturating_add(days).saturating_add(interval.nanoseconds / 1000)
    }))
}
