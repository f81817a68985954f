//! Country codes (ITU-T E.164) and how many digits follow them.

/// Codes with the fewest and most digits of national numbers; in order of code. Codes that are not here are of three
/// digits and take what E.164 leaves.
#[rustfmt::skip]
const CODES: &[(u16, u8, u8)] = &[
    (1, 10, 10), (7, 10, 10), (20, 8, 10), (27, 9, 9), (30, 10, 10), (31, 9, 9), (32, 8, 9), (33, 9, 9), (34, 9, 9),
    (36, 8, 9), (39, 6, 11), (40, 9, 9), (41, 9, 9), (43, 4, 13), (44, 9, 10), (45, 8, 8), (46, 7, 10), (47, 8, 8),
    (48, 9, 9), (49, 6, 12), (51, 8, 9), (52, 10, 10), (53, 6, 8), (54, 10, 11), (55, 10, 11), (56, 9, 9), (57, 8, 10),
    (58, 10, 10), (60, 7, 10), (61, 9, 9), (62, 7, 12), (63, 8, 10), (64, 8, 10), (65, 8, 8), (66, 8, 9), (81, 9, 10),
    (82, 8, 10), (84, 9, 10), (86, 10, 11), (90, 10, 10), (91, 10, 10), (92, 9, 10), (93, 9, 9), (94, 9, 9),
    (95, 7, 10), (98, 10, 10), (351, 9, 9), (353, 7, 9), (354, 7, 9), (358, 5, 12), (359, 7, 9), (370, 8, 8),
    (371, 8, 8), (372, 7, 8), (380, 9, 9), (385, 8, 9), (386, 8, 8), (420, 9, 9), (421, 9, 9), (852, 8, 8),
    (886, 8, 9), (966, 8, 9), (971, 8, 9), (972, 8, 9),
];

/// First digits of codes of three that are given out, by their first two.
const OF_THREE: &[u8] =
    &[21, 22, 23, 24, 25, 26, 29, 35, 37, 38, 42, 50, 59, 67, 68, 69, 80, 85, 87, 88, 96, 97, 99];

/// How many digits the code at the beginning of `digits` (values 0 to 9) has, and how few and many may follow it.
pub(super) fn code(digits: &[u8]) -> Option<(usize, usize, usize)> {
    let number = |length: usize| {
        let digits = digits.get(..length)?;
        Some(digits.iter().fold(0u16, |sum, digit| sum * 10 + u16::from(*digit)))
    };
    let known = |length: usize| {
        let code = number(length).filter(|_| digits.first() != Some(&0))?;
        let place = CODES.binary_search_by_key(&code, |(code, _, _)| *code).ok()?;
        CODES.get(place).map(|(_, least, most)| (length, usize::from(*least), usize::from(*most)))
    };
    let of_three = || {
        let code = number(3).filter(|code| !matches!(code, 990 | 991 | 997 | 999))?;
        OF_THREE.binary_search(&u8::try_from(code / 10).ok()?).ok().map(|_| (3, 6, 12))
    };
    known(1).or_else(|| known(2)).or_else(|| known(3)).or_else(of_three)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order() {
        assert!(CODES.is_sorted_by_key(|(code, _, _)| *code));
        assert!(OF_THREE.is_sorted());
        assert_eq!(code(&[4, 2, 0, 1]), Some((3, 9, 9)));
        assert_eq!(code(&[1, 4, 1, 5]), Some((1, 10, 10)));
        assert_eq!(code(&[2, 1, 2, 5]), Some((3, 6, 12)));
        assert_eq!(code(&[0, 1, 2, 5]), None);
        assert_eq!(code(&[2, 8, 0, 5]), None);
        assert_eq!(code(&[]), None);
        assert_eq!(code(&[9, 9]), None, "a code that was cut is none");
    }
}
