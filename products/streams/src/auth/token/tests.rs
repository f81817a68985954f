//! Tokens of a provider that signs with keys of the test's own.

use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

use super::*;
use crate::auth::sasl::{Sasl, Terms};
use crate::testing::{House, NOW, text};

const ISSUER: &str = "https://id.example.org/";

/// Signs tokens, as an identity provider does.
struct Issuer {
    id: &'static str,
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    fn new(id: &'static str) -> Issuer {
        #[expect(
            clippy::disallowed_methods,
            reason = "ring signs by no other randomness, and signs for tests alone"
        )]
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).unwrap();
        Issuer { id, pair, random }
    }

    fn keys(&self) -> String {
        let point = self.pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let (x, y) = (BASE64URL_NOPAD.encode(x), BASE64URL_NOPAD.encode(y));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": self.id, "x": x, "y": y}]}).to_string()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.pair.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&json!({"alg": "ES256", "kid": self.id}), claims)
    }
}

fn now_s() -> i64 {
    NOW.0 / Timestamp::SECOND
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "kafka", "sub": "ada", "tenant": "shop", "iat": now_s(), "exp": now_s() + 300})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn settings() -> TokenSettings {
    TokenSettings {
        issuer: ISSUER.to_owned(),
        audience: "kafka".to_owned(),
        user_claim: "sub".to_owned(),
        project: ProjectOf::Claim("tenant".to_owned()),
    }
}

fn tokens(house: &House, settings: TokenSettings) -> Tokens {
    let clock: Arc<dyn Clock> = Arc::<candor_model::time::ManualClock>::clone(&house.clock);
    Tokens::new(settings, house.tenancy.clone(), clock)
}

async fn check(
    tokens: &Tokens,
    token: &str,
    extensions: &[(&str, &str)],
) -> Result<(Arc<str>, i64), TokenError> {
    let said = Bearer { authzid: None, token, extensions: extensions.iter().copied().collect() };
    let (identity, until) = tokens.check(&said).await?;
    Ok((identity.user, (until.0 - NOW.0) / Timestamp::SECOND))
}

#[tokio::test]
async fn who_made_a_token_for_whom_and_until_when() {
    let house = House::new().await;
    let tokens = tokens(&house, settings());
    let issuer = Issuer::new("one");
    assert_eq!(tokens.set_keys(&issuer.keys()).unwrap(), 1);
    let fine = Ok((Arc::from("ada"), 330));
    for good in [
        claims(),
        with("aud", json!(["web", "kafka"])),
        with("nbf", json!(now_s() + 30)),
        with("tenant", json!(["shop"])),
        with("tenant", json!("default/shop")),
        with("exp", json!((now_s() + 300) as f64)),
    ] {
        assert_eq!(check(&tokens, &issuer.token(&good), &[]).await, fine, "{good}");
    }
    let last = issuer.token(&with("exp", json!(now_s() - 29)));
    assert_eq!(check(&tokens, &last, &[]).await, Ok((Arc::from("ada"), 1)));
    for (bad, why) in [
        (with("iss", json!("https://id.example.org")), TokenError::Issuer),
        (with("iss", Value::Null), TokenError::Issuer),
        (with("aud", json!("web")), TokenError::Audience),
        (with("aud", json!([])), TokenError::Audience),
        (with("exp", json!(now_s() - 30)), TokenError::Expired),
        (with("exp", Value::Null), TokenError::Expired),
        (with("exp", json!("2999-01-01")), TokenError::Expired),
        (with("nbf", json!(now_s() + 31)), TokenError::Early),
        (with("iat", json!(now_s() + 31)), TokenError::Early),
        (with("nbf", json!("soon")), TokenError::Malformed),
        (with("sub", json!("")), TokenError::User),
        (with("sub", json!(7)), TokenError::User),
        (with("sub", json!("ANONYMOUS")), TokenError::User),
        (with("sub", json!("a\nb")), TokenError::User),
        (with("sub", json!("x".repeat(201))), TokenError::User),
        (with("tenant", json!("other")), TokenError::Project),
        (with("tenant", Value::Null), TokenError::Project),
        (with("tenant", json!(["shop", "other"])), TokenError::Project),
    ] {
        assert_eq!(check(&tokens, &issuer.token(&bad), &[]).await, Err(why), "{bad}");
    }
    let both = issuer.token(&with("tenant", json!(["shop", "other"])));
    assert_eq!(check(&tokens, &both, &[("project", "shop"), ("trace", "1")]).await, fine);
    assert_eq!(check(&tokens, &both, &[("project", "third")]).await, Err(TokenError::Project));
    let said = Bearer { authzid: Some("bob"), token: &issuer.token(&claims()), extensions: BTreeMap::new() };
    assert_eq!(tokens.check(&said).await, Err(TokenError::Other));
    let all = TokenSettings {
        project: ProjectOf::All("shop".to_owned()),
        user_claim: "email".to_owned(),
        ..settings()
    };
    let all = self::tokens(&house, all);
    all.set_keys(&issuer.keys()).unwrap();
    let named = issuer.token(&with("email", json!("ada@example.org")));
    assert_eq!(check(&all, &named, &[]).await, Ok((Arc::from("ada@example.org"), 330)));
}

#[tokio::test]
async fn what_is_not_signed_by_the_issuer_opens_nothing() {
    let house = House::new().await;
    let tokens = tokens(&house, settings());
    let (issuer, stranger) = (Issuer::new("one"), Issuer::new("one"));
    tokens.set_keys(&issuer.keys()).unwrap();
    let good = issuer.token(&claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let encode = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let unsigned = format!("{}.{}.", encode(json!({"alg": "none"})), encode(claims()));
    // Signed with the public key as if it were a secret.
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, issuer.keys().as_bytes());
    let mixed = format!("{}.{}", encode(json!({"alg": "HS256", "kid": "one"})), encode(claims()));
    let mixed =
        format!("{mixed}.{}", BASE64URL_NOPAD.encode(ring::hmac::sign(&secret, mixed.as_bytes()).as_ref()));
    let other_claims =
        format!("{}.{}.{signature}", signed.split('.').next().unwrap(), encode(with("sub", json!("root"))));
    for (token, why) in [
        (stranger.token(&claims()), TokenError::Signature),
        (other_claims, TokenError::Signature),
        (format!("{signed}."), TokenError::Signature),
        (unsigned, TokenError::Algorithm),
        (mixed, TokenError::Algorithm),
        (issuer.sign(&json!({"alg": "es256"}), &claims()), TokenError::Algorithm),
        (
            issuer.sign(&json!({"alg": "ES256", "crit": ["b64"], "b64": false}), &claims()),
            TokenError::Malformed,
        ),
        (issuer.sign(&json!({"kid": "one"}), &claims()), TokenError::Malformed),
        (issuer.sign(&json!({"alg": "ES256"}), &json!("ada")), TokenError::Malformed),
        (signed.to_owned(), TokenError::Malformed),
        (format!("{good}="), TokenError::Malformed),
        (format!("{good}.x"), TokenError::Malformed),
        (String::new(), TokenError::Malformed),
        ("x".repeat(TOKEN_BYTES_MAX + 1), TokenError::Malformed),
    ] {
        assert_eq!(check(&tokens, &token, &[]).await, Err(why), "{token}");
    }
    assert!(check(&tokens, &good, &[]).await.is_ok());
    let nameless = issuer.sign(&json!({"alg": "ES256"}), &claims());
    assert!(check(&tokens, &nameless, &[]).await.is_ok(), "a token need not name its key");
}

#[tokio::test]
async fn a_key_that_is_not_known_is_asked_for_and_waited_for() {
    let house = House::new().await;
    let tokens = tokens(&house, settings());
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let token = new.token(&claims());
    let loader = {
        let (tokens, keys) = (tokens.clone(), [old.keys(), new.keys()]);
        tokio::spawn(async move {
            for keys in keys {
                tokens.wants_keys().await;
                tokens.set_keys(&keys).unwrap();
            }
        })
    };
    assert!(check(&tokens, &old.token(&claims()), &[]).await.is_ok());
    assert!(check(&tokens, &token, &[]).await.is_ok());
    loader.await.unwrap();
    assert!(tokens.set_keys("{}").is_err());
    assert!(check(&tokens, &token, &[]).await.is_ok(), "a set that cannot be read changes nothing");
    tokio::time::pause();
    assert_eq!(check(&tokens, &old.token(&claims()), &[]).await, Err(TokenError::Key), "it is gone");
    assert!(tokens.set_keys(r#"{"keys":[]}"#).is_err());
    assert_eq!(check(&tokens, &token, &[]).await, Err(TokenError::Key), "its owner took it back");
    tokens.set_keys(&new.keys()).unwrap();
    assert!(check(&tokens, &token, &[]).await.is_ok());
    tokens.forget_keys();
    assert_eq!(check(&tokens, &token, &[]).await, Err(TokenError::Key), "nobody vouches for it");
}

#[tokio::test]
async fn a_connection_is_its_tokens_until_that_runs_out() {
    let house = House::new().await;
    let tokens = tokens(&house, settings());
    let issuer = Issuer::new("one");
    tokens.set_keys(&issuer.keys()).unwrap();
    let log_in = async |sasl: &mut Sasl, token: &str| {
        let shaken = sasl.handshake(&SaslHandshakeRequest::default().with_mechanism(text("OAUTHBEARER")), 1);
        assert_eq!(shaken.error_code, 0, "{:?}", shaken.mechanisms);
        let bytes = Bytes::from(format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}"));
        let answer = sasl.authenticate(&SaslAuthenticateRequest::default().with_auth_bytes(bytes)).await;
        assert_eq!(answer.error_code == 0, answer.error_message.is_none());
        (answer.error_code, answer.session_lifetime_ms)
    };
    let fresh = |lifetime_ms, tokens| {
        Sasl::new(house.streams.credentials().clone(), Terms { is_private: true, lifetime_ms, tokens })
    };
    let mut sasl = fresh(None, Some(tokens.clone()));
    assert_eq!(log_in(&mut sasl, &issuer.token(&claims())).await, (0, 330_000));
    assert!(sasl.is_by_token() && &*sasl.identity().unwrap().user == "ada");
    house.clock.advance(330 * Timestamp::SECOND);
    assert!(sasl.is_expired());
    assert_eq!(log_in(&mut sasl, &issuer.token(&with("exp", json!(now_s() + 600)))).await, (0, 300_000));
    assert!(!sasl.is_expired());
    let other = with("exp", json!(now_s() + 600)).as_object().cloned().map(|mut of| {
        of.insert("sub".to_owned(), json!("bob"));
        Value::Object(of)
    });
    assert_eq!(log_in(&mut sasl, &issuer.token(&other.unwrap())).await.0, 58, "as another user");
    assert!(sasl.is_over());
    // The shorter of the two counts.
    let mut sasl = fresh(Some(1000), Some(tokens.clone()));
    assert_eq!(log_in(&mut sasl, &issuer.token(&with("exp", json!(now_s() + 600)))).await, (0, 1000));
    let mut sasl = fresh(None, Some(tokens));
    assert_eq!(log_in(&mut sasl, &issuer.token(&claims())).await.0, 58, "it has run out");
    let shaken =
        fresh(None, None).handshake(&SaslHandshakeRequest::default().with_mechanism(text("OAUTHBEARER")), 1);
    assert_eq!((shaken.error_code, shaken.mechanisms.len()), (33, 3), "where none are taken");
}
