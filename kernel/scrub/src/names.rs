//! What a name says about the value that stands under it.
//!
//! A name is read as words (`userPassword`, `user_password`, `user.password` and `USER-PASSWORD` are the same two),
//! because matching substrings blanks `author`, `token_count` and `monkey`. A word that means a secret is taken back
//! by a later word that says what is told *about* the secret (`password_length`, `token_expires_at`); an unknown
//! later word does not take it back, so that `password_confirmation` and `secret_blob` stay safe.

mod words;

use candor_model::Anchors;

use crate::rules::Kind;
use words::Words;

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
        words.last(),
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
    fn any_name_is_read() {
        for length in 0..300 {
            let _ = meaning("aB1_".repeat(length).as_bytes());
            let _ = meaning("password.".repeat(length).as_bytes());
        }
        let long = format!("{}password", "a.b.c.d.e.f.g.h.i.j.".repeat(5));
        assert_eq!(meaning(long.as_bytes()), Meaning::Secret(Secrecy::Password));
    }
}
