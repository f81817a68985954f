//! The engine's own functions, with something done to their arguments first: held to a bound, or kept in a type that
//! holds what senders' clocks say.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

use super::{guard, times};

/// What is done before the function runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Before {
    /// What it would make is held to a bound, and what it made too.
    Guard,
    /// The time among its arguments keeps its type.
    KeepTime,
    /// The same, and is brought within what the function can count.
    BoundTime,
}

/// `inner` with something done before it.
pub(crate) fn wrapped(inner: Arc<ScalarUDF>, before: Before) -> Arc<ScalarUDF> {
    let signature = match before {
        Before::Guard => inner.signature().clone(),
        Before::KeepTime | Before::BoundTime => Signature::user_defined(inner.signature().volatility),
    };
    Arc::new(ScalarUDF::from(Wrapped { inner, before, signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Wrapped {
    inner: Arc<ScalarUDF>,
    before: Before,
    signature: Signature,
}

impl ScalarUDFImpl for Wrapped {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match self.before {
            Before::Guard => self.inner.coerce_types(types),
            Before::KeepTime | Before::BoundTime => times::kept(&self.inner, types),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn simplify(&self, args: Vec<Expr>, _info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // What the inner one makes of it would no longer be wrapped.
        Ok(ExprSimplifyResult::Original(args))
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(input)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.before {
            Before::Guard => guard::check(self.name(), &args)?,
            Before::KeepTime => {}
            Before::BoundTime => args.args.iter_mut().for_each(times::bound),
        }
        let value = match (self.before, self.name()) {
            (Before::Guard, "replace" | "regexp_replace") => guard::replaced(&self.inner, args)?,
            _ => self.inner.invoke_with_args(args)?,
        };
        match self.before {
            Before::Guard => guard::given(self.name(), value),
            Before::KeepTime | Before::BoundTime => Ok(value),
        }
    }
}
