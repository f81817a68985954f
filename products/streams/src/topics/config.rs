//! A topic's configuration: what is set, checked, and typed for those who act on it.

use std::collections::BTreeMap;

use candor_gate::ValuesMode;

use super::definitions::{Definition, Kind, find};

/// Longest value, bytes. The longest real ones are lists of throttled replicas.
pub const VALUE_BYTES_MAX: usize = 16 << 10;

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no configuration of that name.
    #[error("there is no configuration {0:?} here")]
    Unknown(String),
    /// It takes other values.
    #[error("{name} does not take {value:?}: {takes}")]
    Value {
        /// The configuration.
        name: &'static str,
        /// What was given, cut short.
        value: String,
        /// What it takes.
        takes: String,
    },
    /// No value was given.
    #[error("{0} needs a value")]
    Null(String),
    /// Two values contradict each other.
    #[error("{0}")]
    Together(&'static str),
    /// Only lists are added to and taken from.
    #[error("{0} is not a list, so nothing is added to it or taken from it")]
    NotAList(&'static str),
    /// The same configuration is named more than once.
    #[error("{0} is named more than once")]
    Twice(String),
}

/// What is done to one configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It gets a value.
    Set(String),
    /// It goes back to its default.
    Delete,
    /// A list gets further words.
    Append(String),
    /// A list loses words.
    Subtract(String),
}

/// Whose time records bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// That of their arrival.
    LogAppendTime,
}

/// How the log's records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionType {
    /// As the client chose.
    Producer,
    /// Not at all.
    Uncompressed,
    /// gzip (level).
    Gzip(i32),
    /// snappy.
    Snappy,
    /// lz4 (level).
    Lz4(i32),
    /// zstd (level).
    Zstd(i32),
}

/// The configuration in types. Times are milliseconds, sizes bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicConfig {
    /// Old records of a key go (`cleanup.policy`).
    pub compact: bool,
    /// Old records go (`cleanup.policy`).
    pub delete: bool,
    /// `retention.ms`; none for ever.
    pub retention_ms: Option<i64>,
    /// `retention.bytes` of a partition; none for no bound.
    pub retention_bytes: Option<i64>,
    /// `max.message.bytes`, of a batch.
    pub message_bytes_max: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `min.compaction.lag.ms`.
    pub compaction_lag_min_ms: i64,
    /// `max.compaction.lag.ms`.
    pub compaction_lag_max_ms: i64,
    /// `min.cleanable.dirty.ratio`, 0 to 1.
    pub dirty_ratio_min: f64,
    /// `delete.retention.ms`, of tombstones.
    pub delete_retention_ms: i64,
    /// `segment.bytes`.
    pub segment_bytes: i64,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `segment.jitter.ms`.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`.
    pub segment_index_bytes: i64,
    /// `compression.type` with its level.
    pub compression: CompressionType,
    /// `min.insync.replicas`.
    pub insync_replicas_min: i32,
    /// `candor.values`.
    pub values: ValuesMode,
}

/// What is set of a topic's configurations: canonical values by name. All others have their defaults.
pub type Overrides = BTreeMap<&'static str, String>;

/// Where a topic's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Set on the topic.
    Topic,
    /// Candor's default.
    Default,
}

/// What holds: the value set, or the default.
pub fn value_of<'a>(overrides: &'a Overrides, definition: &Definition) -> (&'a str, Source) {
    match overrides.get(definition.name) {
        Some(value) => (value, Source::Topic),
        None => (definition.default, Source::Default),
    }
}

/// Applies changes to a topic's configurations. `replace` first puts everything back to its default, as AlterConfigs does.
pub fn apply(
    before: &Overrides,
    replace: bool,
    changes: &[(String, Change)],
) -> Result<Overrides, ConfigError> {
    let after = apply_to(find, before, replace, changes)?;
    TopicConfig::of(&after)?;
    Ok(after)
}

/// The same for whatever has configurations of a table.
pub(crate) fn apply_to(
    find: impl Fn(&str) -> Option<&'static Definition>,
    before: &Overrides,
    replace: bool,
    changes: &[(String, Change)],
) -> Result<Overrides, ConfigError> {
    let mut after = if replace { Overrides::new() } else { before.clone() };
    let mut named = std::collections::BTreeSet::new();
    for (name, change) in changes {
        let definition = find(name).ok_or_else(|| ConfigError::Unknown(cut(name)))?;
        if !named.insert(definition.name) {
            return Err(ConfigError::Twice(definition.name.to_owned()));
        }
        let value = match change {
            Change::Delete => {
                after.remove(definition.name);
                continue;
            }
            Change::Set(value) => canonical(definition, value)?,
            Change::Append(words) | Change::Subtract(words) => {
                if !definition.kind.is_list() {
                    return Err(ConfigError::NotAList(definition.name));
                }
                let (holds, _) = value_of(&after, definition);
                let mut list: Vec<&str> = items(holds).collect();
                let adds = matches!(change, Change::Append(_));
                for word in items(words) {
                    match list.iter().position(|have| *have == word) {
                        None if adds => list.push(word),
                        Some(at) if !adds => drop(list.remove(at)),
                        _ => {}
                    }
                }
                canonical(definition, &list.join(","))?
            }
        };
        after.insert(definition.name, value);
    }
    Ok(after)
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn cut(text: &str) -> String {
    const SHOWN: usize = 100;
    text.chars().take(SHOWN).collect()
}

/// A value in the one form in which it is stored and shown.
fn canonical(definition: &Definition, value: &str) -> Result<String, ConfigError> {
    let value = value.trim();
    let refuse = |takes: String| ConfigError::Value { name: definition.name, value: cut(value), takes };
    if value.len() > VALUE_BYTES_MAX {
        return Err(refuse(format!("at most {VALUE_BYTES_MAX} bytes")));
    }
    let whole = |low: i64, high: i64| match value.parse::<i64>() {
        Ok(number) if (low..=high).contains(&number) => Ok(number.to_string()),
        _ => Err(refuse(format!("a whole number from {low} to {high}"))),
    };
    match definition.kind {
        Kind::Flag => match value.to_ascii_lowercase() {
            flag if flag == "true" || flag == "false" => Ok(flag),
            _ => Err(refuse("true or false".to_owned())),
        },
        Kind::Int(low, high) if definition.name == "compression.gzip.level" && value == "0" => {
            Err(refuse(format!("a whole number from 1 to {high}, or {low}")))
        }
        Kind::Int(low, high) | Kind::Long(low, high) => whole(low, high),
        Kind::Double(low, high) => match value.parse::<f64>() {
            Ok(number) if (low..=high).contains(&number) => Ok(number.to_string()),
            _ => Err(refuse(format!("a number from {low} to {high}"))),
        },
        Kind::Choice(words) => match words.iter().find(|word| **word == value) {
            Some(word) => Ok((*word).to_owned()),
            None => Err(refuse(format!("one of {}", words.join(", ")))),
        },
        Kind::List(words) => {
            let mut list: Vec<&str> = Vec::new();
            for item in items(value) {
                if !words.contains(&item) {
                    return Err(refuse(format!("some of {}", words.join(", "))));
                }
                if !list.contains(&item) {
                    list.push(item);
                }
            }
            if list.is_empty() {
                return Err(refuse(format!("some of {}", words.join(", "))));
            }
            Ok(list.join(","))
        }
        Kind::Replicas => {
            let is_number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
            let pair = |item: &str| {
                item.split_once(':')
                    .is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
            };
            let list: Vec<&str> = items(value).collect();
            if list != ["*"] && !list.iter().all(|item| pair(item)) {
                return Err(refuse("'*', or pairs partition:broker".to_owned()));
            }
            Ok(list.join(","))
        }
    }
}

impl Default for TopicConfig {
    fn default() -> TopicConfig {
        TopicConfig::of(&Overrides::new())
            .unwrap_or_else(|_| unreachable!("the defaults are checked by a test"))
    }
}

/// Canonical values, read into types. What does not parse is a row that something else wrote.
struct Reader<'a>(&'a Overrides);

impl Reader<'_> {
    fn text(&self, name: &str) -> &str {
        find(name).map_or("", |definition| value_of(self.0, definition).0)
    }

    fn long(&self, name: &'static str) -> Result<i64, ConfigError> {
        let text = self.text(name);
        text.parse().map_err(|_| ConfigError::Value {
            name,
            value: cut(text),
            takes: "a whole number".to_owned(),
        })
    }

    fn int(&self, name: &'static str) -> Result<i32, ConfigError> {
        Ok(i32::try_from(self.long(name)?).unwrap_or(i32::MAX))
    }

    fn bound(&self, name: &'static str) -> Result<Option<i64>, ConfigError> {
        Ok(Some(self.long(name)?).filter(|bound| *bound >= 0))
    }
}

impl TopicConfig {
    /// The types of what is set.
    pub fn of(overrides: &Overrides) -> Result<TopicConfig, ConfigError> {
        let from = Reader(overrides);
        if from.text("remote.storage.enable") == "true" {
            return Err(ConfigError::Together(
                "remote.storage.enable stays false: where segments are is chosen for the whole instance",
            ));
        }
        let config = TopicConfig {
            compact: items(from.text("cleanup.policy")).any(|word| word == "compact"),
            delete: items(from.text("cleanup.policy")).any(|word| word == "delete"),
            retention_ms: from.bound("retention.ms")?,
            retention_bytes: from.bound("retention.bytes")?,
            message_bytes_max: usize::try_from(from.long("max.message.bytes")?).unwrap_or(0),
            timestamp_type: match from.text("message.timestamp.type") {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: from.long("message.timestamp.before.max.ms")?,
            timestamp_after_max_ms: from.long("message.timestamp.after.max.ms")?,
            compaction_lag_min_ms: from.long("min.compaction.lag.ms")?,
            compaction_lag_max_ms: from.long("max.compaction.lag.ms")?,
            dirty_ratio_min: from.text("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
            delete_retention_ms: from.long("delete.retention.ms")?,
            segment_bytes: from.long("segment.bytes")?,
            segment_ms: from.long("segment.ms")?,
            segment_jitter_ms: from.long("segment.jitter.ms")?,
            segment_index_bytes: from.long("segment.index.bytes")?,
            compression: match from.text("compression.type") {
                "uncompressed" => CompressionType::Uncompressed,
                "gzip" => CompressionType::Gzip(from.int("compression.gzip.level")?),
                "snappy" => CompressionType::Snappy,
                "lz4" => CompressionType::Lz4(from.int("compression.lz4.level")?),
                "zstd" => CompressionType::Zstd(from.int("compression.zstd.level")?),
                _ => CompressionType::Producer,
            },
            insync_replicas_min: from.int("min.insync.replicas")?,
            values: ValuesMode::from_name(from.text("candor.values")).unwrap_or_default(),
        };
        if config.compaction_lag_min_ms > config.compaction_lag_max_ms {
            return Err(ConfigError::Together("min.compaction.lag.ms is larger than max.compaction.lag.ms"));
        }
        Ok(config)
    }
}

/// Reads what the database holds. A name that this version does not know is left out: it was set by a later one.
pub(crate) fn stored(
    find: impl Fn(&str) -> Option<&'static Definition>,
    rows: impl IntoIterator<Item = (String, String)>,
) -> Overrides {
    let mut overrides = Overrides::new();
    for (name, value) in rows {
        let Some(definition) = find(&name) else { continue };
        if let Ok(value) = canonical(definition, &value) {
            overrides.insert(definition.name, value);
        }
    }
    overrides
}

#[cfg(test)]
mod tests {
    use super::super::definitions::ALL;
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> Result<Overrides, ConfigError> {
        let changes: Vec<_> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Change::Set((*value).to_owned())))
            .collect();
        apply(&Overrides::new(), false, &changes)
    }

    #[test]
    fn every_default_is_what_its_configuration_takes() {
        for definition in ALL {
            assert_eq!(canonical(definition, definition.default).unwrap(), definition.default);
        }
        let config = TopicConfig::of(&Overrides::new()).unwrap();
        assert_eq!(config, TopicConfig::default());
        assert!(config.delete && !config.compact);
        assert_eq!((config.retention_ms, config.retention_bytes), (Some(604_800_000), None));
        assert_eq!(config.message_bytes_max, 1_048_588);
        assert_eq!((config.values, config.compression), (ValuesMode::Auto, CompressionType::Producer));
    }

    #[test]
    fn values_are_checked_and_written_in_one_form() {
        let good = set(&[
            ("cleanup.policy", " delete , compact,delete"),
            ("retention.ms", "-1"),
            ("preallocate", "TRUE"),
            ("compression.type", "zstd"),
            ("compression.zstd.level", "+7"),
            ("min.cleanable.dirty.ratio", "0.250"),
            ("leader.replication.throttled.replicas", "0:1, 1:1"),
            ("candor.values", "opaque"),
        ])
        .unwrap();
        assert_eq!(good["cleanup.policy"], "delete,compact");
        assert_eq!(good["preallocate"], "true");
        assert_eq!(good["compression.zstd.level"], "7");
        assert_eq!(good["min.cleanable.dirty.ratio"], "0.25");
        assert_eq!(good["leader.replication.throttled.replicas"], "0:1,1:1");
        let config = TopicConfig::of(&good).unwrap();
        assert!(config.compact && config.delete);
        assert_eq!(config.retention_ms, None);
        assert_eq!(config.compression, CompressionType::Zstd(7));
        assert_eq!(config.values, ValuesMode::Opaque);
        for (name, value) in [
            ("cleanup.policy", "shred"),
            ("cleanup.policy", ""),
            ("retention.ms", "-2"),
            ("retention.ms", "1e3"),
            ("retention.ms", "9223372036854775808"),
            ("max.message.bytes", "2147483648"),
            ("preallocate", "yes"),
            ("compression.type", "brotli"),
            ("compression.gzip.level", "0"),
            ("min.cleanable.dirty.ratio", "NaN"),
            ("min.insync.replicas", "0"),
            ("leader.replication.throttled.replicas", "0:x"),
            ("candor.values", "AUTO"),
        ] {
            let error = set(&[(name, value)]).unwrap_err();
            assert!(
                matches!(&error, ConfigError::Value { name: at, .. } if *at == name),
                "{name}={value}: {error}"
            );
        }
        assert_eq!(set(&[("no.such", "1")]), Err(ConfigError::Unknown("no.such".to_owned())));
        assert!(matches!(set(&[("remote.storage.enable", "true")]), Err(ConfigError::Together(_))));
        let lags = set(&[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "9")]);
        assert!(matches!(lags, Err(ConfigError::Together(_))));
        let twice = set(&[("retention.ms", "1"), ("retention.ms", "2")]);
        assert_eq!(twice, Err(ConfigError::Twice("retention.ms".to_owned())));
    }

    #[test]
    fn lists_grow_and_shrink_and_other_kinds_do_not() {
        let change = |before: &Overrides, name: &str, change: Change| {
            apply(before, false, &[(name.to_owned(), change)])
        };
        let both = change(&Overrides::new(), "cleanup.policy", Change::Append("compact".into())).unwrap();
        assert_eq!(both["cleanup.policy"], "delete,compact");
        let one = change(&both, "cleanup.policy", Change::Subtract("delete".into())).unwrap();
        assert_eq!(one["cleanup.policy"], "compact");
        assert!(change(&one, "cleanup.policy", Change::Subtract("compact".into())).is_err());
        let back = change(&one, "cleanup.policy", Change::Delete).unwrap();
        assert!(back.is_empty());
        let number = change(&back, "retention.ms", Change::Append("1".into()));
        assert_eq!(number, Err(ConfigError::NotAList("retention.ms")));
        let replaced = apply(&both, true, &[("retention.ms".to_owned(), Change::Set("5".into()))]).unwrap();
        assert_eq!(replaced.into_iter().collect::<Vec<_>>(), [("retention.ms", "5".to_owned())]);
    }
}
