//! Whether a selector holds at one place: what tests of policies ask.

use super::compile::Name;
use super::types::{Type, Types};
use super::{Program, RecordKind, Selector, State, Step};

/// What stands at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// Text.
    String,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// `null`.
    Null,
    /// Members.
    Object,
    /// Items.
    Array,
}

impl Leaf {
    pub(crate) fn types(self) -> Types {
        match self {
            Leaf::String => Types::STRING,
            Leaf::Number => Types::NUMBER,
            Leaf::Boolean => Types::BOOLEAN,
            Leaf::Null => Types::NULL,
            Leaf::Object => Types::OBJECT,
            Leaf::Array => Types::ARRAY,
        }
    }
}

impl Selector {
    /// True where the selector holds at the end of that path of a record. Of a path, what is a number is taken as an
    /// item's place in a list.
    pub fn holds_at(&self, record: Option<RecordKind>, path: &[&str], leaf: Leaf) -> bool {
        let program = self.compile();
        let mut parts: Vec<(Type, &Program, State)> =
            program.parts().map(|(part, program)| (*part, program, program.start())).collect();
        let mut state = program.start();
        for depth in 0..=path.len() {
            let index = |at: usize| path.get(at).and_then(|key| key.parse().ok());
            let name = match depth.checked_sub(1).and_then(|at| Some((at, *path.get(at)?))) {
                None => Name::Record,
                Some((at, key)) => index(at).map_or(Name::Key(key), Name::Index),
            };
            let types = match depth == path.len() {
                true => leaf.types(),
                false if index(depth).is_some() => Types::ARRAY,
                false => Types::OBJECT,
            };
            let types = if depth == 0 { types.and(Types::of_record(record)) } else { types };
            let mut step = Step { name, types };
            for (part, program, state) in &mut parts {
                *state = program.step(*state, Step { types, ..step });
                if program.holds(*state) {
                    step.types = step.types.with(*part);
                }
            }
            state = program.step(state, step);
        }
        program.holds(state)
    }
}
