//! Functions that Candor adds to SQL, and the ways in which its SQL reads: `attributes['k']`, `text > 5`, `->>`.

pub(crate) mod attribute;
pub(crate) mod contains;
pub(crate) mod guard;
pub(crate) mod issue;
pub(crate) mod json;
pub(crate) mod number;
pub(crate) mod pattern;
pub(crate) mod planner;
pub(crate) mod scan;
pub(crate) mod temporal;
pub(crate) mod text;
pub(crate) mod times;
pub(crate) mod wrapped;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

/// Every function that Candor adds.
pub(crate) fn added() -> Vec<Arc<ScalarUDF>> {
    let mut functions = json::functions();
    functions.push(attribute::udf());
    functions.push(number::udf());
    functions.push(contains::udf());
    functions
}
