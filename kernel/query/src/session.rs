//! The engine's state for one query: its settings, functions and rules, over a catalog of one project.

use std::fmt;
use std::sync::Arc;

use candor_model::Timestamp;
use datafusion::arrow::temporal_conversions::timestamp_us_to_datetime;
use datafusion::common::{Result, plan_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::object_store::ObjectStore;
use datafusion::object_store::memory::InMemory;
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;

use crate::functions::{self, guard, planner, temporal, times};
use crate::repeated::RepeatedSteps;
use crate::tables::catalog::{CATALOG, Catalog, Project, SCHEMA};
use crate::tables::newest::NewestFirst;
use crate::tables::promoted::CopiesBelowFilters;
use crate::yielding::JoinsYield;

/// Rows a batch: what the engine is tuned for.
const BATCH_ROWS: usize = 8192;

/// What every query's state is made from: functions and rules are made once.
pub(crate) struct Template {
    state: SessionState,
    registry: Arc<dyn ObjectStoreRegistry>,
}

impl Template {
    /// For queries that run on `threads` threads each.
    pub(crate) fn new(threads: usize) -> Template {
        let mut functions = times::fitted(guard::guarded(SessionStateDefaults::default_scalar_functions()));
        functions.extend(functions::added());
        let mut planners = SessionStateDefaults::default_expr_planners();
        planners.insert(0, Arc::new(planner::CandorPlanner));
        let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(planner::TextBesideNumbers)];
        rules.extend(Analyzer::new().rules);
        rules.push(Arc::new(temporal::Microseconds));
        rules.push(Arc::new(RepeatedSteps));
        let state = SessionStateBuilder::new()
            .with_config(config(threads))
            .with_session_id("query".to_owned())
            .with_scalar_functions(functions)
            .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
            .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
            .with_window_functions(SessionStateDefaults::default_window_functions())
            .with_table_function_list(temporal::series(SessionStateDefaults::default_table_functions()))
            .with_type_planner(Arc::new(temporal::MicrosecondTimes))
            .with_expr_planners(planners)
            .with_analyzer_rules(rules)
            .with_physical_optimizer_rules(physical_rules())
            .build();
        Template { state, registry: Arc::new(NoStores::new()) }
    }

    /// The template itself: for functions' names, and for planning expressions without a table.
    pub(crate) fn state(&self) -> &SessionState {
        &self.state
    }

    /// The state of one query.
    pub(crate) fn state_for(
        &self,
        project: Arc<Project>,
        memory: Arc<dyn MemoryPool>,
        now: Timestamp,
    ) -> Result<SessionState> {
        let mut state = SessionStateBuilder::new_from_existing(self.state.clone())
            .with_runtime_env(self.runtime(memory)?)
            .with_catalog_list(Arc::new(Catalog(project)))
            .build();
        // As `mark_start_execution` does, with our clock: `now()` goes by it.
        let config_options = Arc::clone(state.config_options());
        let properties = state.execution_props_mut();
        properties.query_execution_start_time = timestamp_us_to_datetime(now.0).map(|time| time.and_utc());
        properties.config_options = Some(config_options);
        Ok(state)
    }

    fn runtime(&self, memory: Arc<dyn MemoryPool>) -> Result<Arc<RuntimeEnv>> {
        RuntimeEnvBuilder::new()
            .with_memory_pool(memory)
            // Queries never spill: nothing they hold reaches a disk in the clear.
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .with_object_store_registry(Arc::clone(&self.registry))
            .build_arc()
    }
}

fn config(threads: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(threads)
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(false)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    options.execution.enable_recursive_ctes = false;
    // Nothing is reserved for merging spilled runs, because nothing spills.
    options.execution.sort_spill_reservation_bytes = 0;
    options.execution.parquet.schema_force_view_types = false;
    // The lake writes one page a column and row group, so the row groups' statistics say all there is to say.
    options.execution.parquet.enable_page_index = false;
    options.execution.parquet.bloom_filter_on_read = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    config
}

fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    // Before the dynamic filters are pushed down: they hold on to the plan as it is then.
    let at = rules.iter().position(|rule| rule.name() == "EnsureCooperative").unwrap_or(rules.len());
    rules.insert(rules.len().min(at + 1), Arc::new(JoinsYield));
    rules.insert(at, Arc::new(NewestFirst));
    rules.insert(at, Arc::new(CopiesBelowFilters));
    rules
}

/// Sets late materialisation: the filters' columns are decoded first and the others only where rows are left.
pub(crate) fn tune(state: &mut SessionState, late: bool) {
    let parquet = &mut state.config_mut().options_mut().execution.parquet;
    parquet.pushdown_filters = late;
    parquet.reorder_filters = late;
}

/// True for queries that give rows as they are, which late materialisation makes many times faster. Those that
/// aggregate many rows read the filtered columns anyway, and decoding in two passes costs them 5 to 55%.
pub(crate) fn gives_few_rows(plan: &LogicalPlan) -> bool {
    !aggregates(plan)
}

fn aggregates(plan: &LogicalPlan) -> bool {
    let mut found = false;
    // Visiting cannot fail where the visitor does not.
    let _ = datafusion::common::tree_node::TreeNode::apply(plan, |node| {
        use datafusion::common::tree_node::TreeNodeRecursion;
        found |= matches!(
            node,
            LogicalPlan::Aggregate(_)
                | LogicalPlan::Window(_)
                | LogicalPlan::Distinct(_)
                | LogicalPlan::Join(_)
        );
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

/// A registry that knows one name and holds nothing under it: there is no file, URL or bucket that a query could
/// name. The lake's files are read through their own readers.
#[derive(Debug)]
struct NoStores {
    empty: Arc<dyn ObjectStore>,
}

impl NoStores {
    fn new() -> NoStores {
        NoStores { empty: Arc::new(InMemory::new()) }
    }
}

impl ObjectStoreRegistry for NoStores {
    fn register_store(&self, _url: &url::Url, _store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &url::Url) -> Result<Arc<dyn ObjectStore>> {
        if url.scheme() == "lake" { Ok(Arc::clone(&self.empty)) } else { plan_err!("no such store") }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template")
    }
}
