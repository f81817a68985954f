//! The public keys by which tokens of Kafka clients are checked: read from a file or fetched from a URL at the start, now
//! and then, and when a client brings a token whose key is not known. Without an identity provider nothing is fetched.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use candor_streams::Tokens;
use candor_streams::auth::token::KEYS_BYTES_MAX;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::options::KeysAt;
use crate::files;

/// How often keys are looked at anew: one that its owner took back is of use no longer than this.
const AGE_MAX: Duration = Duration::from_secs(600);

/// How long keys are of use that nobody could look at anew.
const KEPT_MAX: Duration = Duration::from_secs(3600);

/// How long at least between two looks: who sends tokens of made up keys makes us ask no more often.
const PAUSE_MIN: Duration = Duration::from_secs(5);

/// Time for the keys to come.
const FETCH_WAIT_MAX: Duration = Duration::from_secs(10);

/// Keeps keys fresh.
pub(super) struct TokenKeys {
    tokens: Tokens,
    place: KeysAt,
    http: reqwest::Client,
}

impl TokenKeys {
    /// For whom, and from where.
    pub(super) fn new(tokens: Tokens, place: KeysAt) -> Result<TokenKeys> {
        let http = reqwest::Client::builder()
            .timeout(FETCH_WAIT_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("cannot set up HTTP")?;
        Ok(TokenKeys { tokens, place, http })
    }

    /// Loads the keys, and goes on doing so until `stop`. Fails where there is no file that holds keys; whoever keeps them
    /// behind a URL may start later than we do.
    pub(super) async fn start(self, stop: CancellationToken) -> Result<()> {
        match (self.load().await, &self.place) {
            (Ok(()), _) => {}
            (Err(error), KeysAt::File(_)) => return Err(error),
            (Err(error), KeysAt::Url(_)) => self.warn(&error),
        }
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.keep_fresh() => {}
            }
        });
        Ok(())
    }

    async fn keep_fresh(&self) {
        let mut seen = Instant::now();
        loop {
            let looked = Instant::now();
            sleep_until(looked + PAUSE_MIN).await;
            // Whether somebody wants them or they are old, it is time.
            let _ = timeout_at(looked + AGE_MAX, self.tokens.wants_keys()).await;
            match self.load().await {
                Ok(()) => seen = Instant::now(),
                Err(error) => {
                    self.warn(&error);
                    if seen.elapsed() > KEPT_MAX {
                        self.tokens.forget_keys();
                    }
                }
            }
        }
    }

    async fn load(&self) -> Result<()> {
        let document = match &self.place {
            KeysAt::File(path) => read(path)?,
            KeysAt::Url(url) => {
                self.fetch(url).await.with_context(|| format!("cannot fetch {}", self.place))?
            }
        };
        let found = self.tokens.set_keys(&document);
        let keys = found.with_context(|| format!("--kafka-oauth-jwks {}", self.place))?;
        tracing::debug!(keys, "keys for the tokens of Kafka clients");
        Ok(())
    }

    async fn fetch(&self, url: &str) -> Result<String> {
        let mut answer = self.http.get(url).send().await.map_err(reqwest::Error::without_url)?;
        if !answer.status().is_success() {
            bail!("it answered {}", answer.status());
        }
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > KEYS_BYTES_MAX {
                bail!("it answered with more than {KEYS_BYTES_MAX} bytes");
            }
        }
        String::from_utf8(bytes).context("it answered with what is no text")
    }

    fn warn(&self, error: &anyhow::Error) {
        let error = format!("{error:#}");
        tracing::warn!(error, "no new keys for tokens of Kafka clients");
    }
}

fn read(path: &Path) -> Result<String> {
    let length = files::length(path)
        .with_context(|| format!("--kafka-oauth-jwks {}: cannot read it", path.display()))?;
    if length > KEYS_BYTES_MAX as u64 {
        bail!("--kafka-oauth-jwks {}: it has more than {KEYS_BYTES_MAX} bytes", path.display());
    }
    files::read_text(path).with_context(|| format!("--kafka-oauth-jwks {}: cannot read it", path.display()))
}

impl std::fmt::Display for KeysAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KeysAt::File(path) => path.display().fmt(f),
            KeysAt::Url(url) => f.write_str(&without_secrets(url)),
        }
    }
}

/// A URL without its user, password and query, which may be secrets.
fn without_secrets(url: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(url) else { return "a URL that cannot be read".to_owned() };
    // Neither fails for a URL with a host.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_without_secrets() {
        let place = KeysAt::Url("https://me:word@id.example/keys?token=1#x".to_owned());
        assert_eq!(place.to_string(), "https://id.example/keys");
    }
}
