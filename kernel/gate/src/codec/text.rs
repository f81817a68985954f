//! Columns of text: the form that fits is chosen a column.

use super::CodecError;
use super::bytes::{Budget, Reader, Validity, put_text, put_validity, put_varint};

const ALL_NULL: u8 = 0;
const CONSTANT: u8 = 1;
const PLAIN: u8 = 2;
const DICTIONARY: u8 = 3;
const HEX: u8 = 4;

/// Rows looked at before a dictionary is given up where every value was new.
const SAMPLE_ROWS: usize = 64;

/// A dictionary's codes are one byte each, so it has at most so many entries.
const DICTIONARY_MAX: usize = 256;

/// Writes `rows` values; `get` may be asked for any row more than once.
pub(super) fn encode<'a>(rows: usize, get: impl Fn(usize) -> Option<&'a str>, out: &mut Vec<u8>) {
    let Some(first) = (0..rows).find_map(&get) else {
        out.push(ALL_NULL);
        return;
    };
    if (0..rows).all(|row| get(row) == Some(first)) {
        out.push(CONSTANT);
        put_text(out, first);
        return;
    }
    let valid = |row| get(row).is_some();
    let values = || (0..rows).filter_map(&get);
    if let Some((entries, codes)) = dictionary(values()) {
        out.push(DICTIONARY);
        put_validity(out, rows, valid);
        put_varint(out, entries.len() as u64);
        entries.iter().for_each(|entry| put_text(out, entry));
        out.extend_from_slice(&codes);
    } else if values().all(|value| value.len() == first.len() && is_packable(value)) {
        out.push(HEX);
        put_validity(out, rows, valid);
        put_varint(out, (first.len() / 2) as u64);
        values().for_each(|value| pack(value, out));
    } else {
        out.push(PLAIN);
        put_validity(out, rows, valid);
        values().for_each(|value| put_varint(out, value.len() as u64));
        values().for_each(|value| out.extend_from_slice(value.as_bytes()));
    }
}

/// Entries and a code a value, where values repeat enough.
fn dictionary<'a>(values: impl Iterator<Item = &'a str>) -> Option<(Vec<&'a str>, Vec<u8>)> {
    let mut known = Numbers::default();
    let mut codes = Vec::new();
    for value in values {
        codes.push(known.number(value)?);
        if codes.len() >= SAMPLE_ROWS && known.entries.len() > codes.len() / 2 {
            return None;
        }
    }
    let entries = known.entries;
    (entries.len() * 2 <= codes.len()).then_some((entries, codes))
}

/// Numbers for at most [`DICTIONARY_MAX`] texts. Nobody gains by texts that fall into one slot: a look-up then
/// compares with as many as there may be at most.
struct Numbers<'a> {
    entries: Vec<&'a str>,
    /// The number of an entry and one; zero for none. Four slots an entry keep runs of taken ones short.
    slots: [u16; DICTIONARY_MAX * 4],
}

impl Default for Numbers<'_> {
    fn default() -> Self {
        Numbers { entries: Vec::new(), slots: [0; DICTIONARY_MAX * 4] }
    }
}

impl<'a> Numbers<'a> {
    /// The number of a text; none where there are too many.
    fn number(&mut self, text: &'a str) -> Option<u8> {
        let mut place = hash(text.as_bytes()) as usize;
        loop {
            place %= self.slots.len();
            let slot = self.slots.get_mut(place)?;
            let Some(number) = slot.checked_sub(1) else {
                let number = u8::try_from(self.entries.len()).ok()?;
                *slot = u16::from(number) + 1;
                self.entries.push(text);
                return Some(number);
            };
            if self.entries.get(usize::from(number)) == Some(&text) {
                return u8::try_from(number).ok();
            }
            place += 1;
        }
    }
}

/// Mixes eight bytes at a time; quick, and no more than a place to begin to look.
fn hash(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (chunks, rest) = bytes.as_chunks::<8>();
    let mix = |sum: u64, word: u64| (sum.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    let sum = chunks.iter().fold(bytes.len() as u64, |sum, chunk| mix(sum, u64::from_le_bytes(*chunk)));
    let last = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    mix(sum, last) >> 40
}

fn is_packable(value: &str) -> bool {
    !value.is_empty()
        && value.len().is_multiple_of(2)
        && value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn pack(value: &str, out: &mut Vec<u8>) {
    let nibble = |b: u8| if b.is_ascii_digit() { b - b'0' } else { b - b'a' + 10 };
    out.extend(value.as_bytes().chunks_exact(2).map(|pair| match pair {
        [high, low] => nibble(*high) << 4 | nibble(*low),
        _ => 0,
    }));
}

/// A column of text as it was read: borrowed where it could be.
pub(super) enum TextValues<'a> {
    /// The same in every row.
    Constant(&'a str),
    /// A value a row, or none.
    Borrowed(Vec<Option<&'a str>>),
    /// Unpacked hexadecimal: the digits of all values, one after the other, and which value a row has.
    Unpacked { digits: String, width: usize, places: Vec<Option<usize>> },
    /// None in every row.
    Null,
}

impl TextValues<'_> {
    pub(super) fn get(&self, row: usize) -> Option<&str> {
        match self {
            TextValues::Constant(value) => Some(value),
            TextValues::Borrowed(values) => values.get(row).copied().flatten(),
            TextValues::Unpacked { digits, width, places } => {
                let place = places.get(row).copied().flatten()?;
                digits.get(place * width..(place + 1) * width)
            }
            TextValues::Null => None,
        }
    }
}

/// Reads a column of `rows` values.
pub(super) fn decode<'a>(
    reader: &mut Reader<'a>,
    rows: usize,
    budget: &mut Budget,
) -> Result<TextValues<'a>, CodecError> {
    match reader.u8()? {
        ALL_NULL => Ok(TextValues::Null),
        CONSTANT => {
            let value = reader.text()?;
            budget.spend(value.len().saturating_mul(rows))?;
            Ok(TextValues::Constant(value))
        }
        PLAIN => decode_plain(reader, rows, budget),
        DICTIONARY => decode_dictionary(reader, rows, budget),
        HEX => decode_hex(reader, rows, budget),
        _ => Err(CodecError("unknown form of text")),
    }
}

fn decode_plain<'a>(
    reader: &mut Reader<'a>,
    rows: usize,
    budget: &mut Budget,
) -> Result<TextValues<'a>, CodecError> {
    let validity = Validity::read(reader, rows)?;
    let count = validity.count();
    let mut lengths = Vec::with_capacity(count.min(reader.remaining()));
    let mut total = 0_usize;
    for _ in 0..count {
        let length = reader.length()?;
        total = total.saturating_add(length);
        lengths.push(length);
    }
    budget.spend(total)?;
    let text = std::str::from_utf8(reader.take(total)?).map_err(|_| CodecError("not UTF-8"))?;
    let mut lengths = lengths.into_iter();
    let mut at = 0;
    let mut next = || {
        let end = at + lengths.next().unwrap_or(0);
        let value = text.get(at..end).ok_or(CodecError("a text is cut within a character"));
        at = end;
        value
    };
    let values = (0..rows).map(|row| validity.get(row).then(&mut next).transpose());
    Ok(TextValues::Borrowed(values.collect::<Result<_, _>>()?))
}

fn decode_dictionary<'a>(
    reader: &mut Reader<'a>,
    rows: usize,
    budget: &mut Budget,
) -> Result<TextValues<'a>, CodecError> {
    let validity = Validity::read(reader, rows)?;
    let count = reader.count()?;
    let entries = (0..count).map(|_| reader.text()).collect::<Result<Vec<_>, _>>()?;
    let mut codes = reader.take(validity.count())?.iter();
    let mut next = || {
        let code = codes.next().copied().unwrap_or(0);
        let value = entries.get(usize::from(code)).copied().ok_or(CodecError("no such dictionary entry"))?;
        budget.spend(value.len())?;
        Ok(value)
    };
    let values = (0..rows).map(|row| validity.get(row).then(&mut next).transpose());
    Ok(TextValues::Borrowed(values.collect::<Result<_, _>>()?))
}

fn decode_hex<'a>(
    reader: &mut Reader<'a>,
    rows: usize,
    budget: &mut Budget,
) -> Result<TextValues<'a>, CodecError> {
    let validity = Validity::read(reader, rows)?;
    let (packed_width, count) = (reader.length()?, validity.count());
    let packed = reader.take(packed_width.saturating_mul(count))?;
    budget.spend(packed.len().saturating_mul(2))?;
    let mut digits = String::with_capacity(packed.len() * 2);
    data_encoding::HEXLOWER.encode_append(packed, &mut digits);
    let mut place = 0;
    let places = (0..rows)
        .map(|row| {
            validity.get(row).then(|| {
                place += 1;
                place - 1
            })
        })
        .collect();
    Ok(TextValues::Unpacked { digits, width: packed_width * 2, places })
}
