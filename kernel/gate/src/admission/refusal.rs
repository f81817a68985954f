//! Why a request is not let in, for each protocol to say in its own form.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No credential.
    #[error("no key was given")]
    NoKey,
    /// Unknown, rotated out or of a deleted project.
    #[error("the key is not known")]
    WrongKey,
    /// A key of another project than the request names.
    #[error("the key is not one of this project")]
    WrongProject,
    /// The key's rate is used up.
    #[error("too many requests of this key")]
    RateLimited {
        /// When to come again.
        retry_after_seconds: u32,
    },
    /// The key's quota of the day is used up.
    #[error("the quota of this key is used up")]
    QuotaExceeded {
        /// When to come again.
        retry_after_seconds: u32,
    },
    /// The body as it comes is too large.
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge {
        /// What is allowed.
        limit: usize,
    },
    /// The body decompressed is too large, or expands like a bomb.
    #[error("the decompressed body is larger than allowed")]
    DecodedTooLarge,
    /// A content encoding that is not taken here.
    #[error("this content encoding is not supported")]
    UnsupportedEncoding,
    /// The body is not what its content encoding says.
    #[error("the body is not valid {encoding}: {what}")]
    BadEncoding {
        /// What it was said to be.
        encoding: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// The client went away while it sent.
    #[error("the body ended early")]
    BodyCut,
    /// The client sent too slowly.
    #[error("the body came too slowly")]
    BodyTimeout,
    /// The `Idempotency-Key` of another request, whose body is another.
    #[error("the Idempotency-Key came with another body before: give each request a key of its own")]
    KeyReused,
    /// Too much is in the house already.
    #[error("overloaded")]
    Overloaded {
        /// When to come again.
        retry_after_seconds: u32,
    },
    /// Something that storing needs is missing for now.
    #[error("{what}")]
    Unavailable {
        /// What is missing, without details.
        what: &'static str,
        /// When to come again.
        retry_after_seconds: u32,
    },
}

impl Refusal {
    /// The status that says it over HTTP.
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::NoKey | Refusal::WrongKey => StatusCode::UNAUTHORIZED,
            Refusal::WrongProject => StatusCode::FORBIDDEN,
            Refusal::RateLimited { .. } | Refusal::QuotaExceeded { .. } => StatusCode::TOO_MANY_REQUESTS,
            Refusal::BodyTooLarge { .. } | Refusal::DecodedTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::BadEncoding { .. } | Refusal::BodyCut => StatusCode::BAD_REQUEST,
            Refusal::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Refusal::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Refusal::Overloaded { .. } | Refusal::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The value of `Retry-After`, seconds, where coming again may help.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Refusal::RateLimited { retry_after_seconds }
            | Refusal::QuotaExceeded { retry_after_seconds }
            | Refusal::Overloaded { retry_after_seconds }
            | Refusal::Unavailable { retry_after_seconds, .. } => Some(*retry_after_seconds),
            _ => None,
        }
    }

    /// The reason in metrics.
    pub fn reason(&self) -> &'static str {
        Refusal::REASONS.get(self.place()).copied().unwrap_or("other")
    }

    const REASONS: [&'static str; 14] = [
        "no_key",
        "wrong_key",
        "wrong_project",
        "rate",
        "quota",
        "body_size",
        "decoded_size",
        "unsupported_encoding",
        "bad_encoding",
        "body_cut",
        "body_timeout",
        "overloaded",
        "unavailable",
        "key_reused",
    ];

    fn place(&self) -> usize {
        match self {
            Refusal::NoKey => 0,
            Refusal::WrongKey => 1,
            Refusal::WrongProject => 2,
            Refusal::RateLimited { .. } => 3,
            Refusal::QuotaExceeded { .. } => 4,
            Refusal::BodyTooLarge { .. } => 5,
            Refusal::DecodedTooLarge => 6,
            Refusal::UnsupportedEncoding => 7,
            Refusal::BadEncoding { .. } => 8,
            Refusal::BodyCut => 9,
            Refusal::BodyTimeout => 10,
            Refusal::Overloaded { .. } => 11,
            Refusal::Unavailable { .. } => 12,
            Refusal::KeyReused => 13,
        }
    }
}

/// Requests refused since the start, by reason.
#[derive(Debug, Default)]
pub struct RefusalCounts([AtomicU64; Refusal::REASONS.len()]);

impl RefusalCounts {
    pub(super) fn count(&self, refusal: &Refusal) {
        if let Some(count) = self.0.get(refusal.place()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every reason and its count.
    pub fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Refusal::REASONS.into_iter().zip(self.0.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}
