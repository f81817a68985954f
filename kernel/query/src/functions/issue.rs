//! `errors.issue`: the issue that owns the first of an event's group hashes that the map knows.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Builder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::text;

/// `issue_of(group_hashes)` under a map as of now.
pub(crate) fn call(hashes: Expr, issues: Arc<HashMap<String, i64>>) -> Expr {
    let function = IssueOf { signature: Signature::any(1, Volatility::Stable), issues };
    ScalarUDF::from(function).call(vec![hashes])
}

#[derive(Debug)]
struct IssueOf {
    signature: Signature,
    issues: Arc<HashMap<String, i64>>,
}

impl PartialEq for IssueOf {
    fn eq(&self, other: &IssueOf) -> bool {
        Arc::ptr_eq(&self.issues, &other.issues)
    }
}

impl Eq for IssueOf {}

impl Hash for IssueOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.issues).hash(state);
    }
}

impl ScalarUDFImpl for IssueOf {
    fn name(&self) -> &str {
        "issue_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [hashes] = args.args.as_slice() else { return exec_err!("issue_of takes one argument") };
        text::map_value(hashes, |array| {
            let Some(list) = array.as_list_opt::<i32>() else {
                return exec_err!("group hashes are a list of text");
            };
            let mut known = Vec::with_capacity(list.values().len());
            text::walk(list.values(), |hash| {
                known.push(hash.and_then(|hash| self.issues.get(hash).copied()))
            })?;
            let mut issues = Int64Builder::with_capacity(list.len());
            for (row, ends) in list.value_offsets().windows(2).enumerate() {
                let of_row = known.get(ends[0] as usize..ends[1] as usize).unwrap_or_default();
                let issue = of_row.iter().find_map(|issue| *issue);
                issues.append_option(issue.filter(|_| list.is_valid(row)));
            }
            Ok(Arc::new(issues.finish()) as ArrayRef)
        })
    }
}
