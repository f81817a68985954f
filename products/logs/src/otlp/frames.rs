//! An export request taken apart: first where its records stand, then one record after the other.
//!
//! Whether the request holds together is known before anything of it is stored, and nothing is unfolded before its
//! turn: a request may be much larger in memory than on the wire.

use candor_model::limits::{BATCH_RECORDS_MAX, RECORD_BYTES_MAX};

use super::context::{Context, Resource, Scope};
use crate::drops::DropReason;

/// Bytes that the records of one request may unfold to: resource and scope are written once on the wire and stored
/// with every record, so a small request could otherwise ask for any amount of space.
const UNFOLDED_BYTES_MAX: usize = 512 << 20;

/// A resource or a scope as it stands in the request.
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    /// Its own message; empty where there was none.
    pub(super) own: &'a [u8],
    /// The schema URL that stands beside it.
    pub(super) schema_url: String,
}

/// Where the records of a request stand.
#[derive(Debug, Default)]
pub(super) struct Frames<'a> {
    resources: Vec<Part<'a>>,
    /// Each with the place of its resource.
    scopes: Vec<(usize, Part<'a>)>,
    /// Each with the place of its scope.
    records: Vec<(usize, &'a [u8])>,
    /// Records that were one too many.
    beyond: u64,
}

/// Collects the records of one resource. Resources and scopes without records leave nothing behind.
pub(super) struct ResourceFrames<'f, 'a> {
    frames: &'f mut Frames<'a>,
    resource: Option<usize>,
    scope: Option<usize>,
}

impl<'a> Frames<'a> {
    /// Begins a resource.
    pub(super) fn resource(&mut self) -> ResourceFrames<'_, 'a> {
        ResourceFrames { frames: self, resource: None, scope: None }
    }
}

impl<'a> ResourceFrames<'_, 'a> {
    /// A record of the current scope.
    pub(super) fn record(&mut self, record: &'a [u8]) {
        let frames = &mut *self.frames;
        if frames.records.len() >= BATCH_RECORDS_MAX {
            frames.beyond += 1;
            return;
        }
        let resource = *self.resource.get_or_insert_with(|| {
            frames.resources.push(Part::default());
            frames.resources.len() - 1
        });
        let scope = *self.scope.get_or_insert_with(|| {
            frames.scopes.push((resource, Part::default()));
            frames.scopes.len() - 1
        });
        frames.records.push((scope, record));
    }

    /// Ends the current scope. (Fields stand in any order, so what it is may be known last.)
    pub(super) fn end_scope(&mut self, part: Part<'a>) {
        if let Some((_, slot)) = self.scope.take().and_then(|at| self.frames.scopes.get_mut(at)) {
            *slot = part;
        }
    }

    /// Ends the resource.
    pub(super) fn end(self, part: Part<'a>) {
        if let Some(slot) = self.resource.and_then(|at| self.frames.resources.get_mut(at)) {
            *slot = part;
        }
    }
}

/// How an encoding reads the parts of a request, and records of one signal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<R> {
    pub(super) resource: fn(&[u8]) -> Result<Resource, DropReason>,
    pub(super) scope: fn(&[u8]) -> Result<Scope, DropReason>,
    pub(super) record: fn(&[u8], &Context) -> Result<R, DropReason>,
}

/// The records of an export request, parsed one by one; those that are bad are counted by their reason.
pub struct Export<'a, R> {
    frames: Frames<'a>,
    reading: Reading<R>,
    next: usize,
    resource: Option<(usize, Result<Resource, DropReason>)>,
    context: Option<(usize, Result<Context, DropReason>)>,
    unfolded: usize,
}

impl<'a, R> Export<'a, R> {
    pub(super) fn new(frames: Frames<'a>, reading: Reading<R>) -> Export<'a, R> {
        Export { frames, reading, next: 0, resource: None, context: None, unfolded: 0 }
    }

    /// What the records of a scope share; a bad resource or scope costs its own records, not the whole request.
    fn context(&mut self, at: usize) -> Result<&Context, DropReason> {
        if self.context.as_ref().is_none_or(|(held, _)| *held != at) {
            let context = self.read_context(at);
            self.context = Some((at, context));
        }
        match &self.context {
            Some((_, Ok(context))) => Ok(context),
            Some((_, Err(reason))) => Err(*reason),
            None => Err(DropReason::Malformed),
        }
    }

    fn read_context(&mut self, at: usize) -> Result<Context, DropReason> {
        let (resource_at, part) = self.frames.scopes.get(at).ok_or(DropReason::Malformed)?;
        let mut scope = (self.reading.scope)(part.own)?;
        scope.schema_url.clone_from(&part.schema_url);
        if self.resource.as_ref().is_none_or(|(held, _)| held != resource_at) {
            let part = self.frames.resources.get(*resource_at).ok_or(DropReason::Malformed)?;
            let resource = (self.reading.resource)(part.own).map(|mut resource| {
                resource.schema_url.clone_from(&part.schema_url);
                resource
            });
            self.resource = Some((*resource_at, resource));
        }
        match &self.resource {
            Some((_, Ok(resource))) => {
                // Before it is copied: many scopes may stand below one large resource.
                self.unfolded = self.unfolded.saturating_add(resource.weight());
                match self.unfolded > UNFOLDED_BYTES_MAX {
                    true => Err(DropReason::Batch),
                    false => Ok(Context::new(resource, scope)),
                }
            }
            Some((_, Err(reason))) => Err(*reason),
            None => Err(DropReason::Malformed),
        }
    }
}

impl<R> Iterator for Export<'_, R> {
    type Item = Result<R, DropReason>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some((scope, record)) = self.frames.records.get(self.next).copied() else {
            self.frames.beyond = self.frames.beyond.checked_sub(1)?;
            return Some(Err(DropReason::Batch));
        };
        self.next += 1;
        let read = self.reading.record;
        let weight = match self.context(scope) {
            Ok(context) => context.weight,
            Err(reason) => return Some(Err(reason)),
        };
        self.unfolded = self.unfolded.saturating_add(record.len() + weight);
        if self.unfolded > UNFOLDED_BYTES_MAX {
            return Some(Err(DropReason::Batch));
        }
        if record.len() > RECORD_BYTES_MAX {
            return Some(Err(DropReason::Size));
        }
        Some(self.context(scope).and_then(|context| read(record, context)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.frames.records.len() - self.next;
        (left, usize::try_from(self.frames.beyond).ok().and_then(|beyond| left.checked_add(beyond)))
    }
}
