//! Answers one small JSON, whatever it is asked. `hello` and `hello-fresh` are
//! this same code; their manifests differ in how long an instance is kept.

use serde::Serialize;
use ticketing_sdk::{Request, Response, Result, Router};

const ROUTES: Router = Router::new(&[("GET", "/hello", hello), ("GET", "/hello-fresh", hello)]);

ticketing_sdk::component! { http: ROUTES }

#[derive(Serialize)]
struct Greeting {
    message: &'static str,
    recipient: &'static str,
}

fn hello(_: &Request) -> Result<Response> {
    Response::json(200, &Greeting { message: "Hello", recipient: "world" })
}
