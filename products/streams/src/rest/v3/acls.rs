//! Rules of who may do what.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use kafka_protocol::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use kafka_protocol::messages::delete_acls_request::{DeleteAclsFilter, DeleteAclsRequest};
use kafka_protocol::messages::describe_acls_request::DescribeAclsRequest;
use kafka_protocol::protocol::StrBytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::rest::RestState;
use crate::rest::door::{self, Ask, Asked, Names};
use crate::rest::error::{Answer, RestError, check};
use crate::rest::links::At;

/// Words by their numbers in Kafka's messages.
type Words = &'static [&'static str];

const RESOURCES: Words =
    &["UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"];
const PATTERNS: Words = &["UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"];
const PERMISSIONS: Words = &["UNKNOWN", "ANY", "DENY", "ALLOW"];
const OPERATIONS: Words = &[
    "UNKNOWN",
    "ANY",
    "ALL",
    "READ",
    "WRITE",
    "CREATE",
    "DELETE",
    "ALTER",
    "DESCRIBE",
    "CLUSTER_ACTION",
    "DESCRIBE_CONFIGS",
    "ALTER_CONFIGS",
    "IDEMPOTENT_WRITE",
    "CREATE_TOKENS",
    "DESCRIBE_TOKENS",
    "TWO_PHASE_COMMIT",
];

fn word(words: Words, number: i8) -> &'static str {
    usize::try_from(number).ok().and_then(|number| words.get(number)).copied().unwrap_or("UNKNOWN")
}

fn number(words: Words, what: &str, text: &str) -> Answer<i8> {
    let found = words.iter().position(|word| *word != "UNKNOWN" && word.eq_ignore_ascii_case(text));
    let found = found.and_then(|number| i8::try_from(number).ok());
    let one_of = || words.get(1..).unwrap_or_default().join(", ");
    found.ok_or_else(|| RestError::bad_request(format!("Bad Request: {what} is one of {}", one_of())))
}

/// The operations that a bit field of Kafka's stands for.
pub(super) fn operations_of(bits: i32) -> Vec<&'static str> {
    let all = OPERATIONS.iter().enumerate();
    all.filter(|(number, _)| bits != i32::MIN && bits >> number & 1 == 1).map(|(_, word)| *word).collect()
}

/// A rule, or with `any` in it which rules.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    resource: i8,
    name: Option<String>,
    pattern: i8,
    principal: Option<String>,
    host: Option<String>,
    operation: i8,
    permission: i8,
}

impl Rule {
    /// What a query says. What it does not say is any, where that may be.
    fn asked(asked: &Asked, may_leave_out: bool) -> Answer<Rule> {
        let one = |words, what: &str| match asked.text(what) {
            Some(text) => number(words, what, text),
            None if may_leave_out => Ok(1),
            None => Err(RestError::bad_request(format!("Bad Request: give {what}"))),
        };
        let text = |what| asked.text(what).map(str::to_owned);
        Ok(Rule {
            resource: one(RESOURCES, "resource_type")?,
            name: text("resource_name"),
            pattern: one(PATTERNS, "pattern_type")?,
            principal: text("principal"),
            host: text("host"),
            operation: one(OPERATIONS, "operation")?,
            permission: one(PERMISSIONS, "permission")?,
        })
    }

    fn at(&self, cluster: &At) -> At {
        fn text(text: &Option<String>) -> &str {
            text.as_deref().unwrap_or_default()
        }
        cluster.only("acls").asked(&[
            ("resource_type", word(RESOURCES, self.resource)),
            ("resource_name", text(&self.name)),
            ("pattern_type", word(PATTERNS, self.pattern)),
            ("principal", text(&self.principal)),
            ("host", text(&self.host)),
            ("operation", word(OPERATIONS, self.operation)),
            ("permission", word(PERMISSIONS, self.permission)),
        ])
    }

    fn shown(&self, cluster: &At, cluster_id: &str) -> Value {
        self.at(cluster).resource(
            "KafkaAcl",
            json!({
                "cluster_id": cluster_id,
                "resource_type": word(RESOURCES, self.resource),
                "resource_name": self.name,
                "pattern_type": word(PATTERNS, self.pattern),
                "principal": self.principal,
                "host": self.host,
                "operation": word(OPERATIONS, self.operation),
                "permission": word(PERMISSIONS, self.permission),
            }),
        )
    }
}

fn bytes(text: Option<String>) -> Option<StrBytes> {
    text.map(StrBytes::from_string)
}

fn owned(bytes: &StrBytes) -> Option<String> {
    Some(bytes.to_string())
}

pub(super) async fn list(ask: Ask, Names(named): Names<String>, asked: Asked) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let wanted = Rule::asked(&asked, true)?;
    let url = wanted.at(&cluster).url().to_owned();
    let request = DescribeAclsRequest::default()
        .with_resource_type_filter(wanted.resource)
        .with_resource_name_filter(bytes(wanted.name))
        .with_pattern_type_filter(wanted.pattern)
        .with_principal_filter(bytes(wanted.principal))
        .with_host_filter(bytes(wanted.host))
        .with_operation(wanted.operation)
        .with_permission_type(wanted.permission);
    let found = ask.client.describe_acls(request).await;
    check(found.error_code, found.error_message.as_ref())?;
    let id = ask.client.cluster_id();
    let mut data = Vec::new();
    for resource in &found.resources {
        for acl in &resource.acls {
            let rule = Rule {
                resource: resource.resource_type,
                name: owned(&resource.resource_name),
                pattern: resource.pattern_type,
                principal: owned(&acl.principal),
                host: owned(&acl.host),
                operation: acl.operation,
                permission: acl.permission_type,
            };
            data.push(rule.shown(&cluster, &id));
        }
    }
    Ok(Json(json!({ "kind": "KafkaAclList", "metadata": { "self": url, "next": null }, "data": data })))
}

/// `CreateAclRequestData`.
#[derive(Debug, Deserialize)]
struct NewRule {
    resource_type: String,
    resource_name: String,
    pattern_type: String,
    principal: String,
    host: String,
    operation: String,
    permission: String,
}

impl NewRule {
    fn read(self) -> Answer<Rule> {
        Ok(Rule {
            resource: number(RESOURCES, "resource_type", &self.resource_type)?,
            pattern: number(PATTERNS, "pattern_type", &self.pattern_type)?,
            operation: number(OPERATIONS, "operation", &self.operation)?,
            permission: number(PERMISSIONS, "permission", &self.permission)?,
            name: Some(self.resource_name),
            principal: Some(self.principal),
            host: Some(self.host),
        })
    }
}

async fn add(ask: &Ask, rules: Vec<Rule>) -> Answer<()> {
    let creations = rules.into_iter().map(|rule| {
        AclCreation::default()
            .with_resource_type(rule.resource)
            .with_resource_name(bytes(rule.name).unwrap_or_default())
            .with_resource_pattern_type(rule.pattern)
            .with_principal(bytes(rule.principal).unwrap_or_default())
            .with_host(bytes(rule.host).unwrap_or_default())
            .with_operation(rule.operation)
            .with_permission_type(rule.permission)
    });
    let request = CreateAclsRequest::default().with_creations(creations.collect());
    let results = ask.client.create_acls(request).await.results;
    results.iter().try_for_each(|result| check(result.error_code, result.error_message.as_ref()))
}

pub(super) async fn create(
    State(state): State<RestState>,
    ask: Ask,
    Names(named): Names<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    let cluster = ask.cluster(&named)?;
    let rule = door::json::<NewRule>(&state, &headers, body).await?.read()?;
    let location = rule.at(&cluster).url().to_owned();
    add(&ask, vec![rule]).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)]).into_response())
}

/// `CreateAclRequestDataList`.
#[derive(Debug, Deserialize)]
struct NewRules {
    data: Vec<NewRule>,
}

pub(super) async fn create_all(
    State(state): State<RestState>,
    ask: Ask,
    Names(named): Names<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer<StatusCode> {
    ask.cluster(&named)?;
    let rules: NewRules = door::json(&state, &headers, body).await?;
    let rules = rules.data.into_iter().map(NewRule::read).collect::<Answer<Vec<Rule>>>()?;
    add(&ask, rules).await?;
    Ok(StatusCode::CREATED)
}

pub(super) async fn remove(ask: Ask, Names(named): Names<String>, asked: Asked) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let wanted = Rule::asked(&asked, false)?;
    let filter = DeleteAclsFilter::default()
        .with_resource_type_filter(wanted.resource)
        .with_resource_name_filter(bytes(wanted.name))
        .with_pattern_type_filter(wanted.pattern)
        .with_principal_filter(bytes(wanted.principal))
        .with_host_filter(bytes(wanted.host))
        .with_operation(wanted.operation)
        .with_permission_type(wanted.permission);
    let request = DeleteAclsRequest::default().with_filters(vec![filter]);
    let id = ask.client.cluster_id();
    let mut data = Vec::new();
    for result in ask.client.delete_acls(request).await.filter_results {
        check(result.error_code, result.error_message.as_ref())?;
        for gone in &result.matching_acls {
            let rule = Rule {
                resource: gone.resource_type,
                name: owned(&gone.resource_name),
                pattern: gone.pattern_type,
                principal: owned(&gone.principal),
                host: owned(&gone.host),
                operation: gone.operation,
                permission: gone.permission_type,
            };
            data.push(rule.shown(&cluster, &id));
        }
    }
    Ok(Json(json!({ "data": data })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_numbers_of_kafkas_messages() {
        assert_eq!(number(OPERATIONS, "operation", "idempotent_write"), Ok(12));
        assert_eq!(number(PATTERNS, "pattern_type", "PREFIXED"), Ok(4));
        assert_eq!(number(PERMISSIONS, "permission", "allow"), Ok(3));
        assert_eq!(number(RESOURCES, "resource_type", "TRANSACTIONAL_ID"), Ok(5));
        assert_eq!(number(RESOURCES, "resource_type", "UNKNOWN").map_err(|error| error.code), Err(400));
        assert_eq!(operations_of(1 << 3 | 1 << 8), ["READ", "DESCRIBE"]);
        assert!(operations_of(i32::MIN).is_empty());
    }
}
