//! CreateAcls, DescribeAcls, DeleteAcls.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use kafka_protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use kafka_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{
    AclError, CLUSTER, Filter, Operation, Pattern, PatternFilter, Permission, Resource, ResourceType, Rule,
};
use crate::admin::{Admin, Refusal, text};
use crate::caller::Caller;

/// Longest name, principal or host of a rule, bytes.
const WORD_BYTES_MAX: usize = 1024;

impl From<AclError> for Refusal {
    fn from(error: AclError) -> Refusal {
        match error {
            AclError::TooMany => Refusal::new(ResponseError::PolicyViolation, error.to_string()),
            AclError::Sql(error) => Refusal::of_sql(&error),
        }
    }
}

impl Admin {
    /// CreateAcls (30), versions 1 to 3.
    pub async fn create_acls(
        &self,
        caller: &Caller,
        request: CreateAclsRequest,
        _version: i16,
    ) -> CreateAclsResponse {
        let may = self.check(caller, Operation::Alter, Resource::cluster());
        let read: Vec<Result<Rule, Refusal>> =
            request.creations.iter().map(|creation| may.clone().and_then(|()| rule(creation))).collect();
        let good: Vec<Rule> = read.iter().flatten().cloned().collect();
        let added = match good.is_empty() {
            true => Ok(()),
            false => self.acls.add(caller.project, &good).await.map_err(Refusal::from),
        };
        let results = read.into_iter().map(|one| {
            let result = AclCreationResult::default();
            match one.and_then(|_| added.clone()) {
                Ok(()) => result.with_error_message(None),
                Err(refusal) => result.with_error_code(refusal.code()).with_error_message(refusal.message()),
            }
        });
        CreateAclsResponse::default().with_results(results.collect())
    }

    /// DescribeAcls (29), versions 1 to 3.
    pub async fn describe_acls(
        &self,
        caller: &Caller,
        request: DescribeAclsRequest,
        _version: i16,
    ) -> DescribeAclsResponse {
        let response = DescribeAclsResponse::default();
        let filter = self.check(caller, Operation::Describe, Resource::cluster()).and_then(|()| {
            filter(
                request.resource_type_filter,
                request.resource_name_filter.as_ref(),
                request.pattern_type_filter,
                request.principal_filter.as_ref(),
                request.host_filter.as_ref(),
                request.operation,
                request.permission_type,
            )
        });
        let filter = match filter {
            Ok(filter) => filter,
            Err(refusal) => {
                return response.with_error_code(refusal.code()).with_error_message(refusal.message());
            }
        };
        let mut resources: BTreeMap<(ResourceType, Pattern, String), Vec<AclDescription>> = BTreeMap::new();
        for rule in self.acls.list(caller.project, &filter) {
            let acl = AclDescription::default()
                .with_principal(StrBytes::from_string(rule.principal))
                .with_host(StrBytes::from_string(rule.host))
                .with_operation(rule.operation.wire())
                .with_permission_type(rule.permission as i8);
            resources.entry((rule.resource, rule.pattern, rule.name)).or_default().push(acl);
        }
        let resources = resources.into_iter().map(|((resource, pattern, name), acls)| {
            DescribeAclsResource::default()
                .with_resource_type(resource.wire())
                .with_pattern_type(pattern as i8)
                .with_resource_name(StrBytes::from_string(name))
                .with_acls(acls)
        });
        response.with_error_message(None).with_resources(resources.collect())
    }

    /// DeleteAcls (31), versions 1 to 3.
    pub async fn delete_acls(
        &self,
        caller: &Caller,
        request: DeleteAclsRequest,
        _version: i16,
    ) -> DeleteAclsResponse {
        let may = self.check(caller, Operation::Alter, Resource::cluster());
        let read: Vec<Result<Filter, Refusal>> = request
            .filters
            .iter()
            .map(|one| {
                may.clone()?;
                filter(
                    one.resource_type_filter,
                    one.resource_name_filter.as_ref(),
                    one.pattern_type_filter,
                    one.principal_filter.as_ref(),
                    one.host_filter.as_ref(),
                    one.operation,
                    one.permission_type,
                )
            })
            .collect();
        let good: Vec<Filter> = read.iter().flatten().cloned().collect();
        let removed = match good.is_empty() {
            true => Ok(Vec::new()),
            false => self.acls.remove(caller.project, &good).await.map_err(Refusal::from),
        };
        let (mut removed, failed) = match removed {
            Ok(removed) => (removed.into_iter(), None),
            Err(refusal) => (Vec::new().into_iter(), Some(refusal)),
        };
        let results = read.into_iter().map(|one| {
            let refusal = one.err().or_else(|| failed.clone());
            let result = DeleteAclsFilterResult::default();
            match refusal {
                Some(refusal) => result.with_error_code(refusal.code()).with_error_message(refusal.message()),
                None => {
                    let gone = removed.next().unwrap_or_default();
                    let gone = gone.into_iter().map(matching).collect();
                    result.with_error_message(None).with_matching_acls(gone)
                }
            }
        });
        let results = results.collect();
        DeleteAclsResponse::default().with_filter_results(results)
    }
}

fn matching(rule: Rule) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl::default()
        .with_error_message(None)
        .with_resource_type(rule.resource.wire())
        .with_resource_name(StrBytes::from_string(rule.name))
        .with_pattern_type(rule.pattern as i8)
        .with_principal(StrBytes::from_string(rule.principal))
        .with_host(StrBytes::from_string(rule.host))
        .with_operation(rule.operation.wire())
        .with_permission_type(rule.permission as i8)
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ResponseError::InvalidRequest, message)
}

fn pattern(number: i8) -> Option<Pattern> {
    [Pattern::Literal, Pattern::Prefixed].into_iter().find(|pattern| *pattern as i8 == number)
}

fn permission(number: i8) -> Option<Permission> {
    [Permission::Deny, Permission::Allow].into_iter().find(|permission| *permission as i8 == number)
}

/// The rule of a request, where it is one.
pub(super) fn rule(creation: &AclCreation) -> Result<Rule, Refusal> {
    let resource = ResourceType::from_wire(creation.resource_type)
        .ok_or_else(|| invalid("a rule is about one type of resource"))?;
    let pattern = pattern(creation.resource_pattern_type)
        .ok_or_else(|| invalid("a rule's pattern is literal or prefixed"))?;
    let operation = Operation::from_wire(creation.operation)
        .ok_or_else(|| invalid("a rule has one operation, or ALL"))?;
    if operation != Operation::All && !resource.operations().contains(&operation) {
        return Err(invalid(format!("{operation:?} is nothing that is done to a {resource:?}")));
    }
    let permission =
        permission(creation.permission_type).ok_or_else(|| invalid("a rule allows or denies"))?;
    let (name, principal, host) = (&creation.resource_name, &creation.principal, &creation.host);
    if [name, principal, host].iter().any(|word| word.is_empty() || word.len() > WORD_BYTES_MAX) {
        return Err(invalid(format!("name, principal and host of a rule have 1 to {WORD_BYTES_MAX} bytes")));
    }
    if !principal.split_once(':').is_some_and(|(kind, name)| kind == "User" && !name.is_empty()) {
        return Err(invalid("a principal is written User:NAME"));
    }
    if resource == ResourceType::Cluster && (pattern != Pattern::Literal || **name != *CLUSTER) {
        return Err(invalid(format!("the cluster is named {CLUSTER}, literally")));
    }
    Ok(Rule {
        resource,
        pattern,
        name: name.to_string(),
        principal: principal.to_string(),
        host: host.to_string(),
        operation,
        permission,
    })
}

/// The filter of a request. 1 is any; 0, and what nobody knows, is an error.
fn filter(
    resource: i8,
    name: Option<&StrBytes>,
    pattern_type: i8,
    principal: Option<&StrBytes>,
    host: Option<&StrBytes>,
    operation: i8,
    permission_type: i8,
) -> Result<Filter, Refusal> {
    const ANY: i8 = 1;
    const MATCH: i8 = 2;
    fn any_or<T>(number: i8, found: Option<T>, what: &str) -> Result<Option<T>, Refusal> {
        match found {
            None if number != ANY => Err(invalid(format!("there is no {what} {number}"))),
            found => Ok(found),
        }
    }
    Ok(Filter {
        resource: any_or(resource, ResourceType::from_wire(resource), "type of resource")?,
        pattern: match (pattern_type, pattern(pattern_type)) {
            (ANY, _) => PatternFilter::Any,
            (MATCH, _) => PatternFilter::Match,
            (_, Some(pattern)) => PatternFilter::Only(pattern),
            _ => return Err(invalid(format!("there is no type of pattern {pattern_type}"))),
        },
        name: name.map(text),
        principal: principal.map(text),
        host: host.map(text),
        operation: any_or(operation, Operation::from_wire(operation), "operation")?,
        permission: any_or(permission_type, permission(permission_type), "permission")?,
    })
}
