//! The policy: `policy.toml` read, checked, compared and compiled.
//!
//! ```text
//! text ─ tree (values with their places) ─ preset merged below ─ checked by the register of keys ─ Policy
//! ```
//!
//! There is one description of the language, the register of keys ([`keys::ALL`]): what a key takes, which of two
//! values is the stricter one, whether the server enforces it, measures it or a person attests it, and whether it is
//! in force. The parser, the comparison, the published JSON Schema and the page that people read all go by it, so
//! none can know a key that another does not.
//!
//! Pure: no I/O, no clock.

mod action;
mod check;
mod diff;
mod duration;
mod egress;
mod fault;
mod flat;
mod importer;
pub mod keys;
mod lint;
mod merge;
mod model;
pub mod notice;
mod presets;
mod read;
mod schema;
mod terms;
mod tree;
mod write;

pub use diff::{Change, ChangeClass, diff, stricter};
pub use duration::Span;
pub use egress::{Endpoint, Forbidden};
pub use fault::Fault;
pub use importer::{Imported, import_sentry};
pub use lint::{Finding, Severity, lint};
pub use model::*;
pub use presets::{PRESETS, Preset, preset};
pub use read::{Override, Resolved, read};
pub use schema::json_schema;
