//! Who may do what within a project. The user that was made with the project may do everything; others may what a rule
//! allows and none forbids. Where no rule says anything the answer is no; but a client that need not log in may do what
//! no rule forbids.

mod api;
mod rules;
mod sight;
mod store;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use candor_meta::{Database, SqlError, Tx};
use candor_model::ProjectId;
use parking_lot::RwLock;

use crate::auth::Credentials;
use crate::auth::credentials::ANONYMOUS;
use crate::caller::Caller;
pub use rules::{ALL, EVERYBODY, Filter, Pattern, PatternFilter, Permission, Rule};
pub(crate) use sight::{Sight, Sights};

/// Rules that a project may have. A request of a user who is no owner looks through them.
pub const RULES_PER_PROJECT_MAX: usize = 5000;

/// The one name of the cluster as a resource.
pub const CLUSTER: &str = "kafka-cluster";

/// What may be done. The numbers are Kafka's.
#[allow(missing_docs, reason = "the names are the protocol's")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    All = 2,
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
    CreateTokens = 13,
    DescribeTokens = 14,
    TwoPhaseCommit = 15,
}

/// What it may be done to. The numbers are Kafka's.
#[allow(missing_docs, reason = "the names are the protocol's")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceType {
    Topic = 2,
    Group = 3,
    Cluster = 4,
    TransactionalId = 5,
    DelegationToken = 6,
    User = 7,
}

impl Operation {
    const EACH: [Operation; 14] = [
        Operation::All,
        Operation::Read,
        Operation::Write,
        Operation::Create,
        Operation::Delete,
        Operation::Alter,
        Operation::Describe,
        Operation::ClusterAction,
        Operation::DescribeConfigs,
        Operation::AlterConfigs,
        Operation::IdempotentWrite,
        Operation::CreateTokens,
        Operation::DescribeTokens,
        Operation::TwoPhaseCommit,
    ];

    /// Its number.
    pub fn wire(self) -> i8 {
        self as i8
    }

    /// The operation of a number.
    pub fn from_wire(number: i8) -> Option<Operation> {
        Operation::EACH.into_iter().find(|operation| operation.wire() == number)
    }
}

impl ResourceType {
    const EACH: [ResourceType; 6] = [
        ResourceType::Topic,
        ResourceType::Group,
        ResourceType::Cluster,
        ResourceType::TransactionalId,
        ResourceType::DelegationToken,
        ResourceType::User,
    ];

    /// Its number.
    pub fn wire(self) -> i8 {
        self as i8
    }

    /// The type of a number.
    pub fn from_wire(number: i8) -> Option<ResourceType> {
        ResourceType::EACH.into_iter().find(|resource| resource.wire() == number)
    }

    /// What may be done to it.
    pub fn operations(self) -> &'static [Operation] {
        use Operation::*;
        match self {
            ResourceType::Topic => {
                &[Read, Write, Create, Delete, Alter, Describe, DescribeConfigs, AlterConfigs]
            }
            ResourceType::Group => &[Read, Delete, Describe, DescribeConfigs, AlterConfigs],
            ResourceType::Cluster => {
                &[Create, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite]
            }
            ResourceType::TransactionalId => &[Write, Describe, TwoPhaseCommit],
            ResourceType::DelegationToken => &[Describe],
            ResourceType::User => &[CreateTokens, DescribeTokens],
        }
    }
}

/// A thing that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource<'a> {
    /// What it is.
    pub resource: ResourceType,
    /// Its name.
    pub name: &'a str,
}

impl<'a> Resource<'a> {
    /// A topic.
    pub fn topic(name: &'a str) -> Resource<'a> {
        Resource { resource: ResourceType::Topic, name }
    }

    /// A group.
    pub fn group(name: &'a str) -> Resource<'a> {
        Resource { resource: ResourceType::Group, name }
    }

    /// A transactional id.
    pub fn transactional_id(name: &'a str) -> Resource<'a> {
        Resource { resource: ResourceType::TransactionalId, name }
    }

    /// The cluster.
    pub fn cluster() -> Resource<'static> {
        Resource { resource: ResourceType::Cluster, name: CLUSTER }
    }
}

/// Why rules were not changed.
#[derive(Debug, thiserror::Error)]
pub enum AclError {
    /// The project is full.
    #[error("the project has {RULES_PER_PROJECT_MAX} rules already")]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// The rules of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Acls {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    credentials: Credentials,
    rules: RwLock<HashMap<ProjectId, BTreeSet<Rule>>>,
    /// How often rules were changed.
    changes: AtomicU64,
    /// The one writer; true where memory may differ from the database.
    writer: tokio::sync::Mutex<bool>,
}

fn is_anonymous(caller: &Caller) -> bool {
    &*caller.user == ANONYMOUS
}

impl Acls {
    /// Opens the table and reads all rules.
    pub async fn open(database: Database, credentials: Credentials) -> Result<Acls, SqlError> {
        database.migrate(store::MIGRATIONS).await?;
        let rules = RwLock::new(store::load(database.begin_read().await?).await?);
        let writer = tokio::sync::Mutex::new(false);
        Ok(Acls {
            inner: Arc::new(Inner { database, credentials, rules, changes: AtomicU64::new(0), writer }),
        })
    }

    /// How often rules were changed so far.
    pub fn changes(&self) -> u64 {
        self.inner.changes.load(Ordering::Acquire)
    }

    /// Changes the rules in memory.
    fn show(&self, change: impl FnOnce(&mut HashMap<ProjectId, BTreeSet<Rule>>)) {
        change(&mut self.inner.rules.write());
        // Behind the change: who saw the old number looks again.
        self.inner.changes.fetch_add(1, Ordering::Release);
    }

    /// Whether a client may do everything in its project.
    pub fn is_owner(&self, caller: &Caller) -> bool {
        self.inner.credentials.is_owner(caller.project, &caller.user)
    }

    /// Whether a client may do that.
    pub fn allowed(&self, caller: &Caller, operation: Operation, resource: Resource<'_>) -> bool {
        if self.is_owner(caller) {
            return true;
        }
        let (principal, host) = (format!("User:{}", caller.user), caller.host.to_canonical().to_string());
        let rules = self.inner.rules.read();
        let Some(rules) = rules.get(&caller.project) else { return is_anonymous(caller) };
        let mut is_allowed = is_anonymous(caller);
        for rule in rules {
            let decides = rule.resource == resource.resource
                && rule.decides(operation)
                && rule.names(resource.name)
                && rule.is_about(&principal, &host);
            match rule.permission {
                Permission::Deny if decides => return false,
                Permission::Allow if decides => is_allowed = true,
                _ => {}
            }
        }
        is_allowed
    }

    /// Whether a client may do that to some resource of the kind: what InitProducerId asks of a producer that names none.
    pub fn allowed_some(&self, caller: &Caller, operation: Operation, resource: ResourceType) -> bool {
        if self.is_owner(caller) {
            return true;
        }
        let names: Vec<String> = {
            let rules = self.inner.rules.read();
            let own = rules.get(&caller.project).into_iter().flatten();
            let allows = own.filter(|rule| rule.resource == resource && rule.permission == Permission::Allow);
            allows.map(|rule| rule.name.clone()).collect()
        };
        is_anonymous(caller)
            || names.iter().any(|name| self.allowed(caller, operation, Resource { resource, name }))
    }

    /// What a client may do to a resource, as the bit field of Metadata and its like: bit n is the operation n.
    pub fn operations(&self, caller: &Caller, resource: Resource<'_>) -> i32 {
        let may = resource.resource.operations().iter().filter(|one| self.allowed(caller, **one, resource));
        may.fold(0, |bits, operation| bits | 1 << operation.wire())
    }

    /// A project's rules that fit.
    pub fn list(&self, project: ProjectId, filter: &Filter) -> Vec<Rule> {
        let rules = self.inner.rules.read();
        rules.get(&project).into_iter().flatten().filter(|rule| filter.fits(rule)).cloned().collect()
    }

    /// Adds rules; one that is there already stays.
    pub async fn add(&self, project: ProjectId, rules: &[Rule]) -> Result<(), AclError> {
        let mut writer = self.writer().await?;
        let fresh: BTreeSet<Rule> = {
            let all = self.inner.rules.read();
            let old = all.get(&project);
            let fresh: BTreeSet<Rule> =
                rules.iter().filter(|rule| old.is_none_or(|old| !old.contains(*rule))).cloned().collect();
            if old.map_or(0, BTreeSet::len) + fresh.len() > RULES_PER_PROJECT_MAX {
                return Err(AclError::TooMany);
            }
            fresh
        };
        *writer = true;
        let mut tx = self.change().await?;
        for rule in &fresh {
            store::insert(&mut tx, project, rule).await?;
        }
        tx.commit().await?;
        *writer = false;
        self.show(|all| all.entry(project).or_default().extend(fresh));
        Ok(())
    }

    /// Removes the rules that fit, for each filter those that the ones before it left, and tells which.
    pub async fn remove(&self, project: ProjectId, filters: &[Filter]) -> Result<Vec<Vec<Rule>>, AclError> {
        let mut writer = self.writer().await?;
        let mut left = self.inner.rules.read().get(&project).cloned().unwrap_or_default();
        let mut removed = Vec::with_capacity(filters.len());
        for filter in filters {
            let fits: Vec<Rule> = left.iter().filter(|rule| filter.fits(rule)).cloned().collect();
            left.retain(|rule| !filter.fits(rule));
            removed.push(fits);
        }
        *writer = true;
        let mut tx = self.change().await?;
        for rule in removed.iter().flatten() {
            store::delete(&mut tx, project, rule).await?;
        }
        tx.commit().await?;
        *writer = false;
        self.show(|all| {
            all.insert(project, left);
        });
        Ok(removed)
    }

    /// Removes all rules of a deleted project.
    pub async fn forget(&self, project: ProjectId) -> Result<(), AclError> {
        let mut writer = self.writer().await?;
        *writer = true;
        let mut tx = self.change().await?;
        store::forget(&mut tx, project).await?;
        tx.commit().await?;
        *writer = false;
        self.show(|all| {
            all.remove(&project);
        });
        Ok(())
    }

    /// A transaction of a change. The lock makes it wait for the end of one that was left in the middle.
    async fn change(&self) -> Result<Tx, SqlError> {
        let mut tx = self.inner.database.begin().await?;
        tx.lock("stream_acl").await?;
        Ok(tx)
    }

    /// Takes the writer's place, and reads the database anew where a change before it was left in doubt.
    async fn writer(&self) -> Result<tokio::sync::MutexGuard<'_, bool>, SqlError> {
        let mut doubt = self.inner.writer.lock().await;
        if *doubt {
            let rules = store::load(self.change().await?).await?;
            self.show(|all| *all = rules);
            *doubt = false;
        }
        Ok(doubt)
    }
}
