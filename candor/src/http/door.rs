//! `/lake/…`: published files over HTTP ranges, decrypted on the way, for the holder of a read token.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use candor_lake::ServeError;
use candor_model::ProjectId;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::caller::bearer;
use super::problem::Answer;
use super::{Problem, stored};
use crate::app::App;

/// The name under which a project's current catalog is served.
const CATALOG: &str = "catalog.db";

/// The header that names the snapshot of a served catalog.
pub const SNAPSHOT_HEADER: &str = "x-candor-snapshot";

/// `GET` and `HEAD /lake/{project}/{*path}`.
pub async fn serve(
    State(app): State<Arc<App>>,
    Path((project, path)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Answer<Response> {
    let Some(token) = bearer(&headers) else { return Err(refused(ServeError::Unauthorized)) };
    let project = match project.parse::<i64>() {
        Ok(number) => Some(ProjectId(number)),
        Err(_) => app.tenancy.resolve(&project).await?.map(|project| project.id),
    };
    // An unknown project answers as another's would: the token decides, not the name.
    let grant = app.lake.authorize(token, project.unwrap_or(ProjectId(0))).await.map_err(refused)?;
    if path == CATALOG {
        let absent = || Problem::not_found("there is no such project");
        let scope = app.tenancy.granted_read(grant.project(), grant.actor()).await?.ok_or_else(absent)?;
        // Ranges are of the file that was asked about before, not each of a file of its own.
        let is_range = method == Method::GET && headers.contains_key(header::RANGE);
        let recent = app.catalogs.recent(grant.project(), Instant::now()).filter(|_| is_range);
        let catalog = match recent {
            Some(recent) => recent,
            None => app.export_catalog(&scope).await?,
        };
        let bytes = catalog.bytes;
        let mut response = ranged(&method, &headers, bytes.len() as u64, Some(&catalog.tag), |range| {
            Body::from(bytes.slice(range.start as usize..range.end as usize))
        });
        response.headers_mut().insert(SNAPSHOT_HEADER, HeaderValue::from(catalog.snapshot));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return Ok(response);
    }
    let served = app.lake.serve(&grant, &path).await.map_err(refused)?;
    let tag = format!("\"{}\"", data_encoding::HEXLOWER.encode(&candor_meta::secret::digest(&path)[..16]));
    let file = served.file.clone();
    Ok(ranged(&method, &headers, file.length(), Some(&tag), |range| {
        app.count_fetch(&grant, &served, range.end);
        stored::body(file, range)
    }))
}

fn refused(error: ServeError) -> Problem {
    match error {
        ServeError::Unauthorized => Problem::new(
            StatusCode::UNAUTHORIZED,
            "A read token is needed",
            "send the token of `candor lake catalog` as Authorization: Bearer",
        ),
        ServeError::Forbidden => Problem::forbidden("this token reads another project"),
        ServeError::NotFound => Problem::not_found("no kept snapshot names such a file"),
        ServeError::Gone => Problem::new(
            StatusCode::GONE,
            "Gone",
            "the file holds erased rows and is being rewritten: fetch the current catalog",
        ),
        ServeError::Lake(error) => Problem::internal(&error),
    }
}

/// Answers HEAD, GET and one byte range (RFC 9110, section 14). Several ranges at once are answered whole, as the
/// standard allows.
fn ranged(
    method: &Method,
    headers: &HeaderMap,
    length: u64,
    tag: Option<&str>,
    body: impl FnOnce(Range<u64>) -> Body,
) -> Response {
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let still_valid = match headers.get(header::IF_RANGE).and_then(|value| value.to_str().ok()) {
        Some(condition) => tag == Some(condition),
        None => true,
    };
    let (status, range) = match asked.filter(|_| still_valid).map(|asked| parse_range(asked, length)) {
        None | Some(Asked::Whole) => (StatusCode::OK, 0..length),
        Some(Asked::Part(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(Asked::Unsatisfiable) => {
            let mut response = Problem::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "Range not satisfiable",
                format!("the file has {length} bytes"),
            )
            .into_response();
            set(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{length}"));
            return response;
        }
    };
    let size = range.end - range.start;
    let content_range = format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
    let content = if method == Method::HEAD { Body::empty() } else { body(range) };
    let mut response = Response::new(content);
    *response.status_mut() = status;
    let out = response.headers_mut();
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    out.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=60"));
    if status == StatusCode::PARTIAL_CONTENT {
        set(out, header::CONTENT_RANGE, &content_range);
    }
    if let Some(tag) = tag {
        set(out, header::ETAG, tag);
    }
    response
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[derive(Debug, PartialEq)]
enum Asked {
    Whole,
    Part(Range<u64>),
    Unsatisfiable,
}

fn parse_range(value: &str, length: u64) -> Asked {
    // A unit or a form that we do not know is ignored, as the standard asks.
    let Some(spec) = value.trim().strip_prefix("bytes=") else { return Asked::Whole };
    let Some((first, last)) = spec.split_once('-') else { return Asked::Whole };
    let (first, last) = (first.trim(), last.trim());
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first > last => Asked::Whole,
        (Ok(first), _) if first >= length => Asked::Unsatisfiable,
        (Ok(first), Ok(last)) => Asked::Part(first..last.saturating_add(1).min(length)),
        (Ok(first), Err(_)) if last.is_empty() => Asked::Part(first..length),
        (Err(_), Ok(0)) if first.is_empty() => Asked::Unsatisfiable,
        (Err(_), Ok(_)) if first.is_empty() && length == 0 => Asked::Unsatisfiable,
        (Err(_), Ok(suffix)) if first.is_empty() => Asked::Part(length.saturating_sub(suffix)..length),
        _ => Asked::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_the_standard_reads_them() {
        for (asked, expected) in [
            ("bytes=0-9", Asked::Part(0..10)),
            ("bytes=90-", Asked::Part(90..100)),
            ("bytes=-10", Asked::Part(90..100)),
            ("bytes=-1000", Asked::Part(0..100)),
            ("bytes=50-5000", Asked::Part(50..100)),
            ("bytes=50-18446744073709551615", Asked::Part(50..100)),
            ("bytes=100-", Asked::Unsatisfiable),
            ("bytes=-0", Asked::Unsatisfiable),
            ("bytes=9-3", Asked::Whole),
            ("bytes=0-1,5-6", Asked::Whole),
            ("items=0-1", Asked::Whole),
            ("bytes=x-y", Asked::Whole),
        ] {
            assert_eq!(parse_range(asked, 100), expected, "{asked}");
        }
        assert_eq!(parse_range("bytes=-5", 0), Asked::Unsatisfiable);
    }
}
