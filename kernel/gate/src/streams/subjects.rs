//! Whom the records of a batch are about. It stands beside the batch, whose bytes stay its producer's.
//!
//! ```text
//! 4 codes, each: 1+n text
//! records that name anybody, in order, each: 4 offset delta, 1 codes, each: 4 which of them
//! ```
//!
//! What names nobody takes nothing. Numbers are little endian.

use std::collections::HashMap;

use bytes::Bytes;
use candor_records::BadBatch;

use crate::identity::Found;

/// What may stand beside a batch, bytes: a compressed one could else unfold to far more codes than it has bytes.
const BYTES_MAX: usize = 8 << 20;

/// The codes of the persons whom the records of a batch name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamSubjects(Bytes);

impl StreamSubjects {
    /// From the bytes that [`StreamSubjects::as_bytes`] gave.
    pub fn from_bytes(bytes: Bytes) -> StreamSubjects {
        StreamSubjects(bytes)
    }

    /// As they are stored; empty where the records name nobody.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// True where the records name nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Opens them, to be asked record by record.
    pub fn open(&self) -> OpenedSubjects<'_> {
        let mut from = self.0.as_ref();
        let mut codes = Vec::new();
        for _ in 0..number(&mut from).unwrap_or(0) {
            let Some(code) = text(&mut from) else { break };
            codes.push(code);
        }
        OpenedSubjects { codes, rest: from }
    }

    /// The codes, each once.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        let mut from = self.0.as_ref();
        let count = number(&mut from).unwrap_or(0);
        (0..count).map_while(move |_| text(&mut from))
    }

    /// Of records in the order of their offset deltas, each with the codes in it.
    pub fn of<'c>(records: impl IntoIterator<Item = (u32, Vec<&'c str>)>) -> StreamSubjects {
        let mut collected = Collected::default();
        for (delta, codes) in records {
            collected.add(delta, codes.into_iter());
        }
        collected.finish()
    }

    /// Those of the records that stay, by offset delta.
    pub fn retain(&self, stays: impl Fn(u32) -> bool) -> StreamSubjects {
        let mut opened = self.open();
        let records = std::iter::from_fn(|| opened.next_record());
        StreamSubjects::of(records.filter(|(delta, _)| stays(*delta)))
    }
}

/// The codes beside a batch, record by record.
pub struct OpenedSubjects<'a> {
    codes: Vec<&'a str>,
    rest: &'a [u8],
}

impl<'a> OpenedSubjects<'a> {
    /// The codes of a record, the one that names it first. Records are asked for in the order of their offset deltas.
    pub fn of(&mut self, delta: u32) -> Vec<&'a str> {
        loop {
            let mut rest = self.rest;
            if number(&mut rest).is_none_or(|next| next > delta) {
                return Vec::new();
            }
            match self.next_record() {
                Some((next, codes)) if next == delta => return codes,
                Some(_) => {}
                None => return Vec::new(),
            }
        }
    }

    fn next_record(&mut self) -> Option<(u32, Vec<&'a str>)> {
        let delta = number(&mut self.rest)?;
        let count = byte(&mut self.rest)?;
        let mut codes = Vec::with_capacity(count.into());
        for _ in 0..count {
            let which = usize::try_from(number(&mut self.rest)?).ok()?;
            codes.extend(self.codes.get(which));
        }
        Some((delta, codes))
    }
}

fn byte(from: &mut &[u8]) -> Option<u8> {
    let (first, rest) = from.split_first()?;
    *from = rest;
    Some(*first)
}

fn number(from: &mut &[u8]) -> Option<u32> {
    let (first, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(u32::from_le_bytes(*first))
}

fn text<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    let length = byte(from)?;
    let (text, rest) = from.split_at_checked(length.into())?;
    *from = rest;
    std::str::from_utf8(text).ok()
}

/// Collects the codes of a batch.
#[derive(Default)]
pub(super) struct Collected {
    numbers: HashMap<String, u32>,
    codes: Vec<u8>,
    records: Vec<u8>,
}

impl Collected {
    /// Takes what was found in a record; an error where it is too much for one batch.
    pub fn take(&mut self, delta: u32, found: &Found) -> Result<(), BadBatch> {
        self.add(delta, found.subjects());
        match self.codes.len() + self.records.len() > BYTES_MAX {
            true => Err(BadBatch::TooLarge),
            false => Ok(()),
        }
    }

    fn add<'c>(&mut self, delta: u32, codes: impl Iterator<Item = &'c str>) {
        let at = self.records.len();
        self.records.extend_from_slice(&delta.to_le_bytes());
        self.records.push(0);
        let mut count = 0_u8;
        for code in codes {
            let Ok(length) = u8::try_from(code.len()) else { continue };
            let which = match self.numbers.get(code) {
                Some(which) => *which,
                None => {
                    let which = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
                    self.codes.push(length);
                    self.codes.extend_from_slice(code.as_bytes());
                    self.numbers.insert(code.to_owned(), which);
                    which
                }
            };
            self.records.extend_from_slice(&which.to_le_bytes());
            count += 1;
            if count == u8::MAX {
                break;
            }
        }
        match self.records.get_mut(at + 4) {
            Some(written) if count > 0 => *written = count,
            _ => self.records.truncate(at),
        }
    }

    pub fn finish(self) -> StreamSubjects {
        if self.records.is_empty() {
            return StreamSubjects::default();
        }
        let count = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        StreamSubjects([&count.to_le_bytes(), self.codes.as_slice(), self.records.as_slice()].concat().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> StreamSubjects {
        let records =
            [(2, vec!["user:a", "email:b"]), (3, vec![]), (7, vec!["email:b"]), (9, vec!["user:c"])];
        StreamSubjects::of(records)
    }

    #[test]
    fn each_record_has_its_own() {
        let some = some();
        let mut opened = some.open();
        let of: Vec<_> = (0..10).map(|delta| opened.of(delta).join(" ")).collect();
        assert_eq!(of, ["", "", "user:a email:b", "", "", "", "", "email:b", "", "user:c"]);
        assert_eq!(some.open().of(8), Vec::<&str>::new());
        let kept = some.retain(|delta| delta >= 7);
        assert_eq!(
            (kept.open().of(2), kept.open().of(7), kept.open().of(9)),
            (vec![], vec!["email:b"], vec!["user:c"])
        );
        assert!(!kept.as_bytes().windows(6).any(|bytes| bytes == b"user:a"), "no code of what is gone");
        assert!(some.retain(|_| false).is_empty() && Collected::default().finish().is_empty());
    }

    #[test]
    fn what_is_cut_or_wrong_names_nobody_and_ends() {
        let whole = some();
        for end in 0..whole.as_bytes().len() {
            let cut = StreamSubjects::from_bytes(whole.as_bytes().slice(..end));
            let mut opened = cut.open();
            (0..12).for_each(|delta| drop(opened.of(delta)));
        }
        let lying = StreamSubjects::from_bytes(Bytes::from_static(&[0xff; 40]));
        assert_eq!(lying.open().of(0), Vec::<&str>::new());
    }
}
