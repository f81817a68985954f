//! Remarks: what was done to a record, where, and by which rule. They never say what was found, nor how long it was.

use crate::rules::Kind;
use crate::selector;

/// Most remarks of one record.
const REMARKS_MAX: usize = 1000;

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Where, as a selector writes it: `user.email`, `extra.'a key'.0`. Empty for a text without a place.
    pub path: String,
    /// Whether the name of the member was changed, not its value.
    pub in_key: bool,
    /// The rule's place among the rules.
    pub rule: usize,
    /// What was found.
    pub kind: Kind,
    /// What was done: [`crate::Action::name`].
    pub action: &'static str,
    /// Where that begins in the text as it stands now, in bytes. Both are zero where nothing stands there any more.
    pub start: usize,
    /// Where that ends.
    pub end: usize,
}

/// A step of a path, noted on the way up.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

/// A remark whose path is not known yet.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) rule: usize,
    pub(crate) kind: Kind,
    pub(crate) action: &'static str,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) in_key: bool,
    /// The last step first.
    path: Vec<Segment>,
}

impl Note {
    pub(crate) fn new(rule: usize, kind: Kind, action: &'static str, start: usize, end: usize) -> Note {
        Note { rule, kind, action, start, end, in_key: false, path: Vec::new() }
    }

    /// Moves it to where it stands after `start..end` of its text has become `length` bytes long. False where it was
    /// within that and is gone.
    pub(crate) fn moves(&mut self, start: usize, end: usize, length: usize) -> bool {
        if self.start >= end {
            self.start = self.start + length - (end - start);
            self.end = self.end + length - (end - start);
        }
        self.start >= end.min(start + length) || self.end <= start
    }
}

/// Remarks of one record.
#[derive(Debug, Clone, Default)]
pub struct Remarks {
    notes: Vec<Note>,
    left_out: u64,
}

impl Remarks {
    /// None yet.
    pub fn new() -> Remarks {
        Remarks::default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.notes.len()
    }

    /// True where nothing was done.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// How many were not kept because there were too many.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The remarks, in the order in which things were done.
    pub fn iter(&self) -> impl Iterator<Item = Remark> {
        self.notes.iter().map(|note| Remark {
            path: path(&note.path),
            in_key: note.in_key,
            rule: note.rule,
            kind: note.kind,
            action: note.action,
            start: note.start,
            end: note.end,
        })
    }

    pub(crate) fn add(&mut self, note: Note) {
        if self.notes.len() < REMARKS_MAX {
            self.notes.push(note);
        } else {
            self.left_out += 1;
        }
    }

    /// Says that the remarks from `first` on were made a step below where we are.
    pub(crate) fn below(&mut self, first: usize, segment: impl Fn() -> Segment) {
        for note in self.notes.iter_mut().skip(first) {
            note.path.push(segment());
        }
    }

    /// Says that the remarks from `first` on are about the name of a member.
    pub(crate) fn in_key(&mut self, first: usize) {
        for note in self.notes.iter_mut().skip(first) {
            note.in_key = true;
        }
    }

    /// Says that nothing stands any more where the remarks from `first` on were made.
    pub(crate) fn gone(&mut self, first: usize) {
        for note in self.notes.iter_mut().skip(first) {
            (note.start, note.end) = (0, 0);
        }
    }
}

fn path(segments: &[Segment]) -> String {
    let mut text = String::new();
    for segment in segments.iter().rev() {
        if !text.is_empty() {
            text.push('.');
        }
        // Writing into a string does not fail.
        let _ = match segment {
            Segment::Key(key) => selector::write_key(key, &mut text),
            Segment::Index(index) => std::fmt::Write::write_fmt(&mut text, format_args!("{index}")),
        };
    }
    text
}
