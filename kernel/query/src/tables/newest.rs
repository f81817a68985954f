//! `ORDER BY timestamp DESC LIMIT n` reads the newest files, and in them the newest row groups, first.
//!
//! The engine's TopK tightens a filter as it fills, and files and row groups that cannot beat it any more are never
//! read; but which are read first decides whether it fills early. The engine's own rule tells a scan the wanted order
//! only where the scan lies right below the sort. Here it lies below the chain of tail and files, under a filter and
//! a projection, so this rule walks down through those. The order of reading changes, never the result: the sort
//! stays.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, SortOrderPushdownResult};

const RECOMPUTE: ReplaceChildrenOptions = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);

/// Fewest rows that a filter gathers before it passes them on.
const GATHERED_ROWS_MIN: usize = 128;

use super::chain::ChainExec;

/// The rule.
#[derive(Debug)]
pub(crate) struct NewestFirst;

impl PhysicalOptimizerRule for NewestFirst {
    fn name(&self) -> &str {
        "newest_first"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|plan| {
            let Some(sort) = plan.downcast_ref::<SortExec>() else { return Ok(Transformed::no(plan)) };
            if sort.fetch().is_none() {
                return Ok(Transformed::no(plan));
            }
            let first = sort.expr().first();
            let Some(column) = first.expr.downcast_ref::<Column>() else { return Ok(Transformed::no(plan)) };
            let wanted = Wanted { column: column.clone(), options: first.options, fetch: sort.fetch() };
            match hinted(sort.input(), &wanted)? {
                Some(input) => Ok(Transformed::yes(plan.replace_children(vec![input], RECOMPUTE)?)),
                None => Ok(Transformed::no(plan)),
            }
        })
        .map(|transformed| transformed.data)
    }
}

/// The order that is wanted, by a column of the plan that is looked at.
struct Wanted {
    column: Column,
    options: datafusion::arrow::compute::SortOptions,
    /// How many rows are wanted.
    fetch: Option<usize>,
}

/// The plan with its scans told the order; none where there is no scan to tell.
fn hinted(plan: &Arc<dyn ExecutionPlan>, wanted: &Wanted) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if plan.is::<DataSourceExec>() {
        let expr = PhysicalSortExpr::new(Arc::new(wanted.column.clone()), wanted.options);
        return Ok(match plan.try_pushdown_sort(&[expr])? {
            // Exact too keeps the sort above: other sides of the union are not in order.
            SortOrderPushdownResult::Exact { inner } | SortOrderPushdownResult::Inexact { inner } => {
                Some(inner)
            }
            SortOrderPushdownResult::Unsupported => None,
        });
    }
    let below = if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        projection
            .expr()
            .get(wanted.column.index())
            .and_then(|expr| expr.expr.downcast_ref::<Column>().cloned())
    } else if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        match filter.projection() {
            Some(kept) => kept
                .get(wanted.column.index())
                .map(|at| Column::new(filter.input().schema().field(*at).name(), *at)),
            None => Some(wanted.column.clone()),
        }
    } else if plan.is::<ChainExec>()
        || plan.is::<UnionExec>()
        || plan.is::<RepartitionExec>()
        || plan.is::<CoalescePartitionsExec>()
    {
        Some(wanted.column.clone())
    } else {
        None
    };
    let Some(column) = below else { return Ok(None) };
    let mut changed = false;
    let mut children = Vec::new();
    for child in plan.children() {
        // A union's sides name a column by its place.
        let name = child.schema().field(column.index()).name().clone();
        let wanted = Wanted { column: Column::new(&name, column.index()), ..*wanted };
        match hinted(child, &wanted)? {
            Some(child) => {
                changed = true;
                children.push(child);
            }
            None => children.push(Arc::clone(child)),
        }
    }
    if !changed {
        return Ok(None);
    }
    let plan = Arc::clone(plan).replace_children(children, RECOMPUTE)?;
    // A filter gathers its rows into whole batches; the sort should see the first as soon as they are enough.
    match (plan.downcast_ref::<FilterExec>(), wanted.fetch) {
        (Some(filter), Some(fetch)) => {
            let rows = fetch.clamp(GATHERED_ROWS_MIN, filter.batch_size());
            Ok(Some(Arc::new(filter.with_batch_size(rows)?)))
        }
        _ => Ok(Some(plan)),
    }
}
