//! A selector as an automaton whose states are the bits of a word.
//!
//! Bit n is on where the next step may be item n: those before it have been met. All first items are always on, as a
//! path holds wherever it ends. `**` is no item here: the one behind it stays on once it is.

use super::types::{Type, Types};
use super::{Expression, Item, Selector, types};

/// A compiled selector.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// First items, which any step may meet.
    starts: u64,
    /// Items that a `**` stands before.
    loops: u64,
    /// Last items.
    lasts: u64,
    /// Items that any step meets.
    any: u64,
    /// Items that a type meets.
    types: Vec<(Type, u64)>,
    /// Items that a key meets.
    keys: Vec<(Box<str>, u64)>,
    /// The expression over last items, in postfix order.
    operations: Vec<Operation>,
    /// The words after `$` in it.
    named: Types,
}

/// One step of evaluating an expression.
#[derive(Debug, Clone, Copy)]
enum Operation {
    /// Whether the path with this last item was met.
    Met(u64),
    Not,
    /// Takes this many results and gives one.
    All(u32),
    Any(u32),
}

/// Where an automaton is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct State {
    /// Items that the next step may be.
    next: u64,
    /// Last items that this step was.
    met: u64,
}

/// One step down a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    /// The key or the place in a list; none at the beginning.
    pub(crate) name: Name<'a>,
    /// What stands there.
    pub(crate) types: Types,
}

/// What a step is called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Name<'a> {
    /// It is the record itself.
    Record,
    Key(&'a str),
    Index(usize),
}

impl Selector {
    pub(crate) fn compile(&self) -> Program {
        let mut program = Program {
            starts: 0,
            loops: 0,
            lasts: 0,
            any: 0,
            types: Vec::new(),
            keys: Vec::new(),
            operations: Vec::new(),
            named: self.types(),
        };
        let mut used = 0;
        program.add(&self.expression, &mut used);
        program
    }
}

impl Program {
    fn add(&mut self, expression: &Expression, used: &mut u32) {
        match expression {
            Expression::Path(items) => self.add_path(items, used),
            Expression::Not(inner) => {
                self.add(inner, used);
                self.operations.push(Operation::Not);
            }
            Expression::All(parts) => {
                parts.iter().for_each(|part| self.add(part, used));
                self.operations.push(Operation::All(parts.len() as u32));
            }
            Expression::Any(parts) => {
                parts.iter().for_each(|part| self.add(part, used));
                self.operations.push(Operation::Any(parts.len() as u32));
            }
        }
    }

    fn add_path(&mut self, items: &[Item], used: &mut u32) {
        let first = *used;
        let mut is_deep = false;
        for item in items {
            let bit = match item {
                Item::Deep => {
                    is_deep = true;
                    continue;
                }
                _ => self.take_bit(used, is_deep),
            };
            is_deep = false;
            match item {
                Item::Deep => {}
                Item::Any => self.any |= bit,
                Item::Type(one) => add_to(&mut self.types, *one, bit),
                Item::Key(key) => add_to(&mut self.keys, key.as_str().into(), bit),
            }
        }
        if is_deep {
            // At the end it is at least one step.
            self.any |= self.take_bit(used, true);
        }
        // The parser bounds the items, so that every one has a bit.
        let last = 1u64.checked_shl(used.saturating_sub(1)).unwrap_or(0);
        self.starts |= 1u64.checked_shl(first).unwrap_or(0);
        self.lasts |= last;
        self.operations.push(Operation::Met(last));
    }

    fn take_bit(&mut self, used: &mut u32, is_deep: bool) -> u64 {
        let bit = 1u64.checked_shl(*used).unwrap_or(0);
        *used += 1;
        if is_deep {
            self.loops |= bit;
        }
        bit
    }

    /// The state before the first step.
    pub(crate) fn start(&self) -> State {
        State { next: self.starts, met: 0 }
    }

    /// The state a step further down. A key with dots in it is one step and also as many as it has parts.
    pub(crate) fn step(&self, from: State, step: Step<'_>) -> State {
        let whole = self.single(from, step);
        match step.name {
            Name::Key(key) if memchr::memchr(b'.', key.as_bytes()).is_some() => {
                let mut parts = key.split('.').peekable();
                let mut state = from;
                while let Some(part) = parts.next() {
                    let is_last = parts.peek().is_none();
                    let types = if is_last { step.types } else { Types::OBJECT };
                    state = self.single(state, Step { name: Name::Key(part), types });
                }
                State { next: whole.next | state.next, met: whole.met | state.met }
            }
            _ => whole,
        }
    }

    fn single(&self, from: State, step: Step<'_>) -> State {
        let mut meets = self.any;
        for (own, items) in &self.types {
            if step.types.has(*own) {
                meets |= items;
            }
        }
        for (key, items) in &self.keys {
            if from.next & items != 0 && step.name.is(key) {
                meets |= items;
            }
        }
        let met = from.next & meets;
        State {
            next: ((met & !self.lasts) << 1) | (from.next & self.loops) | self.starts,
            met: met & self.lasts,
        }
    }

    /// True where the selector holds at the last step.
    pub(crate) fn holds(&self, state: State) -> bool {
        // One bit a result: an expression has fewer results waiting than it has paths.
        let (mut results, mut count) = (0u128, 0u32);
        for operation in &self.operations {
            let taken = match operation {
                Operation::Met(_) => 0,
                Operation::Not => 1,
                Operation::All(parts) | Operation::Any(parts) => (*parts).min(count),
            };
            let mask = (1u128 << taken.min(127)) - 1;
            let inputs = results & mask;
            let result = match operation {
                Operation::Met(last) => state.met & last != 0,
                Operation::Not => inputs == 0,
                Operation::All(_) => inputs == mask,
                Operation::Any(_) => inputs != 0,
            };
            results = (results >> taken.min(127)) << 1 | u128::from(result);
            count = count + 1 - taken;
        }
        results & 1 != 0
    }

    /// The parts of records that the selector names, with what finds them.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &'static (Type, Program)> + use<> {
        types::programs(self.named)
    }
}

fn add_to<T: PartialEq>(list: &mut Vec<(T, u64)>, of: T, bit: u64) {
    match list.iter_mut().find(|(known, _)| *known == of) {
        Some((_, items)) => *items |= bit,
        None => list.push((of, bit)),
    }
}

impl Name<'_> {
    fn is(self, key: &str) -> bool {
        match self {
            Name::Record => false,
            Name::Key(name) => name.eq_ignore_ascii_case(key),
            Name::Index(index) => {
                // One way to write a number, so that a key of digits is not met by another.
                let is_number = key == "0" || !key.starts_with(['0', '+']);
                is_number && key.parse() == Ok(index)
            }
        }
    }
}
