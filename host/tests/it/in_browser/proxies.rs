//! The pages behind nginx and HAProxy with the files of `deploy/`, with TLS and without
//! it. The browser knows the site by a name. Without TLS, browsers tell such a site
//! nothing but `Origin` about the pages that ask.

use super::{Page, storefront::sells_and_buys, visit};
use crate::support::{Kind, ReverseProxy, Setup};
use thirtyfour::prelude::*;

async fn serves_a_browser(kind: Kind, tls: bool) {
    let host = Setup::new().http("trusted_proxies = [\"127.0.0.1\"]\n").start().await;
    let proxy = ReverseProxy::before(kind, &host).await;
    visit(&proxy.url(tls), async |page| {
        sells_and_buys(page).await?;
        page.click("[data-sign-out]").await?;
        page.shows("[data-notice]", "You are signed out.").await?;
        has_cookie(page, tls).await
    })
    .await;
}

/// Signs up once more, and looks at the cookie.
async fn has_cookie(page: &Page, tls: bool) -> WebDriverResult<()> {
    page.sign_up("other").await?;
    let cookies = page.cookies().await?;
    let [session] = cookies.as_slice() else { panic!("{cookies:?}") };
    let name = if tls { "__Host-session" } else { "session" };
    assert_eq!((session.name.as_str(), session.secure), (name, Some(tls)), "{session:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs a browser and nginx"]
async fn visitors_sell_and_buy_behind_nginx() {
    serves_a_browser(Kind::Nginx, false).await;
}

#[tokio::test]
#[ignore = "needs a browser and nginx"]
async fn visitors_sell_and_buy_behind_nginx_with_tls() {
    serves_a_browser(Kind::Nginx, true).await;
}

#[tokio::test]
#[ignore = "needs a browser and HAProxy"]
async fn visitors_sell_and_buy_behind_haproxy() {
    serves_a_browser(Kind::Haproxy, false).await;
}

#[tokio::test]
#[ignore = "needs a browser and HAProxy"]
async fn visitors_sell_and_buy_behind_haproxy_with_tls() {
    serves_a_browser(Kind::Haproxy, true).await;
}
