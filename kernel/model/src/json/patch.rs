//! JSON text with some of its values changed and every other byte as it was: what somebody wrote by hand or hashed
//! must not come back in our spacing because one member left it.

use super::{write, write_string};
use crate::{Object, Value};

/// `text` with `after` in place of `before`, which is what `text` was parsed to, or the bytes that [`super::prefix`] read. What is equal in both stays as it was
/// written: spaces, escapes, the form of numbers. What changed is written compactly.
pub fn patched(text: &str, before: &Value, after: &Value) -> String {
    let mut patch = Patch { text, at: 0, out: String::with_capacity(text.len()) };
    patch.at = skip_space(text.as_bytes(), 0);
    let mut out = text.get(..patch.at).unwrap_or_default().to_owned();
    patch.value(before, after);
    out.push_str(&patch.out);
    out.push_str(text.get(patch.at..).unwrap_or_default());
    out
}

struct Patch<'a> {
    text: &'a str,
    /// What is behind this is copied or replaced already.
    at: usize,
    out: String,
}

impl Patch<'_> {
    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// Copies up to `end`.
    fn copy(&mut self, end: usize) {
        self.out.push_str(self.text.get(self.at..end).unwrap_or_default());
        self.at = end;
    }

    fn copy_space(&mut self) {
        self.copy(skip_space(self.text.as_bytes(), self.at));
    }

    /// Copies or replaces the value that begins here.
    fn value(&mut self, before: &Value, after: &Value) {
        match (before, after) {
            (Value::Object(before), Value::Object(after)) if self.byte() == b'{' => {
                return self.members(before, after);
            }
            (Value::Array(before), Value::Array(after))
                if self.byte() == b'[' && before.len() == after.len() =>
            {
                return self.items(before, after);
            }
            _ => {}
        }
        let end = skip_value(self.text.as_bytes(), self.at);
        let both_nan = |one: &Value, other: &Value| matches!((one, other), (Value::Float(one), Value::Float(other)) if one.is_nan() && other.is_nan());
        if before == after || both_nan(before, after) {
            self.copy(end);
        } else {
            write(after, &mut self.out);
            // A string that was cut stays open.
            let is_open = self.byte() == b'"' && string_end(self.text.as_bytes(), self.at).is_none();
            if is_open && matches!(after, Value::Str(_)) {
                self.out.pop();
            }
            self.at = end;
        }
    }

    fn items(&mut self, before: &[Value], after: &[Value]) {
        self.copy(self.at + 1);
        for (index, (before, after)) in before.iter().zip(after).enumerate() {
            if index > 0 {
                self.copy_space();
                self.copy(self.at + 1);
            }
            self.copy_space();
            self.value(before, after);
        }
        self.copy_space();
        self.copy(self.at + 1);
    }

    fn members(&mut self, before: &Object, after: &Object) {
        let Some(places) = aligned(before, after) else {
            self.at = skip_value(self.text.as_bytes(), self.at);
            return write(&Value::Object(after.clone()), &mut self.out);
        };
        self.copy(self.at + 1);
        let (mut is_first, mut stayed) = (true, false);
        for (index, ((name, before), place)) in before.0.iter().zip(places).enumerate() {
            let bytes = self.text.as_bytes();
            if index > 0 {
                let comma = skip_space(bytes, self.at);
                if stayed {
                    self.copy(comma);
                }
                // The comma itself is written before what stays.
                self.at = comma + 1;
            }
            let after = place.and_then(|place| after.0.get(place));
            stayed = after.is_some();
            let Some((new_name, after)) = after else {
                let colon = skip_space(bytes, skip_value(bytes, skip_space(bytes, self.at)));
                self.at = skip_value(bytes, skip_space(bytes, colon + 1));
                continue;
            };
            if !is_first {
                self.out.push(',');
            }
            is_first = false;
            self.copy_space();
            let name_end = skip_value(bytes, self.at);
            if name == new_name {
                self.copy(name_end);
            } else {
                write_string(new_name, &mut self.out);
                self.at = name_end;
            }
            self.copy_space();
            self.copy(self.at + 1);
            self.copy_space();
            self.value(before, after);
        }
        self.copy_space();
        self.copy(self.at + 1);
    }
}

/// Where each member of `before` is in `after`: all of them, some under new names, or those that are left, in order.
/// None where it is neither.
fn aligned(before: &Object, after: &Object) -> Option<Vec<Option<usize>>> {
    if before.len() == after.len() {
        return Some((0..before.len()).map(Some).collect());
    }
    let mut left = 0;
    let places = before.0.iter().map(|(name, _)| {
        let is_left = after.0.get(left).is_some_and(|(next, _)| next == name);
        is_left.then(|| {
            left += 1;
            left - 1
        })
    });
    let places = places.collect();
    (left == after.len()).then_some(places)
}

fn skip_space(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Behind the string whose opening quote is at `from`.
fn skip_string(bytes: &[u8], from: usize) -> usize {
    string_end(bytes, from).unwrap_or(bytes.len())
}

/// The same; none where nothing closes the string.
fn string_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    while let Some(next) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += next;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
    None
}

/// Behind the value that begins at `from`. The text was parsed before.
fn skip_value(bytes: &[u8], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = skip_string(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            byte if depth > 0 && (byte.is_ascii_whitespace() || matches!(byte, b',' | b':')) => at += 1,
            _ => {
                let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
                let rest = bytes.get(at..).unwrap_or_default();
                at += rest.iter().take_while(is_part).count().max(1);
            }
        }
        if depth == 0 {
            break;
        }
    }
    at.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;
    use crate::json::{Leniency, parse, prefix, unescaped_prefix};
    use crate::random::Seeded;

    fn value(text: &str) -> Value {
        parse(text.as_bytes(), Leniency::LENIENT).expect("JSON")
    }

    #[test]
    fn only_what_changed_is_written_anew() {
        let text =
            " { \"a\" : 1.10 , \"user\": {\"id\" : \"\\u0034\", \"plan\":[ 1e3,\t{} ]}, \"z\":null }\n";
        let before = value(text);
        assert_eq!(patched(text, &before, &before), text);
        let mut after = before.clone();
        let user = after.as_object_mut().and_then(|all| all.get_mut("user")).expect("user");
        user.as_object_mut().expect("members").insert("id", "user:x");
        let expected = text.replace("\"\\u0034\"", "\"user:x\"");
        assert_eq!(patched(text, &before, &after), expected);
        let all = after.as_object_mut().expect("members");
        all.remove("a");
        assert_eq!(patched(text, &before, &after), expected.replace(" \"a\" : 1.10 ,", ""));
        after.as_object_mut().expect("members").remove("z");
        let none_of_it = " { \"user\": {\"id\" : \"user:x\", \"plan\":[ 1e3,\t{} ]} }\n";
        assert_eq!(patched(text, &before, &after), none_of_it);
    }

    /// Random text, randomly changed: it reads as what it was changed to, and unchanged it is the same bytes.
    #[test]
    fn what_is_patched_parses_to_what_was_meant() {
        let random = Seeded::new(11);
        for _ in 0..3_000 {
            let mut text = String::new();
            write_random(&random, 0, &mut text);
            let before = value(&text);
            assert_eq!(patched(&text, &before, &before), text);
            let mut after = before.clone();
            change(&random, &mut after);
            assert_eq!(value(&patched(&text, &before, &after)), after, "{text}");
        }
    }

    /// Cut anywhere: what is read of it is within the text, keeps each byte where nothing changes, and reads as what it
    /// was changed to.
    #[test]
    fn what_was_cut_is_patched_as_far_as_it_was_read() {
        let random = Seeded::new(12);
        let mut texts = 0;
        for _ in 0..3_000 {
            let mut text = String::new();
            write_random(&random, 0, &mut text);
            let whole = text.trim();
            match prefix(whole) {
                Some((value, length)) => assert_eq!((value, length), (self::value(whole), whole.len())),
                None => continue,
            }
            texts += 1;
            let end = below(&random, whole.len() as u64 + 1) as usize;
            let Some(cut) = whole.get(..end).filter(|cut| !cut.is_empty()) else { continue };
            let tails = ["", " [done] {\"k\":1}", "}]", "\n{}", "\\"];
            let cut = format!("{cut}{}", tails[below(&random, 5) as usize]);
            let (before, length) = prefix(&cut).expect("an object or a list");
            let read = cut.get(..length).expect("between characters");
            assert_eq!(prefix(read), Some((before.clone(), length)), "{cut}");
            assert_eq!(patched(read, &before, &before), read);
            let mut after = before.clone();
            change_scalars(&random, &mut after);
            let patched = patched(read, &before, &after);
            assert_eq!(prefix(&patched), Some((after, patched.len())), "{cut}: {patched}");
        }
        assert!(texts > 500, "{texts}");
    }

    #[test]
    fn texts_that_end_early_are_read_to_where_they_end() {
        for (text, expected, length) in [
            ("{\"a\":1,\"b", "{\"a\":1}", 6),
            ("[[\"a\\\"b", "[[\"a\\\"b\"]]", 7),
            ("{\"a\":\"x\\u00", "{\"a\":\"x\\\\u00\"}", 11),
            ("{\"a\":\"x\ny\"}", "{\"a\":\"x\"}", 7),
            ("{\"a\":\"x\ty\\q\"} z", "{\"a\":\"x\\ty\\\\q\"}", 13),
            ("{\"a\":[1,tru", "{\"a\":[1]}", 7),
            ("{", "{}", 1),
            ("{\"a\\\n\":1}", "{}", 1),
        ] {
            assert_eq!(prefix(text), Some((value(expected), length)), "{text}");
        }
        assert_eq!((prefix("7"), prefix(""), prefix(" {}")), (None, None, None));
        assert!(prefix(&"[".repeat(1_000)).is_some_and(|(_, length)| length < 1_000));
        assert_eq!(unescaped_prefix("a\\\"\\u00e9\\q\\\\\" b"), ("a\"é\\q\\".to_owned(), 13));
        assert_eq!(unescaped_prefix("a\\\nb"), ("a\\".to_owned(), 2));
        assert_eq!(unescaped_prefix("a\\\""), ("a\"".to_owned(), 3));
    }

    fn change_scalars(random: &Seeded, value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.0.iter_mut().for_each(|(_, member)| change_scalars(random, member))
            }
            Value::Array(items) => items.iter_mut().for_each(|item| change_scalars(random, item)),
            scalar if below(random, 3) == 0 => *scalar = Value::from("changed \"so\""),
            _ => {}
        }
    }

    fn below(random: &Seeded, limit: u64) -> u64 {
        random.next_u64() % limit
    }

    fn write_random(random: &Seeded, depth: usize, out: &mut String) {
        let space = |out: &mut String| out.push_str(["", "", " ", "\n\t"][below(random, 4) as usize]);
        space(out);
        let scalars =
            ["null", "true", "-1.50e2", "7", "\"\"", "\"a\\\"]}\\\\\"", "\"\\ud83d\\ude00 é\"", "0"];
        match below(random, 4) {
            kind @ 0..=1 if depth < 5 => {
                let (open, close) = if kind == 0 { ('{', '}') } else { ('[', ']') };
                out.push(open);
                for index in 0..below(random, 4) {
                    if index > 0 {
                        out.push(',');
                    }
                    if kind == 0 {
                        space(out);
                        out.push_str(
                            ["\"k\"", "\"{,:\"", "\"\\u006b\"", "\"other\""][below(random, 4) as usize],
                        );
                        space(out);
                        out.push(':');
                    }
                    write_random(random, depth + 1, out);
                }
                space(out);
                out.push(close);
            }
            _ => out.push_str(scalars[below(random, 8) as usize]),
        }
        space(out);
    }

    fn change(random: &Seeded, value: &mut Value) {
        match (below(random, 8), &mut *value) {
            (0, _) => *value = Value::from("changed \"so\""),
            (1, Value::Object(object)) => object.0.retain(|_| below(random, 2) == 0),
            (2, Value::Object(object)) => {
                if let Some((name, _)) = object.0.first_mut() {
                    *name = "renamed\n".to_owned();
                }
            }
            (3, Value::Object(object)) => drop(object.0.pop()),
            (_, Value::Object(object)) => object.0.iter_mut().for_each(|(_, member)| change(random, member)),
            (1, Value::Array(items)) => drop(items.pop()),
            (_, Value::Array(items)) => items.iter_mut().for_each(|item| change(random, item)),
            _ => {}
        }
    }
}
