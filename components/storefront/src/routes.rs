//! The HTTP routes of the pages.

use ticketing_sdk::{Request, Response, Result, Router, id};

use crate::asset;
use crate::page::{self, Page};

/// The routes of the component.
pub(crate) const ROUTES: Router = Router::new(&[
    ("GET", "/", |_| Ok(page::BROWSE.respond(200))),
    ("GET", "/tickets/{id}", |request| with_id(request, &page::TICKET)),
    ("GET", "/assets/{version}/{file}", asset),
    ("GET", "/orders/{id}", |request| with_id(request, &page::ORDER)),
    ("GET", "/orders", |_| Ok(page::ORDERS.respond(200))),
    ("GET", "/sell", |_| Ok(page::SELL.respond(200))),
    ("GET", "/selling", |_| Ok(page::SELLING.respond(200))),
    ("GET", "/signin", |_| Ok(page::SIGN_IN.respond(200))),
    ("GET", "/signup", |_| Ok(page::SIGN_UP.respond(200))),
    ("GET", "/favicon.ico", |_| Ok(asset::ICON.respond_for_a_day())),
    ("GET", "/robots.txt", |_| Ok(asset::ROBOTS.respond_for_a_day())),
]);

/// The page of one ticket or order. A malformed id is a 404. For a well-formed
/// id, the script finds out whether the ticket or order exists.
fn with_id(request: &Request, page: &Page) -> Result<Response> {
    let (page, status) = if id::is_valid(request.param("id")?) { (page, 200) } else { (&page::NOT_FOUND, 404) };
    Ok(page.respond(status))
}

fn asset(request: &Request) -> Result<Response> {
    match asset::find(request.param("file")?) {
        Some(asset) => asset.respond(request),
        None => Ok(page::NOT_FOUND.respond(404)),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::response::tests::request;

    const ID: &str = "018bcfe5-6800-7000-8000-000000000000";

    #[test]
    fn every_route_of_the_manifest_is_a_get_and_has_a_handler() {
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
        assert_eq!(manifest.routes.len(), 11);
        for route in manifest.routes {
            assert_eq!(route.methods, ["GET"], "{}", route.path);
            assert!(!route.path.starts_with("/api"), "{}", route.path);
            let params = [("id", ID), ("version", "0"), ("file", "main.js")];
            let response = ROUTES.handle(&request(&route.path, &params));
            assert_eq!(response.status(), 200, "{}", route.path);
        }
    }

    #[test]
    fn a_url_that_cannot_exist_shows_the_not_found_page() {
        for (route, params) in [
            ("/tickets/{id}", ("id", "nonsense")),
            ("/orders/{id}", ("id", "1")),
            ("/assets/{version}/{file}", ("file", "../lib.rs")),
        ] {
            let response = ROUTES.handle(&request(route, &[params]));
            assert_eq!(response.status(), 404, "{route}");
            assert!(String::from_utf8_lossy(response.body()).contains("<h1>Not found</h1>"), "{route}");
        }
    }
}
