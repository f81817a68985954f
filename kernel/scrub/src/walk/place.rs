//! Where a walk is: which rules hold there. Nothing is followed where every rule holds everywhere.

use std::ops::Deref;
use std::rc::Rc;

use candor_model::Value;

use crate::RecordKind;
use crate::plan::{Compiled, Holding, Placed, Plan};
use crate::selector::{Name, State, Step, Types};

/// Plans that are kept of one record; a record has few kinds of places.
const PLANS_MAX: usize = 64;

/// The plan of a place.
#[derive(Debug, Clone)]
pub(super) enum Held<'w> {
    Everywhere(&'w Plan),
    Here(Rc<Plan>),
}

impl Deref for Held<'_> {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        match self {
            Held::Everywhere(plan) => plan,
            Held::Here(plan) => plan,
        }
    }
}

/// A place of a record.
#[derive(Debug, Clone)]
pub(super) struct Place<'w> {
    /// Where its states begin.
    states: usize,
    pub(super) plan: Held<'w>,
    /// A rule above that takes the whole of everything below it.
    whole: Option<usize>,
}

impl<'w> Place<'w> {
    /// The same place, where the rule takes the whole of everything below it.
    pub(super) fn with_whole(&self, rule: usize) -> Place<'w> {
        Place { whole: Some(self.whole.map_or(rule, |above| above.min(rule))), ..self.clone() }
    }
}

/// The way down to the place where a walk is.
pub(super) struct Way<'w> {
    compiled: &'w Compiled,
    states: Vec<State>,
    plans: Vec<(Holding, Option<usize>, Rc<Plan>)>,
}

impl<'w> Way<'w> {
    pub(super) fn new(compiled: &'w Compiled) -> Way<'w> {
        Way { compiled, states: Vec::new(), plans: Vec::new() }
    }

    /// The place of the record itself, and of what `path` leads to in it but for its last step.
    pub(super) fn begin(&mut self, kind: Option<RecordKind>, path: &[&str], types: Types) -> Place<'w> {
        let everywhere = Place { states: 0, plan: Held::Everywhere(&self.compiled.everywhere), whole: None };
        let Some(placed) = &self.compiled.placed else { return everywhere };
        placed.start(&mut self.states);
        let own = if path.is_empty() { types } else { Types::OBJECT };
        let record = Step { name: Name::Record, types: own.and(Types::of_record(kind)) };
        let mut place = self.step(placed, &everywhere, record);
        for key in path.iter().take(path.len().saturating_sub(1)) {
            place = self.step(placed, &place, Step { name: name_of(key), types: Types::OBJECT });
        }
        place
    }

    /// The place one step below; none where places make no difference.
    pub(super) fn below(&mut self, above: &Place<'w>, name: Name<'_>, types: Types) -> Option<Place<'w>> {
        let placed = self.compiled.placed.as_ref()?;
        Some(self.step(placed, above, Step { name, types }))
    }

    /// Forgets the states of a place and of what is below it.
    pub(super) fn leave(&mut self, place: &Place<'w>) {
        self.states.truncate(place.states);
    }

    fn step(&mut self, placed: &'w Placed, above: &Place<'w>, step: Step<'_>) -> Place<'w> {
        let states = self.states.len();
        let holding = placed.step(&mut self.states, above.states, step);
        let plan = Held::Here(self.plan(holding, above.whole));
        Place { states, plan, whole: above.whole }
    }

    fn plan(&mut self, holding: Holding, whole: Option<usize>) -> Rc<Plan> {
        let known = self.plans.iter().find(|(known, above, _)| *known == holding && *above == whole);
        if let Some((_, _, plan)) = known {
            return Rc::clone(plan);
        }
        let plan = self.compiled.plan(holding);
        let plan = Rc::new(match whole {
            Some(rule) => plan.within(rule),
            None => plan,
        });
        if self.plans.len() < PLANS_MAX {
            self.plans.push((holding, whole, Rc::clone(&plan)));
        }
        plan
    }
}

/// What a step of a path is called.
pub(super) fn name_of(key: &str) -> Name<'_> {
    match key.as_bytes().first() {
        Some(b'0'..=b'9') => key.parse().map_or(Name::Key(key), Name::Index),
        _ => Name::Key(key),
    }
}

/// What stands at a place.
pub(super) fn types_of(value: &Value) -> Types {
    match value {
        Value::Null => Types::NULL,
        Value::Bool(_) => Types::BOOLEAN,
        Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::BigInt(_) => Types::NUMBER,
        Value::Str(_) => Types::STRING,
        Value::Array(_) => Types::ARRAY,
        Value::Object(_) => Types::OBJECT,
    }
}
