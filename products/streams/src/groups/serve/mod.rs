//! Requests about groups, each answered whole: what goes wrong is said within the answer, as its version says it.

mod admin;
mod classic;
mod consumer;
mod fetch;
mod offsets;
mod share;

pub use admin::Coordinator;

use std::sync::Arc;

use candor_gate::may_name;
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use crate::caller::Caller;

/// Longest name of a group, an instance or a rack, bytes. Kafka has no bound but that of its strings; names stand in
/// the metadata database's indexes.
const NAME_BYTES_MAX: usize = 1_024;

fn wire(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn wire_opt(text: &Option<Arc<str>>) -> Option<StrBytes> {
    text.as_deref().map(wire)
}

/// A copy: what is kept must not hold the request that it came with.
fn keep(text: &StrBytes) -> Arc<str> {
    Arc::from(text.as_str())
}

fn keep_opt(text: &Option<StrBytes>) -> Option<Arc<str>> {
    text.as_ref().map(keep)
}

fn code(outcome: Result<(), ResponseError>) -> i16 {
    outcome.err().map_or(0, |error| error.code())
}

/// Names that can be stored and shown. Where a group is asked for offsets alone, its name may be empty (simple consumers
/// of long ago).
fn check_group(name: &str, may_be_empty: bool) -> Result<(), ResponseError> {
    let bad = name.len() > NAME_BYTES_MAX || name.contains('\0') || name.is_empty() && !may_be_empty;
    if bad { Err(ResponseError::InvalidGroupId) } else { Ok(()) }
}

/// What is kept of what a client calls itself: nothing where that holds what no name may.
fn client_id(caller: &Caller) -> Arc<str> {
    caller.client_id.clone().filter(|id| may_name(id)).unwrap_or_else(|| Arc::from(""))
}

/// An id of an instance or a rack, which its operator chose and which is stored.
fn check_instance(id: Option<&str>) -> Result<(), ResponseError> {
    check_id(id)?;
    if id.is_none_or(may_name) { Ok(()) } else { Err(ResponseError::InvalidRequest) }
}

/// Ids that clients make up: instances, racks, members (KIP-848).
fn check_id(id: Option<&str>) -> Result<(), ResponseError> {
    let bad = |id: &str| id.is_empty() || id.len() > NAME_BYTES_MAX || id.contains('\0');
    if id.is_some_and(bad) { Err(ResponseError::InvalidRequest) } else { Ok(()) }
}
