//! The overhead of the host on a request: a component that does nothing, beside
//! a native handler that does nothing.

use std::sync::Arc;

use anyhow::Result;

use crate::client::{Connection, request};
use crate::load::{Comparison, Effort, Requests};
use crate::market;
use crate::native::{DUTIES, Data};
use crate::server::{Server, Setup};
use crate::side_by_side::compare;

/// The headers of Firefox 146 for a request of a script, beside `Host` and `Cookie`.
const BROWSER: &str = "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0\r\n\
    accept: application/json, text/plain, */*\r\n\
    accept-language: en-GB,en;q=0.7,de;q=0.3\r\n\
    accept-encoding: gzip, deflate, br, zstd\r\n\
    referer: http://localhost/tickets?page=2\r\n\
    origin: http://localhost\r\n\
    dnt: 1\r\n\
    sec-gpc: 1\r\n\
    connection: keep-alive\r\n\
    sec-fetch-dest: empty\r\n\
    sec-fetch-mode: cors\r\n\
    sec-fetch-site: same-origin\r\n\
    priority: u=0\r\n";
/// Cookies of other programs of the site.
const OTHER_COOKIES: &str = "consent=necessary; theme=dark; seen=2026-11-30";

/// The guest and the baseline both answer on the path `/<guest>`.
pub(crate) async fn measure(guest: &str, effort: Effort) -> Result<Comparison> {
    beside("hello", guest, effort).await
}

/// Beside a baseline that has the host's duties.
pub(crate) async fn beside_duties(effort: Effort) -> Result<Comparison> {
    beside(DUTIES, "hello", effort).await
}

async fn beside(baseline: &str, guest: &str, effort: Effort) -> Result<Comparison> {
    let setup = Setup::of_guest(guest, &[])?;
    let host = setup.start().await?;
    let native = Server::native(baseline, &Data::File(setup.folder().to_owned())).await?;
    let requests = Arc::new([request("GET", &format!("/{guest}"), None, None)]);
    compare(native, host, requests, effort).await
}

/// The request of a browser whose user has signed in. The baseline does not look at the
/// session.
pub(crate) async fn of_browser(effort: Effort) -> Result<Comparison> {
    let setup = Setup::with_guest("hello")?;
    let host = setup.start().await?;
    let requests = browser_requests(&host).await?;
    let native = Server::native("hello", &Data::File(setup.folder().to_owned())).await?;
    compare(native, host, requests, effort).await
}

/// Signs a user up, and returns the request of the user's browser.
pub(crate) async fn browser_requests(host: &Server) -> Result<Requests> {
    let mut connection = Connection::open(host.address).await?;
    let session = market::sign_up(&mut connection, "buyer@example.com").await?;
    let cookies = format!("{OTHER_COOKIES}; {session}");
    let request = format!("GET /hello HTTP/1.1\r\nhost: localhost\r\n{BROWSER}cookie: {cookies}\r\n\r\n");
    Ok(Arc::new([request.into_bytes()]))
}
