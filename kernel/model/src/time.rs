//! Time as an argument: [`Clock`] is handed in, [`Timestamp`] is what it gives, [`EventTime`] is what senders say.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

/// Microseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Microseconds in a second.
    pub const SECOND: i64 = 1_000_000;

    /// The time `seconds` later.
    pub fn plus_seconds(self, seconds: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(seconds.saturating_mul(Timestamp::SECOND)))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with microseconds, UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// A time as its sender stated it: microseconds, and the remainder below one (0 to 999 ns).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct EventTime {
    /// Microseconds since the Unix epoch, UTC.
    pub micros: i64,
    /// Nanoseconds beyond the microsecond, 0 to 999.
    pub nanos: u16,
}

impl EventTime {
    /// From nanoseconds since the epoch (OTLP, Loki).
    pub fn from_nanos(nanos: i128) -> EventTime {
        let micros = nanos.div_euclid(1000);
        let micros = i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX });
        EventTime { micros, nanos: nanos.rem_euclid(1000) as u16 }
    }

    /// From seconds since the epoch as a number with a fraction (Sentry). None for NaN and infinities.
    pub fn from_seconds(seconds: f64) -> Option<EventTime> {
        // An f64 holds today's seconds to a quarter of a microsecond: round there, do not invent nanoseconds.
        let micros = (seconds * 1e6).round();
        (micros.is_finite() && micros.abs() < 9e18).then_some(EventTime { micros: micros as i64, nanos: 0 })
    }

    /// From RFC 3339, with or without a zone (none means UTC), `T` or a space between.
    pub fn parse(text: &str) -> Option<EventTime> {
        let text = text.trim();
        let nanos = match text.parse::<jiff::Timestamp>() {
            Ok(time) => time.as_nanosecond(),
            Err(_) => {
                let civil: jiff::civil::DateTime = text.parse().ok()?;
                civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_nanosecond()
            }
        };
        Some(EventTime::from_nanos(nanos))
    }

    /// The microseconds as a [`Timestamp`].
    pub fn timestamp(self) -> Timestamp {
        Timestamp(self.micros)
    }
}

impl From<Timestamp> for EventTime {
    fn from(time: Timestamp) -> EventTime {
        EventTime { micros: time.0, nanos: 0 }
    }
}

/// Where all wall time comes from.
pub trait Clock: Send + Sync {
    /// The time now, UTC.
    fn now(&self) -> Timestamp;
}

/// A clock that stands where it was put: tests and the simulation move it.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `at`.
    pub fn new(at: Timestamp) -> ManualClock {
        ManualClock(AtomicI64::new(at.0))
    }

    /// Moves the clock by `micros`.
    pub fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_times_keep_their_nanoseconds_before_and_after_the_epoch() {
        assert_eq!(EventTime::from_nanos(1_700_000_000_123_456_789).nanos, 789);
        assert_eq!(EventTime::from_nanos(-1), EventTime { micros: -1, nanos: 999 });
        assert_eq!(EventTime::from_nanos(i128::MAX).micros, i64::MAX);
    }

    #[test]
    fn times_parse_with_and_without_a_zone() {
        let utc = EventTime::parse("2026-11-20T10:00:00.5Z").map(|t| t.micros);
        assert_eq!(utc, EventTime::parse("2026-11-20T12:00:00.5+02:00").map(|t| t.micros));
        assert_eq!(utc, EventTime::parse("2026-11-20 10:00:00.5").map(|t| t.micros));
        assert_eq!(EventTime::parse("yesterday"), None);
        assert_eq!(EventTime::from_seconds(f64::NAN), None);
    }
}
