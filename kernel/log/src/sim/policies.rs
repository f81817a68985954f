//! Policies that change while what was cleared under the last one is on its way.

use candor_model::random::Seeded;
use candor_model::{PolicyEpoch, Random};

use super::world::{Outcome, World};
use crate::{AppendError, Appended};

/// Which policy holds. In some runs it changes; its dice are its own, so that the others go as they went.
pub(super) struct Policies {
    dice: Option<Seeded>,
    epoch: u32,
}

impl Policies {
    pub fn new(seed: u64) -> Policies {
        Policies { dice: (seed % 8 == 5).then(|| Seeded::new(seed ^ 0x7777)), epoch: 1 }
    }

    fn one_in(&self, n: u64) -> bool {
        self.dice.as_ref().is_some_and(|dice| dice.next_u64().is_multiple_of(n))
    }

    /// The policy that something new is cleared under: at times one that is overtaken before it is stored.
    pub fn of_new(&self) -> PolicyEpoch {
        PolicyEpoch(self.epoch - u32::from(self.epoch > 1 && self.one_in(8)))
    }
}

impl World {
    /// The policy may change.
    pub(super) fn change_policy(&mut self) {
        if self.policies.one_in(12) {
            self.policies.epoch += 1;
            self.say(|| format!("policy {} holds", self.policies.epoch));
        }
        self.say_policy();
    }

    /// Says anew, as after each start, which policy holds.
    pub(super) fn say_policy(&self) {
        if let Some(log) = &self.log {
            let mut state = log.committer.shared.state.write();
            state.floors.raise(None, PolicyEpoch(self.policies.epoch));
        }
    }

    /// Nothing new is stored of what was cleared under a policy that holds no more, and nothing else is refused for it.
    pub(super) fn check_policy(
        &self,
        numbers: &[u64],
        answer: &Result<Vec<Appended>, AppendError>,
    ) -> Outcome {
        let is_outdated = |number: &u64| {
            let sent = self.model.sent.get(*number as usize);
            sent.is_some_and(|sent| sent.epoch.0 < self.policies.epoch)
        };
        match answer {
            Ok(_) if numbers.iter().any(is_outdated) => {
                Err(format!("an outdated batch of {numbers:?} was taken"))
            }
            Err(error) if error.is_outdated() && !numbers.iter().any(is_outdated) => {
                Err(format!("{numbers:?} were refused for a policy that holds"))
            }
            _ => Ok(()),
        }
    }
}
