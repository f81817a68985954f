//! The compiled rules, as whoever scrubs uses them.

use candor_model::{Object, Value};

use crate::detect::pattern::Patterns;
use crate::names::{self, Meaning};
use crate::plan::{Compiled, Tools};
use crate::rules::{Action, RuleError, Rules};
use crate::walk::Walk;
use crate::{Counts, Run};

/// Compiled rules. Cheap to share, safe to use from many threads.
///
/// Methods that take a place (`text_at`, `value_at`, `object_at`) are for whole records: rules hold at places of them.
/// The others scrub what has no place, where only the rules that hold everywhere do.
#[derive(Debug)]
pub struct Scrubber {
    compiled: Compiled,
}

impl Default for Scrubber {
    /// The default rules.
    fn default() -> Scrubber {
        Scrubber { compiled: Compiled::of(Rules::default(), Patterns::default()) }
    }
}

impl Scrubber {
    /// Compiles rules.
    pub fn new(rules: Rules) -> Result<Scrubber, RuleError> {
        let compiled = Compiled::new(rules)?;
        let plan = compiled.plan_of_all();
        let tools = Tools { compiled: &compiled, plan: &plan };
        for rule in &compiled.rules.rules {
            let Action::Replace(replacement) = &rule.action else { continue };
            let strikes = [
                replacement.clone(),
                format!("password={replacement}"),
                format!("password: {replacement} x"),
            ]
            .iter()
            .any(|text| tools.strikes(text));
            if strikes {
                return Err(RuleError::ReplacementStrikes(rule.id.clone()));
            }
        }
        Ok(Scrubber { compiled })
    }

    /// The rules, in the order that [`Counts::by_rule`] counts by.
    pub fn rules(&self) -> &Rules {
        &self.compiled.rules
    }

    /// Scrubs free text (a message, a URL, a header's value). None means that nothing was found; nothing is
    /// allocated then.
    pub fn scrub_str(&self, text: &str, counts: &mut Counts) -> Option<String> {
        self.everywhere().scrub_text(text, None, Meaning::Ordinary, &mut Run::new(counts))
    }

    /// Scrubs text that stands under a name (an attribute, a tag, a header, a form field): a name like `password`
    /// takes all of it.
    pub fn scrub_field(&self, key: &str, text: &str, counts: &mut Counts) -> Option<String> {
        let meaning = names::meaning(key.as_bytes());
        self.everywhere().scrub_named(text, Some(key), meaning, &mut Run::new(counts))
    }

    /// Scrubs a name. Names in one map have to stay distinct: [`Scrubber::scrub_object`] sees to that.
    pub fn scrub_key(&self, key: &str, counts: &mut Counts) -> Option<String> {
        self.everywhere().scrub_key(key, &mut Run::new(counts))
    }

    /// Scrubs a value, all its members and their names. `key` is the name that it stands under, if any.
    pub fn scrub_value(&self, value: &mut Value, key: Option<&str>, counts: &mut Counts) {
        Walk::new(&self.compiled, &[], &mut Run::new(counts)).value(value, key);
    }

    /// Scrubs members and their names. A name that is replaced stays distinct from its neighbours.
    pub fn scrub_object(&self, object: &mut Object, counts: &mut Counts) {
        Walk::new(&self.compiled, &[], &mut Run::new(counts)).object(object);
    }

    /// Scrubs the text at that place of a record: `["resource", "service.name"]`. The last step is its name. None
    /// where nothing was found, or only counted.
    pub fn text_at(&self, place: &[&str], text: &str, run: &mut Run<'_>) -> Option<String> {
        Walk::new(&self.compiled, place, run).text(text, place.last().copied())
    }

    /// Blanks what is found in the text at that place of a record at its own length, whatever else a rule would do to it:
    /// for text within something else, in which nothing may move. None where nothing was found, or only counted.
    pub fn blank_at(&self, place: &[&str], text: &str, run: &mut Run<'_>) -> Option<String> {
        Walk::new(&self.compiled, place, run).blank(text, place.last().copied())
    }

    /// Scrubs the value at that place of a record, all its members and their names. Without a place it is the record.
    pub fn value_at(&self, place: &[&str], value: &mut Value, run: &mut Run<'_>) {
        Walk::new(&self.compiled, place, run).value(value, place.last().copied());
    }

    /// Scrubs members at that place of a record, and their names. Without a place they are the record's own.
    pub fn object_at(&self, place: &[&str], object: &mut Object, run: &mut Run<'_>) {
        Walk::new(&self.compiled, place, run).object(object);
    }

    fn everywhere(&self) -> Tools<'_> {
        Tools { compiled: &self.compiled, plan: &self.compiled.everywhere }
    }
}
