//! The gate as the products see it.
#![allow(clippy::unwrap_used, missing_docs)]

mod admission;
mod canaries;
mod codec;
mod collect;
mod consent;
mod encodings;
mod golden;
mod identity;
mod policies;
mod shown;
mod stable;
mod streams;
mod subjects;
mod topics;
mod within;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use candor_gate::{Cleared, Compiled, Gate, compile};
use candor_keyring::{Keyring, RootKey};
use candor_meta::{Database, KeyKind, Tenancy, WriteScope};
use candor_model::json::{self, Leniency};
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{
    ErrorColumns, ErrorRecord, EventTime, Incoming, LogRecord, Object, Origin, PolicyEpoch, Records,
    Timestamp, Value,
};

/// When the tests happen.
pub const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

pub(crate) struct Bed {
    pub gate: Gate,
    pub keyring: Arc<Keyring>,
    pub scope: WriteScope,
}

impl Bed {
    pub fn new() -> Bed {
        let keyring = Arc::new(Keyring::new(&RootKey::generate(&Seeded::new(1)), Arc::new(Seeded::new(2))));
        let clock = Arc::new(ManualClock::new(NOW));
        let gate = Gate::new(Arc::clone(&keyring), clock, Arc::new(Seeded::new(3)));
        Bed { gate, keyring, scope: scope() }
    }

    /// With a policy that says this beside what a first start says.
    pub fn under(policy: &str) -> Bed {
        let bed = Bed::new();
        bed.gate.set_policies(compiled(policy, 2), HashMap::new());
        bed
    }

    pub fn clear(&self, records: Records) -> Cleared {
        self.clear_from(records, Origin::default())
    }

    pub fn clear_from(&self, records: Records, origin: Origin) -> Cleared {
        self.gate.clear(&self.scope, Incoming { records, origin, request: None })
    }

    /// Clears one log record and gives the row.
    pub fn log(&self, record: LogRecord) -> Vec<(String, String)> {
        row(self.clear(Records::Logs(vec![record])).admitted.unwrap().rows().unwrap(), 0)
    }

    /// Clears the attributes of a log record and gives those of the row, and whom it is about.
    pub fn attributes(&self, attributes: &str) -> (String, String) {
        let row = self.log(LogRecord { attributes: object(attributes), ..LogRecord::default() });
        let cell = |wanted: &str| row.iter().find(|(name, _)| name == wanted).map(|(_, cell)| cell.clone());
        (cell("attributes").unwrap_or_default(), cell("subjects").unwrap_or_default())
    }

    /// Clears one error event and gives it back.
    pub fn event(&self, event: &str) -> Value {
        self.event_from(event, Origin::default())
    }

    pub fn event_from(&self, event: &str, origin: Origin) -> Value {
        let cleared = self.clear_from(Records::Errors(vec![error(event)]), origin);
        let rows = cleared.admitted.unwrap().rows().unwrap().clone();
        value(rows.column_by_name("event").unwrap().as_string::<i32>().value(0))
    }
}

/// A policy that says this beside what a first start says, but that it asks nobody and takes all ages.
pub fn compiled(policy: &str, epoch: u32) -> Compiled {
    compile(&written(policy), PolicyEpoch(epoch)).unwrap()
}

/// The same, as it is written.
pub fn written(policy: &str) -> candor_policy::Policy {
    let base = |key: &str, value: &str| match policy.contains(key.split(' ').next().unwrap()) {
        true => String::new(),
        false => format!("{key} = {value}\n"),
    };
    let text = format!(
        "candor_policy = 1\nextends = \"preset:default\"\n{}{}{policy}",
        base("consent.mode", r#"{ default = "implied" }"#),
        base("consent.children", "{ min_age = 0 }"),
    );
    match candor_policy::read("test.toml", &text) {
        Ok(resolved) => resolved.policy,
        Err(faults) => panic!("{text}\n{faults:#?}"),
    }
}

fn scope() -> WriteScope {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open_sqlite(&folder.path().join("meta.db"), &[]).await.unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let tenancy = Tenancy::open(database, clock, Arc::new(Seeded::new(4))).await.unwrap();
        let (_, keys) = tenancy.create_project("shop").await.unwrap();
        tenancy.authorize_write(KeyKind::Dsn, &keys.dsn_key).await.unwrap().unwrap()
    })
}

pub fn value(text: &str) -> Value {
    json::parse(text.as_bytes(), Leniency::LENIENT).unwrap()
}

pub fn object(text: &str) -> Object {
    let Value::Object(object) = value(text) else { panic!("not an object") };
    object
}

/// An error record whose columns are read as the errors product does, in short.
pub fn error(event: &str) -> ErrorRecord {
    ErrorRecord {
        event: value(event),
        columns: |event| {
            let text = |path: &[&str]| event.path(path).map(Value::to_text).unwrap_or_default();
            let exception =
                event.path(&["exception", "values"]).and_then(|values| values.as_array()?.first());
            let of_exception =
                |key| exception.and_then(|e| e.get(key)).map(Value::to_text).unwrap_or_default();
            let tags = event.get("tags").and_then(Value::as_object);
            ErrorColumns {
                timestamp: event.get("timestamp").and_then(Value::as_f64).and_then(EventTime::from_seconds),
                event_id: text(&["event_id"]),
                level: text(&["level"]),
                error_type: of_exception("type"),
                value: of_exception("value"),
                culprit: text(&["transaction"]),
                platform: text(&["platform"]),
                release: text(&["release"]),
                environment: text(&["environment"]),
                transaction: text(&["transaction"]),
                trace_id: text(&["contexts", "trace", "trace_id"]),
                span_id: text(&["contexts", "trace", "span_id"]),
                tags: tags
                    .into_iter()
                    .flat_map(Object::iter)
                    .map(|(k, v)| (k.to_owned(), v.to_text()))
                    .collect(),
                group_hashes: vec![of_exception("type"), of_exception("value")],
            }
        },
    }
}

/// A row as names and texts, without what is null.
pub fn row(rows: &RecordBatch, at: usize) -> Vec<(String, String)> {
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    columns
        .filter(|(_, column)| column.is_valid(at))
        .map(|(field, column)| (field.name().clone(), cell(column, at)))
        .collect()
}

pub fn cell(column: &dyn Array, at: usize) -> String {
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(at).to_owned(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(at).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(at).to_string(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Timestamp(column.as_primitive::<TimestampMicrosecondType>().value(at)).to_string()
        }
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(at);
            let items = items.as_string::<i32>();
            items.iter().map(|item| item.unwrap_or("null")).collect::<Vec<_>>().join(", ")
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(at);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
            let pairs = (0..entries.len()).map(|n| format!("{}={}", keys.value(n), values.value(n)));
            pairs.collect::<Vec<_>>().join("\n  ")
        }
        other => panic!("{other}"),
    }
}

/// Rows printed for goldens.
pub fn print(row: &[(String, String)]) -> String {
    row.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}
