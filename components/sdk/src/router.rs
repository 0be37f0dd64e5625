//! The table of a component's routes.

use crate::bindings::http::exports::platform::packed::packed_handler::PackedRequest;
use crate::bindings::imports::platform::http::types;
use crate::error::{Error, Result};
use crate::log;
use crate::request::Request;
use crate::response::Response;

/// A function that answers requests.
pub type Handler = fn(&Request) -> Result<Response>;

/// A method, a path pattern as in the manifest, and a handler.
pub type Route = (&'static str, &'static str, Handler);

/// A route for `GET` and `HEAD`.
pub const fn get(pattern: &'static str, handler: Handler) -> Route {
    ("GET", pattern, handler)
}

/// A route for `POST`.
pub const fn post(pattern: &'static str, handler: Handler) -> Route {
    ("POST", pattern, handler)
}

/// A route for `PUT`.
pub const fn put(pattern: &'static str, handler: Handler) -> Route {
    ("PUT", pattern, handler)
}

/// A route for `PATCH`.
pub const fn patch(pattern: &'static str, handler: Handler) -> Route {
    ("PATCH", pattern, handler)
}

/// A route for `DELETE`.
pub const fn delete(pattern: &'static str, handler: Handler) -> Route {
    ("DELETE", pattern, handler)
}

/// The routes of a component. The host has already matched the path against
/// the pattern, so this table compares patterns only.
///
/// ```
/// use ticketing_sdk::{Request, Response, Result, Router, get, post};
///
/// const ROUTES: Router = Router::new(&[get("/notes/{id}", read), post("/notes/{id}", write)]);
///
/// fn read(request: &Request) -> Result<Response> {
///     Ok(Response::text(200, request.param("id")?))
/// }
///
/// fn write(request: &Request) -> Result<Response> {
///     Ok(Response::text(201, request.text()?))
/// }
/// # let _ = ROUTES;
/// ```
pub struct Router {
    routes: &'static [Route],
}

impl Router {
    /// Makes the table. Put the most used route first.
    pub const fn new(routes: &'static [Route]) -> Self {
        Self { routes }
    }

    /// Calls the handler of the route and turns its error into a response.
    pub fn handle(&self, request: &Request) -> Response {
        let route =
            self.routes.iter().find(|(method, pattern, _)| *method == request.method() && *pattern == request.route());
        match route {
            Some((_, _, handler)) => handler(request).unwrap_or_else(Response::from),
            None => Error::not_found().into(),
        }
    }
}

/// The body of the exported HTTP handler.
#[doc(hidden)]
pub fn serve(router: &Router, request: PackedRequest) -> types::Response {
    log::report_panics();
    router.handle(&Request::from(request)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::request;

    const ROUTES: Router = Router::new(&[get("/things", |_| Ok(Response::empty(204)))]);

    #[test]
    fn a_route_is_found_by_method_and_pattern() {
        assert_eq!(ROUTES.handle(&request("GET", None, &[])).status(), 204);
        assert_eq!(ROUTES.handle(&request("POST", None, &[])).status(), 404);
    }

    #[test]
    fn each_method_has_a_route_of_its_name() {
        let handler: Handler = |_| Ok(Response::empty(204));
        let routes =
            [get("/", handler), post("/", handler), put("/", handler), patch("/", handler), delete("/", handler)];
        assert_eq!(routes.map(|(method, _, _)| method), ["GET", "POST", "PUT", "PATCH", "DELETE"]);
    }
}
