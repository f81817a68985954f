//! What a broker is made of.

use std::sync::Arc;

use candor_meta::Tenancy;

use crate::admin::Admin;
use crate::auth::credentials::Credentials;
use crate::broker::throttle::Throttle;
use crate::caller::Caller;
use crate::data::fetch::Fetch;
use crate::data::offsets::Offsets;
use crate::data::produce::Produce;
use crate::data::signals::Signals;
use crate::groups::Groups;
use crate::node::Node;
use crate::rights::Rights;
use crate::share::Shares;
use crate::topics::Topics;
use crate::txn::Transactions;

/// The parts, each cheap to clone.
#[derive(Clone)]
pub(crate) struct Parts {
    pub tenancy: Tenancy,
    pub credentials: Credentials,
    pub groups: Groups,
    pub shares: Shares,
    pub fetch: Fetch,
    pub produce: Produce,
    pub offsets: Offsets,
    pub signals: Signals,
    pub admin: Arc<Admin>,
    pub topics: Topics,
    pub transactions: Transactions,
    pub node: Node,
    /// Counts what clients with quotas move.
    pub throttle: Throttle,
}

impl Parts {
    /// What the rules say of one who asks.
    pub fn rights(&self, caller: &Caller) -> Rights {
        Rights::of(self.admin.acls(), caller)
    }
}
