//! The table of a component's routes.

use crate::bindings::imports::platform::http::types;
use crate::error::{Error, Result};
use crate::log;
use crate::request::Request;
use crate::response::Response;

/// A method, a path pattern as in the manifest, and a handler function.
pub type Route = (&'static str, &'static str, fn(&Request) -> Result<Response>);

/// The routes of a component. The host has already matched the path against
/// the pattern, so this table compares patterns only.
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
pub fn serve(router: &Router, request: types::Request) -> types::Response {
    log::report_panics();
    router.handle(&Request::from(request)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::request;

    const ROUTES: Router = Router::new(&[("GET", "/things", |_| Ok(Response::empty(204)))]);

    #[test]
    fn a_route_is_found_by_method_and_pattern() {
        assert_eq!(ROUTES.handle(&request("GET", None, &[])).status(), 204);
        assert_eq!(ROUTES.handle(&request("POST", None, &[])).status(), 404);
    }
}
