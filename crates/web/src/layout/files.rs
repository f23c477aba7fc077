//! Static files inside the binary: addressed by the hash of their content, so that browsers may keep them for ever.

use std::sync::OnceLock;

use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use actix_web::web::{ServiceConfig, resource};
use actix_web::{HttpRequest, HttpResponse};

use crate::access::hash_key;

/// One file inside the binary.
///
/// ```
/// use web::layout::StaticFile;
/// static FILES: [StaticFile; 1] = [StaticFile::new("rate.js", "text/javascript; charset=utf-8", b"'use strict';")];
/// assert!(FILES[0].url().starts_with("/static/rate.js?v="));
/// ```
#[derive(Debug)]
pub struct StaticFile {
    /// Name after `/static/`.
    pub name: &'static str,
    content_type: &'static str,
    body: &'static [u8],
    hash: OnceLock<String>,
}

impl StaticFile {
    /// From a name, a content type and `include_bytes!(..)`.
    #[must_use]
    pub const fn new(name: &'static str, content_type: &'static str, body: &'static [u8]) -> Self {
        Self { name, content_type, body, hash: OnceLock::new() }
    }

    /// Address with the hash of the content.
    #[must_use]
    pub fn url(&self) -> String {
        format!("/static/{}?v={}", self.name, self.hash())
    }

    fn hash(&self) -> &str {
        self.hash.get_or_init(|| {
            // The hash of a text is enough here: the files are text, and a clash would only keep an old file.
            let hex = hash_key(&String::from_utf8_lossy(self.body));
            hex.get(..16).unwrap_or(&hex).to_owned()
        })
    }

    fn respond(&self, request: &HttpRequest) -> HttpResponse {
        let tag = format!("\"{}\"", self.hash());
        let is_addressed_by_hash = request.query_string().strip_prefix("v=") == Some(self.hash());
        let caching = if is_addressed_by_hash { "public, max-age=31536000, immutable" } else { "no-cache" };
        let known = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        if known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)) {
            return HttpResponse::NotModified().insert_header((ETAG, tag)).insert_header((CACHE_CONTROL, caching)).finish();
        }
        HttpResponse::Ok()
            .content_type(self.content_type)
            .insert_header((ETAG, tag))
            .insert_header((CACHE_CONTROL, caching))
            .body(self.body)
    }
}

/// Registers files under `/static/`.
pub fn serve_files(routes: &mut ServiceConfig, files: &'static [StaticFile]) {
    for file in files {
        routes.service(resource(format!("/static/{}", file.name)).get(move |request: HttpRequest| async move { file.respond(&request) }));
    }
    if let Some(icon) = files.iter().find(|file| file.name == "favicon.svg") {
        routes.service(resource("/favicon.ico").get(move |request: HttpRequest| async move { icon.respond(&request) }));
    }
}

/// The files of all services.
pub(super) static SHARED: [StaticFile; 5] = [
    StaticFile::new("endcap.css", "text/css; charset=utf-8", include_bytes!("../../static/endcap.css")),
    StaticFile::new("endcap.js", "text/javascript; charset=utf-8", include_bytes!("../../static/endcap.js")),
    StaticFile::new("theme.js", "text/javascript; charset=utf-8", include_bytes!("../../static/theme.js")),
    StaticFile::new("logo.svg", "image/svg+xml", include_bytes!("../../static/logo.svg")),
    StaticFile::new("favicon.svg", "image/svg+xml", include_bytes!("../../static/favicon.svg")),
];
