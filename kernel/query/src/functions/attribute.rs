//! `attributes['k']`: the text that a MAP(VARCHAR, VARCHAR) holds under a key, null where it holds none.
//!
//! DataFusion's own map access compares every key of a batch with a kernel and copies through `MutableArrayData`;
//! this walks each row's few entries and looks first where the last row had the key, since records of one source
//! list their attributes in one order.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, MapArray, StringArray, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExpressionPlacement, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::prelude::lit;

use super::text;

/// The function's name.
pub(crate) const NAME: &str = "attribute";

static UDF: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(Attribute::new())));

/// The function.
pub(crate) fn udf() -> Arc<ScalarUDF> {
    Arc::clone(&UDF)
}

/// `attribute(map, 'key')`.
pub(crate) fn call(map: Expr, key: &str) -> Expr {
    udf().call(vec![map, lit(key)])
}

/// True for MAP of text to text.
pub(crate) fn is_text_map(data_type: &DataType) -> bool {
    let DataType::Map(entries, _) = data_type else { return false };
    let DataType::Struct(fields) = entries.data_type() else { return false };
    fields.len() == 2 && fields.iter().all(|field| field.data_type() == &DataType::Utf8)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Attribute {
    signature: Signature,
}

impl Attribute {
    fn new() -> Attribute {
        Attribute { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Attribute {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [map, key] if is_text_map(map) && (text::is_text(key) || matches!(key, DataType::Null)) => {
                Ok(vec![map.clone(), DataType::Utf8])
            }
            _ => plan_err!("attribute(map, key) takes a MAP(VARCHAR, VARCHAR) and a text"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        // As it was written: the head of a result's column.
        match args {
            [Expr::Column(column), Expr::Literal(key, _)] => Ok(format!("{}['{key}']", column.name)),
            [map, key] => Ok(format!("{NAME}({},{})", map.schema_name(), key.schema_name())),
            _ => plan_err!("attribute(map, key) takes two arguments"),
        }
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        // Close to the files, where a promoted column may stand in for the map.
        match args {
            [ExpressionPlacement::Column, ExpressionPlacement::Literal] => {
                ExpressionPlacement::MoveTowardsLeafNodes
            }
            _ => ExpressionPlacement::KeepInPlace,
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [map, key] = args.args.as_slice() else {
            return exec_err!("attribute(map, key) takes two arguments");
        };
        match text::constant(key) {
            Some(Some(key)) => text::map_value(map, |array| Ok(lookup(array.as_map(), key))),
            Some(None) => {
                text::map_value(map, |array| Ok(Arc::new(StringArray::new_null(array.len())) as ArrayRef))
            }
            None => {
                let map = map.to_array(args.number_rows)?;
                let keys = key.to_array(args.number_rows)?;
                let mut found = StringBuilder::new();
                let mut row = 0;
                text::walk(&keys, |key| {
                    match key.and_then(|key| entry(map.as_map(), row, key)) {
                        Some(value) => found.append_value(value),
                        None => found.append_null(),
                    }
                    row += 1;
                })?;
                Ok(ColumnarValue::Array(Arc::new(found.finish())))
            }
        }
    }
}

fn entry<'a>(map: &'a MapArray, row: usize, key: &str) -> Option<&'a str> {
    if map.is_null(row) {
        return None;
    }
    let keys = map.keys().as_string_opt::<i32>()?;
    let values = map.values().as_string_opt::<i32>()?;
    let offsets = map.value_offsets();
    let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
    let at = (start..end).find(|at| keys.value(*at) == key)?;
    values.is_valid(at).then(|| values.value(at))
}

fn lookup(map: &MapArray, key: &str) -> ArrayRef {
    let (Some(keys), Some(values)) = (map.keys().as_string_opt::<i32>(), map.values().as_string_opt::<i32>())
    else {
        return Arc::new(StringArray::new_null(map.len()));
    };
    let offsets = map.value_offsets();
    let mut found = StringBuilder::with_capacity(map.len(), map.len() * 8);
    let mut guess = 0;
    for row in 0..map.len() {
        let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
        let at = if start + guess < end && keys.value(start + guess) == key {
            Some(start + guess)
        } else {
            (start..end).find(|at| keys.value(*at) == key)
        };
        match at {
            Some(at) if map.is_valid(row) && values.is_valid(at) => {
                guess = at - start;
                found.append_value(values.value(at));
            }
            _ => found.append_null(),
        }
    }
    Arc::new(found.finish())
}
