//! One SQL text from its plan to its rows, on the query threads.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use tokio::sync::{mpsc, oneshot};

use crate::QueryError;
use crate::answer::Column;
use crate::encode::types;
use crate::engine::Run;
use crate::session;
use crate::statement::{self, Statement};
use crate::tables::catalog::{Named, SCHEMA, STREAM, is_main};
use crate::tables::scan::slice_bytes;

/// Most bytes of rows that a reader who sets the pace gets at once: its text is held until the reader has it.
const PACED_BYTES_MAX: usize = 1 << 20;

/// What is known of an answer before its rows.
pub(crate) struct Head {
    pub(crate) columns: Vec<Column>,
    pub(crate) schema: SchemaRef,
}

/// Plans and runs SQL, and hands its rows on as they are taken.
pub(crate) async fn run_sql(
    mut run: Run,
    sql: &str,
    head: oneshot::Sender<Head>,
    sender: mpsc::Sender<RecordBatch>,
) -> Result<(), QueryError> {
    let (plan, names) = plan_sql(&run, sql).await?;
    let rows_max =
        run.limits.rows.filter(|_| !matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)));
    let plan = match rows_max {
        Some(rows) => LogicalPlanBuilder::from(plan)
            .limit(0, Some(rows.saturating_add(1)))
            .and_then(LogicalPlanBuilder::build)
            .map_err(QueryError::from_datafusion)?,
        None => plan,
    };
    let physical = physical_plan(&mut run.state, &plan, None).await?;
    run.progress.set_plan(Arc::clone(&physical));
    let schema = shown_schema(&physical.schema(), names);
    let columns = schema
        .fields()
        .iter()
        .map(|field| Column { name: field.name().clone(), r#type: types::name(field.data_type()) });
    let head_of = Head { columns: columns.collect(), schema: Arc::clone(&schema) };
    if head.send(head_of).is_err() {
        return Err(QueryError::Cancelled);
    }
    let mut stream = execute_stream(physical, run.state.task_ctx()).map_err(QueryError::from_datafusion)?;
    let mut rows_left = run.limits.rows.unwrap_or(usize::MAX);
    let mut bytes_left = run.limits.answer_bytes.unwrap_or(usize::MAX);
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(QueryError::from_datafusion)?;
        let batch = if batch.num_rows() > rows_left {
            run.progress.set_truncated();
            batch.slice(0, rows_left)
        } else {
            batch
        };
        rows_left -= batch.num_rows();
        bytes_left = match bytes_left.checked_sub(slice_bytes(&batch)) {
            Some(left) => left,
            None => return Err(QueryError::TooLarge(run.limits.answer_bytes.unwrap_or(0))),
        };
        let pieces = if run.limits.answer_bytes.is_none() {
            slice_bytes(&batch).div_ceil(PACED_BYTES_MAX).max(1)
        } else {
            1
        };
        let rows = batch.num_rows().div_ceil(pieces).max(1);
        for from in (0..batch.num_rows()).step_by(rows) {
            let piece = shown(batch.slice(from, rows.min(batch.num_rows() - from)), &schema)?;
            match run.place.lent(sender.reserve()).await? {
                Ok(room) => room.send(piece),
                Err(_) => return Err(QueryError::Cancelled),
            }
        }
        if run.progress.is_truncated() {
            break;
        }
    }
    Ok(())
}

/// The logical plan of SQL text, checked, and the names of its columns as they were written.
async fn plan_sql(run: &Run, sql: &str) -> Result<(LogicalPlan, Option<Vec<Option<String>>>), QueryError> {
    let (statement, names) = match statement::parse(sql)? {
        Statement::Query(statement, names) => (statement, names),
        Statement::ShowTables => {
            // Topics as they are written in a query, behind the signals.
            parsed_own(
                "SELECT CASE table_schema WHEN 'stream' THEN concat('stream.\"', table_name, '\"') ELSE table_name \
                 END AS table_name, table_type FROM information_schema.tables ORDER BY table_schema, 1",
            )?
        }
        Statement::Describe(table) => {
            let (schema, name) = match &table {
                Named::Main(name) => (SCHEMA, Some(name).filter(|name| is_main(name))),
                Named::Stream(name) => {
                    let found = run.project.stream(name).await.map_err(QueryError::from_datafusion)?;
                    (STREAM, found.map(|_| name))
                }
            };
            let Some(name) = name else {
                return Err(QueryError::Plan(format!("table '{}' not found", table.written())));
            };
            parsed_own(&format!(
                "SELECT column_name, data_type, is_nullable FROM information_schema.columns \
                 WHERE table_schema = '{schema}' AND table_name = '{}' ORDER BY ordinal_position",
                name.replace('\'', "''")
            ))?
        }
    };
    let mut named = statement.clone();
    let plan = match run.state.statement_to_plan(*statement).await.map_err(QueryError::from_datafusion) {
        Err(QueryError::Plan(what))
            if what.contains("unique expression names") && statement::name_columns(&mut named) =>
        {
            run.state.statement_to_plan(*named).await.map_err(QueryError::from_datafusion)?
        }
        planned => planned?,
    };
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)
        .map_err(|e| QueryError::Refused(QueryError::from_datafusion(e).to_string()))?;
    Ok((plan, names))
}

type ParsedQuery = (Box<datafusion::sql::parser::Statement>, Option<Vec<Option<String>>>);

fn parsed_own(sql: &str) -> Result<ParsedQuery, QueryError> {
    match statement::parse(sql)? {
        Statement::Query(statement, _) => Ok((statement, None)),
        _ => Err(QueryError::Internal("not a query".into())),
    }
}

/// The physical plan, with settings that fit the query: `late` materialisation where it pays, found out where none
/// is said.
pub(crate) async fn physical_plan(
    state: &mut SessionState,
    plan: &LogicalPlan,
    late: Option<bool>,
) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
    let optimized = state.optimize(plan).map_err(QueryError::from_datafusion)?;
    session::tune(state, late.unwrap_or_else(|| session::gives_few_rows(&optimized)));
    let state = &*state;
    state.query_planner().create_physical_plan(&optimized, state).await.map_err(QueryError::from_datafusion)
}

/// The schema with names as people wrote them: `sum(duration_ns)`, not `sum(spans.duration_ns)`.
fn shown_schema(schema: &SchemaRef, names: Option<Vec<Option<String>>>) -> SchemaRef {
    let Some(names) = names.filter(|names| names.len() == schema.fields().len()) else {
        return Arc::clone(schema);
    };
    let fields = schema.fields().iter().zip(names).map(|(field, name)| {
        let name = name.unwrap_or_else(|| field.name().clone());
        Field::new(name, field.data_type().clone(), field.is_nullable())
    });
    Arc::new(Schema::new(fields.collect::<Vec<Field>>()))
}

fn shown(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, QueryError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options)
        .map_err(|e| QueryError::Internal(Box::new(e)))
}
