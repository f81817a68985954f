//! How expressions read: `attributes['k']`, `contexts['os']['name']`, `event->'user'->>'id'`, and text beside a
//! number.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawFieldAccessExpr,
};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Expr, ExprSchemable, GetFieldAccess, LogicalPlan, Operator, binary_expr, cast, try_cast,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::prelude::lit;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::json::Want;
use super::{attribute, guard, json, number, text};

/// Plans the ways of writing that DataFusion does not know or reads otherwise.
#[derive(Debug)]
pub(crate) struct CandorPlanner;

impl ExprPlanner for CandorPlanner {
    fn plan_binary_op(
        &self,
        mut raw: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        match raw.op {
            BinaryOperator::Arrow => {
                return Ok(PlannerResult::Planned(json_step(Want::Json, raw.left, raw.right)));
            }
            BinaryOperator::LongArrow => {
                return Ok(PlannerResult::Planned(json_step(Want::Text, raw.left, raw.right)));
            }
            BinaryOperator::StringConcat => {
                let is_list = |expr: &Expr| expr.get_type(schema).is_ok_and(|of| of.is_nested());
                if is_list(&raw.left) || is_list(&raw.right) {
                    return Ok(PlannerResult::Original(raw));
                }
                let joined = binary_expr(raw.left, Operator::StringConcat, raw.right);
                return Ok(PlannerResult::Planned(guard::joined(joined)));
            }
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
            | BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo => {}
            _ => return Ok(PlannerResult::Original(raw)),
        }
        if is_number(&raw.right, schema) && is_text(&raw.left, schema) {
            raw.left = as_number(raw.left, &raw.right);
        } else if is_number(&raw.left, schema) && is_text(&raw.right, schema) {
            raw.right = as_number(raw.right, &raw.left);
        }
        Ok(PlannerResult::Original(raw))
    }

    fn plan_field_access(
        &self,
        raw: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let Ok(of) = raw.expr.get_type(schema) else { return Ok(PlannerResult::Original(raw)) };
        let key = match &raw.field_access {
            GetFieldAccess::NamedStructField { name } => lit(name.clone()),
            GetFieldAccess::ListIndex { key } => key.as_ref().clone(),
            GetFieldAccess::ListRange { .. } => return Ok(PlannerResult::Original(raw)),
        };
        if attribute::is_text_map(&of) {
            return Ok(PlannerResult::Planned(attribute::udf().call(vec![raw.expr, key])));
        }
        if text::is_text(&of) {
            return Ok(PlannerResult::Planned(json_step(Want::Text, raw.expr, key)));
        }
        Ok(PlannerResult::Original(raw))
    }

    fn plan_aggregate(&self, mut raw: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        // There is no schema here, so only what is text by its shape is seen.
        let numeric = matches!(
            raw.func.name(),
            "sum"
                | "avg"
                | "mean"
                | "median"
                | "stddev"
                | "stddev_pop"
                | "var"
                | "var_pop"
                | "approx_median"
                | "approx_percentile_cont"
                | "percentile_cont"
                | "quantile_cont"
        );
        if numeric
            && let Some(first) = raw.args.first_mut()
            && is_text_by_shape(first)
        {
            *first = number::call(first.clone());
        }
        Ok(PlannerResult::Original(raw))
    }
}

/// `json -> step`; a chain of steps becomes one walk.
fn json_step(want: Want, json: Expr, step: Expr) -> Expr {
    let inner = [Want::Json, Want::Text].into_iter().find_map(|inner| json::as_call(&json, inner));
    match inner.and_then(|args| args.split_first()) {
        Some((whole, path)) => {
            let mut path = path.to_vec();
            path.push(step);
            json::call(want, whole.clone(), path)
        }
        None => json::call(want, json, vec![step]),
    }
}

fn is_text_by_shape(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(function) if function.func.name() == attribute::NAME => true,
        other => json::is_text_call(other),
    }
}

fn is_number(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|of| of.is_numeric())
}

/// Text that is no constant: `'5'` beside a column is cast once, by the engine.
fn is_text(expr: &Expr, schema: &DFSchema) -> bool {
    !matches!(expr, Expr::Literal(..)) && expr.get_type(schema).is_ok_and(|of| text::is_text(&of))
}

/// Text as a number to compare with `other`.
fn as_number(text: Expr, other: &Expr) -> Expr {
    // Below 2^53 no two integers are one double; ids from there on are compared exactly.
    const EXACT_MAX: u64 = (1 << 53) - 1;
    let beyond = match other {
        Expr::Literal(ScalarValue::Int64(Some(n)), _) => n.unsigned_abs() > EXACT_MAX,
        Expr::Literal(ScalarValue::UInt64(Some(n)), _) => *n > EXACT_MAX,
        _ => false,
    };
    if beyond { try_cast(text, DataType::Decimal128(38, 0)) } else { number::call(text) }
}

/// `text BETWEEN 1 AND 5`, `text IN (1, 2)` and `text IS DISTINCT FROM 1`, which no expression planner sees.
#[derive(Debug)]
pub(crate) struct TextBesideNumbers;

impl AnalyzerRule for TextBesideNumbers {
    fn name(&self) -> &str {
        "text_beside_numbers"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &datafusion::config::ConfigOptions) -> Result<LogicalPlan> {
        each_expression(plan, |expr, schema| expr.transform_up(|expr| Ok(beside_numbers(expr, schema))))
    }
}

/// Rewrites the expressions of a plan and of its subqueries, with the schema that they read, and keeps their names.
pub(super) fn each_expression(
    plan: LogicalPlan,
    rewrite: impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| {
        let mut schema = merge_schema(&plan.inputs());
        if let LogicalPlan::TableScan(scan) = &plan {
            schema
                .merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
        }
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(rewrite(expr, &schema)?.update_data(|data| name.restore(data)))
        })
    })
    .map(|transformed| transformed.data)
}

fn beside_numbers(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::BinaryExpr(mut binary)
            if matches!(binary.op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom) =>
        {
            if is_number(&binary.right, schema) && is_text(&binary.left, schema) {
                binary.left = Box::new(as_number(*binary.left, &binary.right));
            } else if is_number(&binary.left, schema) && is_text(&binary.right, schema) {
                binary.right = Box::new(as_number(*binary.right, &binary.left));
            } else {
                return Transformed::no(Expr::BinaryExpr(binary));
            }
            Transformed::yes(Expr::BinaryExpr(binary))
        }
        Expr::Between(Between { expr, negated, low, high })
            if is_text(&expr, schema) && is_number(&low, schema) && is_number(&high, schema) =>
        {
            let expr = Box::new(number::call(*expr));
            Transformed::yes(Expr::Between(Between { expr, negated, low, high }))
        }
        Expr::InList(InList { expr, list, negated })
            if is_text(&expr, schema)
                && !list.is_empty()
                && list.iter().all(|item| is_number(item, schema)) =>
        {
            let whole = |item: &Expr| as_number((*expr).clone(), item);
            let exact = list.iter().map(whole).any(|item| matches!(item, Expr::TryCast(_)));
            let (compared, list) = if exact {
                let decimal = DataType::Decimal128(38, 0);
                (
                    try_cast(*expr, decimal.clone()),
                    list.into_iter().map(|item| cast(item, decimal.clone())).collect(),
                )
            } else {
                (number::call(*expr), list)
            };
            Transformed::yes(Expr::InList(InList { expr: Box::new(compared), list, negated }))
        }
        other => Transformed::no(other),
    }
}
