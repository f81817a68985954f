//! What issues need of a row of the table `errors`.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::TimestampMicrosecondType;
use candor_model::Timestamp;

/// One error event, as the gate left it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ErrorRow {
    /// When it happened, as the sender says.
    pub timestamp: Timestamp,
    pub event_id: String,
    pub level: String,
    pub kind: String,
    pub value: String,
    pub culprit: String,
    pub platform: String,
    pub release: String,
    pub environment: String,
    /// The code of the person it is about, empty where there is none.
    pub subject: String,
    /// Strongest first.
    pub hashes: Vec<String>,
    /// The names of what was attached.
    pub attachments: Vec<String>,
}

/// A batch's columns, looked up once.
pub(crate) struct ErrorRows<'a> {
    batch: &'a RecordBatch,
    texts: [Option<&'a StringArray>; 9],
    events: Option<&'a StringArray>,
}

const TEXTS: [&str; 9] =
    ["event_id", "level", "type", "value", "culprit", "platform", "release", "environment", "subject"];

impl<'a> ErrorRows<'a> {
    pub fn new(batch: &'a RecordBatch) -> ErrorRows<'a> {
        let texts =
            TEXTS.map(|name| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>()));
        let events = batch.column_by_name("event").and_then(|column| column.as_string_opt::<i32>());
        ErrorRows { batch, texts, events }
    }

    /// The row at `at`; what a column does not have is empty.
    pub fn row(&self, at: usize) -> ErrorRow {
        let mut texts = self.texts.iter().map(|column| match column {
            Some(column) if at < column.len() && column.is_valid(at) => column.value(at).to_owned(),
            _ => String::new(),
        });
        let mut next = || texts.next().unwrap_or_default();
        ErrorRow {
            event_id: next(),
            level: next(),
            kind: next(),
            value: next(),
            culprit: next(),
            platform: next(),
            release: next(),
            environment: next(),
            subject: next(),
            timestamp: self.timestamp(at),
            hashes: self.hashes(at),
            attachments: self.attachments(at),
        }
    }

    fn attachments(&self, at: usize) -> Vec<String> {
        let event = self.events.filter(|events| at < events.len() && events.is_valid(at));
        event.map(|events| crate::attachments::names(events.value(at))).unwrap_or_default()
    }

    fn timestamp(&self, at: usize) -> Timestamp {
        let column = self.batch.column_by_name("timestamp");
        let column = column.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        Timestamp(column.filter(|column| at < column.len() && column.is_valid(at)).map_or(0, |c| c.value(at)))
    }

    fn hashes(&self, at: usize) -> Vec<String> {
        let column = self.batch.column_by_name("group_hashes").and_then(|column| column.as_list_opt::<i32>());
        let Some(list) = column.filter(|list| at < list.len() && list.is_valid(at)) else {
            return Vec::new();
        };
        let hashes = list.value(at);
        let hashes = hashes.as_string_opt::<i32>();
        hashes.iter().flat_map(|hashes| hashes.iter()).flatten().map(str::to_owned).collect()
    }
}
