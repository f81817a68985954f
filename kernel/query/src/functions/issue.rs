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

use candor_model::EVERY_OTHER;

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
            let every_other = self.issues.get(EVERY_OTHER).copied();
            let mut issues = Int64Builder::with_capacity(list.len());
            for (row, ends) in list.value_offsets().windows(2).enumerate() {
                let of_row = known.get(ends[0] as usize..ends[1] as usize).unwrap_or_default();
                let issue = of_row.iter().find_map(|issue| *issue);
                let issue = issue.or(every_other.filter(|_| !of_row.is_empty()));
                issues.append_option(issue.filter(|_| list.is_valid(row)));
            }
            Ok(Arc::new(issues.finish()) as ArrayRef)
        })
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ListBuilder, StringBuilder};
    use datafusion::arrow::datatypes::{Field, Int64Type};
    use datafusion::config::ConfigOptions;

    use super::*;

    #[test]
    fn an_event_whose_hashes_nobody_owns_is_every_other_ones() {
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("new"), Some("known")]);
        lists.append_value([Some("new")]);
        lists.append_value([None::<&str>; 0]);
        let hashes: ArrayRef = Arc::new(lists.finish());
        let issues = |members: &[(&str, i64)]| {
            let issues = members.iter().map(|(hash, issue)| ((*hash).to_owned(), *issue)).collect();
            let function =
                IssueOf { signature: Signature::any(1, Volatility::Stable), issues: Arc::new(issues) };
            let field = |name: &str, kind: &DataType| Arc::new(Field::new(name, kind.clone(), true));
            let args = ScalarFunctionArgs {
                args: vec![ColumnarValue::Array(Arc::clone(&hashes))],
                arg_fields: vec![field("hashes", hashes.data_type())],
                number_rows: 3,
                return_field: field("issue", &DataType::Int64),
                config_options: Arc::new(ConfigOptions::default()),
            };
            let answer =
                function.invoke_with_args(args).expect("it answers").into_array(3).expect("an array");
            answer.as_primitive::<Int64Type>().iter().collect::<Vec<Option<i64>>>()
        };
        assert_eq!(issues(&[("known", 1)]), [Some(1), None, None]);
        assert_eq!(issues(&[("known", 1), (EVERY_OTHER, 9)]), [Some(1), Some(9), None]);
    }
}
