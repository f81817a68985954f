//! Who sends: the DSN's public key in any of the five places in which SDKs put it.
//!
//! Relay refuses a request that carries it twice; proxies and tunnels add a second one, so we take the first in the
//! documented order instead: `X-Sentry-Auth`, `Authorization: Sentry`, `Authorization: Basic`, the query, and, where
//! none is there, the `dsn` of the envelope's header.

use axum::extract::Query;
use data_encoding::BASE64;
use http::{HeaderMap, Uri, header};

/// A key as it was presented; nothing about it has been checked but its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// 32 hex digits in lower case.
    pub key: String,
    /// `sentry_client`: the SDK and its version.
    pub client: Option<String>,
    /// The project in a DSN; other places have none.
    pub project: Option<String>,
}

/// Why no key could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Nowhere a key.
    #[error("missing authorization information")]
    Missing,
    /// Something that is no key.
    #[error("bad sentry DSN public key")]
    Key,
    /// An envelope's `dsn` that is no DSN.
    #[error("invalid sentry DSN")]
    Dsn,
}

/// The key in a request's headers or query.
pub fn from_request(headers: &HeaderMap, uri: &Uri) -> Result<Presented, AuthError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(fields) = text(header::HeaderName::from_static("x-sentry-auth")) {
        return from_fields(strip_scheme(fields, "sentry").unwrap_or(fields));
    }
    if let Some(authorization) = text(header::AUTHORIZATION) {
        if let Some(fields) = strip_scheme(authorization, "sentry") {
            return from_fields(fields);
        }
        if let Some(credentials) = strip_scheme(authorization, "basic") {
            let decoded = BASE64.decode(credentials.trim().as_bytes()).map_err(|_| AuthError::Key)?;
            let user = decoded.split(|byte| *byte == b':').next().unwrap_or_default();
            return key(&String::from_utf8_lossy(user)).map(|key| Presented {
                key,
                client: None,
                project: None,
            });
        }
    }
    let query = query(uri);
    let field = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    match field("sentry_key") {
        Some(text) => Ok(Presented {
            key: key(text)?,
            client: field("sentry_client").map(str::to_owned),
            project: None,
        }),
        None => Err(AuthError::Missing),
    }
}

/// The key in a DSN, `https://KEY[:SECRET]@HOST[/PATH]/PROJECT`.
pub fn from_dsn(dsn: &str) -> Result<Presented, AuthError> {
    let (_, rest) = dsn.trim().split_once("://").ok_or(AuthError::Dsn)?;
    let (user, place) = rest.split_once('@').ok_or(AuthError::Dsn)?;
    let public = user.split(':').next().unwrap_or_default();
    let path = place.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let (_, project) = path.rsplit_once('/').ok_or(AuthError::Dsn)?;
    if project.is_empty() {
        return Err(AuthError::Dsn);
    }
    Ok(Presented { key: key(public)?, client: None, project: Some(project.to_owned()) })
}

/// The parameters of a query, in order; none where it is not one.
pub fn query(uri: &Uri) -> Vec<(String, String)> {
    Query::<Vec<(String, String)>>::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default()
}

/// `sentry_key=…, sentry_version=7, sentry_client=…`
fn from_fields(fields: &str) -> Result<Presented, AuthError> {
    let mut found = None;
    let mut client = None;
    for field in fields.split([',', ' ']).filter(|field| !field.is_empty()) {
        match field.split_once('=') {
            Some(("sentry_key", value)) => found = found.or(Some(value)),
            Some(("sentry_client", value)) => client = Some(value.to_owned()),
            _ => {}
        }
    }
    match found {
        Some(text) => Ok(Presented { key: key(text)?, client, project: None }),
        None => Err(AuthError::Missing),
    }
}

fn strip_scheme<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let value = value.trim_start();
    let (word, rest) = value.split_at_checked(scheme.len())?;
    (word.eq_ignore_ascii_case(scheme) && rest.starts_with([' ', '\t'])).then(|| rest.trim_start())
}

/// A key is 32 hex digits; GlitchTip's DSNs carry the same digits as a UUID.
fn key(text: &str) -> Result<String, AuthError> {
    let digits: String = text.trim().chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    match digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(digits),
        false => Err(AuthError::Key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn read(headers: &[(&'static str, &str)], uri: &str) -> Result<Presented, AuthError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        from_request(&map, &uri.parse().unwrap())
    }

    #[test]
    fn every_place_and_the_order_of_them() {
        let sentry = format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=sentry.python/2.75.0");
        let found = read(&[("x-sentry-auth", &sentry)], "/").unwrap();
        assert_eq!((found.key.as_str(), found.client.as_deref()), (KEY, Some("sentry.python/2.75.0")));
        assert_eq!(read(&[("authorization", &sentry)], "/").unwrap(), found);
        let bare = sentry.trim_start_matches("Sentry ");
        assert_eq!(read(&[("x-sentry-auth", bare)], "/").unwrap(), found);

        let basic = format!("Basic {}", BASE64.encode(format!("{KEY}:").as_bytes()));
        assert_eq!(read(&[("authorization", &basic)], "/").unwrap().key, KEY);
        let uri = format!(
            "/api/1/envelope/?sentry_version=7&sentry_key={KEY}&sentry_client=sentry.javascript%2F11"
        );
        assert_eq!(read(&[], &uri).unwrap().client.as_deref(), Some("sentry.javascript/11"));

        // A second key elsewhere is not looked at, be it good or bad.
        assert_eq!(read(&[("x-sentry-auth", &sentry), ("authorization", "Basic !")], &uri).unwrap(), found);
        // Another scheme is somebody else's: a proxy's bearer token does not hide the key in the query.
        assert_eq!(read(&[("authorization", "Bearer x")], &uri).unwrap().key, KEY);
    }

    #[test]
    fn missing_and_malformed_keys_differ() {
        assert_eq!(read(&[], "/"), Err(AuthError::Missing));
        assert_eq!(read(&[("x-sentry-auth", "Sentry sentry_version=7")], "/"), Err(AuthError::Missing));
        assert_eq!(read(&[], "/?sentry_key=abc"), Err(AuthError::Key));
        assert_eq!(read(&[("authorization", "Basic ???")], "/"), Err(AuthError::Key));
    }

    #[test]
    fn keys_of_a_dsn() {
        let dsn = format!("http://{KEY}:secret@localhost:8080/base/7");
        let found = from_dsn(&dsn).unwrap();
        assert_eq!((found.key.as_str(), found.project.as_deref()), (KEY, Some("7")));
        assert_eq!(from_dsn(&format!("https://{KEY}@h/7/")).unwrap().project.as_deref(), Some("7"));
        assert_eq!(from_dsn("https://h/7"), Err(AuthError::Dsn));
        assert_eq!(from_dsn("https://zz@h/7"), Err(AuthError::Key));
        assert_eq!(from_dsn(&format!("https://{KEY}@h")), Err(AuthError::Dsn));
    }
}
