//! What a name says about the value that stands under it.
//!
//! A name is read as words (`userPassword`, `user_password`, `user.password` and `USER-PASSWORD` are the same two),
//! because matching substrings blanks `author`, `token_count` and `monkey`. A word that means a secret is taken back
//! by a later word that says what is told *about* the secret (`password_length`, `token_expires_at`); an unknown
//! later word does not take it back, so that `password_confirmation` and `secret_blob` stay safe.

use candor_model::Anchors;

use crate::rules::Kind;

/// What a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing in particular.
    Ordinary,
    /// A payment card's number: weaker evidence will do.
    Card,
    /// A US social security number: nine digits will do.
    Ssn,
    /// A secret.
    Secret(Secrecy),
}

/// The kind of secret that a name means: how much of what stands under it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// Passwords and what is said to be secret: everything.
    Password,
    /// Tokens and keys: everything but what is plainly something else (a version, a number of tokens).
    Token,
    /// The header `Authorization`: a scheme and its credentials.
    Authorization,
    /// Cookies: a list of pairs.
    Cookie,
    /// Words that also mean harmless things (`session`, `auth`): only what looks random.
    Weak,
}

impl Secrecy {
    /// True where a list or an object under the name is secret to its last leaf.
    pub(crate) fn takes_containers(self) -> bool {
        self != Secrecy::Weak
    }
}

/// Longest name that is read, bytes. What is longer is text, not a name.
const NAME_BYTES_MAX: usize = 128;
/// Most words of a name that are read.
const WORDS_MAX: usize = 16;

/// Every word that [`Words::term`] knows has one of these in it, however it is written.
static ANCHORS: Anchors = Anchors::new(&[
    b"pas", b"psw", b"pw", b"sec", b"tok", b"key", b"aut", b"coo", b"cre", b"srf", b"jwt", b"bea", b"otp",
    b"cvv", b"cvc", b"cvn", b"csc", b"ses", b"sid", b"cod", b"phr", b"ans", b"sig", b"soc", b"car", b"ccn",
    b"ssn", b"ken", b"pin",
]);

/// False where a name cannot mean anything: the cheap question before [`meaning`].
#[inline]
pub(crate) fn may_mean(name: &[u8]) -> bool {
    ANCHORS.may_be_in(name)
}

/// What a name means.
pub(crate) fn meaning(name: &[u8]) -> Meaning {
    match may_mean(name) && !is_placeholder(name) {
        true => Words::of(name).map_or(Meaning::Ordinary, |words| words.meaning()),
        false => Meaning::Ordinary,
    }
}

/// True for a placeholder, with the number that keeps names distinct or without: it says what a name held, nothing
/// about what stands under it.
fn is_placeholder(name: &[u8]) -> bool {
    name.first() == Some(&b'[')
        && Kind::ALL.iter().any(|kind| match name.strip_prefix(kind.placeholder().as_bytes()) {
            Some([]) => true,
            Some([b'#', number @ ..]) => number.iter().all(u8::is_ascii_digit),
            _ => false,
        })
}

/// True for a number of tokens: `"tokens": 512` counts, `"token": 512` does not.
pub(crate) fn is_amount(name: Option<&str>, text: &str) -> bool {
    let plural =
        name.is_some_and(|name| name.as_bytes().last().is_some_and(|byte| byte.eq_ignore_ascii_case(&b's')));
    plural && text.parse().is_ok_and(|number: f64| number.abs() < 1e9)
}

/// True where a name says that its value tells things apart or counts them (`trace_id`, `offset`): a long number
/// under it needs more than a checksum to be a card.
pub(crate) fn is_identifier(name: &[u8]) -> bool {
    let Some(words) = Words::of(name) else { return false };
    matches!(
        words.get(words.count.saturating_sub(1)),
        b"id"
            | b"ids"
            | b"uuid"
            | b"guid"
            | b"hash"
            | b"offset"
            | b"seq"
            | b"sequence"
            | b"nonce"
            | b"timestamp"
            | b"time"
            | b"ts"
            | b"ns"
            | b"us"
            | b"nanos"
            | b"nano"
            | b"cursor"
            | b"version"
            | b"checksum"
            | b"crc"
            | b"size"
            | b"bytes"
            | b"count"
            | b"lsn"
            | b"xid"
            | b"tid"
            | b"pid"
            | b"position"
            | b"inode"
            | b"seed"
            | b"span"
            | b"trace"
            | b"block"
            | b"blk"
    )
}

/// A name taken apart into lower-case words.
struct Words {
    text: [u8; NAME_BYTES_MAX],
    bounds: [(u8, u8); WORDS_MAX],
    count: usize,
}

impl Words {
    /// None for what is too long to be a name.
    fn of(name: &[u8]) -> Option<Words> {
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

    fn get(&self, index: usize) -> &[u8] {
        if index >= self.count {
            return b"";
        }
        let (start, end) = self.bounds.get(index).copied().unwrap_or_default();
        self.text.get(usize::from(start)..usize::from(end)).unwrap_or_default()
    }

    fn meaning(&self) -> Meaning {
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
    use candor_model::Random;
    use candor_model::random::Seeded;

    use super::*;

    fn names_of(expected: fn(Meaning) -> bool, names: &str) {
        for name in names.split_whitespace() {
            let meaning = meaning(name.as_bytes());
            assert!(expected(meaning), "{name} means {meaning:?}");
        }
    }

    #[test]
    fn secrets() {
        names_of(
            |meaning| matches!(meaning, Meaning::Secret(_)),
            "password Password PASSWORD passwd pwd pw secret token api_key apikey apiKey APIKey api-key X-Api-Key \
             authorization Authorization proxy-authorization Cookie cookies set-cookie Set-Cookie private_key privateKey \
             access_token accessToken refresh_token refreshToken id_token session csrf csrf_token csrfToken \
             csrfmiddlewaretoken X-CSRF-Token XSRF-TOKEN authenticity_token credentials creds userPassword \
             user_password user.password user[password] DB_PASSWORD dbPassword PGPASSWORD MYSQL_PWD mysql_pwd password2 \
             new_password passwordConfirmation password_confirmation password_hash client_secret clientSecret \
             AWS_SECRET_ACCESS_KEY aws_secret_access_key SECRET_KEY secretKey secret_id passphrase jwt bearer \
             x-auth-token X-Amz-Security-Token x-vault-token http.request.header.authorization \
             http.request.header.cookie db_pass smtpPass accesstoken dbpassword userpwd AccountKey SharedAccessKey \
             subscription-key ocp-apim-subscription-key otp totp cvv cvc2 card_code security_code connect.sid PHPSESSID \
             JSESSIONID sessionid recovery_codes seed_phrase auth basic_auth signing_key encryptionKey \
             authorization_code oauth2_token OAUTH_TOKEN GITHUB_TOKEN token1 secrets tokens",
        );
    }

    #[test]
    fn ordinary_names() {
        names_of(
            |meaning| meaning == Meaning::Ordinary,
            "author authority authors author_name token_count tokenCount token_type tokenizer tokenize tokenization \
             max_tokens prompt_tokens gen_ai.usage.input_tokens next_page_token pageToken password_length \
             password_expires_at passwordless pass passed bypass compass passenger passport key keyboard monkey turkey \
             public_key publicKey primary_key foreign_key keys hotkey cookie_consent cookieName cookies_enabled \
             session_id session.id sessionId session_count sessions sessionTimeout user_id id name email secretary \
             secretly access_key_id accessKeyId token_expires_in tokenUri api_key_id credential_id oauth_provider auth_type \
             auth_method authentication authenticated unauthorized authorized cwd oldpwd status_code error_code \
             postal_code zipcode code country_code encoding decode signature message transaction release environment \
             trace_id span_id host.name service.name severity_text timestamp description discard cardinality \
             http.request.method session_duration_ms cookie_domain csrf_enabled otp_enabled secretName secretKeyRef.name \
             assassin option http topic stop basket",
        );
    }

    #[test]
    fn hints() {
        names_of(
            |meaning| meaning == Meaning::Card,
            "card card_number cardNumber credit_card creditCard cc_card",
        );
        names_of(
            |meaning| meaning == Meaning::Ssn,
            "ssn SSN customer_ssn socialSecurityNumber social_security ssn_number",
        );
        for name in ["trace_id", "dd.trace_id", "blk", "userId", "created_ts", "offset"] {
            assert!(is_identifier(name.as_bytes()), "{name}");
        }
        for name in ["idle", "card", "grid", "message", ""] {
            assert!(!is_identifier(name.as_bytes()), "{name}");
        }
    }

    /// What the cheap question lets go means nothing.
    #[test]
    fn names_without_anchors_are_ordinary() {
        let pieces: &[&str] = &[
            "api",
            "key",
            "Keys",
            "secret",
            "card",
            "pin",
            "auth",
            "pw",
            "PW",
            "pwd",
            "pass",
            "Word",
            "phrase",
            "seed",
            "code",
            "backup",
            "mfa",
            "answer",
            "security",
            "amz",
            "signature",
            "connect",
            "sid",
            "basic",
            "social",
            "tokens",
            "creds",
            "otp",
            "totp",
            "cvv",
            "cvc",
            "cvn",
            "csc",
            "jwt",
            "bearer",
            "csrf",
            "xsrf",
            "cookie",
            "session",
            "sess",
            "ssn",
            "ccnumber",
            "kennwort",
            "wort",
            "psw",
            "id",
            "_",
            "-",
            ".",
            "1",
            "x",
            "é",
            "a",
        ];
        let random = Seeded::new(9);
        let mut ordinary = 0;
        for _ in 0..200_000 {
            let mut name = String::new();
            for _ in 0..random.next_u64() % 5 {
                name.push_str(pieces[random.next_u64() as usize % pieces.len()]);
            }
            if random.next_u64().is_multiple_of(4) && !name.is_empty() && name.is_ascii() {
                name.remove(random.next_u64() as usize % name.len());
            }
            if !may_mean(name.as_bytes()) {
                ordinary += 1;
                let meaning = Words::of(name.as_bytes()).map(|words| words.meaning());
                assert_eq!(meaning, Some(Meaning::Ordinary), "{name}");
            }
        }
        assert!(ordinary > 10_000, "{ordinary}");
    }

    #[test]
    fn about_is_sorted() {
        // The search is binary: a word out of order would not be found.
        assert!(ABOUT.is_sorted());
    }

    #[test]
    fn any_name_is_read() {
        for length in 0..300 {
            let _ = meaning("aB1_".repeat(length).as_bytes());
            let _ = meaning("password.".repeat(length).as_bytes());
        }
        let long = format!("{}password", "a.b.c.d.e.f.g.h.i.j.".repeat(5));
        assert_eq!(meaning(long.as_bytes()), Meaning::Secret(Secrecy::Password));
    }
}
