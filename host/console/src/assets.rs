//! The style and the scripts. Their address contains a digest of all of them, so
//! browsers keep them for ever.

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use http::{
    StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

const FILES: [(&str, &str, &str); 13] = [
    ("base.css", STYLE, include_str!("../web/base.css")),
    ("frame.css", STYLE, include_str!("../web/frame.css")),
    ("content.css", STYLE, include_str!("../web/content.css")),
    ("states.css", STYLE, include_str!("../web/states.css")),
    ("charts.css", STYLE, include_str!("../web/charts.css")),
    ("main.js", SCRIPT, include_str!("../web/main.js")),
    ("upload.js", SCRIPT, include_str!("../web/upload.js")),
    ("log.js", SCRIPT, include_str!("../web/log.js")),
    ("events.js", SCRIPT, include_str!("../web/events.js")),
    ("live.js", SCRIPT, include_str!("../web/live.js")),
    ("slider.js", SCRIPT, include_str!("../web/slider.js")),
    ("time.js", SCRIPT, include_str!("../web/time.js")),
    ("icon.svg", IMAGE, include_str!("../web/icon.svg")),
];

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    FILES.iter().for_each(|(_, _, content)| digest.update(content));
    hex::encode(digest.finalize()).chars().take(16).collect()
});

/// The address of a file.
pub(crate) fn address(file: &str) -> String {
    format!("/console/assets/{}/{file}", *VERSION)
}

pub(crate) async fn serve(Path((_, file)): Path<(String, String)>) -> Response {
    match FILES.into_iter().find(|(name, _, _)| *name == file) {
        Some((_, kind, content)) => {
            ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")], content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
