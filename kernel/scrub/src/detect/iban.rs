//! IBANs (ISO 13616): the country's length and the checksum modulo 97, in one piece or in groups of four.

use crate::bytes::{at, slice};
use crate::rules::Detector;
use crate::scan::Scan;

/// Country and whole length, from the SWIFT registry, in order of country.
#[rustfmt::skip]
const COUNTRIES: &[([u8; 2], u8)] = &[
    (*b"AD", 24), (*b"AE", 23), (*b"AL", 28), (*b"AO", 25), (*b"AT", 20), (*b"AZ", 28), (*b"BA", 20), (*b"BE", 16),
    (*b"BF", 28), (*b"BG", 22), (*b"BH", 22), (*b"BI", 27), (*b"BJ", 28), (*b"BR", 29), (*b"BY", 28), (*b"CF", 27),
    (*b"CG", 27), (*b"CH", 21), (*b"CI", 28), (*b"CM", 27), (*b"CR", 22), (*b"CV", 25), (*b"CY", 28), (*b"CZ", 24),
    (*b"DE", 22), (*b"DJ", 27), (*b"DK", 18), (*b"DO", 28), (*b"DZ", 26), (*b"EE", 20), (*b"EG", 29), (*b"ES", 24),
    (*b"FI", 18), (*b"FK", 18), (*b"FO", 18), (*b"FR", 27), (*b"GA", 27), (*b"GB", 22), (*b"GE", 22), (*b"GI", 23),
    (*b"GL", 18), (*b"GQ", 27), (*b"GR", 27), (*b"GT", 28), (*b"GW", 25), (*b"HN", 28), (*b"HR", 21), (*b"HU", 28),
    (*b"IE", 22), (*b"IL", 23), (*b"IQ", 23), (*b"IR", 26), (*b"IS", 26), (*b"IT", 27), (*b"JO", 30), (*b"KM", 27),
    (*b"KW", 30), (*b"KZ", 20), (*b"LB", 28), (*b"LC", 32), (*b"LI", 21), (*b"LT", 20), (*b"LU", 20), (*b"LV", 21),
    (*b"LY", 25), (*b"MA", 28), (*b"MC", 27), (*b"MD", 24), (*b"ME", 22), (*b"MG", 27), (*b"MK", 19), (*b"ML", 28),
    (*b"MN", 20), (*b"MR", 27), (*b"MT", 31), (*b"MU", 30), (*b"MZ", 25), (*b"NE", 28), (*b"NI", 28), (*b"NL", 18),
    (*b"NO", 15), (*b"OM", 23), (*b"PK", 24), (*b"PL", 28), (*b"PS", 29), (*b"PT", 25), (*b"QA", 29), (*b"RO", 24),
    (*b"RS", 22), (*b"RU", 33), (*b"SA", 24), (*b"SC", 31), (*b"SD", 18), (*b"SE", 24), (*b"SI", 19), (*b"SK", 24),
    (*b"SM", 27), (*b"SN", 28), (*b"SO", 23), (*b"ST", 25), (*b"SV", 28), (*b"TD", 27), (*b"TG", 28), (*b"TL", 23),
    (*b"TN", 24), (*b"TR", 26), (*b"UA", 29), (*b"VA", 22), (*b"VG", 24), (*b"XK", 20), (*b"YE", 30),
];

/// The whole length of that country's IBANs.
fn length_of(country: [u8; 2]) -> Option<usize> {
    let country = country.map(|letter| letter.to_ascii_uppercase());
    let place = COUNTRIES.binary_search_by_key(&country, |(country, _)| *country).ok()?;
    COUNTRIES.get(place).map(|(_, length)| usize::from(*length))
}

/// Strikes an IBAN that begins at `start`, where a word begins with two letters and two digits.
pub(crate) fn at_word(scan: &mut Scan<'_>, start: usize) {
    if let Some(end) = end_of(scan.bytes, start) {
        scan.hit(start, end, Detector::Iban);
    }
}

/// The end of the IBAN that begins at `start`.
fn end_of(bytes: &[u8], start: usize) -> Option<usize> {
    let length = length_of([at(bytes, start), at(bytes, start + 1)])?;
    let mut remainder = 0;
    let mut has_letter = false;
    let mut index = start;
    for count in 0..length {
        // Printed in groups of four with one separator; a shorter group would be some other text.
        if count > 0 && count % 4 == 0 {
            index += separator_length(bytes, index);
        }
        let byte = at(bytes, index);
        let is_letter = byte.is_ascii_alphabetic();
        if !(is_letter || byte.is_ascii_digit()) || ((2..4).contains(&count) && is_letter) {
            return None;
        }
        has_letter |= is_letter && count >= 4;
        // The first four characters count last.
        if count >= 4 {
            remainder = fold(remainder, byte);
        }
        index += 1;
    }
    for byte in slice(bytes, start, start + 4) {
        remainder = fold(remainder, *byte);
    }
    // Account numbers of these countries are digits alone, which keeps hexadecimal ids out.
    let country = [at(bytes, start) | 0x20, at(bytes, start + 1) | 0x20];
    let digits_only = matches!(&country, b"be" | b"de" | b"ee" | b"ba" | b"ae");
    let clear = !at(bytes, index).is_ascii_alphanumeric();
    (remainder == 1 && clear && !(has_letter && digits_only)).then_some(index)
}

/// The length of one separator at `index`, where one is.
fn separator_length(bytes: &[u8], index: usize) -> usize {
    usize::from(matches!(at(bytes, index), b' ' | b'-' | b'.' | b'+' | b'_' | b'/' | b'\n'))
}

/// Takes one more character into the remainder modulo 97; letters count as two digits.
fn fold(remainder: u32, byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => (remainder * 100 + u32::from(byte.to_ascii_uppercase().saturating_sub(b'A')) + 10) % 97,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_in_order() {
        assert!(COUNTRIES.is_sorted());
    }

    #[test]
    fn the_registrys_examples() {
        for iban in [
            "AD1200012030200359100100",
            "AE070331234567890123456",
            "AL47212110090000000235698741",
            "AT611904300234573201",
            "AZ21NABZ00000000137010001944",
            "BA391290079401028494",
            "BE68539007547034",
            "BG80BNBG96611020345678",
            "BR1800360305000010009795493C1",
            "CH9300762011623852957",
            "CR05015202001026284066",
            "CY17002001280000001200527600",
            "CZ6508000000192000145399",
            "DE89370400440532013000",
            "DK5000400440116243",
            "EE382200221020145685",
            "ES9121000418450200051332",
            "FI2112345600000785",
            "FR1420041010050500013M02606",
            "GB29NWBK60161331926819",
            "GE29NB0000000101904917",
            "GR1601101250000000012300695",
            "HR1210010051863000160",
            "HU42117730161111101800000000",
            "IE29AIBK93115212345678",
            "IL620108000000099999999",
            "IS140159260076545510730339",
            "IT60X0542811101000000123456",
            "KZ86125KZT5004100100",
            "LC55HEMM000100010012001200023015",
            "LI21088100002324013AA",
            "LT121000011101001000",
            "LU280019400644750000",
            "LV80BANK0000435195001",
            "MC5811222000010123456789030",
            "MT84MALT011000012345MTLCAST001S",
            "NL91ABNA0417164300",
            "NO9386011117947",
            "PL61109010140000071219812874",
            "PT50000201231234567890154",
            "RO49AAAA1B31007593840000",
            "SA0380000000608010167519",
            "SE4550000000058398257466",
            "SI56263300012039086",
            "SK3112000000198742637541",
            "TR330006100519786457841326",
            "UA213223130000026007233566001",
            "XK051212012345678906",
        ] {
            assert_eq!(end_of(iban.as_bytes(), 0), Some(iban.len()), "{iban}");
            let lower = iban.to_lowercase();
            assert_eq!(end_of(lower.as_bytes(), 0), Some(lower.len()), "{lower}");
            let groups: Vec<&str> =
                iban.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).expect("ascii")).collect();
            for separator in [" ", "-"] {
                let spaced = format!("{} and so on", groups.join(separator));
                assert_eq!(end_of(spaced.as_bytes(), 0), Some(spaced.len() - 10), "{spaced}");
            }
            assert_eq!(end_of(format!("{iban}0").as_bytes(), 0), None, "longer than {iban}");
            let mut wrong = iban.as_bytes().to_vec();
            wrong[2] = if wrong[2] == b'9' { b'0' } else { wrong[2] + 1 };
            assert_eq!(end_of(&wrong, 0), None, "a wrong check digit in {iban}");
        }
    }
}
