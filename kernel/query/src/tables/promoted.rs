//! Promoted attributes: where a file holds `a_<key>`, a copy of an attribute in a column of its own, that column is
//! read instead of the whole map.
//!
//! The copy of a text attribute says exactly what the map says, so it stands in for it, file by file: an older file
//! may not have the column, and only its own schema says so. The copy of a number is null where the attribute is
//! missing and where it was no such number, so it stands in only where the file says that the latter never happened
//! ([`candor_lake::EXACT_COPIES`]); but it always tells which rows need no look into the map. Filters over both are
//! *implied* by the query's own: they let the Parquet decoder drop rows early, and the query's own filter has the
//! last word above.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, ScalarValue, exec_err};
use datafusion::config::ConfigOptions;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::physical_expr::expressions::{
    CastExpr, Column as PhysicalColumn, Literal, lit as physical_lit,
};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::prelude::lit;

use crate::functions::{attribute, number};

/// The map whose keys are promoted.
const ATTRIBUTES: &str = "attributes";

/// What the name of a promoted column begins with.
const PREFIX: &str = "a_";

/// The name of the function that marks an implied filter.
const IMPLIED: &str = "implied";

static IMPLIED_UDF: LazyLock<ScalarUDF> =
    LazyLock::new(|| ScalarUDF::from(Implied { signature: Signature::any(1, Volatility::Immutable) }));

/// `implied(filter)`: as `filter` where a file has its columns, true where it does not. [`PromotedFactory`] decides
/// it for each file; it is never evaluated as it stands.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Implied {
    signature: Signature,
}

impl ScalarUDFImpl for Implied {
    fn name(&self) -> &str {
        IMPLIED
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("an implied filter is decided for each file")
    }
}

/// The filters over promoted columns that follow from a query's filters: a row that fails one fails the query's.
pub(crate) fn implied(filters: &[Expr], schema: &Schema) -> Vec<Expr> {
    if schema.fields().iter().all(|field| !field.name().starts_with(PREFIX)) {
        return Vec::new();
    }
    let conjuncts = filters.iter().flat_map(split_conjunction);
    conjuncts
        .filter_map(|filter| wider(filter, schema))
        .map(|filter| IMPLIED_UDF.call(vec![filter]))
        .collect()
}

/// A filter over promoted columns that is true wherever `filter` is.
fn wider(filter: &Expr, schema: &Schema) -> Option<Expr> {
    if let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter {
        match op {
            Operator::And => {
                return match (wider(left, schema), wider(right, schema)) {
                    (Some(left), Some(right)) => Some(left.and(right)),
                    (one, other) => one.or(other),
                };
            }
            Operator::Or => return Some(wider(left, schema)?.or(wider(right, schema)?)),
            _ => {}
        }
        if let Some(filter) = numeric(left, *op, right, schema) {
            return Some(filter);
        }
    }
    in_text_columns(filter, schema)
}

/// The promoted column of an attribute.
fn promoted<'a>(expr: &Expr, schema: &'a Schema) -> Option<(Expr, &'a DataType)> {
    let Expr::ScalarFunction(function) = expr else { return None };
    let [Expr::Column(map), Expr::Literal(ScalarValue::Utf8(Some(key)), _)] = function.args.as_slice() else {
        return None;
    };
    if function.func.name() != attribute::NAME || map.name() != ATTRIBUTES {
        return None;
    }
    let field = schema.field_with_name(&format!("{PREFIX}{key}")).ok()?;
    Some((Expr::Column(Column::from_name(field.name())), field.data_type()))
}

/// The same filter over the copies of text attributes, where it looks at nothing else in the map.
fn in_text_columns(filter: &Expr, schema: &Schema) -> Option<Expr> {
    let mut any = false;
    let replaced = filter.clone().transform_down(|expr| {
        Ok(match promoted(&expr, schema) {
            Some((column, DataType::Utf8)) => {
                any = true;
                Transformed::new(column, true, TreeNodeRecursion::Jump)
            }
            _ => Transformed::no(expr),
        })
    });
    let replaced = replaced.ok()?.data;
    let whole_map = replaced.column_refs().iter().any(|column| column.name() == ATTRIBUTES);
    (any && !whole_map).then_some(replaced)
}

/// Comparisons with the copies of numbers.
fn numeric(left: &Expr, op: Operator, right: &Expr, schema: &Schema) -> Option<Expr> {
    let (value, op, bound) = match (left, right) {
        (value, bound @ Expr::Literal(..)) => (value, op, bound),
        (bound @ Expr::Literal(..), value) => (value, op.swap()?, bound),
        _ => return None,
    };
    let Expr::Literal(scalar, _) = bound else { return None };
    let compare =
        |column: Expr, bound: Expr| Expr::BinaryExpr(BinaryExpr::new(Box::new(column), op, Box::new(bound)));
    if let Expr::ScalarFunction(function) = value
        && function.func.name() == number::NAME
    {
        let (column, data_type) = promoted(function.args.first()?, schema)?;
        let ordered =
            matches!(op, Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq);
        let number = match scalar {
            ScalarValue::Float64(Some(number)) => *number,
            _ => return None,
        };
        let bound = match data_type {
            // Whole bounds stay integers, so that statistics are compared with them.
            DataType::Int64 if number.fract() == 0.0 && number.abs() < 9e15 => lit(number as i64),
            DataType::Float64 => lit(number),
            _ => return None,
        };
        // Null here may be a number there (`5e2` is none of the integers' texts).
        return ordered.then(|| compare(column.clone(), bound).or(column.is_null()));
    }
    // An integer written as an integer is copied as one, always.
    let (column, data_type) = promoted(value, schema)?;
    let ScalarValue::Utf8(Some(text)) = scalar else { return None };
    let integer: i64 = text.parse().ok()?;
    let canonical = integer.to_string() == *text;
    (op == Operator::Eq && data_type == &DataType::Int64 && canonical).then(|| compare(column, lit(integer)))
}

/// Decides for each file what of this it has.
#[derive(Debug)]
pub(crate) struct PromotedFactory;

impl PhysicalExprAdapterFactory for PromotedFactory {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let inner = DefaultPhysicalExprAdapterFactory.create(Arc::clone(&logical), Arc::clone(&physical))?;
        Ok(Arc::new(PromotedAdapter { inner, logical, physical }))
    }
}

#[derive(Debug)]
struct PromotedAdapter {
    inner: Arc<dyn PhysicalExprAdapter>,
    logical: SchemaRef,
    physical: SchemaRef,
}

impl PhysicalExprAdapter for PromotedAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let decided = expr.transform_down(|expr| {
            let Some(function) = expr.downcast_ref::<ScalarFunctionExpr>() else {
                return Ok(Transformed::no(expr));
            };
            Ok(match function.name() {
                IMPLIED => match function.args().first() {
                    Some(filter) if self.has_columns(filter) => Transformed::yes(Arc::clone(filter)),
                    _ => Transformed::yes(physical_lit(true)),
                },
                attribute::NAME => match self.copy_of(function) {
                    Some(copy) => Transformed::new(copy, true, TreeNodeRecursion::Jump),
                    None => Transformed::no(expr),
                },
                number::NAME => match self.number_of(function) {
                    Some(copy) => Transformed::new(copy, true, TreeNodeRecursion::Jump),
                    None => Transformed::no(expr),
                },
                _ => Transformed::no(expr),
            })
        })?;
        self.inner.rewrite(decided.data)
    }
}

impl PromotedAdapter {
    fn has_columns(&self, expr: &Arc<dyn PhysicalExpr>) -> bool {
        collect_columns(expr).iter().all(|column| self.physical.field_with_name(column.name()).is_ok())
    }

    /// What says the same as `attribute(attributes, key)`.
    fn copy_of(&self, function: &ScalarFunctionExpr) -> Option<Arc<dyn PhysicalExpr>> {
        let (column, data_type) = self.column_of(function)?;
        match data_type {
            DataType::Utf8 => Some(column),
            // Written back, both are as they were: only what is written like this was copied.
            DataType::Int64 | DataType::Boolean if self.is_exact(&column) => {
                Some(Arc::new(CastExpr::new(column, DataType::Utf8, None)))
            }
            _ => None,
        }
    }

    /// What says the same as `text_number(attribute(attributes, key))`.
    fn number_of(&self, function: &ScalarFunctionExpr) -> Option<Arc<dyn PhysicalExpr>> {
        let [attribute] = function.args() else { return None };
        let attribute =
            attribute.downcast_ref::<ScalarFunctionExpr>().filter(|f| f.name() == attribute::NAME)?;
        let (column, data_type) = self.column_of(attribute)?;
        match data_type {
            DataType::Float64 if self.is_exact(&column) => Some(column),
            DataType::Int64 if self.is_exact(&column) => {
                Some(Arc::new(CastExpr::new(column, DataType::Float64, None)))
            }
            _ => None,
        }
    }

    /// The promoted column of an attribute, where both the table and the file have it.
    fn column_of(&self, function: &ScalarFunctionExpr) -> Option<(Arc<dyn PhysicalExpr>, &DataType)> {
        let name = column_name(function)?;
        let at = self.logical.index_of(&name).ok()?;
        let data_type = self.logical.field(at).data_type();
        let of_file = self.physical.field_with_name(&name).ok()?.data_type();
        (data_type == of_file)
            .then(|| (Arc::new(PhysicalColumn::new(&name, at)) as Arc<dyn PhysicalExpr>, data_type))
    }

    /// True where the file says that the copy is null only where the attribute is missing.
    fn is_exact(&self, column: &Arc<dyn PhysicalExpr>) -> bool {
        let Some(column) = column.downcast_ref::<PhysicalColumn>() else { return false };
        let exact = self.physical.metadata().get(candor_lake::EXACT_COPIES);
        exact.is_some_and(|columns| columns.lines().any(|name| name == column.name()))
    }
}

/// The name of the promoted column that `attribute(attributes, 'key')` would have.
fn column_name(function: &ScalarFunctionExpr) -> Option<String> {
    let [map, key] = function.args() else { return None };
    if function.name() != attribute::NAME || map.downcast_ref::<PhysicalColumn>()?.name() != ATTRIBUTES {
        return None;
    }
    let ScalarValue::Utf8(Some(key)) = key.downcast_ref::<Literal>()?.value() else { return None };
    Some(format!("{PREFIX}{key}"))
}

/// True for an expression over the map alone that some file of the table may answer from a copy.
fn may_be_copied(expr: &Arc<dyn PhysicalExpr>, table: &Schema) -> bool {
    let Some(function) = expr.downcast_ref::<ScalarFunctionExpr>() else { return false };
    let of = |function: &ScalarFunctionExpr| {
        let name = column_name(function)?;
        Some(table.field_with_name(&name).ok()?.data_type().clone())
    };
    match function.args() {
        [inner] if function.name() == number::NAME => {
            let inner = inner.downcast_ref::<ScalarFunctionExpr>().and_then(of);
            matches!(inner, Some(DataType::Int64 | DataType::Float64))
        }
        _ => matches!(of(function), Some(DataType::Utf8 | DataType::Int64 | DataType::Boolean)),
    }
}

/// Takes attributes out of the map below the filter over a scan, where a copy may stand in for them, so that a filter
/// that is not the decoder's own does not need the map either.
#[derive(Debug)]
pub(crate) struct CopiesBelowFilters;

impl PhysicalOptimizerRule for CopiesBelowFilters {
    fn name(&self) -> &str {
        "copies_below_filters"
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
            let lowered = match plan.downcast_ref::<ProjectionExec>() {
                Some(projection) => match projection.input().downcast_ref::<FilterExec>() {
                    Some(filter) => lowered(Some(projection), filter)?,
                    None => None,
                },
                None => match plan.downcast_ref::<FilterExec>() {
                    Some(filter) => lowered(None, filter)?,
                    None => None,
                },
            };
            Ok(match lowered {
                Some(lowered) => Transformed::yes(lowered),
                None => Transformed::no(plan),
            })
        })
        .map(|transformed| transformed.data)
    }
}

/// The same rows from a scan that gives the attributes themselves; none where the map is needed all the same.
fn lowered(
    projection: Option<&ProjectionExec>,
    filter: &FilterExec,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let scan = filter.input();
    let Some(source) = scan.downcast_ref::<DataSourceExec>() else { return Ok(None) };
    let Some(config) = source.data_source().downcast_ref::<FileScanConfig>() else { return Ok(None) };
    let table = config.file_source().table_schema().table_schema();
    let (given, shown) = (scan.schema(), filter.schema());

    // What comes out, by the columns of the scan.
    let kept = |at: usize| filter.projection().as_ref().map_or(Some(at), |kept| kept.get(at).copied());
    let column = |at: usize| {
        kept(at).map(|at| Arc::new(PhysicalColumn::new(given.field(at).name(), at)) as Arc<dyn PhysicalExpr>)
    };
    let mut out: Vec<(Arc<dyn PhysicalExpr>, String)> = Vec::new();
    match projection {
        Some(projection) => {
            for one in projection.expr() {
                let by_scan = Arc::clone(&one.expr).transform_down(|expr| {
                    let found = expr.downcast_ref::<PhysicalColumn>().and_then(|of| column(of.index()));
                    Ok(match found {
                        Some(found) => Transformed::new(found, true, TreeNodeRecursion::Jump),
                        None => Transformed::no(expr),
                    })
                })?;
                out.push((by_scan.data, one.alias.clone()));
            }
        }
        None => {
            for (at, field) in shown.fields().iter().enumerate() {
                let Some(column) = column(at) else { return Ok(None) };
                out.push((column, field.name().clone()));
            }
        }
    }

    // Copies are numbered on from the scan's own columns.
    let mut copies: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
    let mut taken_out = |expr: Arc<dyn PhysicalExpr>| {
        expr.transform_down(|expr| {
            if !may_be_copied(&expr, table) {
                return Ok(Transformed::no(expr));
            }
            let at = copies.iter().position(|copy| copy == &expr).unwrap_or_else(|| {
                copies.push(Arc::clone(&expr));
                copies.len() - 1
            });
            let at = given.fields().len() + at;
            let column: Arc<dyn PhysicalExpr> = Arc::new(PhysicalColumn::new(&format!("copy_{at}"), at));
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        })
        .map(|transformed| transformed.data)
    };
    let predicate = taken_out(Arc::clone(filter.predicate()))?;
    let mut shown = Vec::with_capacity(out.len());
    for (expr, alias) in out {
        shown.push((taken_out(expr)?, alias));
    }
    if copies.is_empty() {
        return Ok(None);
    }
    let mut needed: Vec<usize> = std::iter::once(&predicate)
        .chain(shown.iter().map(|(expr, _)| expr))
        .flat_map(|expr| collect_columns(expr).into_iter().map(|column| column.index()))
        .filter(|at| *at < given.fields().len())
        .collect();
    needed.sort_unstable();
    needed.dedup();
    if needed.iter().any(|at| given.field(*at).name() == ATTRIBUTES) {
        return Ok(None);
    }

    let first_copy = given.fields().len();
    let below = needed
        .iter()
        .map(|at| {
            let name = given.field(*at).name();
            let expr = Arc::new(PhysicalColumn::new(name, *at)) as Arc<dyn PhysicalExpr>;
            ProjectionExpr { expr, alias: name.clone() }
        })
        .chain(
            copies
                .into_iter()
                .enumerate()
                .map(|(at, expr)| ProjectionExpr { expr, alias: format!("copy_{}", first_copy + at) }),
        );
    let below = ProjectionExec::try_new(below.collect::<Vec<_>>(), Arc::clone(scan))?;
    let Some(input) = scan.try_swapping_with_projection(&below)? else { return Ok(None) };
    let placed = |expr: Arc<dyn PhysicalExpr>| {
        expr.transform_down(|expr| {
            let Some(column) = expr.downcast_ref::<PhysicalColumn>() else {
                return Ok(Transformed::no(expr));
            };
            let at = match needed.binary_search(&column.index()) {
                Ok(at) => at,
                Err(_) => column.index() - first_copy + needed.len(),
            };
            let placed: Arc<dyn PhysicalExpr> = Arc::new(PhysicalColumn::new(column.name(), at));
            Ok(Transformed::new(placed, true, TreeNodeRecursion::Jump))
        })
        .map(|transformed| transformed.data)
    };
    let filtered = FilterExecBuilder::from(filter)
        .with_input(input)
        .with_predicate(placed(predicate)?)
        .apply_projection(None)?
        .build()?;
    let mut top = Vec::with_capacity(shown.len());
    for (expr, alias) in shown {
        top.push(ProjectionExpr { expr: placed(expr)?, alias });
    }
    Ok(Some(Arc::new(ProjectionExec::try_new(top, Arc::new(filtered))?)))
}
