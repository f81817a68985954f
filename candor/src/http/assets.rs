//! The screen's files, embedded and compressed, under `/app/`.
//!
//! Names with a hash in them never change and are cached for ever; everything else is asked for again. Any path
//! below `/app/` that is no file is the screen itself, which reads the address. The policy lets the page load from
//! this host alone: nothing it shows can call out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, OnceLock};

use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../web/dist"]
struct Screen;

/// Nothing from elsewhere, no plugins, no frames, no forms to other hosts. Styles may stand inline: charts and the
/// editor set positions that way; scripts may not.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self' blob:; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Below this, compression saves nothing worth its header.
const COMPRESS_BYTES_MIN: usize = 1024;

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Candor</title>\
    <h1>The screen is not in this build</h1><p>Build it with <code>make build</code>, which needs Node.js, and start \
    the server again. The API and every ingest path work without it.</p></html>";

/// `GET /app` and `/`, for browsers.
pub async fn to_screen() -> Redirect {
    Redirect::temporary("/app/")
}

/// `GET /app/`.
pub async fn index(headers: HeaderMap) -> Response {
    file("index.html", &headers)
}

/// `GET /app/{*path}`.
pub async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    if Screen::get(&path).is_some() {
        return file(&path, &headers);
    }
    // A missing script must not be answered with a page: the browser would report a syntax error in it.
    let names_a_file =
        path.starts_with("assets/") || path.rsplit('/').next().is_some_and(|last| last.contains('.'));
    if names_a_file {
        return secured((StatusCode::NOT_FOUND, "no such file").into_response());
    }
    file("index.html", &headers)
}

fn file(path: &str, headers: &HeaderMap) -> Response {
    let Some(found) = Screen::get(path) else {
        let page = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], NOT_BUILT);
        return secured((StatusCode::NOT_FOUND, page).into_response());
    };
    let etag = format!(
        "\"{}\"",
        data_encoding::HEXLOWER.encode(found.metadata.sha256_hash().get(..16).unwrap_or(&[]))
    );
    let unchanged = headers.get(header::IF_NONE_MATCH).is_some_and(|seen| {
        seen.to_str().is_ok_and(|seen| seen.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag))
    });
    let mime = found.metadata.mimetype();
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let (bytes, encoding) = encoded(path, mime, found.data, headers);
        let mut response = Response::new(Body::from(bytes));
        if let Some(encoding) = encoding {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    };
    let out = response.headers_mut();
    let content_type =
        if mime.starts_with("text/") { format!("{mime}; charset=utf-8") } else { mime.to_owned() };
    if let Ok(value) = HeaderValue::from_str(&content_type) {
        out.insert(header::CONTENT_TYPE, value);
    }
    if let Ok(value) = HeaderValue::from_str(&etag) {
        out.insert(header::ETAG, value);
    }
    out.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let lifetime =
        if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(lifetime));
    secured(response)
}

/// The best form the browser takes: what the build compressed, else gzip made once and kept.
fn encoded(
    path: &str,
    mime: &str,
    plain: Cow<'static, [u8]>,
    headers: &HeaderMap,
) -> (Bytes, Option<&'static str>) {
    let accepts = |coding: &str| {
        headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
            value.split(',').any(|item| {
                let (name, weight) = item.split_once(';').unwrap_or((item, ""));
                name.trim().eq_ignore_ascii_case(coding) && !matches!(weight.trim(), "q=0" | "q=0.0")
            })
        })
    };
    for (coding, suffix) in [("br", "br"), ("gzip", "gz")] {
        if accepts(coding)
            && let Some(made) = Screen::get(&format!("{path}.{suffix}"))
        {
            return (bytes_of(made.data), Some(coding));
        }
    }
    let text = mime.starts_with("text/")
        || mime.contains("json")
        || mime.contains("javascript")
        || mime.contains("svg");
    if text && plain.len() >= COMPRESS_BYTES_MIN && accepts("gzip") {
        return (gzipped(path, &plain), Some("gzip"));
    }
    (bytes_of(plain), None)
}

fn gzipped(path: &str, plain: &[u8]) -> Bytes {
    static MADE: OnceLock<Mutex<HashMap<String, Bytes>>> = OnceLock::new();
    let made = MADE.get_or_init(Mutex::default);
    if let Some(bytes) = made.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get(path) {
        return bytes.clone();
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    // Writing to memory does not fail.
    let bytes = match encoder.write_all(plain).and_then(|()| encoder.finish()) {
        Ok(bytes) => Bytes::from(bytes),
        Err(_) => Bytes::new(),
    };
    made.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(path.to_owned(), bytes.clone());
    bytes
}

fn bytes_of(data: Cow<'static, [u8]>) -> Bytes {
    match data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    }
}

fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert(
        "permissions-policy",
        HeaderValue::from_static("camera=(), microphone=(), geolocation=(), interest-cohort=()"),
    );
    response
}
