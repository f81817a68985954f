//! What bytes read as that name no schema and are no JSON: text, text in another encoding, or something binary.

/// Bytes of a hundred that must be text in what is mostly text.
const MOSTLY: usize = 90;

/// Fewest characters by which text of 16 bits a character is known without a mark.
const WIDE_MIN: usize = 4;

/// Fewest characters of such text within something binary that are looked at: no detector strikes on less.
const WIDE_RUN_MIN: usize = 8;

/// Where stray bytes stand in text while it is looked through: the end of the last private plane, which no text uses.
const STRAY: u32 = 0x10_ff00;

/// What bytes read as.
pub(super) enum Reading<'b> {
    /// UTF-8 without control characters but those that text has.
    Text(&'b str),
    /// UTF-16.
    Wide(Wide<'b>),
    /// Text of one byte a character, as ISO 8859-1 is, or UTF-8 with stray bytes in it. Without control characters, too.
    Narrow,
    /// Mostly text, with something between that may say how long it is or where something begins.
    Mixed,
    /// Anything else.
    Binary,
}

impl<'b> Reading<'b> {
    pub fn of(bytes: &'b [u8]) -> Reading<'b> {
        let has_control = has_control(bytes);
        if !has_control && let Ok(text) = std::str::from_utf8(bytes) {
            return Reading::Text(text);
        }
        if let Some(wide) = Wide::of(bytes) {
            return Reading::Wide(wide);
        }
        match has_control {
            false => Reading::Narrow,
            true if is_mostly_text(bytes) => Reading::Mixed,
            true => Reading::Binary,
        }
    }
}

/// The bytes as text, if that is what they are: UTF-8 without control characters but those that text has.
pub(super) fn as_text(bytes: &[u8]) -> Option<&str> {
    if has_control(bytes) { None } else { std::str::from_utf8(bytes).ok() }
}

/// True for a control character that text does not have: it has tab, line feed, carriage return, escape, and the separator
/// of FIX messages. Avro, Protocol Buffers and numbers in binary are hardly ever without others; a topic of such values
/// that are should be `opaque`.
fn is_control(byte: u8) -> bool {
    byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b | 0x01)
}

fn has_control(bytes: &[u8]) -> bool {
    // Without an early end: this is fast because it is done many bytes at a time.
    bytes.iter().fold(false, |any, byte| any | is_control(*byte))
}

/// True where nearly all that stands there is printable. Zeros at the end fill up a field.
fn is_mostly_text(bytes: &[u8]) -> bool {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let bytes = bytes.get(..end).unwrap_or_default();
    let printable = |bytes: &[u8]| bytes.iter().filter(|byte| **byte >= 0x20 && **byte != 0x7f).count();
    let is_most = |text: usize| end > 0 && text * 100 >= end * MOSTLY;
    // Most of what is binary is told by its control characters, many bytes at a time.
    is_most(printable(bytes))
        && is_most(bytes.utf8_chunks().map(|chunk| printable(chunk.valid().as_bytes())).sum())
}

/// Text of 16 bits a character.
pub(super) struct Wide<'b> {
    /// What it says.
    pub text: String,
    /// The mark before it, if any.
    mark: &'b [u8],
    is_little: bool,
}

impl<'b> Wide<'b> {
    /// By its byte order mark, or by every other byte being zero in most of it. None for what is no text so.
    pub fn of(bytes: &'b [u8]) -> Option<Wide<'b>> {
        if bytes.len() < 2 || !bytes.len().is_multiple_of(2) {
            return None;
        }
        let (mark, rest) = bytes.split_at(2);
        let (mark, units, is_little) = match mark {
            [0xff, 0xfe] => (mark, rest, true),
            [0xfe, 0xff] => (mark, rest, false),
            _ => (&[][..], bytes, order(bytes)?),
        };
        let unit = |pair: &[u8]| match *pair {
            [low, high] if is_little => u16::from_le_bytes([low, high]),
            [high, low] => u16::from_be_bytes([high, low]),
            _ => 0,
        };
        let text: String =
            char::decode_utf16(units.chunks_exact(2).map(unit)).collect::<Result<_, _>>().ok()?;
        // A zero may end it, or stand between texts.
        let is_text = !text.bytes().any(|byte| byte != 0 && is_control(byte));
        is_text.then_some(Wide { text, mark, is_little })
    }

    /// Text in the same encoding.
    pub fn encode(&self, text: &str) -> Vec<u8> {
        let bytes = |unit: u16| if self.is_little { unit.to_le_bytes() } else { unit.to_be_bytes() };
        self.mark.iter().copied().chain(text.encode_utf16().flat_map(bytes)).collect()
    }
}

/// The order of the bytes of text without a mark, as the zeros tell: true where the lower byte comes first.
fn order(bytes: &[u8]) -> Option<bool> {
    if bytes.iter().filter(|byte| **byte == 0).count() * 4 < bytes.len() {
        return None;
    }
    let (mut first, mut second, mut both) = (0, 0, 0);
    for pair in bytes.chunks_exact(2) {
        match *pair {
            [0, 0] => both += 1,
            [0, _] => first += 1,
            [_, 0] => second += 1,
            _ => {}
        }
    }
    let pairs = bytes.len() / 2;
    // Small numbers are mostly zeros.
    let is_most = |zeros: usize| pairs >= WIDE_MIN && zeros * 2 >= pairs && both * 2 < pairs;
    match (first, second) {
        (0, zeros) if is_most(zeros) => Some(true),
        (zeros, 0) if is_most(zeros) => Some(false),
        _ => None,
    }
}

/// Text of one byte a character, or UTF-8 with stray bytes in it: each of them as a character while it is looked through.
pub(super) struct Narrow {
    /// What it says.
    pub text: String,
    /// What is added to a byte to make it a character.
    base: u32,
}

impl Narrow {
    pub fn of(bytes: &[u8]) -> Narrow {
        let valid = || bytes.utf8_chunks().flat_map(|chunk| chunk.valid().chars());
        let is_utf8 = valid().any(|character| !character.is_ascii());
        if !is_utf8 || valid().any(|character| u32::from(character) >= STRAY) {
            return Narrow { text: bytes.iter().map(|byte| char::from(*byte)).collect(), base: 0 };
        }
        let stray =
            |byte: &u8| char::from_u32(STRAY + u32::from(*byte)).unwrap_or(char::REPLACEMENT_CHARACTER);
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(stray));
        }
        Narrow { text, base: STRAY }
    }

    /// Text in the same encoding; what has none there as UTF-8.
    pub fn encode(&self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len());
        for character in text.chars() {
            match u32::from(character).checked_sub(self.base).map(u8::try_from) {
                Some(Ok(byte)) => bytes.push(byte),
                _ => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        bytes
    }
}

/// Gives each run of text in what is mostly text to `blank`, which may give as many bytes back. None where nothing
/// changes.
pub(super) fn blank_runs<E>(
    bytes: &[u8],
    mut blank: impl FnMut(&str) -> Result<Option<String>, E>,
) -> Result<Option<Vec<u8>>, E> {
    let mut blanked = Blanked { bytes, copy: None };
    let mut from = 0;
    for chunk in bytes.utf8_chunks() {
        let ends = |character: char| character != '\0' && u8::try_from(character).is_ok_and(is_control);
        for run in chunk.valid().split_inclusive(ends) {
            let text = run.trim_end_matches(ends);
            if let Some(instead) = blank(text)? {
                blanked.put(from, text.len(), &instead);
            }
            from += run.len();
        }
        from += chunk.invalid().len();
    }
    Ok(blanked.copy)
}

/// The same of text of 16 bits a character within what is binary.
pub(super) fn blank_wide_runs<E>(
    bytes: &[u8],
    mut blank: impl FnMut(&str) -> Result<Option<String>, E>,
) -> Result<Option<Vec<u8>>, E> {
    let mut blanked = Blanked { bytes, copy: None };
    if memchr::memchr_iter(0, bytes).take(WIDE_RUN_MIN).count() < WIDE_RUN_MIN {
        return Ok(None);
    }
    let is_text = |byte: u8| (0x20..0x7f).contains(&byte) || matches!(byte, b'\t' | b'\n' | b'\r');
    let goes_on = |one: &u8, next: &u8| (is_text(*one) && *next == 0) || (*one == 0 && is_text(*next));
    let mut from = 0;
    for run in bytes.chunk_by(goes_on) {
        if run.len() >= WIDE_RUN_MIN * 2 - 1
            && let Ok(text) = std::str::from_utf8(run)
            && let Some(instead) = blank(text)?
        {
            blanked.put(from, run.len(), &instead);
        }
        from += run.len();
    }
    Ok(blanked.copy)
}

/// Bytes that are copied once something in them changes.
struct Blanked<'b> {
    bytes: &'b [u8],
    copy: Option<Vec<u8>>,
}

impl Blanked<'_> {
    fn put(&mut self, from: usize, length: usize, instead: &str) {
        let copy = self.copy.get_or_insert_with(|| self.bytes.to_vec());
        if let Some(place) = copy.get_mut(from..from + length).filter(|place| place.len() == instead.len()) {
            place.copy_from_slice(instead.as_bytes());
        }
    }
}
