//! Steps that repeat are done as often as they are written. The engine takes a projection that equals the one below
//! it for the same one and drops it (`merge_consecutive_projections` of DataFusion 55), so that `v + 1 AS v` over
//! `v + 1 AS v` would add one only once. It looks for that after it has merged projections and moved what lies
//! between, so what is written differently may become equal. But what it makes has the names that were written, so two
//! projections that do something to a name can only become equal where both give that name anew. Here the upper of two
//! such gets a mark of its own, which keeps them apart whatever becomes of them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
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
        let mut marks = 0;
        plan.transform_up_with_subqueries(|plan| {
            let LogicalPlan::Projection(projection) = &plan else { return Ok(Transformed::no(plan)) };
            let mut again: Vec<bool> = vec![false; projection.expr.len()];
            if projection.expr.iter().any(|expr| new_name(expr).is_some()) {
                projection.input.apply(|below| {
                    if let LogicalPlan::Projection(below) = below {
                        for (again, expr) in again.iter_mut().zip(&projection.expr) {
                            let name = new_name(expr);
                            *again |=
                                name.is_some() && below.expr.iter().any(|below| new_name(below) == name);
                        }
                    }
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
            if !again.contains(&true) {
                return Ok(Transformed::no(plan));
            }
            let exprs = projection.expr.iter().cloned().zip(again);
            let marked = exprs.map(|(expr, again)| if again { marked(expr, &mut marks) } else { expr });
            let apart = Projection::try_new(marked.collect(), Arc::clone(&projection.input))?;
            Ok(Transformed::yes(LogicalPlan::Projection(apart)))
        })
        .map(|transformed| transformed.data)
    }
}

/// The name that an expression of a projection gives to what had another or was not there before.
fn new_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Alias(alias) => match alias.expr.as_ref() {
            Expr::Column(column) if column.name == alias.name => None,
            _ => Some(&alias.name),
        },
        _ => None,
    }
}

/// The expression with a mark, the next of those that the plan has.
fn marked(expr: Expr, marks: &mut usize) -> Expr {
    match expr {
        Expr::Alias(mut alias) => {
            *marks += 1;
            let mark = Mark { number: *marks, signature: Signature::any(1, Volatility::Immutable) };
            *alias.expr = ScalarUDF::from(mark).call(vec![std::mem::take(alias.expr.as_mut())]);
            Expr::Alias(alias)
        }
        other => other,
    }
}

/// Gives what it gets, and equals no other.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Mark {
    number: usize,
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
