//! What tables are called: a signal's by the signal, a stream's by the topic as the log calls it. The log never has two
//! topics of one name, so a topic that was deleted and made again is another table.

use candor_model::{Signal, TopicName};

/// What the name of a stream's table begins with in our own rows, where no signal's name has a colon.
const STREAM: &str = "stream:";

/// The folder of the tables of streams, below their project's.
pub(crate) const STREAM_FOLDER: &str = "stream/";

/// A table of a project.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TableName {
    /// The rows of a signal.
    Signal(Signal),
    /// The records of a topic, named as in the log.
    Stream(TopicName),
}

impl From<Signal> for TableName {
    fn from(signal: Signal) -> TableName {
        TableName::Signal(signal)
    }
}

impl TableName {
    /// The table of a topic of the log.
    pub fn of(topic: &TopicName) -> TableName {
        topic.signal().map_or_else(|| TableName::Stream(topic.clone()), TableName::Signal)
    }

    /// The topic of the log whose records it holds.
    pub fn topic(&self) -> TopicName {
        match self {
            TableName::Signal(signal) => signal.topic(),
            TableName::Stream(topic) => topic.clone(),
        }
    }

    /// The signal, where it is one's.
    pub fn signal(&self) -> Option<Signal> {
        match self {
            TableName::Signal(signal) => Some(*signal),
            TableName::Stream(_) => None,
        }
    }

    /// True for a topic's that is no signal's.
    pub fn is_stream(&self) -> bool {
        matches!(self, TableName::Stream(_))
    }

    /// As our own rows in the catalog name it.
    pub(crate) fn stored(&self) -> String {
        match self {
            TableName::Signal(signal) => signal.name().to_owned(),
            TableName::Stream(topic) => format!("{STREAM}{topic}"),
        }
    }

    /// Reads what [`TableName::stored`] writes; none for a signal that this release does not know.
    pub(crate) fn from_stored(name: &str) -> Option<TableName> {
        match name.strip_prefix(STREAM) {
            Some(topic) => Some(TableName::Stream(TopicName(topic.to_owned()))),
            None => Signal::from_name(name).map(TableName::Signal),
        }
    }

    /// The folder, below its project's. `#` would end a URL's path, and `~` stands in no topic's name.
    pub(crate) fn folder(&self) -> String {
        match self {
            TableName::Signal(signal) => format!("{}/", signal.name()),
            TableName::Stream(topic) => format!("{STREAM_FOLDER}{}", topic_folder(topic)),
        }
    }

    /// The table, and the file within, of a path below the project's folder.
    pub(crate) fn of_path(path: &str) -> Option<(TableName, &str)> {
        match path.strip_prefix(STREAM_FOLDER) {
            Some(rest) => {
                let (folder, file) = rest.split_once('/')?;
                Some((TableName::Stream(TopicName(folder.replace('~', "#"))), file))
            }
            None => {
                let (folder, file) = path.split_once('/')?;
                Some((TableName::Signal(Signal::from_name(folder)?), file))
            }
        }
    }
}

/// A topic's folder, below that of the tables of streams.
pub(crate) fn topic_folder(topic: &TopicName) -> String {
    format!("{}/", topic.0.replace('#', "~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_from_rows_and_from_paths() {
        let topic = |name: &str| TableName::of(&TopicName(name.to_owned()));
        for name in [TableName::from(Signal::Logs), topic("orders.v1"), topic("orders#2"), topic("...")] {
            assert_eq!(TableName::from_stored(&name.stored()), Some(name.clone()));
            let path = format!("{}2026-11-20/x.parquet", name.folder());
            assert_eq!(TableName::of_path(&path), Some((name, "2026-11-20/x.parquet")));
        }
        assert_eq!(topic("candor.logs"), TableName::Signal(Signal::Logs));
        assert_eq!(TableName::from_stored("metrics"), None);
        assert_eq!(TableName::of_path("stream/x"), None);
    }
}
