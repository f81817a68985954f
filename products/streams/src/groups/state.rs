//! What is known of a group: the state machine of its kind, and its offsets.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::classic::{self, Classic};
use super::consumer::{self, Consumer};
use super::offsets::Offsets;
use super::share::{self, Share};
use super::storage::{GroupKey, Step};

pub(super) struct State {
    pub body: Body,
    pub offsets: Offsets,
    /// It was deleted: who holds it looks for it again.
    pub gone: bool,
    /// When it is woken next.
    pub timer: Option<Instant>,
    /// What was done brings no deadline nearer: the next one is not looked for.
    pub quiet: bool,
}

pub(super) enum Body {
    Classic(Classic),
    Consumer(Consumer),
    Share(Box<Share>),
}

/// A group's own row.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Head {
    Classic(classic::Head),
    Consumer(consumer::Head),
    Share(share::Head),
}

impl State {
    pub fn new(body: Body, offsets: Offsets) -> State {
        State { body, offsets, gone: false, timer: None, quiet: false }
    }

    /// Nobody is in it or about to be.
    pub fn is_vacant(&self) -> bool {
        match &self.body {
            Body::Classic(group) => group.is_vacant(),
            Body::Consumer(group) => group.members.is_empty(),
            Body::Share(group) => group.members.is_empty(),
        }
    }

    /// Nothing has ever been in it.
    pub fn is_untouched(&self) -> bool {
        let began = match &self.body {
            Body::Classic(group) => group.generation > 0,
            Body::Consumer(group) => group.epoch > 0,
            Body::Share(group) => group.epoch > 0,
        };
        !began && self.is_vacant() && self.offsets.is_blank()
    }

    /// What has changed since the last time, to be stored.
    pub fn take_steps(&mut self, key: &GroupKey) -> Vec<Step> {
        if self.gone {
            return Vec::new();
        }
        let (head, steps) = match &mut self.body {
            Body::Classic(group) => {
                let (head, steps) = group.steps(key);
                (Head::Classic(head), steps)
            }
            Body::Consumer(group) => {
                let (head, steps) = group.take_steps(key);
                (Head::Consumer(head), steps)
            }
            Body::Share(group) => {
                let (head, steps) = group.take_steps(key);
                (Head::Share(head), steps)
            }
        };
        let body = serde_json::to_string(&head).unwrap_or_default();
        std::iter::once(Step::Group { key: key.clone(), body }).chain(steps).collect()
    }

    /// What [`State::take_steps`] gave is stored, or could not be: then all of it is tried with the next change.
    pub fn saved(&mut self, stored: bool) {
        match &mut self.body {
            Body::Classic(group) => group.save |= !stored,
            Body::Consumer(group) => {
                group.rewrite |= !stored;
                group.save |= !stored;
            }
            Body::Share(group) => {
                group.rewrite |= !stored;
                group.save |= !stored;
            }
        }
    }

    /// Steps about offsets are stored, or could not be.
    pub fn stored(&mut self, steps: &[Step], stored: bool) {
        self.offsets.stored(steps, stored);
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.body {
            Body::Classic(group) => group.next_deadline(),
            Body::Consumer(group) => group.next_deadline(),
            Body::Share(group) => group.next_deadline(),
        }
    }
}
