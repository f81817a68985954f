//! `Idempotency-Key`: a request that is sent again is stored once.
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>

use candor_model::{ProjectId, RequestId};
use http::HeaderMap;
use ring::digest;

/// The id of a request, from which each of its portions gets one of its own: portions of a repeated body are the same.
#[derive(Clone)]
pub(crate) struct RequestKey(Option<digest::Context>);

impl RequestKey {
    /// From the header; without it retries are not recognised.
    pub(crate) fn from_headers(protocol: &str, project: ProjectId, headers: &HeaderMap) -> RequestKey {
        let header = headers.get("idempotency-key").map(http::HeaderValue::as_bytes);
        RequestKey(header.filter(|key| !key.is_empty()).map(|key| {
            let mut context = digest::Context::new(&digest::SHA256);
            for part in [protocol.as_bytes(), &project.0.to_be_bytes(), key] {
                context.update(&(part.len() as u64).to_be_bytes());
                context.update(part);
            }
            context
        }))
    }

    /// The id of the request's `nth` portion.
    pub(crate) fn portion(&self, nth: u64) -> Option<RequestId> {
        let mut context = self.0.clone()?;
        context.update(&nth.to_be_bytes());
        let digest = context.finish();
        digest.as_ref().first_chunk().map(|bytes| RequestId(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(protocol: &str, project: i64, key: &str, nth: u64) -> Option<RequestId> {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", key.parse().unwrap());
        RequestKey::from_headers(protocol, ProjectId(project), &headers).portion(nth)
    }

    #[test]
    fn the_same_key_is_another_id_for_another_project_protocol_or_portion() {
        let first = id("logflare", 1, "k", 0);
        assert!(first.is_some());
        assert_eq!(first, id("logflare", 1, "k", 0));
        let others = [
            id("otlp", 1, "k", 0),
            id("logflare", 2, "k", 0),
            id("logflare", 1, "l", 0),
            id("logflare", 1, "k", 1),
        ];
        assert!(others.iter().all(|other| other.is_some() && *other != first));
        assert_eq!(RequestKey::from_headers("otlp", ProjectId(1), &HeaderMap::new()).portion(0), None);
        assert_eq!(id("otlp", 1, "", 0), None);
    }
}
