//! Values as trees: every text, number and key, with the name and the place that each stands under.

mod keys;
mod number;
mod place;

use candor_model::{Object, Value};

use crate::Run;
use crate::detect::assignment;
use crate::names::{self, Meaning, Secrecy};
use crate::plan::{Compiled, Tools};
use crate::remark::Segment;
use crate::rules::{Action, Detector, Kind, Scope};
use crate::selector::{Name, Types};
use place::{Place, Way, types_of};

/// Deepest nesting that is walked. Listeners bound what they parse far below this; what is deeper is blanked.
const DEPTH_MAX: usize = 256;

/// What is known on the way down.
#[derive(Clone, Copy)]
struct Above<'a, 'w> {
    /// The nearest name.
    key: Option<&'a str>,
    /// What it means.
    meaning: Meaning,
    depth: usize,
    place: &'a Place<'w>,
}

/// A walk over what stands at one place of a record.
pub(crate) struct Walk<'w, 'r> {
    compiled: &'w Compiled,
    path: &'w [&'w str],
    run: &'w mut Run<'r>,
    way: Way<'w>,
    /// Whether plain names need no look under any plan.
    skips_plain: bool,
}

impl<'w, 'r> Walk<'w, 'r> {
    /// Begins at that place of a record.
    pub(crate) fn new(compiled: &'w Compiled, path: &'w [&'w str], run: &'w mut Run<'r>) -> Walk<'w, 'r> {
        let skips_plain = match &compiled.placed {
            None => compiled.everywhere.skips_plain,
            Some(placed) => placed.skips_plain,
        };
        Walk { compiled, path, run, way: Way::new(compiled), skips_plain }
    }

    /// Scrubs a text; none where it stays.
    pub(crate) fn text(&mut self, text: &str, key: Option<&str>) -> Option<String> {
        let mut value = Value::Null;
        let mut scrubbed = None;
        self.begin(&mut value, Types::STRING, |walk, _, place| {
            let tools = Tools { compiled: walk.compiled, plan: &place.plan };
            let meaning = key.map_or(Meaning::Ordinary, |key| names::meaning(key.as_bytes()));
            scrubbed = tools.scrub_named(text, key, meaning, walk.run);
            if std::mem::take(&mut walk.run.drops_field) {
                scrubbed = Some(String::new());
            }
        });
        scrubbed
    }

    /// Blanks what is found in a text at its own length; none where it stays.
    pub(crate) fn blank(&mut self, text: &str, key: Option<&str>) -> Option<String> {
        let mut blanked = None;
        self.begin(&mut Value::Null, Types::STRING, |walk, _, place| {
            let tools = Tools { compiled: walk.compiled, plan: &place.plan };
            let meaning = key.map_or(Meaning::Ordinary, |key| names::meaning(key.as_bytes()));
            blanked = tools.blanked(text, key, meaning, walk.run);
        });
        blanked
    }

    /// Scrubs a value under a name.
    pub(crate) fn value(&mut self, value: &mut Value, key: Option<&str>) {
        let types = types_of(value);
        let is_record = self.path.is_empty();
        self.begin(value, types, |walk, value, place| {
            let meaning = key.map_or(Meaning::Ordinary, |key| names::meaning(key.as_bytes()));
            let above = Above { key, meaning, depth: 0, place };
            match is_record {
                true => walk.walk(value, above),
                false => walk.at_place(value, above, &mut |walk, value, above| walk.walk(value, above)),
            }
            if std::mem::take(&mut walk.run.drops_field) {
                *value = Value::Null;
            }
        });
    }

    /// Scrubs members.
    pub(crate) fn object(&mut self, object: &mut Object) {
        let mut value = Value::Object(std::mem::take(object));
        self.begin(&mut value, Types::OBJECT, |walk, value, place| {
            let above = Above { key: None, meaning: Meaning::Ordinary, depth: 0, place };
            if let Value::Object(object) = value {
                walk.members(object, above);
            }
        });
        if let Value::Object(scrubbed) = value {
            *object = scrubbed;
        }
    }

    /// Goes to where the walk begins, and says of all remarks from there on where that is.
    fn begin(
        &mut self,
        value: &mut Value,
        types: Types,
        inner: impl FnOnce(&mut Walk<'w, 'r>, &mut Value, &Place<'w>),
    ) {
        let first_note = self.notes();
        let mut place = self.way.begin(self.run.kind, self.path, types);
        if let Some(last) = self.path.last()
            && let Some(below) = self.way.below(&place, place::name_of(last), types)
        {
            place = below;
        }
        inner(self, value, &place);
        if let Some(remarks) = self.run.remarks.as_deref_mut() {
            for step in self.path.iter().rev() {
                remarks.below(first_note, || Segment::Key((*step).to_owned()));
            }
        }
    }

    /// How many remarks there are.
    fn notes(&self) -> usize {
        self.run.remarks.as_ref().map_or(0, |remarks| remarks.len())
    }

    /// Goes one step down and does there what `inner` does, unless a rule takes the whole of it. True where what
    /// stands there has to go.
    fn step(
        &mut self,
        value: &mut Value,
        name: Name<'_>,
        above: Above<'_, 'w>,
        inner: &mut dyn FnMut(&mut Walk<'w, 'r>, &mut Value, Above<'_, 'w>),
    ) -> bool {
        let first_note = self.notes();
        match self.way.below(above.place, name, types_of(value)) {
            None => inner(self, value, above),
            Some(place) => {
                self.at_place(value, Above { place: &place, ..above }, inner);
                self.way.leave(&place);
            }
        }
        let drops = std::mem::take(&mut self.run.drops_field);
        if let Some(remarks) = self.run.remarks.as_deref_mut() {
            if drops {
                remarks.gone(first_note);
            }
            remarks.below(first_note, || match name {
                Name::Key(key) => Segment::Key(key.to_owned()),
                Name::Index(index) => Segment::Index(index),
                Name::Record => Segment::Key(String::new()),
            });
        }
        drops
    }

    /// Does what `inner` does, unless a rule takes the whole of a list or an object. What only shortens or counts
    /// texts does so to all of those in it.
    fn at_place(
        &mut self,
        value: &mut Value,
        above: Above<'_, 'w>,
        inner: &mut dyn FnMut(&mut Walk<'w, 'r>, &mut Value, Above<'_, 'w>),
    ) {
        let tools = Tools { compiled: self.compiled, plan: &above.place.plan };
        let is_container = matches!(value, Value::Object(_) | Value::Array(_));
        let (rule, action) = tools.decision(Detector::Whole);
        let is_exact = |rule: usize| {
            let excludes = self.compiled.placed.as_ref().is_some_and(|placed| placed.is_excluding(rule));
            let is_placed =
                self.compiled.rules.rules.get(rule).is_some_and(|rule| rule.scope != Scope::Everywhere);
            is_placed && !excludes
        };
        if !is_container || !tools.detects(Detector::Whole) || !is_exact(rule) {
            return inner(self, value, above);
        }
        match action {
            Action::Mask { .. } | Action::Truncate { .. } | Action::Generalise { .. } | Action::Alert => {
                let place = above.place.with_whole(rule);
                inner(self, value, Above { place: &place, ..above });
            }
            _ => {
                if let Some(replacement) = tools.replaced(&value.to_text(), Detector::Whole, self.run) {
                    *value = Value::Str(replacement);
                }
            }
        }
    }

    fn walk(&mut self, value: &mut Value, above: Above<'_, 'w>) {
        if above.depth > DEPTH_MAX {
            *value = Value::from(Kind::Secret.placeholder());
            return;
        }
        let tools = Tools { compiled: self.compiled, plan: &above.place.plan };
        match value {
            Value::Null => {}
            Value::Bool(_) => {
                if tools.detects(Detector::Whole)
                    && let Some(replacement) = tools.replaced(&value.to_text(), Detector::Whole, self.run)
                {
                    *value = Value::Str(replacement);
                }
            }
            Value::Str(text) => {
                if let Some(replacement) = tools.scrub_named(text, above.key, above.meaning, self.run) {
                    *text = replacement;
                }
            }
            Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::BigInt(_) => {
                if let Some(replacement) = number::scrubbed(tools, value, above.key, above.meaning, self.run)
                {
                    *value = self.as_number(value, &replacement, tools).unwrap_or(Value::Str(replacement));
                }
            }
            Value::Array(list) => self.items(list, above),
            Value::Object(object) => self.members(object, above),
        }
    }

    /// A coordinate that is less exact is a number still.
    fn as_number(&self, was: &Value, text: &str, tools: Tools<'_>) -> Option<Value> {
        let (_, action) = tools.decision(Detector::Whole);
        let is_less = matches!((action, was), (Action::Generalise { .. }, Value::Float(_)));
        let number = text.parse().ok().filter(|_| is_less && tools.detects(Detector::Whole))?;
        Some(Value::Float(number))
    }

    fn items(&mut self, list: &mut [Value], above: Above<'_, 'w>) {
        // `rawHeaders` of Node: names and values by turns.
        let by_turns = above.key.is_some_and(|key| key.eq_ignore_ascii_case("rawheaders"))
            && list.len().is_multiple_of(2);
        // `["Cookie", "…"]`: a pair, as lists of headers, tags and parameters have them.
        let pair = list.len() == 2;
        let mut before = Named::ORDINARY;
        for (index, item) in list.iter_mut().enumerate() {
            let is_name = pair && index == 0 || by_turns && index % 2 == 0;
            let was = before;
            let drops = self.step(item, Name::Index(index), above, &mut |walk, item, above| {
                before = walk.item(item, is_name, was, above);
            });
            if drops {
                // The places of the others stay what they are.
                *item = Value::Null;
            }
        }
    }

    /// Scrubs an item of a list and says what it calls the next one. `before` is what the one before it calls this one.
    fn item(&mut self, item: &mut Value, is_name: bool, before: Named, above: Above<'_, 'w>) -> Named {
        let above = Above { depth: above.depth + 1, ..above };
        let came = meaning_as_item(item, is_name);
        let mut now = came;
        for _ in 0..RENAMES_MAX {
            // A name is not the value of the one before it.
            let named = if now == Meaning::Ordinary { before } else { Named::ORDINARY };
            self.under(item, named, above);
            let stays = meaning_as_item(item, is_name);
            if stays == now {
                return Named { came, stays };
            }
            now = stays;
        }
        // It keeps changing: nothing of it can be trusted.
        *item = Value::from(Kind::Secret.placeholder());
        Named { came, stays: Meaning::Ordinary }
    }

    /// Scrubs what stands under a name, or under what is above it where the name says nothing.
    fn under(&mut self, value: &mut Value, named: Named, above: Above<'_, 'w>) {
        let meaning = |own: Meaning| if own == Meaning::Ordinary { above.meaning } else { own };
        if named.came != named.stays {
            self.walk(value, Above { meaning: meaning(named.came), ..above });
        }
        self.walk(value, Above { meaning: meaning(named.stays), ..above });
    }

    fn members(&mut self, object: &mut Object, above: Above<'_, 'w>) {
        let mut named_value = Named { came: pair_meaning(object), ..Named::ORDINARY };
        let keys::Renamed { came, mut gone } = keys::scrub(self, object, above.place);
        let inherited = match above.meaning {
            Meaning::Secret(secrecy) if secrecy.takes_containers() => above.meaning,
            _ => Meaning::Ordinary,
        };
        let meaning = |own: Meaning, named_value: Meaning, key: &str| match own {
            Meaning::Ordinary
                if named_value != Meaning::Ordinary && assignment::is_value_label(key.as_bytes()) =>
            {
                named_value
            }
            Meaning::Ordinary => inherited,
            // A weaker word does not take back what stands above it.
            Meaning::Secret(Secrecy::Weak) | Meaning::Card | Meaning::Ssn
                if inherited != Meaning::Ordinary =>
            {
                inherited
            }
            own => own,
        };
        let depth = above.depth + 1;
        let mut came = came.into_iter().peekable();
        for (index, (key, member)) in object.0.iter_mut().enumerate() {
            let stays = names::meaning(key.as_bytes());
            let came = came.next_if(|(renamed, _)| *renamed == index).map_or(stays, |(_, came)| came);
            let came = (came != stays).then(|| meaning(came, named_value.came, key));
            let stays = meaning(stays, named_value.came, key);
            let drops = self.step(member, Name::Key(key), above, &mut |walk, member, above| {
                if let Some(meaning) = came {
                    walk.walk(member, Above { key: Some(key), meaning, depth, ..above });
                }
                walk.walk(member, Above { key: Some(key), meaning: stays, depth, ..above });
            });
            if drops {
                gone.push(index);
            }
        }
        named_value.stays = pair_meaning(object);
        if named_value.came != named_value.stays {
            for (index, (key, member)) in object.0.iter_mut().enumerate() {
                if !assignment::is_value_label(key.as_bytes()) {
                    continue;
                }
                let meaning = meaning(names::meaning(key.as_bytes()), named_value.stays, key);
                let drops = self.step(member, Name::Key(key), above, &mut |walk, member, above| {
                    walk.walk(member, Above { key: Some(key), meaning, depth, ..above });
                });
                if drops {
                    gone.push(index);
                }
            }
        }
        if !gone.is_empty() {
            gone.sort_unstable();
            let mut index = 0;
            object.0.retain(|_| {
                index += 1;
                gone.binary_search(&(index - 1)).is_err()
            });
        }
    }
}

/// What a name means as it came and as it stands once it is scrubbed itself: cutting a secret out of a name can make
/// another name of what is left, and the next one to scrub sees only that. What stands under the name is scrubbed by
/// the one and then by the other, so that scrubbing again finds nothing to do.
#[derive(Clone, Copy)]
struct Named {
    came: Meaning,
    stays: Meaning,
}

impl Named {
    const ORDINARY: Named = Named { came: Meaning::Ordinary, stays: Meaning::Ordinary };
}

/// How often an item of a list that names the next one is scrubbed until its own meaning stays.
const RENAMES_MAX: usize = 4;

/// What an item of a list calls the next one.
fn meaning_as_item(item: &Value, is_name: bool) -> Meaning {
    match item {
        Value::Str(text) if is_name => names::meaning(text.as_bytes()),
        // `["--password", "…"]`: arguments of a command.
        Value::Str(text) if text.starts_with('-') && !text.contains('=') => names::meaning(text.as_bytes()),
        _ => Meaning::Ordinary,
    }
}

/// What the name in `{"name": "Cookie", "value": "…"}` says about the value.
fn pair_meaning(object: &Object) -> Meaning {
    let name = object.0.iter().find(|(key, _)| assignment::is_name_label(key.as_bytes()));
    name.and_then(|(_, name)| name.as_str()).map_or(Meaning::Ordinary, |name| names::meaning(name.as_bytes()))
}
