//! Users' own patterns: regular expressions of the kind that is matched in time proportional to the text.

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use crate::bytes::{at, skip, skip_back, slice};
use crate::detect::value;
use crate::rules::{Detector, Pattern, RuleError};
use crate::scan::Scan;

/// Longest expression, bytes, and all of them together.
const EXPRESSION_BYTES_MAX: usize = 4096;
const EXPRESSIONS_BYTES_MAX: usize = 32 * 1024;
/// Largest automaton of one expression, bytes, and of all together.
const COMPILED_BYTES_MAX: usize = 256 * 1024;
const SET_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Deepest nesting of groups.
const DEPTH_MAX: u32 = 50;
/// Longest `#` and number behind a placeholder, bytes.
const NUMBER_MAX: usize = 12;
/// Most matches of one pattern in a text. Each match may read on to the end of the text, so their number has a bound;
/// a text with more is struck whole.
const MATCHES_MAX: usize = 1000;

/// Compiled patterns.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    /// All at once, to see which need a closer look.
    set: RegexSet,
    each: Vec<Regex>,
}

impl Patterns {
    pub(crate) fn new(patterns: &[Pattern]) -> Result<Patterns, RuleError> {
        let mut each = Vec::with_capacity(patterns.len());
        let mut bytes = 0;
        for pattern in patterns {
            bytes += pattern.expression.len();
            let refused = |why: String| RuleError::Pattern { id: pattern.id.clone(), why };
            if pattern.expression.len() > EXPRESSION_BYTES_MAX {
                return Err(refused(format!("it is longer than {EXPRESSION_BYTES_MAX} bytes")));
            }
            if bytes > EXPRESSIONS_BYTES_MAX {
                return Err(refused(format!(
                    "with it all patterns are longer than {EXPRESSIONS_BYTES_MAX} bytes"
                )));
            }
            let regex = RegexBuilder::new(&pattern.expression)
                .size_limit(COMPILED_BYTES_MAX)
                .nest_limit(DEPTH_MAX)
                .build()
                .map_err(|error| refused(in_a_line(&error)))?;
            if regex.is_match(b"") {
                return Err(refused("it matches the empty text, so it would match everywhere".to_owned()));
            }
            each.push(regex);
        }
        let set = RegexSetBuilder::new(patterns.iter().map(|pattern| &pattern.expression))
            .size_limit(SET_BYTES_MAX)
            .nest_limit(DEPTH_MAX)
            .build()
            .map_err(|error| RuleError::Pattern { id: "all together".to_owned(), why: in_a_line(&error) })?;
        Ok(Patterns { set, each })
    }
}

/// What the parser says, without the lines that point at the place.
fn in_a_line(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("compiled it is larger than {limit} bytes"),
        other => {
            let text = other.to_string();
            let last = text.lines().next_back().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    }
}

/// Strikes what the patterns that are on match.
pub(crate) fn everywhere(scan: &mut Scan<'_>) {
    let (bytes, tools) = (scan.bytes, scan.tools);
    let patterns = &tools.compiled.patterns;
    if patterns.each.is_empty() {
        return;
    }
    for index in &patterns.set.matches(bytes) {
        let Ok(detector) = u8::try_from(index).map(Detector::Pattern) else { continue };
        let Some(regex) = patterns.each.get(index).filter(|_| tools.detects(detector)) else { continue };
        for (count, found) in regex.find_iter(bytes).enumerate() {
            if count == MATCHES_MAX {
                scan.hit(0, bytes.len(), detector);
                break;
            }
            if !is_ours(scan, found.start(), found.end()) {
                scan.hit(found.start(), found.end(), detector);
            }
        }
    }
}

/// True for what stands in for something: a placeholder, a rule's replacement, or a code, or a part of one.
fn is_ours(scan: &Scan<'_>, start: usize, end: usize) -> bool {
    let bytes = scan.bytes;
    let within = |own: &str| {
        let window_start = start.saturating_sub(own.len());
        let window_start = window_start.saturating_sub(NUMBER_MAX);
        let window = slice(bytes, window_start, (end + own.len()).min(bytes.len()));
        let places = memchr::memmem::find_iter(window, own.as_bytes());
        places.map(|place| window_start + place).any(|place| {
            let own_end = place + own.len();
            // With the number that keeps names distinct.
            let number = if at(bytes, own_end) == b'#' {
                skip(slice(bytes, 0, (own_end + NUMBER_MAX).min(bytes.len())), own_end + 1, |byte| {
                    byte.is_ascii_digit()
                })
            } else {
                own_end
            };
            place <= start && end <= number
        })
    };
    if scan.tools.stand_ins().any(within) {
        return true;
    }
    // The longest code is shorter than this.
    const REACH: usize = 64;
    let is_of_code = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_');
    let floor = start.saturating_sub(REACH);
    let before = slice(bytes, floor, start);
    let word_start = floor + skip_back(before, before.len(), is_of_code);
    let word_end = skip(slice(bytes, 0, (end + REACH).min(bytes.len())), end, is_of_code);
    value::is_person_code(slice(bytes, word_start, word_end))
}
