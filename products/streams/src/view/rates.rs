//! How many records a second a topic takes. Nothing is counted while nobody looks: each look notes where the topics
//! end, and is held against the looks of the last minute.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use candor_model::ProjectId;
use tokio::time::Instant;

/// What a rate is an average over, at most.
const OVER: Duration = Duration::from_secs(60);

/// Looks closer together than this say nothing.
const APART: Duration = Duration::from_millis(900);

/// Topics whose ends are noted. A look at more tells no rate of the others.
const TOPICS_MAX: usize = 20_000;

/// How many records a topic had taken at each look.
type Looks = VecDeque<(Instant, u64)>;

/// Ends of topics at the looks of the last minute.
#[derive(Default)]
pub(super) struct Rates {
    topics: HashMap<(ProjectId, Arc<str>), Looks>,
    swept: Option<Instant>,
}

impl Rates {
    /// Notes that a topic has taken so many records in all, and gives its rate, records a second; none at a first look.
    pub fn look(&mut self, project: ProjectId, topic: &Arc<str>, records: u64, now: Instant) -> Option<f64> {
        if self.swept.is_none_or(|swept| now.duration_since(swept) > OVER) {
            self.topics
                .retain(|_, looks| looks.back().is_some_and(|(at, _)| now.duration_since(*at) <= OVER));
            self.swept = Some(now);
        }
        let key = (project, Arc::clone(topic));
        if !self.topics.contains_key(&key) && self.topics.len() >= TOPICS_MAX {
            return None;
        }
        let looks = self.topics.entry(key).or_default();
        looks.retain(|(at, _)| now.duration_since(*at) <= OVER);
        // A topic that was deleted and made again begins anew.
        if looks.back().is_some_and(|(_, before)| *before > records) {
            looks.clear();
        }
        if looks.back().is_none_or(|(at, _)| now.duration_since(*at) >= APART) {
            looks.push_back((now, records));
        }
        let (at, before) = *looks.front()?;
        let seconds = now.duration_since(at).as_secs_f64();
        (seconds >= APART.as_secs_f64()).then(|| (records - before) as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_known_at_the_second_look_and_forgets_after_a_minute() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let topic: Arc<str> = Arc::from("orders");
        let mut look = |records, seconds| {
            rates.look(ProjectId(1), &topic, records, start + Duration::from_secs(seconds))
        };
        assert_eq!(look(100, 0), None);
        assert_eq!(look(150, 5), Some(10.0));
        assert_eq!(look(150, 10), Some(5.0));
        assert_eq!(look(150, 200), None);
        // Made anew under the same name.
        assert_eq!(look(3, 205), None);
        assert_eq!(look(8, 210), Some(1.0));
    }
}
