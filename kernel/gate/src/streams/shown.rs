//! Values of streams, opened by their schemas for those who read.

use std::sync::Arc;

use candor_model::{ProjectId, Value};
use candor_schemas::{Schema, decode_framed, schema_id};
use candor_scrub::{Counts, RecordKind, Run};

use super::modes::Schemas;
use crate::policy::Compiled;

/// What a part says that names a schema, and that schema. What came before its schema was known, or under older rules,
/// was stored as it was sent: the rules strike here, too, and where they struck already they find nothing.
pub(crate) fn shown(
    policy: &Compiled,
    schemas: &dyn Schemas,
    project: ProjectId,
    bytes: &[u8],
) -> Option<(Arc<Schema>, Value)> {
    let schema = schemas.schema(project, schema_id(bytes)?)?;
    let mut value = decode_framed(|_| Some(Arc::clone(&schema)), bytes)?;
    let mut counts = Counts::new();
    let mut run = Run::new(&mut counts).of(RecordKind::Stream);
    policy.scrubber.value_at(&[], &mut value, &mut run);
    if run.dropped_by().is_some() {
        return None;
    }
    Some((schema, value))
}
