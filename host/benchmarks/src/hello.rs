//! The overhead of the host on a request: a component that does nothing, beside
//! a native handler that does nothing.

use std::sync::Arc;

use anyhow::Result;

use crate::client::request;
use crate::load::{Comparison, Effort};
use crate::native::Data;
use crate::server::{Server, Setup};
use crate::side_by_side::compare;

/// The guest and the baseline both answer on the path `/<guest>`.
pub(crate) async fn measure(guest: &str, effort: Effort) -> Result<Comparison> {
    let setup = Setup::of_guest(guest)?;
    let host = setup.start().await?;
    let native = Server::native("hello", &Data::File(setup.folder().to_owned())).await?;
    let requests = Arc::new([request("GET", &format!("/{guest}"), None, None)]);
    compare(native, host, requests, effort).await
}
