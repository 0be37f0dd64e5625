//! Answers every request with the same small JSON. `hello` and `hello-fresh` have
//! this code. Their manifests differ in the life of an instance.

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
