//! The tail, then the files: one after the other in each partition.
//!
//! A union would run both at once. Here a `LIMIT` that the tail fills never opens a file, and by the time the first
//! file is looked at, the newest rows have set the bar of an `ORDER BY timestamp DESC LIMIT n` that most files do not
//! reach.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::stats::NdvFallback;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{AcrossPartitions, ConstExpr, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, CardinalityEffect, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::projection::{ProjectionExec, make_with_child};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::StreamExt;

/// Gives the rows of its inputs, one input after the other in each partition.
#[derive(Debug, Clone)]
pub(crate) struct ChainExec {
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
    /// Most rows of a partition.
    fetch: Option<usize>,
}

impl ChainExec {
    /// A chain of inputs of one schema.
    pub(crate) fn new(inputs: Vec<Arc<dyn ExecutionPlan>>) -> Result<ChainExec> {
        let Some(first) = inputs.first() else { return internal_err!("a chain of nothing") };
        let partitions =
            inputs.iter().map(|input| input.output_partitioning().partition_count()).max().unwrap_or(1);
        let properties = PlanProperties::new(
            common(&inputs, first)?,
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(ChainExec { inputs, properties: Arc::new(properties), fetch: None })
    }

    fn over(&self, inputs: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(ChainExec { fetch: self.fetch, ..ChainExec::new(inputs)? }))
    }
}

/// What holds for the rows of every input: which columns are equal, and which are one constant. Orders end where the
/// next input begins. A sort above was planned with these when a projection still lay between, and must find them.
fn common(
    inputs: &[Arc<dyn ExecutionPlan>],
    first: &Arc<dyn ExecutionPlan>,
) -> Result<EquivalenceProperties> {
    let mut common = EquivalenceProperties::new(first.schema());
    for class in first.equivalence_properties().eq_group().iter() {
        let columns: Vec<&Arc<dyn PhysicalExpr>> =
            class.iter().filter(|expr| expr.downcast_ref::<Column>().is_some()).collect();
        for pair in columns.windows(2) {
            let [left, right] = pair else { continue };
            let equal = |input: &Arc<dyn ExecutionPlan>| {
                input.equivalence_properties().eq_group().exprs_equal(left, right)
            };
            if inputs.iter().all(equal) {
                common.add_equal_conditions(Arc::clone(left), Arc::clone(right))?;
            }
        }
    }
    let constants = first.equivalence_properties().constants().into_iter().filter(|constant| {
        let value = |of: &ConstExpr| matches!(of.across_partitions, AcrossPartitions::Uniform(Some(_)));
        constant.expr.downcast_ref::<Column>().is_some()
            && value(constant)
            && inputs.iter().all(|input| input.equivalence_properties().constants().contains(constant))
    });
    common.add_constants(constants.collect::<Vec<_>>())?;
    Ok(common)
}

impl DisplayAs for ChainExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fetch {
            Some(fetch) => write!(f, "ChainExec: fetch={fetch}"),
            None => write!(f, "ChainExec"),
        }
    }
}

impl ExecutionPlan for ChainExec {
    fn name(&self) -> &str {
        "ChainExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
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
        self.over(children)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut streams = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            if partition < input.output_partitioning().partition_count() {
                streams.push(input.execute(partition, Arc::clone(&context))?);
            }
        }
        let mut left = self.fetch.unwrap_or(usize::MAX);
        let rows = futures::stream::iter(streams).flatten().map(move |batch| {
            let batch = batch?;
            let batch = if batch.num_rows() > left { batch.slice(0, left) } else { batch };
            left -= batch.num_rows();
            Ok((batch, left == 0))
        });
        // Ends with the batch that fills it, without asking for another.
        let rows = rows.scan(false, |full, item: Result<_>| {
            let next = match item {
                _ if *full => None,
                Ok((batch, fills)) => {
                    *full = fills;
                    Some(Ok(batch))
                }
                Err(e) => Some(Err(e)),
            };
            futures::future::ready(next)
        });
        let schema: SchemaRef = self.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        let ask = if partition.is_some() { ChildStats::Skip } else { ChildStats::At(None) };
        vec![ask; self.inputs.len()]
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        if args.partition().is_some() || self.fetch.is_some() || inputs.len() != self.inputs.len() {
            return Ok(Arc::new(Statistics::new_unknown(&self.schema())));
        }
        let all = inputs.iter().map(Arc::as_ref);
        Ok(Arc::new(Statistics::try_merge_iter_with_ndv_fallback(all, &self.schema(), NdvFallback::Sum)?))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Unknown
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(ChainExec { fetch: limit, ..self.clone() }))
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExec,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        // Also one that computes: what it computes from a file may be read from the file instead.
        let children = self.inputs.iter().map(|child| make_with_child(projection, child));
        Ok(Some(self.over(children.collect::<Result<_>>()?)?))
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        if self.fetch.is_some() {
            // A filter below would change which rows are the first.
            return Ok(FilterDescription::all_unsupported(&parent_filters, &self.children()));
        }
        FilterDescription::from_children(parent_filters, &self.children())
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
