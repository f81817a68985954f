//! Every configuration that a topic has, as a table: name, kind, default, the broker's name for the default, and
//! what it means. The names, kinds and defaults are those of Apache Kafka 4 ("Topic-Level Configs" of its
//! documentation), with `candor.values` added.

/// The values that a configuration takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number of 32 bits within bounds.
    Int(i64, i64),
    /// A whole number of 64 bits within bounds.
    Long(i64, i64),
    /// A number within bounds.
    Double(f64, f64),
    /// One of some words.
    Choice(&'static [&'static str]),
    /// Some of some words, separated by commas, at least one.
    List(&'static [&'static str]),
    /// `*`, or pairs `partition:broker`, separated by commas, or nothing.
    Replicas,
}

impl Kind {
    /// The number that DescribeConfigs gives the kind.
    pub fn wire(self) -> i8 {
        match self {
            Kind::Flag => 1,
            Kind::Choice(_) => 2,
            Kind::Int(..) => 3,
            Kind::Long(..) => 5,
            Kind::Double(..) => 6,
            Kind::List(_) | Kind::Replicas => 7,
        }
    }

    /// True where a value is a list, which may be added to and taken from.
    pub fn is_list(self) -> bool {
        matches!(self, Kind::List(_) | Kind::Replicas)
    }
}

/// One configuration.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds where nothing is set.
    pub default: &'static str,
    /// The broker's configuration that the default is listed under.
    pub broker: Option<&'static str>,
    /// What it means, in a sentence or two.
    pub text: &'static str,
}

const MAX32: i64 = i32::MAX as i64;
const MAX64: i64 = i64::MAX;
const FOREVER: &str = "9223372036854775807";
const WEEK_MS: &str = "604800000";
const DAY_MS: &str = "86400000";

const fn of(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    broker: &'static str,
    text: &'static str,
) -> Definition {
    let broker = if broker.is_empty() { None } else { Some(broker) };
    Definition { name, kind, default, broker, text }
}

/// All of them, sorted by name.
pub const ALL: &[Definition] = &[
    of(
        "candor.values",
        Kind::Choice(&["auto", "json", "text", "schema", "opaque"]),
        "auto",
        "",
        "How values may be opened: auto opens what is JSON or text, json, text and schema say what all values are \
         (json refuses what is neither JSON nor text), opaque leaves them as they are sent.",
    ),
    of(
        "cleanup.policy",
        Kind::List(&["compact", "delete"]),
        "delete",
        "log.cleanup.policy",
        "What is done to old records: delete removes them by age and size, compact keeps the newest of each key.",
    ),
    of(
        "compression.gzip.level",
        Kind::Int(-1, 9),
        "-1",
        "compression.gzip.level",
        "The level where the topic's records are compressed with gzip: 1 to 9, or -1 for the usual one.",
    ),
    of(
        "compression.lz4.level",
        Kind::Int(1, 17),
        "9",
        "compression.lz4.level",
        "The level where the topic's records are compressed with lz4.",
    ),
    of(
        "compression.type",
        Kind::Choice(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "producer",
        "compression.type",
        "How records are compressed in the log: producer keeps what the client chose.",
    ),
    of(
        "compression.zstd.level",
        Kind::Int(-131_072, 22),
        "3",
        "compression.zstd.level",
        "The level where the topic's records are compressed with zstd.",
    ),
    of(
        "delete.retention.ms",
        Kind::Long(0, MAX64),
        DAY_MS,
        "log.cleaner.delete.retention.ms",
        "How long a compacted topic keeps tombstones, in milliseconds: a reader that began at the start has that \
         long to see them.",
    ),
    of(
        "file.delete.delay.ms",
        Kind::Long(0, MAX64),
        "60000",
        "log.segment.delete.delay.ms",
        "How long a removed file stays, in milliseconds. Here files go once nobody reads them.",
    ),
    of(
        "flush.messages",
        Kind::Long(1, MAX64),
        FOREVER,
        "log.flush.interval.messages",
        "After how many records the log is forced to disk. Here it always is before a record is acknowledged.",
    ),
    of(
        "flush.ms",
        Kind::Long(0, MAX64),
        FOREVER,
        "log.flush.interval.ms",
        "After how many milliseconds the log is forced to disk. Here it always is before a record is acknowledged.",
    ),
    of(
        "follower.replication.throttled.replicas",
        Kind::Replicas,
        "",
        "",
        "The replicas whose following is throttled. One broker has no followers.",
    ),
    of(
        "index.interval.bytes",
        Kind::Int(0, MAX32),
        "4096",
        "log.index.interval.bytes",
        "How far apart entries of an offset index are, in bytes. Here the log indexes every batch.",
    ),
    of(
        "leader.replication.throttled.replicas",
        Kind::Replicas,
        "",
        "",
        "The replicas whose leading is throttled. One broker has no followers.",
    ),
    of(
        "local.retention.bytes",
        Kind::Long(-2, MAX64),
        "-2",
        "log.local.retention.bytes",
        "With tiered storage, the bytes of a partition that stay local; -2 means as retention.bytes.",
    ),
    of(
        "local.retention.ms",
        Kind::Long(-2, MAX64),
        "-2",
        "log.local.retention.ms",
        "With tiered storage, the milliseconds that records stay local; -2 means as retention.ms.",
    ),
    of(
        "max.compaction.lag.ms",
        Kind::Long(1, MAX64),
        FOREVER,
        "log.cleaner.max.compaction.lag.ms",
        "After how many milliseconds at the latest a record of a compacted topic may be compacted.",
    ),
    of(
        "max.message.bytes",
        Kind::Int(0, MAX32),
        "1048588",
        "message.max.bytes",
        "The largest batch that is taken, in bytes, as it is sent.",
    ),
    of(
        "message.timestamp.after.max.ms",
        Kind::Long(0, MAX64),
        "3600000",
        "log.message.timestamp.after.max.ms",
        "How far ahead of the broker's clock a record's own timestamp may be, in milliseconds.",
    ),
    of(
        "message.timestamp.before.max.ms",
        Kind::Long(0, MAX64),
        FOREVER,
        "log.message.timestamp.before.max.ms",
        "How far behind the broker's clock a record's own timestamp may be, in milliseconds.",
    ),
    of(
        "message.timestamp.type",
        Kind::Choice(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        "log.message.timestamp.type",
        "Whose time a record bears: the producer's, or that of its arrival.",
    ),
    of(
        "min.cleanable.dirty.ratio",
        Kind::Double(0.0, 1.0),
        "0.5",
        "log.cleaner.min.cleanable.ratio",
        "How much of a compacted partition must be new before it is compacted again.",
    ),
    of(
        "min.compaction.lag.ms",
        Kind::Long(0, MAX64),
        "0",
        "log.cleaner.min.compaction.lag.ms",
        "How long a record of a compacted topic is surely kept, in milliseconds.",
    ),
    of(
        "min.insync.replicas",
        Kind::Int(1, MAX32),
        "1",
        "min.insync.replicas",
        "How many replicas must have a record that is sent with acks=all. A topic here has one, whose storage \
         outlives the process.",
    ),
    of(
        "preallocate",
        Kind::Flag,
        "false",
        "log.preallocate",
        "Whether files are given their size when they are made. Here the journal always is.",
    ),
    of(
        "remote.log.copy.disable",
        Kind::Flag,
        "false",
        "",
        "With tiered storage, whether copying to it is stopped.",
    ),
    of(
        "remote.log.delete.on.disable",
        Kind::Flag,
        "false",
        "",
        "With tiered storage, whether turning it off removes what it holds.",
    ),
    of(
        "remote.storage.enable",
        Kind::Flag,
        "false",
        "",
        "Whether old segments go to Kafka's tiered storage. Here where segments are is chosen for the whole \
         instance, so it stays false.",
    ),
    of(
        "retention.bytes",
        Kind::Long(-1, MAX64),
        "-1",
        "log.retention.bytes",
        "How large a partition may grow before its oldest records go, in bytes; -1 for no bound.",
    ),
    of(
        "retention.ms",
        Kind::Long(-1, MAX64),
        WEEK_MS,
        "log.retention.ms",
        "How long records are kept, in milliseconds; -1 for ever.",
    ),
    of(
        "segment.bytes",
        Kind::Int(14, MAX32),
        "1073741824",
        "log.segment.bytes",
        "How large a segment grows, in bytes. Here segments hold many partitions and have sizes of their own; \
         retention and compaction are bounded by it nonetheless.",
    ),
    of(
        "segment.index.bytes",
        Kind::Int(4, MAX32),
        "10485760",
        "log.index.size.max.bytes",
        "How large the index of a segment may be, in bytes.",
    ),
    of(
        "segment.jitter.ms",
        Kind::Long(0, MAX64),
        "0",
        "log.roll.jitter.ms",
        "How much earlier a segment may be closed, at random, in milliseconds.",
    ),
    of(
        "segment.ms",
        Kind::Long(1, MAX64),
        WEEK_MS,
        "log.roll.ms",
        "After how many milliseconds a segment is closed.",
    ),
    of(
        "unclean.leader.election.enable",
        Kind::Flag,
        "false",
        "unclean.leader.election.enable",
        "Whether a replica that lacks records may lead. One broker always leads.",
    ),
];

/// The definition of a configuration.
pub fn find(name: &str) -> Option<&'static Definition> {
    ALL.binary_search_by(|definition| definition.name.cmp(name)).ok().and_then(|at| ALL.get(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_name_is_found() {
        assert!(ALL.windows(2).all(|pair| pair[0].name < pair[1].name));
        for definition in ALL {
            assert_eq!(find(definition.name).map(|found| found.name), Some(definition.name));
            assert!(definition.text.ends_with('.'), "{}", definition.name);
        }
        assert!(find("no.such").is_none());
    }
}
