//! The stylesheet, the scripts and the icon: embedded, compressed once, and served under names that contain their hash, so that
//! browsers never ask for them again.

use std::hash::BuildHasher;
use std::io::Write;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use foldhash::quality::FixedState;

use crate::error::Error;
use crate::http::server::problem::Problem;

/// The path of every asset
pub(super) const PATH: &str = "/assets/{name}";

static STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("style.css", "text/css", include_str!("assets/style.css")));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("script.js", "text/javascript", include_str!("assets/script.js")));
static TIMES: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("times.js", "text/javascript", include_str!("assets/times.js")));
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")));

/// A file that pages load.
struct Asset {
    path: String,
    media_type: &'static str,
    hash: String,
    plain: &'static str,
    /// The same, compressed with gzip
    packed: Vec<u8>,
}

impl Asset {
    fn new(name: &str, media_type: &'static str, plain: &'static str) -> Self {
        let hash = format!("{:016x}", FixedState::with_seed(0).hash_one(plain));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail.
        let packed = encoder.write_all(plain.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
        let (stem, extension) = name.split_once('.').unwrap_or((name, ""));
        Self { path: format!("/assets/{stem}-{hash}.{extension}"), media_type, hash, plain, packed }
    }
}

/// The path of the stylesheet
pub(super) fn style() -> &'static str {
    &STYLE.path
}

/// The path of the script, which only adds
pub(super) fn script() -> &'static str {
    &SCRIPT.path
}

/// The path of the script that formats times before they are painted
pub(super) fn times() -> &'static str {
    &TIMES.path
}

/// The path of the icon
pub(super) fn icon() -> &'static str {
    &ICON.path
}

/// Serves an asset.
pub(super) async fn serve(name: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Result<Response, Problem> {
    let all = [&STYLE, &SCRIPT, &TIMES, &ICON];
    let is_it = |asset: &&LazyLock<Asset>| {
        name.as_ref().is_ok_and(|Path(name)| asset.path.strip_prefix("/assets/") == Some(name))
    };
    let asset = all.into_iter().find(is_it).ok_or_else(|| Error::not_found("Not found."))?;
    let tag = format!("\"{}\"", asset.hash);
    let mut response = if headers.get(IF_NONE_MATCH).is_some_and(|known| known == tag.as_str()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if headers.get(ACCEPT_ENCODING).is_some_and(|coding| coding == "gzip") {
        // The server says so to whoever accepts gzip.
        ([(CONTENT_ENCODING, "gzip")], asset.packed.as_slice()).into_response()
    } else {
        asset.plain.into_response()
    };
    let fixed = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (VARY, HeaderValue::from_static("accept-encoding")),
    ];
    let headers = response.headers_mut();
    headers.extend(fixed.map(|(name, value)| (Some(name), value)));
    headers.extend(HeaderValue::try_from(tag).ok().map(|tag| (ETAG, tag)));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_first_visit_loads_is_small() {
        let [style, script, times, icon] = [&STYLE, &SCRIPT, &TIMES, &ICON].map(|asset| asset.packed.len());
        assert!(script + times <= 8 * 1024, "the scripts have {script} and {times} bytes");
        assert!(style + script + times + icon <= 20 * 1024, "together with {style} and {icon} bytes");
    }
}
