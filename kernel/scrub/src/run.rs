//! What scrubbing one record reads beside the rules, and what it adds up to.

use crate::remark::Remarks;
use crate::rules::Kind;
use crate::{Counts, RecordKind};

/// Gives codes for what [`crate::Action::Pseudonym`] takes away. The scrubber itself keeps nothing and knows no keys.
pub trait Pseudonyms {
    /// The code that takes the place of `text`; none where it gets none, and a placeholder takes its place.
    ///
    /// A code is the name of a [`candor_model::SubjectKind`], a colon and 26 characters of base32: those stay when
    /// text is scrubbed again. One that a rule strikes is replaced by a placeholder.
    fn code(&mut self, kind: Kind, text: &str) -> Option<String>;
}

/// The scrubbing of one record.
pub struct Run<'a> {
    pub(crate) counts: &'a mut Counts,
    pub(crate) remarks: Option<&'a mut Remarks>,
    pub(crate) pseudonyms: Option<&'a mut dyn Pseudonyms>,
    pub(crate) kind: Option<RecordKind>,
    pub(crate) dropped_by: Option<usize>,
    /// Whether something was found whose member goes.
    pub(crate) drops_field: bool,
}

impl<'a> Run<'a> {
    /// A run that counts into `counts`.
    pub fn new(counts: &'a mut Counts) -> Run<'a> {
        Run { counts, remarks: None, pseudonyms: None, kind: None, dropped_by: None, drops_field: false }
    }

    /// Says what the record is, for rules that hold in records of some kinds.
    pub fn of(mut self, kind: RecordKind) -> Run<'a> {
        self.kind = Some(kind);
        self
    }

    /// Notes down what is done and where.
    pub fn with_remarks(mut self, remarks: &'a mut Remarks) -> Run<'a> {
        self.remarks = Some(remarks);
        self
    }

    /// Gives codes for what is pseudonymised; without, placeholders stand there.
    pub fn with_pseudonyms(mut self, pseudonyms: &'a mut dyn Pseudonyms) -> Run<'a> {
        self.pseudonyms = Some(pseudonyms);
        self
    }

    /// The rule, by its place among the rules, that wants the whole record dropped; none where it may stay.
    pub fn dropped_by(&self) -> Option<usize> {
        self.dropped_by
    }
}
