//! Joins give way. The engine makes its sources yield their thread now and then; but a join makes any number of batches
//! out of one, and whoever only counts them asks on and on. Without this a cross join of a few thousand rows holds a
//! query thread far beyond its time, and two hold them all. And where its condition drops whatever it made, not even
//! batches come of it: what it is given is paced.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::StreamExt;

/// The operators that give more batches than they get.
const MULTIPLYING: [&str; 7] = [
    "CrossJoinExec",
    "HashJoinExec",
    "NestedLoopJoinExec",
    "PiecewiseMergeJoinExec",
    "SortMergeJoinExec",
    "SymmetricHashJoinExec",
    "UnnestExec",
];

/// The rule.
#[derive(Debug)]
pub(crate) struct JoinsYield;

impl PhysicalOptimizerRule for JoinsYield {
    fn name(&self) -> &str {
        "joins_yield"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            if MULTIPLYING.contains(&plan.name()) {
                let drops = plan.downcast_ref::<NestedLoopJoinExec>().is_some()
                    || plan.downcast_ref::<HashJoinExec>().is_some_and(|join| join.filter().is_some());
                let plan = match plan.children().as_slice() {
                    [build, probe] if drops => {
                        let probe = Arc::new(PacedExec { input: Arc::clone(probe) });
                        let children = vec![Arc::clone(build), probe as Arc<dyn ExecutionPlan>];
                        plan.replace_children(
                            children,
                            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
                        )?
                    }
                    _ => plan,
                };
                return Ok(Transformed::yes(Arc::new(CooperativeExec::new(plan)) as Arc<dyn ExecutionPlan>));
            }
            Ok(Transformed::no(plan))
        })
        .map(|transformed| transformed.data)
    }
}

/// Rows that a join is given first of its probing side.
const FIRST_ROWS: usize = 16;

/// What a join may take for what it is given, without giving way.
const QUICK: Duration = Duration::from_millis(20);

/// Gives a join its probing side in pieces that it is done with soon, and gives way after each that took it longer. A
/// join compares a piece with every row of its other side, and where its condition drops them all no batch shows that
/// time goes by.
#[derive(Debug)]
struct PacedExec {
    input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for PacedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacedExec")
    }
}

impl ExecutionPlan for PacedExec {
    fn name(&self) -> &str {
        "PacedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        paced(children)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        paced(children)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let pace = Pace {
            input: self.input.execute(partition, context)?,
            rest: None,
            rows: FIRST_ROWS,
            given: None,
        };
        let pieces = futures::stream::unfold(pace, Pace::next);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), pieces)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        match inputs {
            [of] => Ok(Arc::clone(of)),
            _ => internal_err!("one input is paced"),
        }
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}

fn paced(children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
    match <[_; 1]>::try_from(children) {
        Ok([input]) => Ok(Arc::new(PacedExec { input })),
        Err(_) => internal_err!("one input is paced"),
    }
}

/// The pieces of one partition.
struct Pace {
    input: SendableRecordBatchStream,
    /// What is left of the batch that is being given.
    rest: Option<RecordBatch>,
    /// Rows of the next piece.
    rows: usize,
    /// When the last piece was given.
    given: Option<Instant>,
}

impl Pace {
    async fn next(mut self) -> Option<(Result<RecordBatch>, Pace)> {
        if let Some(given) = self.given.take() {
            let took = given.elapsed();
            if took < QUICK {
                self.rows = self.rows.saturating_mul(2);
            } else {
                if took > QUICK * 4 {
                    self.rows = (self.rows / 2).max(1);
                }
                tokio::task::yield_now().await;
            }
        }
        let batch = match self.rest.take() {
            Some(batch) => batch,
            None => match self.input.next().await? {
                Ok(batch) => batch,
                Err(e) => return Some((Err(e), self)),
            },
        };
        let rows = self.rows.min(batch.num_rows());
        let piece = batch.slice(0, rows);
        if rows < batch.num_rows() {
            self.rest = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        // Doubling starts from what was given.
        self.rows = self.rows.min(batch.num_rows().max(FIRST_ROWS));
        self.given = Some(Instant::now());
        Some((Ok(piece), self))
    }
}
