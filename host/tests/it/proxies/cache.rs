//! Shared caches before the host: the ones of the files in `deploy/`, and one that
//! stores whatever the headers of the answers allow.

use super::{Kind, ReverseProxy, behind_proxy};
use crate::support::{Client, Host, Ticket, TicketStatus};
use http::Method;
use serde_json::json;

/// Files of the storefront, as its first page names them.
async fn assets(visitor: &Client) -> Vec<String> {
    let page = visitor.get("/").await;
    let files: Vec<_> = page.text.split('"').filter(|text| text.starts_with("/assets/")).map(str::to_owned).collect();
    assert!(files.len() > 5, "{page:?}");
    files
}

/// How often the host was asked for a path. It has written the line of a request
/// before the answer of the next one arrives.
async fn asked(host: &Host, path: &str) -> usize {
    assert_eq!(host.visitor().get("/robots.txt").await.status, 200);
    host.log()
        .lines()
        .filter(|line| line.contains(&format!("path=\"{path}\" ")) || line.contains(&format!("path={path} ")))
        .count()
}

/// Stores all that the headers allow, for all paths.
fn storing_all(kind: Kind) -> impl FnOnce(String) -> String {
    move |file| {
        let changes = match kind {
            Kind::Nginx => vec![("proxy_buffering off;", "proxy_cache ticketing_assets;")],
            Kind::Haproxy => vec![
                ("cache-use assets if { var(txn.asset) -m bool }", "cache-use assets"),
                ("cache-store assets if { var(txn.asset) -m bool }", "cache-store assets"),
            ],
        };
        changes.into_iter().fold(file, |file, (from, to)| {
            assert!(file.contains(from), "{from}");
            file.replace(from, to)
        })
    }
}

async fn caching_all(kind: Kind, host: &Host) -> ReverseProxy {
    ReverseProxy::with(kind, [host.into(), host.into()], storing_all(kind)).await
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn assets_come_from_the_cache_and_a_browser_that_has_them_gets_304() {
    let host = behind_proxy().start().await;
    for (round, kind) in (1..).zip(Kind::BOTH) {
        let proxy = ReverseProxy::before(kind, &host).await;
        let visitor = proxy.visitor(true);
        for path in assets(&visitor).await {
            let head = visitor.send(Method::HEAD, &path, None).await;
            assert_eq!((head.status, head.text.as_str()), (200, ""), "{kind:?} {path}");
            let first = visitor.get(&path).await;
            assert!(first.status == 200 && !first.text.is_empty(), "{kind:?} {path}: {first:?}");
            let before = asked(&host, &path).await;
            assert!((round..=2 * round).contains(&before), "{kind:?} {path}: {before}");
            for _ in 0..3 {
                let again = proxy.visitor(true).get(&path).await;
                assert_eq!((again.status, &again.text), (200, &first.text), "{kind:?} {path}");
                assert_eq!(again.header("cache-control"), first.header("cache-control"));
                assert_eq!(again.header("set-cookie"), None);
            }
            let tag = first.header("etag").unwrap();
            for tag in [tag.to_owned(), format!("W/{tag}"), format!("\"0\", {tag}")] {
                let reply = visitor.with_header("if-none-match", &tag).get(&path).await;
                assert_eq!((reply.status, reply.text.as_str()), (304, ""), "{kind:?} {path} {tag}");
            }
            let other = visitor.with_header("if-none-match", "\"other\"").get(&path).await;
            assert_eq!((other.status, &other.text), (200, &first.text), "{kind:?} {path}");
            let head = visitor.send(Method::HEAD, &path, None).await;
            assert_eq!((head.status, head.text.as_str()), (200, ""), "{kind:?} {path}");
            assert_eq!(head.header("etag"), first.header("etag"), "{kind:?} {path}");
            assert_eq!(asked(&host, &path).await, before, "{kind:?} asked the host again for {path}");
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn pages_are_fresh_and_a_browser_that_has_them_gets_304() {
    let host = behind_proxy().start().await;
    for kind in Kind::BOTH {
        let proxy = ReverseProxy::before(kind, &host).await;
        let visitor = proxy.visitor(true);
        for path in ["/", "/sell", "/signin", "/orders"] {
            let tag = visitor.get(path).await.header("etag").unwrap().to_owned();
            let before = asked(&host, path).await;
            let again = visitor.with_header("if-none-match", &tag).get(path).await;
            assert_eq!((again.status, again.text.as_str()), (304, ""), "{kind:?} {path}");
            assert_eq!(asked(&host, path).await, before + 1, "{kind:?} {path}");
        }
    }
}

/// The answers that depend on who asks.
async fn personal(visitor: &Client, paths: &[String]) -> Vec<(String, u16, String)> {
    let mut answers = Vec::new();
    for path in paths {
        // A cache may store the answer to HEAD, or use a stored one for it.
        let head = visitor.send(Method::HEAD, path, None).await;
        let reply = visitor.get(path).await;
        assert_eq!(head.status, reply.status, "{path}");
        answers.push((path.clone(), reply.status, reply.text));
    }
    answers
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn no_visitor_gets_the_answer_of_another_from_a_cache_that_stores_all_it_may() {
    let host = behind_proxy().start().await;
    for kind in Kind::BOTH {
        let proxy = caching_all(kind, &host).await;
        let mut users = Vec::new();
        for name in ["anna", "berta"] {
            let mut user = proxy.visitor(true);
            user.sign_up(&crate::support::unique(name)).await;
            let ticket = user.sell(&format!("Of {name}"), 10.0).await;
            users.push((user, ticket));
        }
        let [(anna, of_anna), (berta, of_berta)] = <[_; 2]>::try_from(users).unwrap();
        let orders = [anna.reserve(&of_berta.id).await.id, berta.reserve(&of_anna.id).await.id];
        for (seller, ticket) in [(&anna, &of_anna), (&berta, &of_berta)] {
            let is_reserved = |ticket: &Ticket| ticket.status == TicketStatus::Reserved;
            seller.ticket_when("the ticket is reserved", &ticket.id, is_reserved).await;
        }
        let paths: Vec<String> =
            ["/api/users/currentuser", "/api/orders", "/api/tickets?seller=me", "/orders", "/selling"]
                .map(str::to_owned)
                .into_iter()
                .chain(orders.iter().flat_map(|id| [format!("/api/orders/{id}"), format!("/orders/{id}")]))
                .collect();
        let nobody = proxy.visitor(true);
        // Whoever asks first could fill the cache for the others.
        for visitor in [&anna, &nobody, &berta, &nobody, &anna, &berta] {
            let through = personal(visitor, &paths).await;
            let own = visitor.at(&format!("http://{}", host.address()));
            let direct = personal(&own.with_header("x-forwarded-proto", "https"), &paths).await;
            for (through, direct) in through.iter().zip(&direct) {
                assert!(through == direct, "{kind:?} gave {through:?}, and the host {direct:?}");
            }
        }
        let seen = personal(&nobody, &paths).await.into_iter().map(|(_, _, text)| text).collect::<String>();
        assert!(!seen.contains(&anna.email) && !seen.contains("Of anna") && !seen.contains("Of berta"), "{seen}");
        let out = anna.post("/api/users/signout", json!({})).await;
        assert_eq!((out.status, anna.current_user().await), (200, json!(null)), "{kind:?}");
        assert_eq!(berta.current_user().await["email"], berta.email.as_str(), "{kind:?}");
    }
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn a_cache_that_stores_all_it_may_does_so_beyond_assets() {
    let host = behind_proxy().start().await;
    for (round, kind) in (1..).zip(Kind::BOTH) {
        let proxy = caching_all(kind, &host).await;
        for _ in 0..3 {
            assert_eq!(proxy.visitor(true).get("/favicon.ico").await.status, 200);
        }
        assert_eq!(asked(&host, "/favicon.ico").await, round, "{kind:?}");
    }
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn a_change_is_seen_at_once_through_a_cache_that_stores_all_it_may() {
    let host = behind_proxy().start().await;
    for kind in Kind::BOTH {
        let proxy = caching_all(kind, &host).await;
        let mut seller = proxy.visitor(true);
        seller.sign_up(&crate::support::unique("seller")).await;
        let ticket = seller.sell("Opera", 20.0).await;
        let (path, visitor) = (format!("/api/tickets/{}", ticket.id), proxy.visitor(true));
        for title in ["Jazz", "Rock", "Folk"] {
            let tag = visitor.get(&path).await.header("etag").unwrap().to_owned();
            let edit = seller.with_header("if-match", &tag).edit(&ticket.id, title, 20).await;
            assert_eq!(edit.status, 200, "{kind:?} {edit:?}");
            let seen = visitor.with_header("if-none-match", &tag).get(&path).await;
            assert_eq!((seen.status, seen.ticket().title.as_str()), (200, title), "{kind:?}");
            assert!(visitor.get("/api/tickets").await.text.contains(title), "{kind:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn a_missing_file_is_not_remembered() {
    let host = behind_proxy().start().await;
    for kind in Kind::BOTH {
        let proxy = caching_all(kind, &host).await;
        for accept in ["text/html", "application/json", "*/*"] {
            for path in ["/assets/0/unknown.js", "/unknown"] {
                let before = asked(&host, path).await;
                let reply = proxy.visitor(true).with_header("accept", accept).get(path).await;
                assert_eq!(reply.status, 404, "{kind:?} {path} {accept}");
                assert_eq!(asked(&host, path).await, before + 1, "{kind:?} {path} {accept}");
            }
        }
    }
}
