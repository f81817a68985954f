//! Users of Kafka clients, and what rules (ACLs) let them do.

use candor_meta::{ReadScope, WriteScope};
use serde::{Deserialize, Serialize};

use super::{View, ViewError, read, write};
use crate::admin::acl::{
    ALL, CLUSTER, Filter, Operation, Pattern, PatternFilter, Permission, ResourceType, Rule,
};

/// A user of Kafka clients.
#[derive(Debug, Clone, Serialize)]
pub struct KafkaUser {
    /// The name.
    pub name: String,
    /// True for one that may do everything in the project; others may what rules allow.
    pub owner: bool,
    /// When it was made, RFC 3339.
    pub created_at: String,
}

/// A user with its password, which is told once.
#[derive(Clone, Serialize)]
pub struct NewKafkaUser {
    /// The name.
    pub username: String,
    /// The password. It is stored nowhere.
    pub password: String,
}

/// A rule: who may, or may not, do what to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRule {
    /// `topic`, `group`, `cluster`, `transactional_id`, `delegation_token` or `user`.
    pub resource: String,
    /// Its name, or how it begins; `*` for all.
    pub name: String,
    /// The name is how names begin.
    #[serde(default)]
    pub prefixed: bool,
    /// Whom it is about: `User:` and a name, or `User:*`.
    pub principal: String,
    /// From where: an address, or `*`.
    #[serde(default = "everywhere")]
    pub host: String,
    /// `all`, `read`, `write` and so on.
    pub operation: String,
    /// It lets in; otherwise it keeps out.
    #[serde(default = "lets_in")]
    pub allow: bool,
}

fn everywhere() -> String {
    ALL.to_owned()
}

fn lets_in() -> bool {
    true
}

const RESOURCES: &[(&str, ResourceType)] = &[
    ("topic", ResourceType::Topic),
    ("group", ResourceType::Group),
    ("cluster", ResourceType::Cluster),
    ("transactional_id", ResourceType::TransactionalId),
    ("delegation_token", ResourceType::DelegationToken),
    ("user", ResourceType::User),
];

const OPERATIONS: &[(&str, Operation)] = &[
    ("all", Operation::All),
    ("read", Operation::Read),
    ("write", Operation::Write),
    ("create", Operation::Create),
    ("delete", Operation::Delete),
    ("alter", Operation::Alter),
    ("describe", Operation::Describe),
    ("cluster_action", Operation::ClusterAction),
    ("describe_configs", Operation::DescribeConfigs),
    ("alter_configs", Operation::AlterConfigs),
    ("idempotent_write", Operation::IdempotentWrite),
    ("create_tokens", Operation::CreateTokens),
    ("describe_tokens", Operation::DescribeTokens),
    ("two_phase_commit", Operation::TwoPhaseCommit),
];

fn named<T: Copy>(table: &[(&str, T)], name: &str, what: &str) -> Result<T, ViewError> {
    let found = table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|(known, _)| *known).collect();
        ViewError::Refused(format!("{what} is one of {}", names.join(", ")))
    })
}

fn name_of<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table.iter().find(|(_, known)| known == value).map_or("unknown", |(name, _)| name)
}

impl AccessRule {
    fn of(rule: &Rule) -> AccessRule {
        AccessRule {
            resource: name_of(RESOURCES, &rule.resource).to_owned(),
            name: rule.name.clone(),
            prefixed: rule.pattern == Pattern::Prefixed,
            principal: rule.principal.clone(),
            host: rule.host.clone(),
            operation: name_of(OPERATIONS, &rule.operation).to_owned(),
            allow: rule.permission == Permission::Allow,
        }
    }

    fn rule(&self) -> Result<Rule, ViewError> {
        let refused = |why: &str| Err(ViewError::Refused(why.to_owned()));
        let resource = named(RESOURCES, &self.resource, "resource")?;
        let operation = named(OPERATIONS, &self.operation, "operation")?;
        if operation != Operation::All && !resource.operations().contains(&operation) {
            return refused(&format!("{} is nothing that is done to a {}", self.operation, self.resource));
        }
        let name = if resource == ResourceType::Cluster { CLUSTER } else { self.name.as_str() };
        if name.is_empty() || name.len() > TEXT_MAX {
            return refused("a rule names what it is about, or * for all");
        }
        let user = self.principal.strip_prefix("User:").unwrap_or_default();
        if user.is_empty() || self.principal.len() > TEXT_MAX {
            return refused("principal is User: and a name, or User:* for everybody");
        }
        if self.host != ALL && self.host.parse::<std::net::IpAddr>().is_err() {
            return refused("host is an address, or * for everywhere");
        }
        Ok(Rule {
            resource,
            pattern: if self.prefixed { Pattern::Prefixed } else { Pattern::Literal },
            name: name.to_owned(),
            principal: self.principal.clone(),
            host: self.host.clone(),
            operation,
            permission: if self.allow { Permission::Allow } else { Permission::Deny },
        })
    }
}

/// Longest name in a rule, bytes.
const TEXT_MAX: usize = 300;

impl View {
    /// A project's users.
    pub fn users(&self, scope: &ReadScope) -> Vec<KafkaUser> {
        let users = self.inner.parts.credentials.list(read(scope)).into_iter();
        let shown = users.map(|(name, user)| KafkaUser {
            name,
            owner: user.is_owner,
            created_at: user.created_at.to_string(),
        });
        shown.collect()
    }

    /// Makes a user: one that may do everything in the project, or what rules allow it.
    pub async fn create_user(
        &self,
        scope: &WriteScope,
        name: &str,
        owner: bool,
    ) -> Result<NewKafkaUser, ViewError> {
        let (project, credentials) = (write(scope), &self.inner.parts.credentials);
        let _alone = self.inner.making_user.lock().await;
        if credentials.get(project, name).is_some() {
            return Err(ViewError::Conflict(format!(
                "there is a user {name} already: give it a new password"
            )));
        }
        let made = match owner {
            true => credentials.create(project, name).await?,
            false => credentials.create_guest(project, name).await?,
        };
        Ok(NewKafkaUser { username: made.username, password: made.password })
    }

    /// Gives a user a new password. The old one opens nothing from now on.
    pub async fn renew_user(&self, scope: &WriteScope, name: &str) -> Result<NewKafkaUser, ViewError> {
        let made = self.inner.parts.credentials.rotate(write(scope), name).await?;
        Ok(NewKafkaUser { username: made.username, password: made.password })
    }

    /// Removes a user.
    pub async fn delete_user(&self, scope: &WriteScope, name: &str) -> Result<(), ViewError> {
        Ok(self.inner.parts.credentials.delete(write(scope), name).await?)
    }

    /// A project's rules.
    pub fn rules(&self, scope: &ReadScope) -> Vec<AccessRule> {
        let every = Filter {
            resource: None,
            pattern: PatternFilter::Any,
            name: None,
            principal: None,
            host: None,
            operation: None,
            permission: None,
        };
        self.inner.parts.admin.acls().list(read(scope), &every).iter().map(AccessRule::of).collect()
    }

    /// Adds a rule.
    pub async fn add_rule(&self, scope: &WriteScope, rule: &AccessRule) -> Result<AccessRule, ViewError> {
        let rule = rule.rule()?;
        self.inner.parts.admin.acls().add(write(scope), std::slice::from_ref(&rule)).await?;
        Ok(AccessRule::of(&rule))
    }

    /// Removes exactly that rule.
    pub async fn remove_rule(&self, scope: &WriteScope, rule: &AccessRule) -> Result<(), ViewError> {
        let rule = rule.rule()?;
        let filter = Filter {
            resource: Some(rule.resource),
            pattern: PatternFilter::Only(rule.pattern),
            name: Some(rule.name),
            principal: Some(rule.principal),
            host: Some(rule.host),
            operation: Some(rule.operation),
            permission: Some(rule.permission),
        };
        let removed = self.inner.parts.admin.acls().remove(write(scope), &[filter]).await?;
        if removed.iter().all(Vec::is_empty) {
            return Err(ViewError::Missing("the project has no such rule".to_owned()));
        }
        Ok(())
    }
}
