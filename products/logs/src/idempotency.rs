//! `Idempotency-Key`: a request that is sent again is stored once.
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>

use candor_gate::admission::{BodyDigest, Claim, Permit, Refusal};
use candor_model::{ProjectId, RequestId};
use http::HeaderMap;
use ring::digest;

/// The id of a request, from which each of its portions gets one of its own: portions of a repeated body are the same.
#[derive(Default)]
pub(crate) struct RequestKey {
    /// Of protocol, project, key and body.
    context: Option<digest::Context>,
    /// Holds the key for this body.
    claim: Option<Claim>,
}

impl RequestKey {
    /// From the header; without it retries are not recognised. Refused where the key came with another body before.
    pub(crate) fn of(
        protocol: &str,
        permit: &Permit,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<RequestKey, Refusal> {
        let header = headers.get("idempotency-key").map(http::HeaderValue::as_bytes);
        let Some(key) = header.filter(|key| !key.is_empty()) else { return Ok(RequestKey::default()) };
        let (context, name, body) = digests(protocol, permit.scope().project(), key, body);
        Ok(RequestKey { context: Some(context), claim: Some(permit.claim(name, body)?) })
    }

    /// The id of the request's `nth` portion.
    pub(crate) fn portion(&self, nth: u64) -> Option<RequestId> {
        let mut context = self.context.clone()?;
        context.update(&nth.to_be_bytes());
        Some(RequestId(first_half(context)))
    }

    /// The request was stored: its key is this body's from now on.
    pub(crate) fn keep(&self) {
        self.claim.iter().for_each(Claim::keep);
    }
}

/// What portions' ids are made from, the id of the key by itself, and the digest of the body.
fn digests(
    protocol: &str,
    project: ProjectId,
    key: &[u8],
    body: &[u8],
) -> (digest::Context, RequestId, BodyDigest) {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [protocol.as_bytes(), &project.0.to_be_bytes(), key] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let name = RequestId(first_half(context.clone()));
    let mut of_body = digest::Context::new(&digest::SHA256);
    of_body.update(body);
    let of_body = first_half(of_body);
    context.update(&of_body);
    (context, name, of_body)
}

fn first_half(context: digest::Context) -> [u8; 16] {
    let digest = context.finish();
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(protocol: &str, project: i64, key: &str, body: &str, nth: u64) -> Option<RequestId> {
        let (context, ..) = digests(protocol, ProjectId(project), key.as_bytes(), body.as_bytes());
        RequestKey { context: Some(context), claim: None }.portion(nth)
    }

    #[test]
    fn the_same_key_is_another_id_for_another_project_protocol_body_or_portion() {
        let first = id("logflare", 1, "k", "b", 0);
        assert!(first.is_some());
        assert_eq!(first, id("logflare", 1, "k", "b", 0));
        let others = [
            id("otlp", 1, "k", "b", 0),
            id("logflare", 2, "k", "b", 0),
            id("logflare", 1, "l", "b", 0),
            id("logflare", 1, "k", "c", 0),
            id("logflare", 1, "k", "b", 1),
        ];
        assert!(others.iter().all(|other| other.is_some() && *other != first));
        assert_eq!(RequestKey::default().portion(0), None);
        let (_, name, body) = digests("otlp", ProjectId(1), b"k", b"b");
        let (_, same_name, other_body) = digests("otlp", ProjectId(1), b"k", b"c");
        assert!(name == same_name && body != other_body);
    }
}
