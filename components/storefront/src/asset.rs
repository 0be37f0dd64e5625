//! The style sheets and the scripts of the pages.
//!
//! The URL of an asset contains one version for all assets. So the scripts
//! import each other by relative names, and a browser may store each file for
//! ever.

use ticketing_sdk::{Request, Response, Result};

use crate::response::{self, HASH_START, hash};

static ASSETS: [Asset; 10] = [
    style("frame.css", include_str!("../web/styles/frame.css")),
    style("content.css", include_str!("../web/styles/content.css")),
    script("main.js", include_str!("../web/scripts/main.js")),
    script("api.js", include_str!("../web/scripts/api.js")),
    script("forms.js", include_str!("../web/scripts/forms.js")),
    script("list.js", include_str!("../web/scripts/list.js")),
    script("navigation.js", include_str!("../web/scripts/navigation.js")),
    script("order.js", include_str!("../web/scripts/order.js")),
    script("ticket.js", include_str!("../web/scripts/ticket.js")),
    script("view.js", include_str!("../web/scripts/view.js")),
];

/// The icon, for browsers that ask for it without reading a page.
pub(crate) static ICON: Asset =
    Asset { name: "favicon.ico", media_type: "image/svg+xml", body: include_str!("../web/icon.svg") };

/// Search engines find tickets, and leave the API and the pages of one visitor alone;
/// see RFC 9309.
pub(crate) static ROBOTS: Asset =
    Asset { name: "robots.txt", media_type: "text/plain; charset=utf-8", body: include_str!("../web/robots.txt") };

/// The hash of all assets.
const VERSION: u64 = {
    let mut version = HASH_START;
    let mut rest: &[Asset] = &ASSETS;
    while let [asset, tail @ ..] = rest {
        version = hash(version, asset.body);
        rest = tail;
    }
    version
};

/// A file below `/assets/{version}/`.
pub(crate) struct Asset {
    name: &'static str,
    media_type: &'static str,
    body: &'static str,
}

const fn style(name: &'static str, body: &'static str) -> Asset {
    Asset { name, media_type: "text/css; charset=utf-8", body }
}

const fn script(name: &'static str, body: &'static str) -> Asset {
    Asset { name, media_type: "text/javascript; charset=utf-8", body }
}

/// The path of the folder with the current version of all assets.
pub(crate) fn folder() -> String {
    format!("/assets/{VERSION:016x}")
}

/// Finds an asset by its file name.
pub(crate) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

impl Asset {
    /// Makes the response with the file.
    pub(crate) fn respond(&self, request: &Request) -> Result<Response> {
        // A request for another version gets the current one, and must not store it under that version.
        let cache_control = if request.param("version")? == format!("{VERSION:016x}") {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        Ok(response::respond(200, self.media_type, self.body, cache_control))
    }

    /// Makes the response with a file whose URL has no version.
    pub(crate) fn respond_for_a_day(&self) -> Response {
        response::respond(200, self.media_type, self.body, "public, max-age=86400")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::response::tests::request;

    /// The names of all assets.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        ASSETS.iter().map(|asset| asset.name)
    }

    #[test]
    fn a_browser_stores_only_the_current_version_for_ever() {
        let cache_control = |version: &str| {
            let request = request("/assets/{version}/{file}", &[("version", version), ("file", "main.js")]);
            let response = find("main.js").unwrap().respond(&request).unwrap();
            response.header_value("cache-control").unwrap().to_owned()
        };
        assert!(cache_control(folder().strip_prefix("/assets/").unwrap()).ends_with("immutable"));
        assert_eq!(cache_control("0"), "no-cache");
    }

    #[test]
    fn text_from_the_api_never_becomes_markup() {
        for asset in &ASSETS {
            for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "parseFloat"] {
                assert!(!asset.body.contains(sink), "{}: {sink}", asset.name);
            }
        }
    }

    #[test]
    fn every_import_names_an_asset() {
        for asset in &ASSETS {
            for import in asset.body.split(" from './").skip(1) {
                let name = import.split('\'').next().unwrap();
                assert!(find(name).is_some(), "{} imports {name}", asset.name);
            }
        }
    }
}
