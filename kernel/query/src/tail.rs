//! The search language over batches as they arrive, for the live tail.

use std::fmt;
use std::sync::Arc;

use candor_model::Signal;
use datafusion::arrow::array::{Array, AsArray, BooleanArray, new_null_array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::ToDFSchema;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};

use crate::{QueryError, language};

/// A compiled search. Matches the same rows as the search over the table.
#[derive(Clone)]
pub struct TailFilter {
    expr: Option<Expr>,
    /// The predicate over a batch of `needed` alone.
    predicate: Option<Arc<dyn PhysicalExpr>>,
    needed: SchemaRef,
}

impl TailFilter {
    /// Compiles search text for a signal's rows.
    pub fn new(signal: Signal, text: &str) -> Result<TailFilter, QueryError> {
        TailFilter::over(signal, text, &whole_schema(&candor_gate::schema::schema(signal)))
    }

    /// The same over rows of any schema.
    pub(crate) fn over(signal: Signal, text: &str, schema: &SchemaRef) -> Result<TailFilter, QueryError> {
        let expr = language::expression(text, signal, schema)?;
        let Some(expr) = expr else {
            return Ok(TailFilter { expr: None, predicate: None, needed: Arc::new(Schema::empty()) });
        };
        let df_schema = Arc::clone(schema).to_dfschema_ref().map_err(QueryError::from_datafusion)?;
        let context = SimplifyContext::builder().with_schema(Arc::clone(&df_schema)).build();
        let simplifier = ExprSimplifier::new(context);
        let physical = simplifier
            .coerce(expr.clone(), &df_schema)
            .and_then(|coerced| simplifier.simplify(coerced))
            .and_then(|simple| {
                let planning = PhysicalPlanningContext::default();
                create_physical_expr(&simple, &df_schema, &ExecutionProps::new(), &planning)
            })
            .map_err(QueryError::from_datafusion)?;
        let mut columns: Vec<usize> =
            collect_columns(&physical).iter().map(|column| column.index()).collect();
        columns.sort_unstable();
        let needed = Arc::new(schema.project(&columns).map_err(|e| QueryError::Internal(Box::new(e)))?);
        let predicate = reassign_expr_columns(physical, &needed).map_err(QueryError::from_datafusion)?;
        Ok(TailFilter { expr: Some(expr), predicate: Some(predicate), needed })
    }

    /// Which rows match. Columns that the batch lacks are null.
    pub fn matches(&self, batch: &RecordBatch) -> Result<BooleanArray, QueryError> {
        let rows = batch.num_rows();
        let Some(predicate) = &self.predicate else { return Ok(BooleanArray::from(vec![true; rows])) };
        let columns = self.needed.fields().iter().map(|field| match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Arc::clone(column),
            _ => new_null_array(field.data_type(), rows),
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let seen = RecordBatch::try_new_with_options(Arc::clone(&self.needed), columns.collect(), &options)
            .map_err(|e| QueryError::Internal(Box::new(e)))?;
        let value = predicate.evaluate(&seen).map_err(QueryError::from_datafusion)?;
        let array = value.into_array(rows).map_err(QueryError::from_datafusion)?;
        let Some(found) = array.as_boolean_opt() else {
            return Err(QueryError::Internal("a search is true or false".into()));
        };
        Ok(match found.nulls() {
            Some(nulls) => BooleanArray::new(found.values() & nulls.inner(), None),
            None => found.clone(),
        })
    }

    /// The predicate in words, as EXPLAIN shows it.
    pub fn explain(&self) -> String {
        self.expr.as_ref().map_or_else(|| "true".to_owned(), |expr| expr.human_display().to_string())
    }
}

impl fmt::Debug for TailFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TailFilter").field("expr", &self.explain()).finish()
    }
}

/// A signal's columns with those that the table adds, so that a key means the same here and there. All may be null:
/// a batch on its way to the table does not have the added ones yet.
fn whole_schema(gate: &Schema) -> SchemaRef {
    let mut fields: Vec<Field> =
        gate.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let time = DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()));
    fields.push(Field::new("_ingested_at", time, true));
    for name in ["_partition", "_offset", "_epoch", "issue"] {
        fields.push(Field::new(name, DataType::Int64, true));
    }
    Arc::new(Schema::new(fields))
}
