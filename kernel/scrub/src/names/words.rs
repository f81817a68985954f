//! A name as words, and the words that mean something.

use super::{Meaning, Secrecy};

/// Longest name that is read, bytes. What is longer is text, not a name.
const NAME_BYTES_MAX: usize = 128;
/// Most words of a name that are read.
const WORDS_MAX: usize = 16;

/// A name taken apart into lower-case words.
pub(super) struct Words {
    text: [u8; NAME_BYTES_MAX],
    bounds: [(u8, u8); WORDS_MAX],
    count: usize,
}

impl Words {
    /// None for what is too long to be a name.
    pub(super) fn of(name: &[u8]) -> Option<Words> {
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        let mut words = Words { text: [0; NAME_BYTES_MAX], bounds: [(0, 0); WORDS_MAX], count: 0 };
        let mut open: Option<usize> = None;
        let mut before = Shape::Other;
        for (index, (byte, lower)) in name.iter().zip(&mut words.text).enumerate() {
            *lower = byte.to_ascii_lowercase();
            let shape = Shape::of(*byte);
            let next = name.get(index + 1).map_or(Shape::Other, |next| Shape::of(*next));
            let boundary = match (before, shape) {
                (_, Shape::Other) | (Shape::Other, _) => true,
                // `userName`, and the last capital of `APIKey`.
                (Shape::Lower, Shape::Upper) => true,
                (Shape::Upper, Shape::Upper) => next == Shape::Lower,
                (Shape::Digit, Shape::Lower | Shape::Upper) | (Shape::Lower | Shape::Upper, Shape::Digit) => {
                    true
                }
                _ => false,
            };
            if boundary && let Some(start) = open.take() {
                close(&mut words.bounds, &mut words.count, start, index);
            }
            if boundary && shape != Shape::Other {
                open = Some(index);
            }
            before = shape;
        }
        if let Some(start) = open {
            close(&mut words.bounds, &mut words.count, start, name.len());
        }
        Some(words)
    }

    /// The word at `index`; empty beyond the last.
    fn get(&self, index: usize) -> &[u8] {
        if index >= self.count {
            return b"";
        }
        let (start, end) = self.bounds.get(index).copied().unwrap_or_default();
        self.text.get(usize::from(start)..usize::from(end)).unwrap_or_default()
    }

    /// The last word.
    pub(super) fn last(&self) -> &[u8] {
        self.get(self.count.saturating_sub(1))
    }

    /// What the words mean together.
    pub(super) fn meaning(&self) -> Meaning {
        let mut weaker = Meaning::Ordinary;
        for index in 0..self.count {
            let Some((meaning, next)) = self.term(index) else { continue };
            if (next..self.count).any(|later| tells_about(self.get(later))) {
                continue;
            }
            match meaning {
                Meaning::Secret(Secrecy::Weak) | Meaning::Card | Meaning::Ssn => weaker = meaning,
                strong => return strong,
            }
        }
        weaker
    }

    /// The meaning of the words from `index` on, and the first word behind them.
    fn term(&self, index: usize) -> Option<(Meaning, usize)> {
        let (word, next) = (self.get(index), self.get(index + 1));
        let before = index.checked_sub(1).map_or(&b""[..], |before| self.get(before));
        let one = |secrecy| Some((Meaning::Secret(secrecy), index + 1));
        let two = |secrecy| Some((Meaning::Secret(secrecy), index + 2));
        match (word, next) {
            (b"secret", b"id") => two(Secrecy::Token),
            (
                b"api" | b"access" | b"secret" | b"private" | b"signing" | b"encryption" | b"master"
                | b"auth" | b"account" | b"shared" | b"session" | b"license" | b"deploy" | b"storage"
                | b"subscription" | b"functions" | b"service" | b"application" | b"app" | b"consumer"
                | b"webhook" | b"admin",
                b"key" | b"keys",
            ) => two(Secrecy::Token),
            (
                b"recovery" | b"backup" | b"verification" | b"security" | b"card" | b"mfa",
                b"code" | b"codes",
            ) => two(Secrecy::Password),
            (b"seed" | b"recovery" | b"pass", b"phrase") => two(Secrecy::Password),
            (b"card", b"pin") | (b"auth", b"pw") => two(Secrecy::Password),
            (b"pass", b"word" | b"words" | b"code") => two(Secrecy::Password),
            (b"security", b"answer" | b"answers") => two(Secrecy::Password),
            (b"amz" | b"goog", b"signature") => two(Secrecy::Token),
            (b"connect", b"sid") => two(Secrecy::Token),
            (b"basic" | b"http", b"auth") => two(Secrecy::Authorization),
            (b"social", b"security") => Some((Meaning::Ssn, index + 2)),
            (b"tokens", _) if counts_tokens(before) => None,
            (b"token", _) if leads_on(before) => None,
            (b"password" | b"passwords" | b"passwd" | b"pwd" | b"pswd" | b"psw" | b"pw", _) => {
                one(Secrecy::Password)
            }
            (b"passwort" | b"kennwort" | b"passphrase" | b"passcode" | b"secret" | b"secrets", _) => {
                one(Secrecy::Password)
            }
            (b"credential" | b"credentials" | b"creds" | b"otp" | b"totp", _) => one(Secrecy::Password),
            (b"cvv" | b"cvc" | b"cvn" | b"csc", _) => one(Secrecy::Password),
            (b"pass", b"") if owns_password(before) => one(Secrecy::Password),
            (b"token" | b"tokens" | b"jwt" | b"bearer" | b"csrf" | b"xsrf", _) => one(Secrecy::Token),
            (b"authorization", _) => one(Secrecy::Authorization),
            (b"cookie" | b"cookies", _) => one(Secrecy::Cookie),
            (b"session" | b"auth", b"") => one(Secrecy::Weak),
            (b"ssn" | b"ssns" | b"socialsecurity" | b"socialsecuritynumber", _) => {
                Some((Meaning::Ssn, index + 1))
            }
            (b"card" | b"creditcard" | b"cardnumber" | b"ccnumber", _) => Some((Meaning::Card, index + 1)),
            _ => compound(word).map(|secrecy| (Meaning::Secret(secrecy), index + 1)),
        }
    }
}

fn close(bounds: &mut [(u8, u8); WORDS_MAX], count: &mut usize, start: usize, end: usize) {
    // Names have at most NAME_BYTES_MAX bytes, so both fit. Words beyond the last slot are dropped from the front:
    // the end of a name says what it is.
    if *count == WORDS_MAX {
        bounds.rotate_left(1);
        *count -= 1;
    }
    if let Some(slot) = bounds.get_mut(*count) {
        *slot = (start as u8, end as u8);
        *count += 1;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Lower,
    Upper,
    Digit,
    Other,
}

impl Shape {
    fn of(byte: u8) -> Shape {
        match byte {
            b'A'..=b'Z' => Shape::Upper,
            b'0'..=b'9' => Shape::Digit,
            // Letters beyond ASCII have no case worth knowing here.
            b'a'..=b'z' | 0x80.. => Shape::Lower,
            _ => Shape::Other,
        }
    }
}

/// Words that were written as one: `dbpassword`, `accesstoken`, `passwordconfirm`.
fn compound(word: &[u8]) -> Option<Secrecy> {
    const PASSWORDS: [&[u8]; 5] = [b"password", b"passwd", b"passphrase", b"secret", b"passwort"];
    const TOKENS: [&[u8]; 7] =
        [b"token", b"apikey", b"privatekey", b"secretkey", b"accesskey", b"accountkey", b"authkey"];
    if PASSWORDS.iter().any(|ending| word.ends_with(ending)) {
        return Some(Secrecy::Password);
    }
    if word.starts_with(b"password") && !word.starts_with(b"passwordless") {
        return Some(Secrecy::Password);
    }
    if word.len() > 3 && word.ends_with(b"pwd") && word != b"oldpwd" {
        return Some(Secrecy::Password);
    }
    // Cookies of that name open sessions; messages of that name count them.
    if word.ends_with(b"sessionid") || word.ends_with(b"sessid") {
        return Some(Secrecy::Weak);
    }
    TOKENS.iter().any(|ending| word.ends_with(ending)).then_some(Secrecy::Token)
}

/// Whose `pass` is a password and not a passed test.
fn owns_password(word: &[u8]) -> bool {
    matches!(
        word,
        b"user"
            | b"db"
            | b"database"
            | b"smtp"
            | b"mysql"
            | b"pg"
            | b"postgres"
            | b"redis"
            | b"admin"
            | b"root"
            | b"ftp"
            | b"mail"
            | b"proxy"
            | b"login"
            | b"http"
            | b"basic"
            | b"auth"
            | b"imap"
            | b"mongo"
            | b"rabbitmq"
            | b"amqp"
            | b"ldap"
    )
}

/// What is counted in tokens (`max_tokens`, `prompt_tokens`).
fn counts_tokens(word: &[u8]) -> bool {
    matches!(
        word,
        b"max"
            | b"min"
            | b"num"
            | b"n"
            | b"total"
            | b"prompt"
            | b"completion"
            | b"input"
            | b"output"
            | b"cached"
            | b"reasoning"
            | b"audio"
            | b"text"
            | b"image"
            | b"used"
            | b"remaining"
    )
}

/// Tokens that open nothing: they lead to the next page, or are what a parser met.
fn leads_on(word: &[u8]) -> bool {
    matches!(
        word,
        b"page"
            | b"continuation"
            | b"sync"
            | b"cancellation"
            | b"cancel"
            | b"unexpected"
            | b"expected"
            | b"syntax"
    )
}

/// See [`tells_about`]; in order.
#[rustfmt::skip]
const ABOUT: &[&[u8]] = &[
    b"age", b"alg", b"algorithm", b"allowed", b"arn", b"at", b"attempt", b"attempts", b"audience",
    b"bucket", b"budget", b"bytes", b"cache", b"change", b"changed", b"class", b"column", b"consent",
    b"cost", b"count", b"counts", b"created", b"date", b"description", b"dir", b"disabled", b"domain",
    b"enabled", b"encoding", b"endpoint", b"error", b"errors", b"exists", b"exp", b"expiration", b"expired",
    b"expires", b"expiry", b"failed", b"failure", b"failures", b"file", b"format", b"handler", b"hint",
    b"httponly", b"id", b"ids", b"index", b"issuer", b"kind", b"label", b"left", b"len", b"length",
    b"lifetime", b"limit", b"limits", b"manager", b"max", b"method", b"middleware", b"min", b"mode", b"ms",
    b"name", b"names", b"offset", b"parser", b"path", b"policy", b"position", b"prefix", b"present",
    b"provider", b"rate", b"ref", b"remaining", b"required", b"rules", b"samesite", b"scope", b"scopes",
    b"seconds", b"service", b"size", b"status", b"store", b"strategy", b"strength", b"supported",
    b"timeout", b"ttl", b"type", b"types", b"updated", b"uri", b"url", b"usage", b"used", b"valid",
    b"validity", b"version",
];

/// Words that say what is told about the secret before them, which is then not its value.
fn tells_about(word: &[u8]) -> bool {
    ABOUT.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_is_sorted() {
        // The search is binary: a word out of order would not be found.
        assert!(ABOUT.is_sorted());
    }
}
