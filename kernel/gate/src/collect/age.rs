//! Ages that people state, in fields that say so and nowhere else.
//!
//! Of a person (`user`, `usr`, `enduser`, and their member `data`): `age`; `birth_year`, `year_of_birth`; `birthdate`,
//! `birth_date`, `birthday`, `date_of_birth`, `dob` (as ISO 8601 writes dates). Nested or dotted, whatever the case and
//! the marks between words. Nothing is inferred. That a parent consents is `parental_consent` of the person: true, or
//! `granted`.

use candor_model::{Consent, Object, Timestamp, Value};

/// Oldest age that is taken for one: beyond is a year or a mistake.
const AGE_MAX: i64 = 150;

/// Whose age it is.
const PERSONS: [&str; 3] = ["user", "usr", "enduser"];

/// The day that ages are counted to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Today {
    year: i64,
    month: i64,
    day: i64,
}

impl Today {
    /// The day of a moment, UTC.
    pub fn of(now: Timestamp) -> Today {
        let text = now.to_string();
        let (year, month, day) = date(&text).unwrap_or((9999, 12, 31));
        Today { year, month, day }
    }

    fn age_since(self, (year, month, day): (i64, i64, i64)) -> i64 {
        self.year - year - i64::from((self.month, self.day) < (month, day))
    }
}

/// The least age that the members of a record state; none where none does. `members` may be attributes with dotted
/// names or an event.
pub(crate) fn stated(members: &Object, today: Today) -> Option<i64> {
    let mut least = None;
    each(members, &mut |name, value| note(name, value, today, &mut least));
    least
}

/// True where the members of a record state that a parent consents.
pub(crate) fn has_parents_consent(members: &Object) -> bool {
    let mut said = None;
    each(members, &mut |name, value| {
        if super::squash(name) == "parentalconsent" {
            let this = match value {
                Value::Bool(flag) => *flag,
                other => other.as_str().and_then(Consent::from_word) == Some(Consent::Granted),
            };
            said = Some(said.unwrap_or(true) && this);
        }
    });
    said.unwrap_or(false)
}

/// Calls for each field of the persons in a record.
fn each(members: &Object, of_field: &mut impl FnMut(&str, &Value)) {
    for (key, value) in members.iter() {
        let (person, rest) = key.split_once('.').unwrap_or((key, ""));
        if !PERSONS.iter().any(|known| known.eq_ignore_ascii_case(person)) {
            continue;
        }
        let rest = strip_data(rest);
        match value {
            Value::Object(person) if rest.is_empty() => of_person(person, of_field),
            _ => of_field(rest, value),
        }
    }
}

/// `data.age` is `age`, and `data` the person.
fn strip_data(rest: &str) -> &str {
    match rest.get(..4).filter(|start| start.eq_ignore_ascii_case("data")) {
        Some(_) => rest.get(4..).map_or("", |rest| rest.strip_prefix('.').unwrap_or(rest)),
        None => rest,
    }
}

fn of_person(person: &Object, of_field: &mut impl FnMut(&str, &Value)) {
    for (key, value) in person.iter() {
        match value {
            Value::Object(data) if key.eq_ignore_ascii_case("data") => {
                data.iter().for_each(|(key, value)| of_field(key, value));
            }
            _ => of_field(strip_data(key), value),
        }
    }
}

fn note(name: &str, value: &Value, today: Today, least: &mut Option<i64>) {
    if name.len() > 20 || name.is_empty() {
        return;
    }
    let age = match super::squash(name).as_str() {
        "age" => whole(value),
        // Who is born in a year may have had no birthday yet.
        "birthyear" | "yearofbirth" => whole(value).map(|year| today.year - year - 1),
        "birthdate" | "birthday" | "dateofbirth" | "dob" => {
            value.as_str().and_then(date).map(|born| today.age_since(born))
        }
        _ => None,
    };
    let age = age.filter(|age| (-1..=AGE_MAX).contains(age));
    *least = age.map(|age| least.map_or(age, |least| age.min(least))).or(*least);
}

/// A number, or text that is one.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Str(text) => {
            text.trim().parse::<f64>().ok().filter(|age| age.is_finite()).map(|age| age as i64)
        }
        Value::Float(number) if number.is_finite() => Some(*number as i64),
        other => other.as_i64(),
    }
}

/// Year, month and day that a text begins with.
fn date(text: &str) -> Option<(i64, i64, i64)> {
    let mut parts = text.trim().get(..10)?.split('-').map(|part| part.parse::<i64>().ok());
    match (parts.next()??, parts.next()??, parts.next()??, parts.next()) {
        (year, month @ 1..=12, day @ 1..=31, None) => Some((year, month, day)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use candor_model::json;

    use super::*;

    fn of(text: &str) -> Option<i64> {
        let Ok(Value::Object(members)) = json::parse(text.as_bytes(), json::Leniency::LENIENT) else {
            panic!("{text}")
        };
        stated(&members, Today { year: 2026, month: 9, day: 21 })
    }

    #[test]
    fn ages_are_read_from_their_fields_alone() {
        for (text, expected) in [
            (r#"{"user": {"age": 12}}"#, Some(12)),
            (r#"{"user": {"age": "12.5"}}"#, Some(12)),
            (r#"{"user": {"data": {"age": 15}}}"#, Some(15)),
            (r#"{"user.age": 11, "enduser.data.age": 10}"#, Some(10)),
            (r#"{"user": {"birth_year": 2010}}"#, Some(15)),
            (r#"{"user": {"yearOfBirth": "2010"}}"#, Some(15)),
            (r#"{"user": {"birthdate": "2010-09-21"}}"#, Some(16)),
            (r#"{"user": {"dateOfBirth": "2010-09-22T00:00:00Z"}}"#, Some(15)),
            (r#"{"user.dob": "1999-01-01"}"#, Some(27)),
            (r#"{"user": {"age": 1990}}"#, None),
            (r#"{"user": {"age": "young", "page": 3, "data": 5}}"#, None),
            (r#"{"cache": {"age": 3}, "age": 3, "user_age_class": 3}"#, None),
            (r#"{"user": "12"}"#, None),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_parents_consent_is_read() {
        let says = |text: &str| {
            let Ok(Value::Object(members)) = json::parse(text.as_bytes(), json::Leniency::LENIENT) else {
                panic!("{text}")
            };
            has_parents_consent(&members)
        };
        assert!(says(r#"{"user": {"parental_consent": true}}"#));
        assert!(says(r#"{"user.data.parentalConsent": "granted"}"#));
        assert!(!says(r#"{"user": {"parental_consent": true, "data": {"parental_consent": "denied"}}}"#));
        assert!(!says(r#"{"parental_consent": true, "user": {"parental_consent": 1}}"#));
    }

    #[test]
    fn today_is_the_clocks_day() {
        let today = Today::of(Timestamp(1_790_000_000_000_000));
        assert_eq!((today.year, today.month, today.day), (2026, 9, 21));
    }
}
