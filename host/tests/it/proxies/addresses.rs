//! The address of a visitor, as the host sees it. The limit of each address shows it.

use super::{Kind, Reply, ReverseProxy, Setup, TRUSTED};
use crate::support::{Client, Host};
use std::net::IpAddr;

/// A limit that does not change while a test runs.
const LIMITS: &str = "[rate_limits]\naddress = \"20/h\"\n";

fn limiting(http: &str) -> Setup {
    Setup::without_components().variable("TICKETING_RATE_LIMITS", "on").toml(LIMITS).http(http)
}

/// The requests that the sender has left.
fn left(reply: &Reply) -> u32 {
    let limit = reply.header("ratelimit").unwrap_or_else(|| panic!("{reply:?}"));
    let rest = limit.strip_prefix("\"address\";r=").unwrap_or_else(|| panic!("{limit}"));
    rest.split(';').next().unwrap().parse().unwrap()
}

/// Whether the host takes the sender of this request for this address.
async fn is_seen_as(host: &Host, header: &str, address: IpAddr, sender: &Client) -> bool {
    let entry = if header == "forwarded" { format!("for={address}") } else { address.to_string() };
    let direct = host.visitor().with_header(header, &entry);
    let before = left(&direct.get("/nothing").await);
    assert!(before > 1, "the test sends too many requests");
    left(&sender.get("/nothing").await) + 1 == before
}

/// Texts of a client in front of the entries of the proxies.
fn forgeries() -> Vec<Vec<(&'static str, &'static str)>> {
    let list = "x-forwarded-for";
    vec![
        vec![],
        vec![(list, "6.6.6.6")],
        vec![(list, "6.6.6.6, 6.6.6.7")],
        vec![(list, "6.6.6.6"), (list, "127.0.0.1")],
        vec![(list, "::ffff:127.0.0.1, unknown, ")],
        vec![(list, "\"")],
        vec![(list, "6.6.6.6, \"6.6.6.7")],
        vec![(list, ",,,")],
        vec![(list, "[::1]:80"), (list, "\"a,b\"")],
        vec![("forwarded", "for=6.6.6.6;proto=https"), ("x-real-ip", "6.6.6.6"), ("x-forwarded-port", "1")],
        vec![("x-forwarded-proto", "https"), ("x-forwarded-host", "evil.example")],
    ]
}

fn forging(client: &Client, forged: &[(&str, &str)]) -> Client {
    forged.iter().fold(client.clone(), |client, (name, value)| client.with_header(name, value))
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn a_visitor_has_the_address_that_the_proxy_saw_whatever_the_visitor_writes() {
    let host = limiting(TRUSTED).start().await;
    let mut number = 10;
    for kind in Kind::BOTH {
        let proxy = ReverseProxy::before(kind, &host).await;
        for forged in forgeries() {
            for tls in [false, true] {
                number += 1;
                let (visitor, address) = proxy.visitor_from(tls, number);
                let visitor = forging(&visitor, &forged);
                assert!(
                    is_seen_as(&host, "x-forwarded-for", address, &visitor).await,
                    "{kind:?}, TLS {tls}: {forged:?} makes {address} somebody else"
                );
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn bytes_that_are_no_text_hide_no_visitor() {
    let host = limiting(TRUSTED).start().await;
    for (number, kind) in (100..).zip(Kind::BOTH) {
        let proxy = ReverseProxy::before(kind, &host).await;
        let (visitor, address) = proxy.visitor_from(false, number);
        let visitor = visitor.with_header("x-forwarded-for", "\u{ff}\u{e9}");
        assert!(is_seen_as(&host, "x-forwarded-for", address, &visitor).await, "{kind:?}");
    }
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn the_visitor_is_found_behind_two_proxies() {
    let host = limiting(TRUSTED).start().await;
    let mut number = 120;
    for (outer, inner) in [(Kind::Nginx, Kind::Haproxy), (Kind::Haproxy, Kind::Nginx), (Kind::Haproxy, Kind::Haproxy)] {
        let inner = ReverseProxy::before(inner, &host).await;
        let outer = ReverseProxy::before_proxy(outer, &inner).await;
        for forged in forgeries() {
            number += 1;
            let (visitor, address) = outer.visitor_from(true, number);
            let visitor = forging(&visitor, &forged);
            assert!(is_seen_as(&host, "x-forwarded-for", address, &visitor).await, "{forged:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn a_proxy_that_the_host_does_not_trust_is_the_visitor() {
    let host = limiting("trusted_proxies = [\"10.0.0.0/8\"]\n").start().await;
    for kind in Kind::BOTH {
        let proxy = ReverseProxy::before(kind, &host).await;
        let before = left(&host.visitor().get("/nothing").await);
        for (count, number) in (1..).zip([200, 201]) {
            let (visitor, _) = proxy.visitor_from(true, number);
            let visitor = visitor.with_header("x-forwarded-for", "10.0.0.1");
            assert_eq!(left(&visitor.get("/nothing").await) + count, before, "{kind:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn a_trusted_proxy_is_known_on_a_listener_of_both_versions_of_ip() {
    let host = limiting(TRUSTED).listen("[::ffff:127.0.0.1]:0").start().await;
    assert!(host.address().starts_with("[::ffff:127.0.0.1]:"), "{}", host.address());
    for (number, kind) in (210..).zip(Kind::BOTH) {
        let proxy = ReverseProxy::before(kind, &host).await;
        let (visitor, address) = proxy.visitor_from(false, number);
        assert!(is_seen_as(&host, "x-forwarded-for", address, &visitor).await, "{kind:?}");
    }
}

/// The file with the lines of `deploy/README.md` that send `Forwarded`, in place of the
/// other headers.
fn with_forwarded(file: String) -> String {
    let readme = include_str!("../../../../deploy/README.md");
    let line = |start: &str| readme.lines().find(|line| line.starts_with(start)).unwrap();
    let kept = file.lines().filter(|line| !line.contains("proxy_set_header X-Forwarded-"));
    let file: String = kept.map(|line| format!("{line}\n")).collect();
    let header = format!("{}\nproxy_set_header Connection", line("proxy_set_header Forwarded "));
    let (map, file) = (line("map $remote_addr "), file.replace("proxy_set_header Connection", &header));
    assert!(!file.contains("X-Forwarded-For") && file.contains("Forwarded"));
    format!("{map}\n{file}")
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn a_proxy_may_send_forwarded() {
    let http = format!("{TRUSTED}forwarded_headers = \"forwarded\"\n");
    let host = limiting(&http).start().await;
    let upstreams = [(&host).into(), (&host).into()];
    let proxy = ReverseProxy::with(Kind::Nginx, upstreams, with_forwarded).await;
    for (number, forged) in (220..).zip([
        "",
        "for=6.6.6.6",
        "for=6.6.6.6, for=127.0.0.1;proto=https",
        "for=6.6.6.6;host=evil.example;x=\"",
        "\"",
        "for=\"6.6.6.6, for=6.6.6.7",
        ";;,,=",
        "for=unknown;proto=\"",
    ]) {
        let (visitor, address) = proxy.visitor_from(true, number);
        let visitor = visitor.with_header("forwarded", forged);
        assert!(is_seen_as(&host, "forwarded", address, &visitor).await, "{forged}");
    }
}
