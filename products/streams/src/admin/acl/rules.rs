//! The words of ACLs, and what a rule says of a request (KIP-11, KIP-290).

use super::{Operation, ResourceType};

/// How a rule names resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pattern {
    /// By the whole name; `*` names all.
    Literal = 3,
    /// By how a name begins.
    Prefixed = 4,
}

/// Whether a rule lets in or keeps out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// It keeps out, whatever others say.
    Deny = 2,
    /// It lets in.
    Allow = 3,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rule {
    /// What kind of thing it is about.
    pub resource: ResourceType,
    /// How it names them.
    pub pattern: Pattern,
    /// The name, or its beginning.
    pub name: String,
    /// Whom it is about: `User:shop`, or `User:*` for everybody.
    pub principal: String,
    /// From where: an address, or `*`.
    pub host: String,
    /// What they may do.
    pub operation: Operation,
    /// Or may not.
    pub permission: Permission,
}

/// All principals.
pub const EVERYBODY: &str = "User:*";
/// All names, all hosts.
pub const ALL: &str = "*";

impl Rule {
    /// Whether the rule is about a resource of its kind by that name.
    pub fn names(&self, name: &str) -> bool {
        match self.pattern {
            Pattern::Literal => self.name == ALL || self.name == name,
            Pattern::Prefixed => name.starts_with(&self.name),
        }
    }

    /// Whether the rule is about who asks, from there.
    pub fn is_about(&self, principal: &str, host: &str) -> bool {
        (self.principal == EVERYBODY || self.principal == principal)
            && (self.host == ALL || self.host == host)
    }

    /// Whether the rule decides about the operation. What allows to do something allows to see it, too; what forbids
    /// forbids only what it says.
    pub fn decides(&self, operation: Operation) -> bool {
        use Operation::*;
        if self.operation == All || self.operation == operation {
            return true;
        }
        let implies = match operation {
            Describe => matches!(self.operation, Read | Write | Delete | Alter),
            DescribeConfigs => self.operation == AlterConfigs,
            _ => false,
        };
        implies && self.permission == Permission::Allow
    }
}

/// Which rules are asked for or removed. What is none fits every rule.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The kind of resource.
    pub resource: Option<ResourceType>,
    /// How names are compared.
    pub pattern: PatternFilter,
    /// The name.
    pub name: Option<String>,
    /// The principal.
    pub principal: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The operation, by itself.
    pub operation: Option<Operation>,
    /// The permission.
    pub permission: Option<Permission>,
}

/// How a filter's name meets a rule's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternFilter {
    /// The same name, whatever the rule's pattern.
    Any,
    /// Every rule that is about a resource of that name.
    Match,
    /// The same name and pattern.
    Only(Pattern),
}

impl Filter {
    /// Whether a rule is among those.
    pub fn fits(&self, rule: &Rule) -> bool {
        fn same<T: PartialEq + ?Sized>(wanted: Option<&T>, found: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        let by_name = match (self.pattern, self.name.as_deref()) {
            (PatternFilter::Only(pattern), _) if pattern != rule.pattern => false,
            (_, None) => true,
            (PatternFilter::Match, Some(name)) => rule.names(name),
            (_, Some(name)) => rule.name == name,
        };
        by_name
            && same(self.resource.as_ref(), &rule.resource)
            && same(self.principal.as_deref(), rule.principal.as_str())
            && same(self.host.as_deref(), rule.host.as_str())
            && same(self.operation.as_ref(), &rule.operation)
            && same(self.permission.as_ref(), &rule.permission)
    }
}
