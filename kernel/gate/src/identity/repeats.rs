//! Identifiers that are repeated in text: the e-mail address in the message, the user id in a URL.
//!
//! Every value that left a record of the batch is looked for in every text of the batch. The look-up is by the first
//! four bytes at the start of each word, so its cost follows the text, not the number of identifiers.
//!
//! What is replaced depends on how telling the value is. A value that is the whole text is replaced anywhere.
//! Within text, one with the shape of an identifier (`a@b.c`, `u-4711`, a long number) is replaced anywhere; a plain
//! word only in the record that it left, and never where it is a word of the trade (`admin`, `error`): a user named
//! `info` must not empty every message.

use std::borrow::Cow;
use std::collections::HashMap;

use candor_model::{Object, SubjectKind, Value};

use super::found::placeholder;
use super::{Found, is_structural};

/// Shortest identifier that is looked for.
const LENGTH_MIN: usize = 4;

/// Shortest number that is looked for within text: below it are ports, years and counts.
const DIGITS_MIN: usize = 6;

/// Identifiers looked for at once; a batch of more is cleared in windows.
pub(crate) const IDENTIFIERS_MAX: usize = 4096;

/// Bits of the filter that tells most word starts off.
const FILTER_BITS: usize = 1 << 16;

/// Plain words that are accounts in one place and everyday words in the next.
const EVERYDAY: [&str; 32] = [
    "admin",
    "administrator",
    "anonymous",
    "backend",
    "client",
    "daemon",
    "debug",
    "default",
    "demo",
    "error",
    "false",
    "guest",
    "info",
    "local",
    "localhost",
    "login",
    "main",
    "name",
    "none",
    "null",
    "operator",
    "production",
    "public",
    "root",
    "server",
    "service",
    "system",
    "test",
    "true",
    "unknown",
    "user",
    "warning",
];

#[derive(Debug)]
struct Entry {
    length: usize,
    code: String,
    kind: SubjectKind,
    /// False where a placeholder stands for the code.
    is_code: bool,
    shape: Shape,
}

impl Entry {
    /// What takes its place in a record: a code only where that may have any.
    fn stands_in(&self, found: &Found) -> (Cow<'_, str>, bool) {
        match self.is_code && found.is_anonymous() {
            true => (placeholder(self.kind).into(), false),
            false => (self.code.as_str().into(), self.is_code),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Only where it is the whole text.
    Whole,
    /// Within the text of its own record too.
    Word,
    /// Within any text.
    Telling,
}

/// The identifiers of a window of records, ready to be looked for.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    /// By value, lower-case.
    entries: HashMap<String, Entry>,
    /// How long the values are that begin so, longest first. Ids of one application begin alike and are of few
    /// lengths: so many look-ups are made at the start of a word, however many ids there are.
    lengths: HashMap<[u8; LENGTH_MIN], Vec<usize>>,
    filter: Vec<u64>,
}

impl Repeats {
    /// Adds the identifiers of a record.
    pub(crate) fn add(&mut self, found: &Found) {
        let coded = found.identities().iter().map(|identity| (identity, true));
        for (identity, is_code) in coded.chain(found.gone().iter().map(|gone| (gone, false))) {
            let value = identity.subject.value.trim();
            let kind = identity.subject.kind;
            self.insert(value, &identity.code, kind, is_code);
            if value.contains('@') {
                // As it stands in URLs (RFC 3986, 2.1).
                self.insert(&value.replace('@', "%40"), &identity.code, kind, is_code);
            }
        }
    }

    fn insert(&mut self, value: &str, code: &str, kind: SubjectKind, is_code: bool) {
        let Some(start) = start_of(value.as_bytes()) else { return };
        let entry =
            Entry { length: value.len(), code: code.to_owned(), kind, is_code, shape: shape_of(value) };
        // Of two kinds of one value (an e-mail address as user id) the one that was named first stands, and a code
        // before what stands for none.
        match self.entries.entry(value.to_ascii_lowercase()) {
            std::collections::hash_map::Entry::Occupied(mut known) => {
                if is_code && !known.get().is_code {
                    known.insert(entry);
                }
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(entry);
            }
        }
        let lengths = self.lengths.entry(start).or_default();
        if let Err(place) = lengths.binary_search_by(|length| value.len().cmp(length)) {
            lengths.insert(place, value.len());
        }
        if self.filter.is_empty() {
            self.filter = vec![0; FILTER_BITS / 64];
        }
        let bit = filter_bit(start);
        if let Some(word) = self.filter.get_mut(bit / 64) {
            *word |= 1 << (bit % 64);
        }
    }

    /// How many identifiers are looked for.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// True where there is nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Replaces what is repeated in a text of the record that `found` is of.
    pub(crate) fn text(&self, text: &mut String, found: &mut Found) {
        if let Some(clean) = self.replaced(text, found) {
            *text = clean;
        }
    }

    /// Replaces what is repeated in a value, its keys too.
    pub(crate) fn value(&self, value: &mut Value, found: &mut Found) {
        match value {
            Value::Str(text) => self.text(text, found),
            Value::Int(number) => self.number(number.unsigned_abs(), value, found),
            Value::UInt(number) => self.number(*number, value, found),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item, found)),
            Value::Object(object) => self.object(object, found),
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::BigInt(_) => {}
        }
    }

    /// Replaces what is repeated in the members of an object and in their names, which stay distinct.
    pub(crate) fn object(&self, object: &mut Object, found: &mut Found) {
        let mut renamed = Vec::new();
        for (place, (key, value)) in object.0.iter_mut().enumerate() {
            if let Some(clean) = self.replaced(key, found) {
                *key = clean;
                renamed.push(place);
            }
            self.value(value, found);
        }
        for place in renamed.into_iter().rev() {
            distinguish(object, place);
        }
    }

    /// As [`Repeats::object`], but for the members of an event that stay as they are.
    pub(crate) fn event(&self, event: &mut Value, found: &mut Found) {
        let Some(event) = event.as_object_mut() else { return self.value(event, found) };
        for (key, value) in &mut event.0 {
            // The user's members are codes by now.
            if !is_structural(key) && key != "user" {
                self.value(value, found);
            }
        }
    }

    /// A number that is an identifier of its own record: ids are sent as numbers in one field and text in the next.
    fn number(&self, number: u64, value: &mut Value, found: &mut Found) {
        let text = number.to_string();
        if text.len() < DIGITS_MIN {
            return;
        }
        let Some(entry) = self.at(&text, 0).filter(|entry| entry.length == text.len()) else { return };
        let (stands_in, is_code) = entry.stands_in(found);
        if found.has(&stands_in) && value.as_f64().is_some_and(|number| number >= 0.0) {
            found.repeat(&stands_in, is_code);
            *value = Value::Str(stands_in.into_owned());
        }
    }

    fn replaced(&self, text: &str, found: &mut Found) -> Option<String> {
        if self.is_empty() || text.len() < LENGTH_MIN {
            return None;
        }
        let bytes = text.as_bytes();
        let mut out: Option<String> = None;
        let mut copied = 0;
        let mut at = 0;
        let mut within_word = false;
        while at + LENGTH_MIN <= bytes.len() {
            let starts_here = !within_word && self.may_start(bytes, at);
            within_word = bytes.get(at).is_some_and(|b| is_word(*b));
            if !starts_here {
                at += 1;
                continue;
            }
            let hit = self.at(text, at).filter(|entry| match entry.shape {
                _ if entry.length == text.len() => true,
                Shape::Telling => true,
                Shape::Word => found.has(&entry.stands_in(found).0),
                Shape::Whole => false,
            });
            let Some(entry) = hit else {
                at += 1;
                continue;
            };
            let clean = out.get_or_insert_with(|| String::with_capacity(text.len() + 32));
            clean.push_str(text.get(copied..at).unwrap_or(""));
            let (stands_in, is_code) = entry.stands_in(found);
            clean.push_str(&stands_in);
            at += entry.length;
            copied = at;
            within_word = true;
            found.repeat(&stands_in, is_code);
        }
        let mut clean = out?;
        clean.push_str(text.get(copied..).unwrap_or(""));
        Some(clean)
    }

    fn may_start(&self, bytes: &[u8], at: usize) -> bool {
        let Some(start) = bytes.get(at..).and_then(start_of) else { return false };
        let bit = filter_bit(start);
        self.filter.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// The longest identifier that stands at a place of a text as a word of its own.
    fn at(&self, text: &str, at: usize) -> Option<&Entry> {
        let bytes = text.as_bytes();
        let lengths = self.lengths.get(&start_of(bytes.get(at..)?)?)?;
        lengths.iter().find_map(|length| {
            let end = at + length;
            let word = text.get(at..end)?;
            let ends_here = |last: u8| !is_word(last) || !bytes.get(end).is_some_and(|next| is_word(*next));
            word.bytes()
                .last()
                .is_some_and(ends_here)
                .then(|| self.entries.get(&word.to_ascii_lowercase()))?
        })
    }
}

/// Gives the member at `place` a name that no other member has.
fn distinguish(object: &mut Object, place: usize) {
    let Some((name, _)) = object.0.get(place) else { return };
    let name = name.clone();
    let taken = |candidate: &str| {
        object.0.iter().enumerate().any(|(other, (key, _))| other != place && key == candidate)
    };
    if !taken(&name) {
        return;
    }
    let fresh = (2..).map(|n| format!("{name}#{n}")).find(|candidate| !taken(candidate));
    if let (Some((key, _)), Some(fresh)) = (object.0.get_mut(place), fresh) {
        *key = fresh;
    }
}

fn shape_of(value: &str) -> Shape {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.chars().filter(|c| c.is_alphabetic()).count();
    let marks = value.chars().count() - digits - letters;
    if digits == value.len() {
        return if digits >= DIGITS_MIN { Shape::Telling } else { Shape::Whole };
    }
    if value.contains('@') || (value.len() >= 6 && digits > 0) || (value.len() >= 8 && marks > 0) {
        return Shape::Telling;
    }
    let everyday = EVERYDAY.iter().any(|word| word.eq_ignore_ascii_case(value));
    if everyday { Shape::Whole } else { Shape::Word }
}

/// The first bytes of a word, lower-case.
fn start_of(bytes: &[u8]) -> Option<[u8; LENGTH_MIN]> {
    bytes.first_chunk::<LENGTH_MIN>().map(|start| start.map(|b| b.to_ascii_lowercase()))
}

fn filter_bit(start: [u8; LENGTH_MIN]) -> usize {
    (u32::from_le_bytes(start).wrapping_mul(0x9e37_79b1) >> 16) as usize % FILTER_BITS
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use candor_keyring::Identity;
    use candor_model::{Subject, SubjectKind};

    use super::*;

    fn found(values: &[(SubjectKind, &str)]) -> Found {
        let mut found = Found::default();
        for (kind, value) in values {
            let code = format!("{}:code", kind.name());
            found.add(Identity { code, subject: Subject { kind: *kind, value: (*value).to_owned() } });
        }
        found
    }

    fn replaced(values: &[(SubjectKind, &str)], text: &str) -> String {
        let mut own = found(values);
        let mut repeats = Repeats::default();
        repeats.add(&own);
        let mut text = text.to_owned();
        repeats.text(&mut text, &mut own);
        text
    }

    #[test]
    fn identifiers_are_replaced_as_words_in_any_case() {
        let alice = [(SubjectKind::Email, "alice@example.com"), (SubjectKind::User, "u-4711")];
        for (text, expected) in [
            ("mail to <Alice@Example.com>, u-4711.", "mail to <email:code>, user:code."),
            (
                "https://x.test/users/u-4711?e=alice@example.com",
                "https://x.test/users/user:code?e=email:code",
            ),
            ("?mail=ALICE%40example.com&x", "?mail=email:code&x"),
            ("malice@example.com u-47112 xu-4711", "malice@example.com u-47112 xu-4711"),
            ("u-4711u-4711 u-4711", "u-4711u-4711 user:code"),
            ("ünïcode u-4711é u-4711 é", "ünïcode u-4711é user:code é"),
            ("u-4", "u-4"),
            ("", ""),
        ] {
            assert_eq!(replaced(&alice, text), expected, "{text}");
        }
    }

    #[test]
    fn everyday_words_and_short_numbers_are_replaced_only_where_they_are_the_whole_text() {
        let root = [(SubjectKind::Name, "root"), (SubjectKind::User, "2026")];
        assert_eq!(replaced(&root, "root login in 2026"), "root login in 2026");
        assert_eq!(replaced(&root, "Root"), "name:code");
        assert_eq!(replaced(&root, "2026"), "user:code");
        assert_eq!(replaced(&[(SubjectKind::User, "123456")], "id=123456;"), "id=user:code;");
        assert_eq!(replaced(&[(SubjectKind::User, "7")], "7"), "7");
    }

    #[test]
    fn plain_words_are_replaced_only_in_their_own_record() {
        let mut repeats = Repeats::default();
        repeats.add(&found(&[(SubjectKind::Name, "alice"), (SubjectKind::Email, "a@b.example")]));
        let mut other = Found::default();
        let mut text = "alice wrote to a@b.example".to_owned();
        repeats.text(&mut text, &mut other);
        assert_eq!(text, "alice wrote to email:code");
        assert_eq!(
            other.subjects().collect::<Vec<_>>(),
            ["email:code"],
            "who is in the text is in `subjects`"
        );
        assert_eq!(other.subject(), None, "but does not name the row");
        assert_eq!(replaced(&[(SubjectKind::Name, "alice")], "hello alice!"), "hello name:code!");
    }

    #[test]
    fn keys_stay_distinct_and_numbers_count_as_text() {
        let mut own = found(&[(SubjectKind::User, "123456"), (SubjectKind::Email, "a@b.example")]);
        let mut repeats = Repeats::default();
        repeats.add(&own);
        let mut value = candor_model::json::parse(
            br#"{"a@b.example":1,"A@B.example":2,"n":123456,"m":-123456,"x":1234567,"list":["123456"]}"#,
            candor_model::json::Leniency::STRICT,
        )
        .unwrap();
        repeats.value(&mut value, &mut own);
        assert_eq!(
            value.to_text(),
            r#"{"email:code":1,"email:code#2":2,"n":"user:code","m":-123456,"x":1234567,"list":["user:code"]}"#
        );
    }
}
