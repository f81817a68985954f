//! Looking around in text without ever stepping outside it.

/// The byte at `index`; zero beyond the end, which is no part of anything that we look for.
#[inline]
pub(crate) fn at(bytes: &[u8], index: usize) -> u8 {
    bytes.get(index).copied().unwrap_or(0)
}

/// The byte before `index`; zero at the start.
#[inline]
pub(crate) fn before(bytes: &[u8], index: usize) -> u8 {
    index.checked_sub(1).map_or(0, |index| at(bytes, index))
}

/// The bytes from `start` to `end`; none where that is no range of the text.
#[inline]
pub(crate) fn slice(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    bytes.get(start..end).unwrap_or_default()
}

/// The bytes from `start` on.
#[inline]
pub(crate) fn from(bytes: &[u8], start: usize) -> &[u8] {
    bytes.get(start..).unwrap_or_default()
}

/// The first index from `start` on whose byte is not of the class.
#[inline]
pub(crate) fn skip(bytes: &[u8], start: usize, class: impl Fn(u8) -> bool) -> usize {
    let rest = from(bytes, start);
    start + rest.iter().position(|byte| !class(*byte)).unwrap_or(rest.len())
}

/// Where the run of the class begins that ends before `end`.
#[inline]
pub(crate) fn skip_back(bytes: &[u8], end: usize, class: impl Fn(u8) -> bool) -> usize {
    slice(bytes, 0, end).iter().rposition(|byte| !class(*byte)).map_or(0, |last| last + 1)
}

/// True for a space or a tab.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// True for what opens and closes quoted text.
pub(crate) fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// True for what a name in text consists of.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}
