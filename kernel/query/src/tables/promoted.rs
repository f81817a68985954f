//! Promoted attributes: where a file holds `a_<key>`, a copy of an attribute in a column of its own, that column is
//! read instead of the whole map.
//!
//! The copy of a text attribute says exactly what the map says, so it stands in for it, file by file: an older file
//! may not have the column, and only its own schema says so. The copy of a number is null where the attribute is
//! missing and where it was no such number, so it never stands in; but it tells which rows need no look into the map.
//! Both become filters that are *implied* by the query's own: they let the Parquet decoder drop rows early, and the
//! query's own filter has the last word above.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, ScalarValue, exec_err};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::physical_expr::expressions::{Column as PhysicalColumn, Literal, lit as physical_lit};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
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
                    Some(column) => Transformed::yes(column),
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

    /// The column that says what `attribute(attributes, key)` says.
    fn copy_of(&self, function: &ScalarFunctionExpr) -> Option<Arc<dyn PhysicalExpr>> {
        let [map, key] = function.args() else { return None };
        if map.downcast_ref::<PhysicalColumn>()?.name() != ATTRIBUTES {
            return None;
        }
        let ScalarValue::Utf8(Some(key)) = key.downcast_ref::<Literal>()?.value() else { return None };
        let name = format!("{PREFIX}{key}");
        let at = self.logical.index_of(&name).ok()?;
        let is_text = |schema: &Schema| {
            schema.field_with_name(&name).is_ok_and(|field| field.data_type() == &DataType::Utf8)
        };
        (is_text(&self.logical) && is_text(&self.physical))
            .then(|| Arc::new(PhysicalColumn::new(&name, at)) as Arc<dyn PhysicalExpr>)
    }
}
