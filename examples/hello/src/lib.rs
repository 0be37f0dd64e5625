//! Greets a visitor by name.

wit_bindgen::generate!({ path: "wit", world: "component", generate_all });

use exports::platform::http::handler::{Guest, Request, Response};

struct Component;

export!(Component);

impl Guest for Component {
    /// The host calls this for each request that matches a route in plugin.toml.
    fn handle(request: Request) -> Response {
        let name = request.params.first().map_or("world", |(_, value)| value);
        Response {
            status: 200,
            headers: vec![("content-type".into(), "text/plain; charset=utf-8".into())],
            body: format!("Hello, {name}!\n").into(),
        }
    }
}
