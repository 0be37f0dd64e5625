//! The rate and the time of reading one row with `GET /api/tickets/{id}`, beside axum and
//! sqlx with the same SQL, pool and pragmas.

use anyhow::Result;

use crate::client::Connection;
use crate::edge::reads;
use crate::load::{Comparison, Effort, Requests, pace, quantile, send_for};
use crate::native::Data;
use crate::native::embedded::tickets::{Row, fill};
use crate::server::{Server, Setup};
use crate::side_by_side::compare;

/// The rate of both, as high as it gets.
pub(crate) async fn measure(effort: Effort) -> Result<Comparison> {
    let Pair { native, host, requests, _setup } = Pair::start().await?;
    compare(native, host, requests, effort).await
}

/// Times in milliseconds, the medians of the rounds.
pub(crate) struct Paced {
    pub(crate) per_second: f64,
    pub(crate) native_p99_ms: f64,
    pub(crate) host_p99_ms: f64,
    pub(crate) ratio: f64,
}

/// The time of an answer at half of the native server's highest rate.
pub(crate) async fn paced(effort: Effort) -> Result<Paced> {
    let Pair { native, host, requests, _setup } = Pair::start().await?;
    send_for(effort.warm_up, &host, &requests).await?;
    send_for(effort.warm_up, &native, &requests).await?;
    let per_second = send_for(effort.round, &native, &requests).await?.per_second / 2.0;
    let (mut natives, mut hosts, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        let one = quantile(&mut pace(per_second, effort.round, &native, &requests).await?, 0.99)?;
        let other = quantile(&mut pace(per_second, effort.round, &host, &requests).await?, 0.99)?;
        natives.push(one);
        hosts.push(other);
        ratios.push(other / one);
    }
    native.stop().await?;
    host.stop().await?;
    Ok(Paced {
        per_second,
        native_p99_ms: quantile(&mut natives, 0.5)?,
        host_p99_ms: quantile(&mut hosts, 0.5)?,
        ratio: quantile(&mut ratios, 0.5)?,
    })
}

/// Both servers with the same tickets.
struct Pair {
    native: Server,
    host: Server,
    requests: Requests,
    /// Its folder has the data of both.
    _setup: Setup,
}

impl Pair {
    async fn start() -> Result<Self> {
        let setup = Setup::new("")?;
        let host = setup.start().await?;
        let requests = reads(&host).await?;
        let mut connection = Connection::open(host.address).await?;
        let mut rows = Vec::new();
        for request in requests.iter() {
            rows.push(connection.send(request).await?.json::<Row>(200)?);
        }
        let file = setup.folder().join("native.db");
        fill(&file, &rows).await?;
        let native = Server::native("tickets", &Data::File(file)).await?;
        Ok(Self { native, host, requests, _setup: setup })
    }
}
