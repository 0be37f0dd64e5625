//! Hosts behind nginx and HAProxy, with the files of `deploy/`.

mod addresses;
mod bodies;
mod cache;
mod losses;
mod sites;

use crate::support::{Kind, Reply, ReverseProxy, SITE, Setup};
use tokio::process::Command;

const TRUSTED: &str = "trusted_proxies = [\"127.0.0.1\"]\n";

/// A host that believes the proxies of these tests.
fn behind_proxy() -> Setup {
    Setup::new().http(TRUSTED)
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn haproxy_accepts_the_file_of_compose() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/compose/haproxy.cfg");
    let output = Command::new(Kind::Haproxy.program()).args(["-c", "-f", file]).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
