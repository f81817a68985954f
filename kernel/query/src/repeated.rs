//! Steps that repeat are done as often as they are written. The engine takes a projection that equals the one below
//! it for the same one and drops it (`merge_consecutive_projections` of DataFusion 55), so that `v + 1 AS v` over
//! `v + 1 AS v` would add one only once. Here the upper of two such gets a mark that keeps them apart.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, Projection, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

/// The rule.
#[derive(Debug)]
pub(crate) struct RepeatedSteps;

impl AnalyzerRule for RepeatedSteps {
    fn name(&self) -> &str {
        "repeated_steps"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let LogicalPlan::Projection(projection) = &plan else { return Ok(Transformed::no(plan)) };
            match below(&projection.input) {
                Some(lower) if lower.expr == projection.expr => {}
                _ => return Ok(Transformed::no(plan)),
            }
            let marked: Vec<Expr> = projection.expr.iter().cloned().map(marked).collect();
            let apart = Projection::try_new(marked, Arc::clone(&projection.input))?;
            Ok(Transformed::yes(LogicalPlan::Projection(apart)))
        })
        .map(|transformed| transformed.data)
    }
}

/// The projection below, past what may be moved out of between.
fn below(plan: &LogicalPlan) -> Option<&Projection> {
    match plan {
        LogicalPlan::Projection(projection) => Some(projection),
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::SubqueryAlias(_) => plan.inputs().first().and_then(|input| below(input)),
        _ => None,
    }
}

/// The expression with the mark, where it computes something.
fn marked(expr: Expr) -> Expr {
    match expr {
        Expr::Alias(mut alias) if !matches!(*alias.expr, Expr::Column(_)) => {
            *alias.expr = MARK.call(vec![std::mem::take(alias.expr.as_mut())]);
            Expr::Alias(alias)
        }
        other => other,
    }
}

static MARK: LazyLock<ScalarUDF> =
    LazyLock::new(|| ScalarUDF::from(Mark { signature: Signature::any(1, Volatility::Immutable) }));

/// Gives what it gets.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Mark {
    signature: Signature,
}

impl ScalarUDFImpl for Mark {
    fn name(&self) -> &str {
        "again"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [of] => Ok(of.clone()),
            _ => plan_err!("again takes one value"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [of] => Ok(Arc::clone(of)),
            _ => plan_err!("again takes one value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(value) => Ok(value),
            None => exec_err!("again takes one value"),
        }
    }
}
