//! What is no text: memory dumps, archives, pictures. Offsets within such a file mean something, so nothing may move:
//! a run of text in which a rule strikes is blanked at its own length.

use candor_scrub::{Counts, Scrubber};

/// Shortest run that is looked at, characters: no detector strikes on less.
const RUN_MIN: usize = 8;

/// What takes the place of a blanked character.
const BLANK: u8 = b'*';

/// Blanks runs of ASCII, and of UTF-16 in little endian as Windows keeps it. None where no rule struck.
pub(crate) fn blank(scrubber: &Scrubber, content: &[u8], counts: &mut Counts) -> Option<Vec<u8>> {
    let mut blanked = None;
    for width in [1, 2] {
        // UTF-16 may begin at an odd byte.
        for from in 0..width {
            runs(content, from, width, |at, characters| {
                let run = content.get(at..at + characters * width).unwrap_or_default();
                let text: String = run.iter().step_by(width).map(|byte| char::from(*byte)).collect();
                if scrubber.scrub_str(&text, counts).is_some() {
                    let copy: &mut Vec<u8> = blanked.get_or_insert_with(|| content.to_vec());
                    let run = copy.get_mut(at..at + characters * width).unwrap_or_default();
                    run.iter_mut().step_by(width).for_each(|byte| *byte = BLANK);
                }
            });
        }
    }
    blanked
}

/// Calls `found` with the start and length in characters of every run of printable ASCII, lines and tabs included.
fn runs(content: &[u8], from: usize, width: usize, mut found: impl FnMut(usize, usize)) {
    let is_text = |at: usize| {
        let printable = content.get(at).is_some_and(|b| b.is_ascii_graphic() || b" \t\r\n".contains(b));
        printable && (width == 1 || content.get(at + 1) == Some(&0))
    };
    let (mut at, mut length) = (from, 0);
    while at < content.len() {
        if is_text(at) {
            length += 1;
        } else {
            if length >= RUN_MIN {
                found(at - length * width, length);
            }
            length = 0;
        }
        at += width;
    }
    if length >= RUN_MIN {
        found(at - length * width, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blanked(content: &[u8]) -> Option<Vec<u8>> {
        let mut counts = Counts::new();
        let out = blank(&Scrubber::default(), content, &mut counts);
        assert_eq!(out.is_some(), !counts.is_empty());
        out
    }

    #[test]
    fn a_run_in_which_a_rule_strikes_is_blanked_at_its_length() {
        let dump = b"\xff\x00card 4111111111111111\x00harmless text\xfe";
        assert_eq!(blanked(dump).expect("blanked"), b"\xff\x00*********************\x00harmless text\xfe");
        assert_eq!(blanked(b"\xff\x00harmless text, and more of it\xfe"), None);
        assert_eq!(blanked(b"\xff"), None);
    }

    #[test]
    fn utf16_is_text_at_even_and_odd_bytes() {
        let wide: Vec<u8> = "password=hunter2".bytes().flat_map(|byte| [byte, 0]).collect();
        for before in [&b"\xff\xfe"[..], b"\xff\xfe\xfd"] {
            let content = [before, &wide, b"\xff"].concat();
            let out = blanked(&content).expect("blanked");
            assert_eq!(out.len(), content.len());
            assert!(!out.windows(4).any(|four| four == b"h\0u\0"), "{out:?}");
            assert!(out.starts_with(before));
        }
    }
}
