//! Duplicate slashes. A DSN that ends in `/` makes some SDKs post to `//api//1/envelope/`; Sentry folds that, and so
//! must we, before routing.

use std::borrow::Cow;

use http::Uri;

/// Folds duplicate slashes of a path below `/api/`, which is where SDKs send. Other paths are left as they are: in
/// them two slashes may mean something.
pub fn fold_slashes(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut folded = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !folded.ends_with('/') {
            folded.push(character);
        }
    }
    if folded.starts_with("/api/") { Cow::Owned(folded) } else { Cow::Borrowed(path) }
}

/// Folds the path of a request. The binary applies it around its router (`tower::util::MapRequestLayer`), because
/// layers of a router run after the route was chosen.
pub fn fold_request<B>(mut request: http::Request<B>) -> http::Request<B> {
    let uri = request.uri();
    if let Cow::Owned(folded) = fold_slashes(uri.path()) {
        let path_and_query = match uri.query() {
            Some(query) => format!("{folded}?{query}"),
            None => folded,
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = path_and_query.parse().ok();
        if let Ok(folded) = Uri::from_parts(parts) {
            *request.uri_mut() = folded;
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_fold_where_sdks_send_and_nowhere_else() {
        assert_eq!(fold_slashes("//api///1//envelope//"), "/api/1/envelope/");
        assert_eq!(fold_slashes("/api/1/store"), "/api/1/store");
        assert_eq!(fold_slashes("/lake//p1/x"), "/lake//p1/x");
        let request = http::Request::get("http://h//api//1/store/?a=b//c").body(()).unwrap();
        assert_eq!(fold_request(request).uri(), "http://h/api/1/store/?a=b//c");
    }
}
