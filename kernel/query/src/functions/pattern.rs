//! Case-insensitive substrings with `*` in between: what the words of a search are.
//!
//! An index over a whole Arrow buffer: the rarest byte of the needle is looked for with `memchr` through all rows
//! at once, and only where it stands the rest is compared. ASCII needles fold ASCII case; a needle with other
//! letters goes through the regex engine, which folds by Unicode's simple rules.

use std::fmt;

use memchr::{memchr, memchr2};

/// A compiled pattern. All parts must follow each other in one text.
#[derive(Clone)]
pub(crate) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Clone)]
enum Part {
    Ascii(Needle),
    Other(regex::Regex),
}

/// Why a pattern does not compile.
#[derive(Debug, thiserror::Error)]
#[error("the word is too long")]
pub(crate) struct PatternError;

impl Pattern {
    /// Compiles text in which `*` stands for anything and `\` takes the next character as it is.
    pub(crate) fn new(pattern: &str) -> Result<Pattern, PatternError> {
        let parts = split(pattern)
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(|part| {
                if part.is_ascii() {
                    return Ok(Part::Ascii(Needle::new(part.as_bytes())));
                }
                let regex = regex::RegexBuilder::new(&regex::escape(&part)).case_insensitive(true).build();
                regex.map(Part::Other).map_err(|_| PatternError)
            })
            .collect::<Result<Vec<Part>, PatternError>>()?;
        Ok(Pattern { parts })
    }

    /// True where the text holds every part, in order.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut rest = text;
        self.parts.iter().all(|part| match part.end_in(rest) {
            Some(end) => {
                rest = rest.get(end..).unwrap_or_default();
                true
            }
            None => false,
        })
    }

    /// Calls `hit` with the number of each value that matches, ascending. Values lie one after another in `bytes`,
    /// value `i` from `offsets[i]` to `offsets[i + 1]`.
    pub(crate) fn scan(&self, bytes: &[u8], offsets: &[i32], mut hit: impl FnMut(usize)) {
        let text = |value: usize| {
            let (start, end) = (offsets[value] as usize, offsets[value + 1] as usize);
            std::str::from_utf8(&bytes[start..end]).unwrap_or_default()
        };
        let values = offsets.len().saturating_sub(1);
        let Some(Part::Ascii(needle)) = self.parts.first() else {
            (0..values).filter(|value| self.matches(text(*value))).for_each(hit);
            return;
        };
        let Some(end) = offsets.last().map(|end| *end as usize) else { return };
        let single = self.parts.len() == 1;
        let mut at = offsets.first().map_or(0, |start| *start as usize);
        let mut value = 0;
        while let Some(found) = bytes.get(at..end).and_then(|rest| needle.find(rest)) {
            let start = at + found;
            while offsets[value + 1] as usize <= start {
                value += 1;
            }
            let value_end = offsets[value + 1] as usize;
            if start + needle.len() > value_end {
                // It lies across two values.
                at = start + 1;
                continue;
            }
            if single || self.matches(text(value)) {
                hit(value);
            }
            at = value_end;
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pattern").field("parts", &self.parts.len()).finish()
    }
}

impl Part {
    fn end_in(&self, text: &str) -> Option<usize> {
        match self {
            Part::Ascii(needle) => needle.find(text.as_bytes()).map(|start| start + needle.len()),
            Part::Other(regex) => regex.find(text).map(|found| found.end()),
        }
    }
}

/// Splits at `*`, taking `\x` as `x`.
fn split(pattern: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => parts.push(String::new()),
            '\\' => {
                if let (Some(part), Some(next)) = (parts.last_mut(), characters.next()) {
                    part.push(next);
                }
            }
            other => {
                if let Some(part) = parts.last_mut() {
                    part.push(other);
                }
            }
        }
    }
    parts
}

/// Text as a pattern that matches it literally.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A needle of ASCII, folded to lower case.
#[derive(Clone)]
struct Needle {
    lower: Box<[u8]>,
    rarest: usize,
}

impl Needle {
    fn new(needle: &[u8]) -> Needle {
        let lower: Box<[u8]> = needle.iter().map(u8::to_ascii_lowercase).collect();
        let rarest = (0..lower.len()).min_by_key(|at| commonness(lower[*at])).unwrap_or(0);
        Needle { lower, rarest }
    }

    fn len(&self) -> usize {
        self.lower.len()
    }

    fn find(&self, haystack: &[u8]) -> Option<usize> {
        let byte = *self.lower.get(self.rarest)?;
        let upper = byte.to_ascii_uppercase();
        let last = haystack.len().checked_sub(self.lower.len())?;
        let mut at = self.rarest;
        loop {
            let window = haystack.get(at..=last + self.rarest)?;
            let found = if byte == upper { memchr(byte, window)? } else { memchr2(byte, upper, window)? };
            let start = at + found - self.rarest;
            let candidate = haystack.get(start..start + self.lower.len())?;
            if candidate.eq_ignore_ascii_case(&self.lower) {
                return Some(start);
            }
            at += found + 1;
        }
    }
}

/// How common a byte is in log text, roughly: letters of English by frequency, digits and blanks above the rest.
fn commonness(byte: u8) -> u8 {
    const LETTERS: &[u8] = b"zqjxkvbwypgfmucdlhrsniota e";
    match byte {
        b'0'..=b'9' => 20,
        b'.' | b'/' | b'-' | b'_' | b':' | b'=' | b'"' | b',' => 18,
        other => LETTERS.iter().position(|letter| *letter == other).map_or(1, |at| at as u8 + 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let pattern = Pattern::new(pattern).expect("compiles");
        let one = pattern.matches(text);
        // The same through the buffer, between neighbours that could lend their ends.
        let bytes = format!("xtime{text}out");
        let ends = [0, 5, 5 + text.len() as i32, bytes.len() as i32];
        let mut hits = Vec::new();
        pattern.scan(bytes.as_bytes(), &ends, |value| hits.push(value));
        assert_eq!(hits.contains(&1), one, "{text:?}");
        one
    }

    #[test]
    fn words_match_anywhere_in_any_case() {
        assert!(matches("timeout", "Connection TimeOut after 3 s"));
        assert!(!matches("timeout", "time out"));
        assert!(matches("time*out", "time to get out"));
        assert!(!matches("out*time", "time to get out"));
        assert!(matches(r"a\*b", "xa*by"));
        assert!(!matches(r"a\*b", "xacby"));
        assert!(matches("", "anything"));
        assert!(matches("*", ""));
        assert!(matches("größe", "Die GRÖSSE oder Größe"));
        assert!(matches("ÄPFEL", "zwei äpfel"));
        assert!(!matches("x", ""));
        assert!(matches("zz", "azz"));
        assert!(matches("zz", "zza"));
        assert!(!matches("zzz", "zz"));
    }

    #[test]
    fn every_value_that_matches_is_hit_once() {
        let values = ["ab", "", "abab", "b", "a", "b", "xAB"];
        let bytes = values.concat();
        let mut offsets = vec![0_i32];
        for value in values {
            offsets.push(offsets.last().copied().unwrap_or(0) + value.len() as i32);
        }
        let mut hits = Vec::new();
        Pattern::new("ab").expect("compiles").scan(bytes.as_bytes(), &offsets, |value| hits.push(value));
        assert_eq!(hits, [0, 2, 6]);
    }
}
