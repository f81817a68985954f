//! Whose number a card could be: issuer ranges (ISO/IEC 7812 prefixes as the schemes publish them) and the checksum.

/// Most digits of a card's number (ISO/IEC 7812-1).
pub(crate) const DIGITS_MAX: usize = 19;
/// Fewest digits that any scheme issues.
pub(crate) const DIGITS_MIN: usize = 12;

/// True where `digits` (values 0 to 9) is a number that a scheme could have issued: right length for its range, right
/// checksum. About one random number of 16 digits in forty passes.
pub(crate) fn is_card(digits: &[u8]) -> bool {
    is_issued(digits) && passes_luhn(digits)
}

/// True where the checksum of ISO/IEC 7812-1 annex B holds and the digits are not all zero.
pub(crate) fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            match place % 2 {
                0 => digit,
                _ if digit > 4 => digit * 2 - 9,
                _ => digit * 2,
            }
        })
        .sum();
    sum.is_multiple_of(10) && sum > 0
}

fn is_issued(digits: &[u8]) -> bool {
    let prefix =
        |length: usize| digits.iter().take(length).fold(0u32, |sum, digit| sum * 10 + u32::from(*digit));
    let (one, two, three, four) = (prefix(1), prefix(2), prefix(3), prefix(4));
    let visa = one == 4;
    let maestro = matches!(four, 604 | 5018 | 5020 | 5038 | 5893 | 6304 | 6390 | 6759 | 6761..=6763);
    let diners = matches!(three, 300..=305) || four == 3095 || matches!(two, 36 | 38 | 39);
    let discover = four == 6011 || matches!(three, 644..=649) || two == 65;
    // JCB's own range is 3528 to 3589; test data takes all of 35.
    let jcb = two == 35;
    let union_pay = two == 62;
    match digits.len() {
        12 => maestro,
        13 => visa || maestro,
        14 => diners || maestro,
        15 => matches!(two, 34 | 37) || matches!(four, 2131 | 1800) || maestro,
        16 => {
            let mastercard = matches!(two, 51..=55) || matches!(four, 2221..=2720);
            let maestro_wide = matches!(two, 50 | 56..=58 | 63 | 67);
            // Mir, Troy, RuPay.
            let national = matches!(four, 2200..=2204 | 9792) || matches!(two, 60 | 81 | 82) || three == 508;
            visa || mastercard || maestro_wide || diners || discover || jcb || union_pay || national
        }
        17 | 18 => union_pay || maestro,
        19 => visa || union_pay || maestro || discover || jcb,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|byte| byte - b'0').collect()
    }

    #[test]
    fn the_schemes_test_numbers() {
        for number in [
            "4111111111111111",
            "4242424242424242",
            "4012888888881881",
            "4222222222222",
            "5555555555554444",
            "5105105105105100",
            "2223003122003222",
            "2720994326581252",
            "378282246310005",
            "371449635398431",
            "6011111111111117",
            "6011000990139424",
            "30569309025904",
            "3056930009020004",
            "36227206271667",
            "38520000023237",
            "3530111333300000",
            "3566002020360505",
            "6200000000000005",
            "6205500000000000004",
            "6304000000000000",
            "6759649826438453",
            "5018000000000009",
            "180016070420458",
            "630427373398",
            "4131034282458809939",
            "2200000000000004",
        ] {
            assert!(passes_luhn(&digits(number)), "{number} fails Luhn");
            assert!(is_card(&digits(number)), "{number} has no issuer");
        }
    }

    #[test]
    fn other_numbers() {
        for number in [
            "4111111111111112",
            "1767323045678000000",
            "1767323045678",
            "1767323045678000",
            "20260102030405",
            "0000000000000000",
            "9999999999999995",
            "1234567812345670",
            "4111111",
            "411111111111111111111111",
            "",
        ] {
            assert!(!is_card(&digits(number)), "{number}");
        }
    }
}
