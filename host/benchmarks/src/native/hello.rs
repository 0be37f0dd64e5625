//! The baseline of the guests `hello` and `hello-fresh`.

use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

#[derive(Serialize)]
struct Greeting {
    message: &'static str,
    recipient: &'static str,
}

pub(super) fn router() -> Router {
    Router::new().route("/hello", get(hello)).route("/hello-fresh", get(hello))
}

async fn hello() -> Json<Greeting> {
    Json(Greeting { message: "Hello", recipient: "world" })
}
