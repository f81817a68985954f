//! What each byte is to the pass.

pub(super) const DIGIT: u8 = 1;
pub(super) const UPPER: u8 = 1 << 1;
pub(super) const LOWER: u8 = 1 << 2;
pub(super) const UNDERSCORE: u8 = 1 << 3;
pub(super) const DASH: u8 = 1 << 4;
pub(super) const WORD: u8 = 1 << 5;
pub(super) const SIGN: u8 = 1 << 6;
pub(super) const BLANK: u8 = 1 << 7;
pub(super) const LETTER: u8 = UPPER | LOWER;

/// What each byte is.
pub(super) static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' => WORD | LOWER,
            b'A'..=b'Z' => WORD | UPPER,
            b'0'..=b'9' => WORD | DIGIT,
            b'_' => WORD | UNDERSCORE,
            b'-' => WORD | DASH,
            b':' | b'=' | b'%' | b'\\' | b',' | b'>' | b'@' | b'&' | 0 => SIGN,
            b' ' | b'\t' => BLANK,
            // What begins a character that reads as a digit or a separator; see `layers::fold`.
            0xc2 | 0xd9 | 0xdb | 0xe0 | 0xe1 | 0xe2 | 0xef | 0xf0 => SIGN,
            _ => 0,
        };
        byte += 1;
    }
    classes
};
