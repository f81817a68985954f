//! What the operator may set of Kafka's broker settings, by their names there.

use std::time::Duration;

use crate::admin::BrokerConfig;
use crate::auth::sasl::Mechanism;
use crate::{groups, topics};

const AUTO_CREATE: &str = "auto.create.topics.enable";
const PARTITIONS: &str = "num.partitions";
const REBALANCE_DELAY: &str = "group.initial.rebalance.delay.ms";

const REAUTH: &str = "connections.max.reauth.ms";

/// The names that are known.
pub const NAMES: [&str; 4] = [AUTO_CREATE, PARTITIONS, REBALANCE_DELAY, REAUTH];

/// How long a log in holds where nothing is set: what a user may do is asked at every request, so that this bounds how
/// long a stolen connection is of use, and nothing else.
const REAUTH_MS: u32 = 3_600_000;

/// The longest that a group's first rebalance may wait: clients give a join up after five minutes.
const REBALANCE_DELAY_MAX_MS: u64 = 60_000;

/// Settings of the broker, for all projects.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) topics: topics::Settings,
    pub(crate) groups: groups::Settings,
    /// How long a log in holds on a connection (KIP-368), milliseconds; none for as long as the connection.
    pub(crate) log_in_ms: Option<u32>,
}

impl Default for Settings {
    fn default() -> Settings {
        let (topics, groups) = (topics::Settings::default(), groups::Settings::default());
        Settings { topics, groups, log_in_ms: Some(REAUTH_MS) }
    }
}

/// Why a setting was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// There is none of that name.
    #[error("there is no such setting; there are {}", NAMES.join(", "))]
    Unknown,
    /// It cannot have that value.
    #[error("{0}")]
    Value(String),
}

impl Settings {
    /// Sets one.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        match name {
            AUTO_CREATE => {
                let flag = value.to_ascii_lowercase().parse();
                self.topics.auto_create =
                    flag.map_err(|_| SettingError::Value("it is true or false".to_owned()))?;
            }
            PARTITIONS => {
                let max = self.topics.partitions_per_topic_max;
                let count = value.parse().ok().filter(|count| (1..=max).contains(count));
                self.topics.partitions =
                    count.ok_or_else(|| SettingError::Value(format!("it is a number from 1 to {max}")))?;
            }
            REBALANCE_DELAY => {
                let delay = value.parse().ok().filter(|ms| *ms <= REBALANCE_DELAY_MAX_MS);
                let delay = delay.ok_or_else(|| {
                    SettingError::Value(format!(
                        "it is a number of milliseconds up to {REBALANCE_DELAY_MAX_MS}"
                    ))
                })?;
                self.groups.initial_rebalance_delay = Duration::from_millis(delay);
            }
            REAUTH => {
                let ms: u32 = value.parse().map_err(|_| {
                    SettingError::Value(format!(
                        "it is a number of milliseconds up to {}, 0 for as long as a connection",
                        u32::MAX
                    ))
                })?;
                self.log_in_ms = Some(ms).filter(|ms| *ms > 0);
            }
            _ => return Err(SettingError::Unknown),
        }
        Ok(())
    }

    /// What the broker tells of those that the administration does not know of anyway.
    pub(crate) fn told(&self, takes_tokens: bool) -> Vec<BrokerConfig> {
        let mechanisms = BrokerConfig {
            name: "sasl.enabled.mechanisms".to_owned(),
            value: Mechanism::offered(takes_tokens).map(Mechanism::name).collect::<Vec<_>>().join(","),
            text: "The mechanisms by which clients log in.".to_owned(),
        };
        let delay = BrokerConfig {
            name: REBALANCE_DELAY.to_owned(),
            value: self.groups.initial_rebalance_delay.as_millis().to_string(),
            text: "How long the first rebalance of a group waits for more members, in milliseconds."
                .to_owned(),
        };
        let reauth = BrokerConfig {
            name: REAUTH.to_owned(),
            value: self.log_in_ms.unwrap_or(0).to_string(),
            text:
                "How long a log in holds on a connection, in milliseconds; 0 for as long as the connection."
                    .to_owned(),
        };
        [delay, reauth, mechanisms].into_iter().chain(self.groups.told()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_kafkas_and_checked() {
        let mut settings = Settings::default();
        settings.set(AUTO_CREATE, "False").unwrap();
        settings.set(PARTITIONS, "12").unwrap();
        settings.set(REBALANCE_DELAY, "3000").unwrap();
        assert!(!settings.topics.auto_create);
        assert_eq!(settings.topics.partitions, 12);
        assert_eq!(settings.told(false)[0].value, "3000");
        assert_eq!((settings.log_in_ms, &*settings.told(false)[1].value), (Some(3_600_000), "3600000"));
        assert_eq!(settings.told(false)[2].value, "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512");
        assert_eq!(settings.told(true)[2].value, "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER");
        settings.set(REAUTH, "5000").unwrap();
        assert_eq!((settings.log_in_ms, &*settings.told(false)[1].value), (Some(5000), "5000"));
        settings.set(REAUTH, "0").unwrap();
        assert_eq!((settings.log_in_ms, &*settings.told(false)[1].value), (None, "0"));
        for (name, value) in [
            (AUTO_CREATE, "yes"),
            (PARTITIONS, "0"),
            (PARTITIONS, "-1"),
            (PARTITIONS, "10001"),
            (REBALANCE_DELAY, "60001"),
            (REBALANCE_DELAY, ""),
            (REAUTH, "-1"),
            (REAUTH, "4294967296"),
        ] {
            assert!(matches!(settings.set(name, value), Err(SettingError::Value(_))), "{name}={value}");
        }
        assert_eq!(settings.set("log.dirs", "/"), Err(SettingError::Unknown));
        assert_eq!(settings.topics.partitions, 12, "what was refused changed nothing");
    }
}
