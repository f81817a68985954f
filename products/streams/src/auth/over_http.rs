//! Who asks over HTTP: a user by name and password (Basic, RFC 7617), or on loopback nobody, where the server was
//! started so.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use candor_meta::Tenancy;
use data_encoding::BASE64;
use http::{HeaderMap, header};

use super::credentials::{ANONYMOUS, CredentialError, Credentials, Identity};
use crate::caller::Caller;

/// How long a wrong password waits for its answer: who guesses is to be slow.
const WRONG_DELAY: Duration = Duration::from_millis(100);

/// Why a request is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Nobody {
    /// It does not say whose it is.
    #[error("send the name and password of a Kafka user of the project as Authorization: Basic")]
    Unsaid,
    /// Name and password open nothing.
    #[error("the user's name or the password is wrong")]
    Wrong,
    /// It cannot be found out now.
    #[error("too many clients log in at once, or users cannot be read: try again")]
    Busy,
}

/// Lets requests in. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    credentials: Credentials,
    tenancy: Tenancy,
    /// The project of clients on loopback that prove nothing, by name.
    anonymous: Option<Arc<str>>,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// The client, as far as trusted proxies tell.
    pub client: IpAddr,
}

impl Door {
    /// Over the users and projects of the house.
    pub fn new(credentials: Credentials, tenancy: Tenancy, anonymous: Option<Arc<str>>) -> Door {
        Door { credentials, tenancy, anonymous }
    }

    /// Who asks.
    pub async fn caller(
        &self,
        from: Origin,
        headers: &HeaderMap,
        client_id: Option<Arc<str>>,
    ) -> Result<Caller, Nobody> {
        let identity = match headers.contains_key(header::AUTHORIZATION) {
            true => self.user(headers).await?,
            false => self.anonymous(from, headers).await?.ok_or(Nobody::Unsaid)?,
        };
        Ok(Caller { project: identity.project, user: identity.user, client_id, host: from.client })
    }

    async fn user(&self, headers: &HeaderMap) -> Result<Identity, Nobody> {
        let (user, password) = read(headers).ok_or(Nobody::Unsaid)?;
        match self.credentials.verify(&user, &password).await {
            Ok(Some(identity)) => Ok(identity),
            Ok(None) => {
                tokio::time::sleep(WRONG_DELAY).await;
                Err(Nobody::Wrong)
            }
            Err(CredentialError::Busy) => Err(Nobody::Busy),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a user could not be looked up");
                Err(Nobody::Busy)
            }
        }
    }

    /// A client on this machine itself. What a browser was made to send is not: it names an origin, or a host that is no
    /// name of this machine.
    async fn anonymous(&self, from: Origin, headers: &HeaderMap) -> Result<Option<Identity>, Nobody> {
        let Some(name) = self.anonymous.as_deref() else { return Ok(None) };
        let is_browser = headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site");
        if !from.peer.is_loopback() || !from.client.is_loopback() || is_browser || !is_to_loopback(headers) {
            return Ok(None);
        }
        let project = self.tenancy.resolve(name).await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "a project could not be looked up");
            Nobody::Busy
        })?;
        Ok(project.map(|project| Identity { project: project.id, user: Arc::from(ANONYMOUS) }))
    }
}

/// Whether the host that a request names is this machine.
fn is_to_loopback(headers: &HeaderMap) -> bool {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match named.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => named.split(':').next(),
    };
    let name = name.unwrap_or_default();
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The name, which has no colon, and the password, which may have some.
fn read(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = BASE64.decode(encoded.trim().as_bytes()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let (user, password) = pair.split_at(colon);
    let user = String::from_utf8(user.to_vec()).ok()?;
    Some((user, password.get(1..)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_read_as_rfc_7617_says() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().expect("a value"));
            read(&headers)
        };
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.as_bytes().to_vec()));
        let encoded = |text: &str| BASE64.encode(text.as_bytes());
        assert_eq!(of(&format!("Basic {}", encoded("shop:secret"))), pair("shop", "secret"));
        assert_eq!(of(&format!("basic  {}", encoded("shop:a:b"))), pair("shop", "a:b"));
        assert_eq!(of(&format!("Basic {}", encoded(":"))), pair("", ""));
        for wrong in ["Basic", "Basic !", "Bearer c2hvcDpzZWNyZXQ=", "Basic c2hvcA==", "Basic /zo="] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(read(&HeaderMap::new()), None);
    }

    #[test]
    fn hosts_that_are_this_machine() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, value.parse().expect("a value"));
            is_to_loopback(&headers)
        };
        assert!(
            ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "127.9.9.9"].into_iter().all(of)
        );
        assert!(
            !["", "evil.example", "localhost.evil.example:80", "10.0.0.1", "[fe80::1]"].into_iter().any(of)
        );
        assert!(!is_to_loopback(&HeaderMap::new()));
    }
}
