//! How times and text, dates and intervals meet in SQL: in microseconds, whatever the engine would choose.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{Between, Cast, InList};
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, cast};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, TimezoneInfo};

use super::planner::each_expression;
use super::{text, times};

/// `TIMESTAMP` is a time in microseconds, as PostgreSQL's and DuckDB's is.
#[derive(Debug)]
pub(crate) struct MicrosecondTimes;

impl TypePlanner for MicrosecondTimes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let of = match sql_type {
            SqlType::Timestamp(None | Some(4..), zone) => {
                let zoned = matches!(zone, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone);
                DataType::Timestamp(TimeUnit::Microsecond, zoned.then(|| "UTC".into()))
            }
            SqlType::Datetime(None | Some(4..)) => DataType::Timestamp(TimeUnit::Microsecond, None),
            _ => return Ok(None),
        };
        Ok(Some(Field::new("", of, true).into()))
    }
}

/// `generate_series` and `range` as tables: they count times in nanoseconds and take no others.
pub(crate) fn series(functions: Vec<Arc<TableFunction>>) -> Vec<Arc<TableFunction>> {
    let fitted = |function: Arc<TableFunction>| match function.name() {
        "generate_series" | "range" => {
            let name = function.name().to_owned();
            Arc::new(TableFunction::new(name, Arc::new(Series(function))))
        }
        _ => function,
    };
    functions.into_iter().map(fitted).collect()
}

#[derive(Debug)]
struct Series(Arc<TableFunction>);

impl TableFunctionImpl for Series {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let in_nanoseconds = |expr: &Expr| match expr {
            Expr::Literal(time, metadata) => match time.data_type() {
                DataType::Timestamp(unit, zone) if unit != TimeUnit::Nanosecond => {
                    let nanos = time.cast_to(&DataType::Timestamp(TimeUnit::Nanosecond, zone));
                    let Ok(nanos) = nanos else {
                        return plan_err!("a series of times lies between the years 1678 and 2261");
                    };
                    Ok(Expr::Literal(nanos, metadata.clone()))
                }
                _ => Ok(expr.clone()),
            },
            _ => Ok(expr.clone()),
        };
        let exprs = args.exprs().iter().map(in_nanoseconds).collect::<Result<Vec<Expr>>>()?;
        self.0.create_table_provider_with_args(TableFunctionArgs::new(&exprs, args.session()))
    }
}

/// Takes back the engine's choice of nanoseconds, after it was made: where times are compared with text or dates they
/// stay microseconds, and elsewhere what nanoseconds cannot hold is bounded. Durations and intervals are compared by
/// their length.
#[derive(Debug)]
pub(crate) struct Microseconds;

impl AnalyzerRule for Microseconds {
    fn name(&self) -> &str {
        "microseconds"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &datafusion::config::ConfigOptions) -> Result<LogicalPlan> {
        each_expression(plan, |expr, schema| expr.transform_down(|expr| Ok(rewritten(expr, schema))))
    }
}

fn rewritten(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::BinaryExpr(mut binary) if compares(binary.op) => {
            let right = match binary.op {
                Operator::Lt | Operator::GtEq => Some(Round::Up),
                Operator::Gt | Operator::LtEq => Some(Round::Down),
                _ => None,
            };
            let left = right.map(|right| if right == Round::Up { Round::Down } else { Round::Up });
            let changed = level([(binary.left.as_mut(), left), (binary.right.as_mut(), right)], schema);
            Transformed::new(Expr::BinaryExpr(binary), changed, TreeNodeRecursion::Continue)
        }
        Expr::Between(Between { mut expr, negated, mut low, mut high }) => {
            let bounds = [(low.as_mut(), Some(Round::Up)), (high.as_mut(), Some(Round::Down))];
            let changed = level(std::iter::once((expr.as_mut(), None)).chain(bounds), schema);
            let between = Expr::Between(Between { expr, negated, low, high });
            Transformed::new(between, changed, TreeNodeRecursion::Continue)
        }
        Expr::InList(InList { mut expr, mut list, negated }) => {
            let sides = std::iter::once(expr.as_mut()).chain(&mut list);
            let changed = level(sides.map(|side| (side, None)), schema);
            let list = Expr::InList(InList { expr, list, negated });
            Transformed::new(list, changed, TreeNodeRecursion::Continue)
        }
        Expr::ScalarFunction(mut function) if function.func.name() == "date_part" => {
            let mut changed = false;
            for argument in &mut function.args {
                changed |= in_nanoseconds(argument, schema) && in_microseconds(argument);
            }
            Transformed::new(Expr::ScalarFunction(function), changed, TreeNodeRecursion::Continue)
        }
        Expr::Cast(Cast { expr: inner, field }) => {
            let of = inner.get_type(schema);
            let beyond = match (field.data_type(), &of) {
                (DataType::Timestamp(TimeUnit::Nanosecond, _), Ok(DataType::Timestamp(unit, _))) => {
                    *unit != TimeUnit::Nanosecond
                }
                (DataType::Timestamp(TimeUnit::Nanosecond, _), Ok(DataType::Date32 | DataType::Date64)) => {
                    true
                }
                (DataType::Timestamp(TimeUnit::Nanosecond, _), Ok(of)) => text::is_text(of),
                (DataType::Interval(IntervalUnit::MonthDayNano), Ok(DataType::Duration(_))) => true,
                _ => false,
            };
            if beyond {
                Transformed::yes(times::bounded(*inner, field.data_type()))
            } else {
                Transformed::no(Expr::Cast(Cast { expr: inner, field }))
            }
        }
        other => Transformed::no(other),
    }
}

/// To which microsecond a text between two goes where comparing it with whole ones is to say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Down,
    Up,
}

/// Brings what is compared to one type that holds it all; whether anything had to be. Each side comes with where it
/// goes if it is a text between two microseconds; where one has nowhere to go, all of them stay nanoseconds.
fn level<'a>(sides: impl IntoIterator<Item = (&'a mut Expr, Option<Round>)>, schema: &DFSchema) -> bool {
    let (mut sides, rounds): (Vec<&mut Expr>, Vec<Option<Round>>) = sides.into_iter().unzip();
    if sides.iter().all(|side| in_nanoseconds(side, schema)) {
        let between: Vec<Option<i64>> = sides.iter().map(|side| between_microseconds(side)).collect();
        if between.iter().any(Option::is_some) {
            let known = |(side, (round, between)): (&&mut Expr, (&Option<Round>, &Option<i64>))| match between
            {
                Some(_) => round.is_some(),
                None => !is_computed_text(side, schema),
            };
            let whole = between.contains(&None);
            if !whole || !sides.iter().zip(rounds.iter().zip(&between)).all(known) {
                return false;
            }
            for (side, (round, below)) in sides.iter_mut().zip(rounds.iter().zip(&between)) {
                if let Some(below) = below {
                    set_literal(side, below.saturating_add(i64::from(*round == Some(Round::Up))));
                }
            }
        }
        let mut changed = false;
        for side in sides {
            changed |= in_microseconds(side);
        }
        return changed;
    }
    let intervals = |side: &&mut Expr| matches!(side.get_type(schema), Ok(DataType::Interval(_)));
    if sides.iter().all(intervals) {
        for side in sides {
            let whole = DataType::Duration(TimeUnit::Microsecond);
            match side {
                Expr::Cast(duration) if is_duration(&duration.expr, schema) => {
                    let inner = std::mem::take(duration.expr.as_mut());
                    *side = cast(inner, whole);
                }
                other => {
                    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
                    let inner = std::mem::take(other);
                    let inner = match inner.get_type(schema) {
                        Ok(of) if of != interval => cast(inner, interval),
                        _ => inner,
                    };
                    *other = times::bounded(inner, &whole);
                }
            }
        }
        return true;
    }
    false
}

/// True for a cast of something else to a time in nanoseconds.
fn in_nanoseconds(expr: &Expr, schema: &DFSchema) -> bool {
    let Expr::Cast(cast) = expr else { return false };
    let DataType::Timestamp(TimeUnit::Nanosecond, _) = cast.field.data_type() else { return false };
    match cast.expr.get_type(schema) {
        Ok(DataType::Timestamp(unit, _)) => unit != TimeUnit::Nanosecond,
        Ok(DataType::Date32 | DataType::Date64 | DataType::Null) => true,
        Ok(of) => text::is_text(&of),
        Err(_) => false,
    }
}

/// The microsecond below the text that is cast to nanoseconds, where that lies between two.
fn between_microseconds(expr: &Expr) -> Option<i64> {
    let Expr::Cast(cast) = expr else { return None };
    let Expr::Literal(literal, _) = cast.expr.as_ref() else { return None };
    if !text::is_text(&literal.data_type()) {
        return None;
    }
    match literal.cast_to(cast.field.data_type()) {
        Ok(ScalarValue::TimestampNanosecond(Some(nanos), _)) if nanos.rem_euclid(1000) != 0 => {
            Some(nanos.div_euclid(1000))
        }
        // What nanoseconds cannot hold is taken to the microsecond.
        _ => None,
    }
}

/// True for a cast of text that is known row by row alone.
fn is_computed_text(expr: &Expr, schema: &DFSchema) -> bool {
    let Expr::Cast(cast) = expr else { return false };
    !matches!(cast.expr.as_ref(), Expr::Literal(..))
        && cast.expr.get_type(schema).is_ok_and(|of| text::is_text(&of))
}

/// Puts a time in microseconds in the place of what is cast.
fn set_literal(expr: &mut Expr, micros: i64) {
    let Expr::Cast(cast) = expr else { return };
    let DataType::Timestamp(_, zone) = cast.field.data_type() else { return };
    let time = ScalarValue::TimestampMicrosecond(Some(micros), zone.clone());
    *cast.expr = Expr::Literal(time, None);
}

/// Makes a cast to nanoseconds one to microseconds.
fn in_microseconds(expr: &mut Expr) -> bool {
    let Expr::Cast(of) = expr else { return false };
    let DataType::Timestamp(_, zone) = of.field.data_type() else { return false };
    let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
    *expr = cast(std::mem::take(of.expr.as_mut()), micros);
    true
}

fn compares(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

fn is_duration(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Duration(_)))
}
