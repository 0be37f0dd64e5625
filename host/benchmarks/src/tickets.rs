//! The rate of reading one row with `GET /api/tickets/{id}`, beside axum and
//! sqlx with the same SQL, pool and pragmas.

use std::sync::Arc;

use anyhow::Result;

use crate::client::{Connection, request};
use crate::load::{Comparison, Effort};
use crate::market;
use crate::native::Data;
use crate::native::embedded::tickets::{Row, fill};
use crate::server::{Server, Setup};
use crate::side_by_side::compare;

const TICKETS: usize = 200;

pub(crate) async fn measure(effort: Effort) -> Result<Comparison> {
    let setup = Setup::new("")?;
    let host = setup.start().await?;
    let mut connection = Connection::open(host.address).await?;
    let seller = market::sign_up(&mut connection, "seller@example.com").await?;
    let ids = market::sell(host.address, &seller, TICKETS).await?;
    let requests: Arc<[Vec<u8>]> =
        ids.iter().map(|id| request("GET", &format!("/api/tickets/{id}"), None, None)).collect();

    let mut rows = Vec::new();
    for request in requests.iter() {
        rows.push(connection.send(request).await?.json::<Row>(200)?);
    }
    let file = setup.folder().join("native.db");
    fill(&file, &rows).await?;
    let native = Server::native("tickets", &Data::File(file)).await?;
    compare(native, host, requests, effort).await
}
