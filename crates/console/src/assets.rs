//! The console's pages: `ui/dist`, inside the binary; any path that is no file is the single-page application.
//!
//! Vite puts hashed names under `assets/`: those never change and are cached for good; everything else is asked for
//! again. A binary built without the pages says so instead of answering 404.

use std::borrow::Cow;

use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// What `cargo xtask ui` builds.
#[derive(rust_embed::RustEmbed)]
#[folder = "../../ui/dist"]
#[allow_missing = true]
struct Dist;

/// One file of the pages.
struct Asset {
    bytes: Cow<'static, [u8]>,
    media_type: String,
}

const NOT_BUILT: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Bartizan</title>\n\
<h1>The console's pages are not in this binary</h1>\n<p>Build them with <code>cargo xtask ui</code>, then build the \
binary again. The admin API works all the same: <a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a>.</p>\n</html>\n";

/// A file of the pages, or the page that finds its way by itself.
pub(crate) async fn serve(method: Method, uri: Uri) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return Problem::Method.into_response();
    }
    page(uri.path(), embedded)
}

fn embedded(name: &str) -> Option<Asset> {
    let file = Dist::get(name)?;
    Some(Asset { media_type: file.metadata.mimetype().to_owned(), bytes: file.data })
}

fn page(path: &str, find: impl Fn(&str) -> Option<Asset>) -> Response {
    let name = path.trim_start_matches('/');
    if let Some(asset) = find(name) {
        let is_hashed = name.starts_with("assets/");
        let caching = if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
        return file(asset, caching);
    }
    if name.starts_with("assets/") {
        return (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "no-store")]).into_response();
    }
    match find("index.html") {
        Some(index) => file(index, "no-cache"),
        None => {
            let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
            (StatusCode::OK, headers, NOT_BUILT).into_response()
        }
    }
}

fn file(asset: Asset, caching: &'static str) -> Response {
    let is_text = asset.media_type.starts_with("text/") && !asset.media_type.contains("charset");
    let media_type = if is_text { format!("{}; charset=utf-8", asset.media_type) } else { asset.media_type };
    let media_type = HeaderValue::try_from(media_type);
    let media_type = media_type.unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    let caching = HeaderValue::from_static(caching);
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, caching)], asset.bytes.into_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(name: &str) -> Option<Asset> {
        let (bytes, media_type) = match name {
            "index.html" => (&b"<!doctype html>"[..], "text/html"),
            "assets/app-1a2b.js" => (&b"let x"[..], "text/javascript"),
            _ => return None,
        };
        Some(Asset { bytes: Cow::Borrowed(bytes), media_type: media_type.to_owned() })
    }

    fn check(path: &str, status: u16, media_type: &str, caching: &str) {
        let response = page(path, built);
        assert_eq!(response.status(), status, "{path}");
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
        assert_eq!(header(header::CONTENT_TYPE), media_type, "{path}");
        assert_eq!(header(header::CACHE_CONTROL), caching, "{path}");
    }

    #[test]
    fn hashed_files_are_kept_for_good_and_paths_of_the_application_are_its_page() {
        let html = "text/html; charset=utf-8";
        check("/", 200, html, "no-cache");
        check("/apis/0123?from=x", 200, html, "no-cache");
        check("/assets/app-1a2b.js", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable");
        check("/assets/app-gone.js", 404, "", "no-store");
    }

    #[test]
    fn a_binary_without_pages_says_how_to_build_them() {
        let response = page("/", |_| None);
        assert_eq!(response.status(), StatusCode::OK);
        assert!(NOT_BUILT.contains("cargo xtask ui"));
    }
}
