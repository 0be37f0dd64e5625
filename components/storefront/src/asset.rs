//! The files that the pages refer to.

use ticketing_sdk::{Request, Response};

use crate::response::{self, tag};

/// How the pages look.
pub(crate) const STYLE: Asset =
    Asset::new("storefront.css", "text/css; charset=utf-8", include_str!("../web/storefront.css"));
/// What the pages do.
pub(crate) const SCRIPT: Asset =
    Asset::new("storefront.js", "text/javascript; charset=utf-8", include_str!("../web/storefront.js"));

/// A file below `/assets/`.
pub(crate) struct Asset {
    name: &'static str,
    media_type: &'static str,
    body: &'static str,
    tag: u64,
}

/// The file of that name.
pub(crate) fn find(name: &str) -> Option<&'static Asset> {
    const ALL: [&Asset; 2] = [&STYLE, &SCRIPT];
    ALL.into_iter().find(|asset| asset.name == name)
}

impl Asset {
    const fn new(name: &'static str, media_type: &'static str, body: &'static str) -> Self {
        Self { name, media_type, body, tag: tag(body) }
    }

    /// Where the pages find it: another address for each version, so that each
    /// may be kept for ever.
    pub(crate) fn address(&self) -> String {
        format!("/assets/{}?v={:016x}", self.name, self.tag)
    }

    /// Answers with the file.
    pub(crate) fn respond(&self, request: &Request) -> Response {
        // Asked for another version, there is only this one, which is not that one for ever.
        let caching = if request.query("v").is_some_and(|version| version == format!("{:016x}", self.tag)) {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        response::respond(request, 200, self.media_type, self.body, caching)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::tests::request;

    #[test]
    fn only_the_version_asked_for_is_kept_for_ever() {
        let caching = |query: Option<&str>| {
            let response = STYLE.respond(&request("/assets/{file}", &[("file", STYLE.name)], query, &[]));
            response.header_value("cache-control").unwrap().to_owned()
        };
        let address = STYLE.address();
        let (_, query) = address.split_once('?').unwrap();
        assert!(caching(Some(query)).ends_with("immutable"));
        assert_eq!(caching(Some("v=0")), "no-cache");
        assert_eq!(caching(None), "no-cache");
    }

    #[test]
    fn text_of_others_never_becomes_markup() {
        for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "parseFloat"] {
            assert!(!SCRIPT.body.contains(sink), "{sink}");
        }
    }
}
