//! Rules made ready: which rule decides over each detector's hits at a place.

use crate::detect::pattern::Patterns;
use crate::rules::{
    Action, Detector, Encoding, Kind, PATTERNS_MAX, RULES_MAX, Rule, RuleError, Rules, Scope,
};
use crate::selector::{Program, Step, Types};

/// Which detectors are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Detectors(u128);

impl Detectors {
    pub(crate) const NONE: Detectors = Detectors(0);

    pub(crate) const fn with(self, detector: Detector) -> Detectors {
        Detectors(self.0 | 1 << detector.place())
    }

    #[inline]
    pub(crate) const fn has(self, detector: Detector) -> bool {
        self.0 & (1 << detector.place()) != 0
    }

    #[inline]
    pub(crate) const fn has_any(self, others: Detectors) -> bool {
        self.0 & others.0 != 0
    }

    pub(crate) const fn without(self, others: Detectors) -> Detectors {
        Detectors(self.0 & !others.0)
    }

    fn of(detectors: &[Detector]) -> Detectors {
        detectors.iter().fold(Detectors::default(), |all, detector| all.with(*detector))
    }
}

/// Detectors that [`crate::scan::is_plain`] knows to find nothing in plain text.
const KNOW_PLAIN: Detectors = Detectors::NONE
    .with(Detector::Card)
    .with(Detector::Iban)
    .with(Detector::SsnUs)
    .with(Detector::PrivateKey)
    .with(Detector::SecretName)
    .with(Detector::SecretShape)
    .with(Detector::UrlCredentials)
    .with(Detector::Email);

/// No rule: rules are fewer.
const NONE: u8 = u8::MAX;
const _: () = assert!(RULES_MAX < NONE as usize);

/// What is done at places where the same rules hold.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) detectors: Detectors,
    /// The rule that decides over each detector's hits.
    deciding: [u8; Detector::PLACES],
    /// Whether short plain text needs no look.
    pub(crate) skips_plain: bool,
    /// Whether numbers are looked at as text.
    pub(crate) reads_numbers: bool,
}

impl Plan {
    fn new() -> Plan {
        Plan {
            detectors: Detectors::default(),
            deciding: [NONE; Detector::PLACES],
            skips_plain: true,
            reads_numbers: false,
        }
    }

    /// Lets the rule decide over its detectors' hits, but for those that an earlier one decides over.
    fn add(&mut self, index: usize, detectors: Detectors, rule: &Rule) {
        let Ok(index) = u8::try_from(index) else { return };
        for detector in rule.detectors.iter().filter(|detector| detectors.has(**detector)) {
            if let Some(slot) = self.deciding.get_mut(detector.place()).filter(|slot| **slot == NONE) {
                *slot = index;
                self.detectors = self.detectors.with(*detector);
            }
        }
        self.settle();
    }

    fn settle(&mut self) {
        let others = self.detectors.without(KNOW_PLAIN);
        self.skips_plain = others == Detectors::default();
        self.reads_numbers = !self.skips_plain;
    }

    /// The rule that decides over the detector's hits.
    pub(crate) fn deciding(&self, detector: Detector) -> Option<usize> {
        self.deciding.get(detector.place()).filter(|rule| **rule != NONE).map(|rule| usize::from(*rule))
    }

    /// The same plan where that rule takes the whole of what stands below its place, too.
    pub(crate) fn within(&self, rule: usize) -> Plan {
        let mut plan = self.clone();
        let whole = Detector::Whole.place();
        if let (Some(slot), Ok(rule)) = (plan.deciding.get_mut(whole), u8::try_from(rule)) {
            *slot = (*slot).min(rule);
            plan.detectors = plan.detectors.with(Detector::Whole);
        }
        plan.settle();
        plan
    }

    /// The same plan without those detectors.
    pub(crate) fn without(&self, detectors: Detectors) -> Plan {
        let mut plan = self.clone();
        plan.detectors = plan.detectors.without(detectors);
        plan.settle();
        plan
    }
}

/// Encodings that are looked into, beside those that always are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decode {
    pub(crate) json: bool,
    pub(crate) url: bool,
    pub(crate) base64: bool,
}

/// Rules with what is made of them once.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) rules: Rules,
    /// Replacements of the rules' own.
    pub(crate) stand_ins: Vec<String>,
    pub(crate) patterns: Patterns,
    pub(crate) decode: Decode,
    /// What is done where no selector holds.
    pub(crate) everywhere: Plan,
    /// Where rules hold at places only.
    pub(crate) placed: Option<Placed>,
}

/// A plan with the rules that it is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tools<'a> {
    pub(crate) compiled: &'a Compiled,
    pub(crate) plan: &'a Plan,
}

impl<'a> Tools<'a> {
    #[inline]
    pub(crate) fn detects(self, detector: Detector) -> bool {
        self.plan.detectors.has(detector)
    }

    /// Texts that stand where something was: the placeholders, and the rules' own.
    pub(crate) fn stand_ins(self) -> impl Iterator<Item = &'a str> {
        let own = self.compiled.stand_ins.iter().map(String::as_str);
        Kind::ALL.iter().map(|kind| kind.placeholder()).chain(own)
    }

    /// The rule that decides over the detector's hits, and what it does.
    pub(crate) fn decision(self, detector: Detector) -> (usize, &'a Action) {
        const REMOVE: &Action = &Action::Remove;
        let rule = self.plan.deciding(detector).unwrap_or_default();
        (rule, self.compiled.rules.rules.get(rule).map_or(REMOVE, |rule| &rule.action))
    }
}

impl Compiled {
    pub(crate) fn new(rules: Rules) -> Result<Compiled, RuleError> {
        let count = rules.rules.len() + rules.allow.len();
        if count > RULES_MAX {
            return Err(RuleError::TooMany(count));
        }
        if rules.patterns.len() > PATTERNS_MAX {
            return Err(RuleError::TooManyPatterns(rules.patterns.len()));
        }
        for (index, rule) in rules.rules.iter().enumerate() {
            if rules.rules.iter().take(index).any(|earlier| earlier.id == rule.id) {
                return Err(RuleError::Duplicate(rule.id.clone()));
            }
            known_patterns(&rules, &rule.id, &rule.detectors)?;
        }
        for allow in &rules.allow {
            known_patterns(&rules, &allow.at.to_string(), &allow.detectors)?;
        }
        let patterns = Patterns::new(&rules.patterns)?;
        Ok(Compiled::of(rules, patterns))
    }

    pub(crate) fn of(rules: Rules, patterns: Patterns) -> Compiled {
        let replacement = |rule: &Rule| match &rule.action {
            Action::Replace(text) => Some(text.clone()),
            _ => None,
        };
        let stand_ins = rules.rules.iter().filter_map(replacement).collect();
        let decode = Decode {
            json: rules.decode.contains(&Encoding::Json),
            url: rules.decode.contains(&Encoding::Url),
            base64: rules.decode.contains(&Encoding::Base64),
        };
        let mut compiled = Compiled {
            placed: Placed::of(&rules),
            everywhere: Plan::new(),
            rules,
            stand_ins,
            patterns,
            decode,
        };
        compiled.everywhere = compiled.plan(Holding::default());
        let skips_plain = compiled.plan_of_all().skips_plain;
        if let Some(placed) = &mut compiled.placed {
            placed.skips_plain = skips_plain;
        }
        compiled
    }

    /// The plan of the places where those selectors hold.
    pub(crate) fn plan(&self, holding: Holding) -> Plan {
        let mut allowed = Detectors::default();
        let first_allow = self.rules.rules.len();
        for (index, allow) in self.rules.allow.iter().enumerate() {
            if holding.has(first_allow + index) {
                allowed = Detectors(allowed.0 | Detectors::of(&allow.detectors).0);
            }
        }
        let mut plan = Plan::new();
        for (index, rule) in self.rules.rules.iter().enumerate() {
            if rule.scope == Scope::Everywhere || holding.has(index) {
                plan.add(index, Detectors::of(&rule.detectors).without(allowed), rule);
            }
        }
        plan
    }

    /// A plan of all rules at once, wherever they hold.
    pub(crate) fn plan_of_all(&self) -> Plan {
        let mut plan = Plan::new();
        for (index, rule) in self.rules.rules.iter().enumerate() {
            plan.add(index, Detectors::of(&rule.detectors), rule);
        }
        plan
    }
}

fn known_patterns(rules: &Rules, id: &str, detectors: &[Detector]) -> Result<(), RuleError> {
    let unknown = detectors.iter().any(|detector| match detector {
        Detector::Pattern(index) => usize::from(*index) >= rules.patterns.len(),
        _ => false,
    });
    if unknown { Err(RuleError::NoPattern(id.to_owned())) } else { Ok(()) }
}

/// Which selectors hold at a place: a bit for each rule, then one for each exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Holding([u64; Holding::WORDS]);

impl Holding {
    const WORDS: usize = RULES_MAX.div_ceil(64);

    fn set(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    fn has(self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 != 0)
    }
}

/// The selectors of rules and exceptions.
#[derive(Debug)]
pub(crate) struct Placed {
    /// Each with the bit of its rule or exception.
    pub(crate) selectors: Vec<(usize, Program)>,
    /// Named parts of records that the selectors speak of.
    parts: Vec<(Types, &'static Program)>,
    /// Rules whose selector says where they do not hold.
    excluding: Holding,
    /// Whether short plain text needs no look wherever it stands.
    pub(crate) skips_plain: bool,
}

impl Placed {
    /// None where every rule holds everywhere.
    fn of(rules: &Rules) -> Option<Placed> {
        let of_rules = rules.rules.iter().enumerate().filter_map(|(index, rule)| match &rule.scope {
            Scope::Everywhere => None,
            Scope::At(selector) => Some((index, selector)),
        });
        let first_allow = rules.rules.len();
        let of_allows = rules.allow.iter().enumerate().map(|(index, allow)| (first_allow + index, &allow.at));
        let mut excluding = Holding::default();
        let selectors: Vec<(usize, Program)> = of_rules
            .chain(of_allows)
            .map(|(bit, selector)| {
                if selector.excludes() {
                    excluding.set(bit);
                }
                (bit, selector.compile())
            })
            .collect();
        let mut parts: Vec<(Types, &'static Program)> = Vec::new();
        for (_, program) in &selectors {
            for (part, found) in program.parts() {
                let part = Types::default().and(Types::of_part(*part));
                if parts.iter().all(|(known, _)| *known != part) {
                    parts.push((part, found));
                }
            }
        }
        (!selectors.is_empty()).then_some(Placed { selectors, parts, excluding, skips_plain: false })
    }

    /// True where a rule takes what stands at its places only, not within them.
    pub(crate) fn is_excluding(&self, rule: usize) -> bool {
        self.excluding.has(rule)
    }

    /// Pushes the states before a record.
    pub(crate) fn start(&self, states: &mut Vec<crate::selector::State>) {
        states.extend(self.parts.iter().map(|(_, program)| program.start()));
        states.extend(self.selectors.iter().map(|(_, program)| program.start()));
    }

    /// Pushes the states one step below those at `from`, and says which selectors hold there.
    pub(crate) fn step(
        &self,
        states: &mut Vec<crate::selector::State>,
        from: usize,
        mut step: Step<'_>,
    ) -> Holding {
        let mut holding = Holding::default();
        let state = |states: &Vec<crate::selector::State>, offset: usize| {
            states.get(from + offset).copied().unwrap_or_default()
        };
        let plain = step.types;
        for (offset, (part, program)) in self.parts.iter().enumerate() {
            let next = program.step(state(states, offset), Step { types: plain, ..step });
            if program.holds(next) {
                step.types = step.types.and(*part);
            }
            states.push(next);
        }
        for (offset, (bit, program)) in self.selectors.iter().enumerate() {
            let next = program.step(state(states, self.parts.len() + offset), step);
            if program.holds(next) {
                holding.set(*bit);
            }
            states.push(next);
        }
        holding
    }
}
