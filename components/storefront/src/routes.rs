//! Which path shows what.

use ticketing_sdk::{Request, Response, Result, Router, id};

use crate::asset;
use crate::page::{self, Page};

/// All routes.
pub(crate) const ROUTES: Router = Router::new(&[
    ("GET", "/", |request| Ok(page::BROWSE.respond(request, 200))),
    ("GET", "/tickets/{id}", |request| one(request, &page::TICKET)),
    ("GET", "/assets/{file}", file),
    ("GET", "/orders/{id}", |request| one(request, &page::ORDER)),
    ("GET", "/orders", |request| Ok(page::ORDERS.respond(request, 200))),
    ("GET", "/sell", |request| Ok(page::SELL.respond(request, 200))),
    ("GET", "/signin", |request| Ok(page::SIGN_IN.respond(request, 200))),
    ("GET", "/signup", |request| Ok(page::SIGN_UP.respond(request, 200))),
]);

/// The page of one thing. Whether it exists, the script finds out; that it
/// cannot is known here.
fn one(request: &Request, page: &Page) -> Result<Response> {
    let (page, status) = if id::is_valid(request.param("id")?) { (page, 200) } else { (&page::NOT_FOUND, 404) };
    Ok(page.respond(request, status))
}

fn file(request: &Request) -> Result<Response> {
    let name = request.param("file")?;
    Ok(match asset::find(name) {
        Some(asset) => asset.respond(request),
        None => page::NOT_FOUND.respond(request, 404),
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::response::tests::request;

    const ID: &str = "018bcfe5-6800-7000-8000-000000000000";

    #[test]
    fn every_route_of_the_manifest_is_answered_and_only_read() {
        #[derive(Deserialize)]
        struct Manifest {
            routes: Vec<Route>,
        }
        #[derive(Deserialize)]
        struct Route {
            path: String,
            methods: Vec<String>,
        }

        let manifest: Manifest = toml::from_str(include_str!("../plugin.toml")).unwrap();
        assert_eq!(manifest.routes.len(), 8);
        for route in manifest.routes {
            assert_eq!(route.methods, ["GET"], "{}", route.path);
            assert!(!route.path.starts_with("/api"), "{}", route.path);
            let params = [("id", ID), ("file", "storefront.css")];
            let response = ROUTES.handle(&request(&route.path, &params, None, &[]));
            assert_eq!(response.status(), 200, "{}", route.path);
        }
    }

    #[test]
    fn what_cannot_exist_is_a_page_that_says_so() {
        for (route, params) in [
            ("/tickets/{id}", ("id", "nonsense")),
            ("/orders/{id}", ("id", "1")),
            ("/assets/{file}", ("file", "../lib.rs")),
        ] {
            let response = ROUTES.handle(&request(route, &[params], None, &[]));
            assert_eq!(response.status(), 404, "{route}");
            assert!(String::from_utf8_lossy(response.body()).contains("<h1>Not found</h1>"), "{route}");
        }
    }
}
