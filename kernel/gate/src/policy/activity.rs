//! The activities of a policy, as far as the gate and retention ask.

use std::collections::BTreeMap;

use candor_model::Signal;

/// What an activity says of the records of a signal or a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// It rests on the consent of the person (`eu-gdpr:A6-1-a`).
    pub rests_on_consent: bool,
    /// How long records live (`retention.live`), µs; none where the policy leaves it to the instance.
    pub live_us: Option<i64>,
}

/// Which activity the records of each signal and topic are of. What is of none is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activities {
    /// Log records.
    pub logs: Option<Activity>,
    /// Error events.
    pub errors: Option<Activity>,
    /// Spans.
    pub spans: Option<Activity>,
    /// Topics that are named (`stream:NAME`).
    pub topics: BTreeMap<String, Activity>,
    /// All other topics (`stream:*`).
    pub other_topics: Option<Activity>,
}

impl Default for Activities {
    /// Everything is of an activity that rests on no consent.
    fn default() -> Activities {
        let any = Some(Activity::default());
        Activities { logs: any, errors: any, spans: any, topics: BTreeMap::new(), other_topics: any }
    }
}

impl Activities {
    /// That of a signal.
    pub fn of(&self, signal: Signal) -> Option<Activity> {
        match signal {
            Signal::Logs => self.logs,
            Signal::Errors => self.errors,
            Signal::Spans => self.spans,
        }
    }

    /// That of a topic of streams, as its clients call it.
    pub fn of_topic(&self, name: &str) -> Option<Activity> {
        self.topics.get(name).copied().or(self.other_topics)
    }
}
