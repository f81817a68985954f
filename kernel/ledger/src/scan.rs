//! The codes of persons in what is given out.
//!
//! An answer is looked through as it leaves, in whatever form: a code is recognised by its shape (`kind:` and 26
//! base32 characters), so that it counts under any column's name and within any value.

use std::collections::BTreeSet;

use candor_model::SubjectKind;
use data_encoding::BASE32_NOPAD;

/// Characters of a code after its kind.
const CODE_CHARS: usize = 26;

/// The longest kind.
const KIND_CHARS_MAX: usize = 7;

/// Codes that one answer or entry counts; beyond them it is only known that there were more.
pub const CODES_MAX: usize = 50_000;

/// A person's code in 17 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code {
    kind: u8,
    id: [u8; 16],
}

impl Code {
    /// Reads `kind:` and 26 base32 characters, and nothing else.
    pub fn parse(text: &str) -> Option<Code> {
        let (kind, id) = text.split_once(':')?;
        Code::of(kind.as_bytes(), id.as_bytes())
    }

    pub(crate) fn new(kind: SubjectKind, id: [u8; 16]) -> Option<Code> {
        let at = SubjectKind::ALL.iter().position(|known| *known == kind)?;
        Some(Code { kind: u8::try_from(at).ok()?, id })
    }

    fn of(kind: &[u8], id: &[u8]) -> Option<Code> {
        let kind = SubjectKind::ALL.into_iter().find(|known| known.name().as_bytes() == kind)?;
        if id.len() != CODE_CHARS || !id.iter().all(|byte| is_digit(*byte)) {
            return None;
        }
        let bytes = BASE32_NOPAD.decode(&id.to_ascii_uppercase()).ok()?;
        Code::new(kind, bytes.try_into().ok()?)
    }

    /// Of whom it is.
    pub fn kind(&self) -> Option<SubjectKind> {
        SubjectKind::ALL.get(usize::from(self.kind)).copied()
    }

    pub(crate) fn id(&self) -> &[u8; 16] {
        &self.id
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.kind().map_or("", SubjectKind::name);
        write!(f, "{kind}:{}", BASE32_NOPAD.encode(&self.id).to_ascii_lowercase())
    }
}

/// A digit of base32 as codes write it.
fn is_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte)
}

/// The persons that an answer names.
#[derive(Debug, Clone, Default)]
pub struct Subjects {
    codes: BTreeSet<Code>,
    more: bool,
    /// The end of the last piece: a code may lie across two.
    held: Vec<u8>,
}

impl Subjects {
    /// Looks through the next piece of an answer.
    pub fn read(&mut self, piece: &[u8]) {
        let keep = KIND_CHARS_MAX + 1 + CODE_CHARS;
        // What began in the last piece ends within so many bytes of this one.
        self.held.extend_from_slice(piece.get(..keep.min(piece.len())).unwrap_or_default());
        let mut seam = std::mem::take(&mut self.held);
        self.look_through(&seam);
        if piece.len() > keep {
            self.look_through(piece);
            seam.clear();
            seam.extend_from_slice(piece.get(piece.len() - keep..).unwrap_or_default());
        }
        let cut = seam.len().saturating_sub(keep);
        self.held.extend_from_slice(seam.get(cut..).unwrap_or_default());
    }

    fn look_through(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while let Some(colon) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b':')) {
            let colon = at + colon;
            at = colon + 1;
            let Some(id) = bytes.get(at..at + CODE_CHARS) else { return };
            if !id.first().is_some_and(|byte| is_digit(*byte)) {
                continue;
            }
            let before = bytes.get(colon.saturating_sub(KIND_CHARS_MAX)..colon).unwrap_or_default();
            let from = before.iter().rposition(|byte| !byte.is_ascii_lowercase()).map_or(0, |n| n + 1);
            if let Some(code) = Code::of(before.get(from..).unwrap_or_default(), id) {
                self.add(code);
            }
        }
    }

    /// Adds one.
    pub fn add(&mut self, code: Code) {
        if self.codes.len() < CODES_MAX {
            self.codes.insert(code);
        } else if !self.codes.contains(&code) {
            self.more = true;
        }
    }

    /// Adds those of another.
    pub fn join(&mut self, other: &Subjects) {
        other.codes.iter().for_each(|code| self.add(*code));
        self.more |= other.more;
    }

    /// How many were counted.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// True where nobody is named.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// True where there were more than are counted.
    pub fn is_cut(&self) -> bool {
        self.more
    }

    /// The codes, sorted.
    pub fn codes(&self) -> impl Iterator<Item = &Code> {
        self.codes.iter()
    }
}

impl FromIterator<Code> for Subjects {
    fn from_iter<I: IntoIterator<Item = Code>>(codes: I) -> Subjects {
        let mut subjects = Subjects::default();
        codes.into_iter().for_each(|code| subjects.add(code));
        subjects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "email:atmwmcrn6lb6kwipu3u3i2ywra";
    const BOB: &str = "session:aaaabbbbccccddddeeeeffffga";

    fn names(subjects: &Subjects) -> Vec<String> {
        subjects.codes().map(ToString::to_string).collect()
    }

    #[test]
    fn codes_are_found_in_any_form_and_cut_anywhere() {
        let text = format!(r#"{{"a":["{ALICE}","x:y","email:short"],"\"{BOB}\"":1}},{ALICE} | {BOB}"#);
        for cut in 0..=text.len() {
            let mut subjects = Subjects::default();
            let (left, right) = text.as_bytes().split_at(cut);
            subjects.read(left);
            subjects.read(right);
            assert_eq!(names(&subjects), [ALICE, BOB], "cut at {cut}");
        }
        let mut by_byte = Subjects::default();
        text.bytes().for_each(|byte| by_byte.read(&[byte]));
        assert_eq!(names(&by_byte), [ALICE, BOB]);
    }

    #[test]
    fn what_is_no_code_is_none() {
        let mut subjects = Subjects::default();
        for text in ["ip:atmwmcrn6lb6kwipu3u3i2ywra", "email:ATMWMCRN6LB6KWIPU3U3I2YWRA", "email:", ":", ""] {
            subjects.read(text.as_bytes());
            subjects.read(b"\n");
        }
        assert!(subjects.is_empty(), "{:?}", names(&subjects));
        assert_eq!(Code::parse(ALICE).unwrap().to_string(), ALICE);
        assert_eq!(Code::parse("email:atmwmcrn6lb6kwipu3u3i2ywr"), None);
        assert_eq!(Code::parse("email:atmwmcrn6lb6kwipu3u3i2ywra2"), None);
    }

    #[test]
    fn many_are_counted_up_to_a_bound() {
        let mut subjects = Subjects::default();
        for n in 0..CODES_MAX as u128 {
            subjects.add(Code::new(SubjectKind::User, n.to_le_bytes()).unwrap());
        }
        assert!(!subjects.is_cut());
        subjects.add(Code::new(SubjectKind::User, [0; 16]).unwrap());
        assert!(!subjects.is_cut(), "it is there already");
        subjects.add(Code::new(SubjectKind::User, u128::MAX.to_le_bytes()).unwrap());
        assert!(subjects.is_cut());
        assert_eq!(subjects.len(), CODES_MAX);
    }
}
