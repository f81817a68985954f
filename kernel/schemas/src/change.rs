//! What makes a schema incompatible with another, in the words that users of registries know.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;

/// One difference that keeps a reader's schema from reading what was written with a writer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatibility {
    /// Its kind, as registries name it: `READER_FIELD_MISSING_DEFAULT_VALUE`.
    pub error: &'static str,
    /// Where in the reader's schema.
    pub path: String,
    /// What it is, with `{reader}` and `{writer}` for the two schemas: which of them is the new one the caller knows.
    pub description: String,
    /// Names and values concerned.
    pub info: String,
}

impl Incompatibility {
    pub(crate) fn new(
        error: &'static str,
        path: impl Into<String>,
        description: impl Into<String>,
        info: impl Into<String>,
    ) -> Incompatibility {
        let (path, description, info) = (path.into(), description.into(), info.into());
        Incompatibility { error, path, description, info }
    }

    /// As a message, where the reader's schema is called `reader` and the writer's `writer`.
    pub fn message(&self, reader: &str, writer: &str) -> String {
        struct Shown<'a>(&'a Incompatibility, &'a str, &'a str);
        impl fmt::Display for Shown<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Shown(of, reader, writer) = self;
                let description = of.description.replace("{reader}", reader).replace("{writer}", writer);
                write!(f, "{{errorType:'{}', description:'{description}'", of.error)?;
                if !of.info.is_empty() {
                    write!(f, ", additionalInfo:'{}'", of.info)?;
                }
                f.write_str("}")
            }
        }
        Shown(self, reader, writer).to_string()
    }
}

/// Differences found so far, and how much may still be looked at.
pub(crate) struct Found {
    pub(crate) all: Vec<Incompatibility>,
    left: usize,
    depth: usize,
}

/// Types within types that a comparison follows: each takes some frames of the stack.
const DEPTH_MAX: usize = 200;

/// Differences that are told. The first say enough.
const TOLD_MAX: usize = 100;

impl Found {
    pub(crate) fn new() -> Found {
        Found { all: Vec::new(), left: crate::COMPARED_MAX, depth: 0 }
    }

    /// Takes one from what may be looked at. False once nothing is left, which is an incompatibility by itself.
    pub(crate) fn go_on(&mut self, path: &str) -> bool {
        self.spend(1, path)
    }

    /// Takes so many from what may be looked at.
    pub(crate) fn spend(&mut self, count: usize, path: &str) -> bool {
        if self.left > count {
            self.left -= count;
            return true;
        }
        if self.left > 0 {
            self.too_large(path);
        }
        self.left = 0;
        false
    }

    fn too_large(&mut self, path: &str) {
        let what =
            "The {reader} schema is too large or nests too deep to be compared with the {writer} schema";
        self.all.push(Incompatibility::new("TOO_LARGE", path, what, ""));
    }

    /// Goes one type deeper.
    pub(crate) fn deeper(&mut self, path: &str, compare: impl FnOnce(&mut Found)) {
        if !self.go_on(path) {
            return;
        }
        if self.depth >= DEPTH_MAX {
            return self.too_large(path);
        }
        self.depth += 1;
        compare(self);
        self.depth -= 1;
    }

    pub(crate) fn add(
        &mut self,
        error: &'static str,
        path: &str,
        description: impl Into<String>,
        info: impl Into<String>,
    ) {
        if self.all.len() < TOLD_MAX {
            self.all.push(Incompatibility::new(error, path, description, info));
        }
    }

    /// Runs a comparison whose findings are not told; true where there are none.
    pub(crate) fn quietly(&mut self, compare: impl FnOnce(&mut Found)) -> bool {
        let mut inner = Found { all: Vec::new(), left: self.left, depth: self.depth };
        compare(&mut inner);
        // What was too large stays so.
        self.left = inner.left.max(1);
        inner.all.is_empty()
    }
}

/// Pairs of types that were found to fit, or are being compared further up: types may hold themselves.
pub(crate) struct Fitting<P> {
    known: HashSet<P>,
    order: Vec<P>,
}

impl<P: Copy + Eq + Hash> Fitting<P> {
    pub(crate) fn new() -> Fitting<P> {
        Fitting { known: HashSet::new(), order: Vec::new() }
    }

    /// Takes a pair to fit until [`Fitting::end`] says more; none where it does already.
    pub(crate) fn begin(&mut self, pair: P) -> Option<usize> {
        self.known.insert(pair).then(|| {
            self.order.push(pair);
            self.order.len() - 1
        })
    }

    /// Where a pair does not fit, neither what was found since it began counts: it may have rested on it.
    pub(crate) fn end(&mut self, begun: usize, fits: bool) {
        if !fits {
            for pair in self.order.drain(begun.min(self.order.len())..) {
                self.known.remove(&pair);
            }
        }
    }
}
