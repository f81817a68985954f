//! Times as text: RFC 3339 in UTC with microseconds, by Howard Hinnant's `civil_from_days`.

const DAY_US: i64 = 86_400 * 1_000_000;

/// Year, month and day of a day counted from 1970-01-01, proleptic Gregorian.
fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_index + 2) / 5 + 1) as u32;
    let month = (if month_index < 10 { month_index + 3 } else { month_index - 9 }) as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn digits(out: &mut Vec<u8>, value: u32, width: usize) {
    let mut divisor = 10_u32.pow(width as u32 - 1);
    for _ in 0..width {
        out.push(b'0' + (value / divisor % 10) as u8);
        divisor = (divisor / 10).max(1);
    }
}

/// `2026-11-20`. Years beyond 9999 and before 0 have a sign and six digits, as ISO 8601 extends them.
pub fn date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil(days);
    match u32::try_from(year) {
        Ok(year) if year <= 9999 => digits(out, year, 4),
        _ => {
            out.push(if year < 0 { b'-' } else { b'+' });
            digits(out, u32::try_from(year.unsigned_abs()).unwrap_or(u32::MAX), 6);
        }
    }
    out.push(b'-');
    digits(out, month, 2);
    out.push(b'-');
    digits(out, day, 2);
}

/// `10:00:00.123456`.
pub fn time(out: &mut Vec<u8>, micros_of_day: i64) {
    let seconds = (micros_of_day / 1_000_000) as u32;
    digits(out, seconds / 3600, 2);
    out.push(b':');
    digits(out, seconds / 60 % 60, 2);
    out.push(b':');
    digits(out, seconds % 60, 2);
    out.push(b'.');
    digits(out, (micros_of_day % 1_000_000) as u32, 6);
}

/// `2026-11-20T10:00:00.123456Z`.
pub fn timestamp(out: &mut Vec<u8>, micros: i64) {
    date(out, micros.div_euclid(DAY_US));
    out.push(b'T');
    time(out, micros.rem_euclid(DAY_US));
    out.push(b'Z');
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::Timestamp;

    #[test]
    fn times_read_as_the_model_writes_them() {
        let mut micros = -62_135_596_800_000_000_i64;
        while micros < 253_402_300_799_000_000 {
            let mut out = Vec::new();
            timestamp(&mut out, micros);
            assert_eq!(String::from_utf8_lossy(&out), Timestamp(micros).to_string());
            micros += 86_399_999_999 * 7_919;
        }
    }

    #[test]
    fn the_ends_of_the_range_are_written() {
        for (micros, text) in [
            (i64::MAX, "+294247-01-10T04:00:54.775807Z"),
            (i64::MIN, "-290308-12-21T19:59:05.224192Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            let mut out = Vec::new();
            timestamp(&mut out, micros);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
}
