//! The rules that the gate clears by: the place where the policy language comes in.
//!
//! Until then there is one policy, [`Policy::default`]; the gate already takes another at run time, and every
//! batch says under which epoch it was cleared.

use candor_model::PolicyEpoch;
use candor_scrub::{RuleError, Rules, Scrubber};

/// What happens to fields that no rule names (`collect.unknown_fields` of the policy).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownFields {
    /// They stay, after the detectors.
    Scrub,
    /// They go.
    Drop,
}

/// The rules of one policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its version; batches carry it.
    pub epoch: PolicyEpoch,
    /// What is scrubbed.
    pub rules: Rules,
    /// What becomes of the traits of a user beside the identifiers (`user.plan`, `user.data`).
    pub user_traits: UnknownFields,
}

impl Default for Policy {
    /// What holds where no policy says otherwise.
    fn default() -> Policy {
        Policy { epoch: PolicyEpoch(1), rules: Rules::default(), user_traits: UnknownFields::Drop }
    }
}

/// A policy, ready to clear.
pub(crate) struct Compiled {
    pub(crate) epoch: PolicyEpoch,
    pub(crate) scrubber: Scrubber,
    pub(crate) user_traits: UnknownFields,
}

impl Compiled {
    pub(crate) fn new(policy: Policy) -> Result<Compiled, RuleError> {
        Ok(Compiled {
            epoch: policy.epoch,
            scrubber: Scrubber::new(policy.rules)?,
            user_traits: policy.user_traits,
        })
    }
}

impl Default for Compiled {
    fn default() -> Compiled {
        let policy = Policy::default();
        Compiled { epoch: policy.epoch, scrubber: Scrubber::default(), user_traits: policy.user_traits }
    }
}
