//! The pages of the storefront.

use super::{Page, visit};
use crate::support::{Client, PASSWORD, Setup, eventually, unique};
use thirtyfour::{prelude::*, stringmatch::StringMatchable};

#[tokio::test]
#[ignore = "needs a browser"]
async fn a_visitor_sells_a_ticket_and_another_one_buys_it() {
    in_browser(Setup::new(), sells_and_buys).await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn an_expired_reservation_says_so_and_the_ticket_is_for_sale_again() {
    in_browser(Setup::new().expiration_seconds(2), async |page| {
        page.sign_up("seller").await?;
        page.sell("Jazz", "20").await?;
        page.click("[data-sign-out]").await?;
        page.shows("[data-notice]", "You are signed out.").await?;

        page.sign_up("buyer").await?;
        page.click("[data-list] a").await?;
        page.click("[data-buy]").await?;
        page.shows("[data-state]", "This order was not paid in time".match_partial()).await?;
        page.comes_to_show("/", "[data-list] [data-price]", "$20.00").await
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn a_buyer_is_asked_again_when_the_price_has_changed_since_they_saw_it() {
    in_browser(Setup::new(), async |page| {
        let (seller, other) = (page.client("seller").await, page.client("other").await);
        let ticket = seller.sell("Opera", 20.0).await;
        page.sign_up("buyer").await?;
        page.open(&format!("/tickets/{}", ticket.id)).await?;
        page.shows("[data-buy]", "Reserve this ticket").await?;
        assert_eq!(seller.edit(&ticket.id, "Opera", 2_000).await.status, 200);
        // `orders` answers an order for an unknown version with the one that it knows.
        let known = async || other.try_order_version(&ticket.id, 99).await.json()["ticket"]["version"].clone();
        eventually("`orders` knows the new price", known, |version| *version == 1).await;

        page.click("[data-buy]").await?;
        page.shows("[data-problem]", "The price is now $2,000.00, was $20.00.".match_partial()).await?;
        page.shows(".large [data-price]", "$2,000.00").await?;
        page.shows("[data-buy]", "Reserve for $2,000.00").await?;
        page.click("[data-buy]").await?;
        page.shows("[data-state]", "The ticket is reserved for you.").await?;
        page.shows(".large [data-price]", "$2,000.00").await
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn a_seller_sees_what_became_of_the_tickets_and_withdraws_one() {
    in_browser(Setup::new(), async |page| {
        let buyer = page.client("buyer").await;
        page.sign_up("seller").await?;
        page.open("/selling").await?;
        page.shows("[data-status]", "You have not offered any ticket yet.").await?;
        page.sell("Opera", "20").await?;
        page.open("/selling").await?;
        page.shows("[data-list] [data-badge]", "For sale").await?;
        page.click("[data-list] a").await?;
        page.click("summary").await?;
        page.click("[data-withdraw]").await?;
        page.shows("[data-notice]", "Your ticket is withdrawn.").await?;
        page.shows("[data-status]", "You have not offered any ticket yet.").await?;

        page.sell("Jazz", "10").await?;
        let tickets = buyer.all("/api/tickets").await;
        let order = buyer.reserve(tickets[0]["id"].as_str().unwrap()).await;
        page.comes_to_show("/selling", "[data-list] [data-badge]", "Reserved").await?;
        buyer.pay(&order.id).await;
        page.comes_to_show("/selling", "[data-list] [data-badge]", "Sold").await?;
        page.click("[data-list] a").await?;
        page.shows("[data-part='own-sold']", "This is your ticket. It is sold.".match_partial()).await
    })
    .await;
}

/// Runs the steps with a host and a browser.
async fn in_browser(setup: Setup, steps: impl AsyncFnOnce(&Page) -> WebDriverResult<()>) {
    let host = setup.start().await;
    visit(&format!("http://{}", host.address()), steps).await;
}

/// A visitor sells a ticket and signs out, and another one buys it.
pub(super) async fn sells_and_buys(page: &Page) -> WebDriverResult<()> {
    page.sign_up("seller").await?;
    page.open("/sell").await?;
    page.fill("#title", "Opera <i>gala</i>").await?;
    page.fill("#price", "abc").await?;
    page.click("[data-form] button").await?;
    page.shows("#price-error", "Price must be".match_partial()).await?;
    page.fill("#price", "1234.5").await?;
    page.click("[data-form] button").await?;
    page.shows("[data-notice]", "Your ticket is for sale.").await?;
    page.shows("h1[data-title]", "Opera <i>gala</i>").await?;
    page.shows(".large [data-price]", "$1,234.50").await?;
    page.click("[data-sign-out]").await?;
    page.shows("[data-notice]", "You are signed out.").await?;

    page.sign_up("buyer").await?;
    page.click("[data-list] a").await?;
    page.click("[data-buy]").await?;
    page.shows("[data-state]", "The ticket is reserved for you.").await?;
    page.shows("[data-timer]", ":".match_partial()).await?;
    page.choose("#token", "tok_chargeDeclined").await?;
    page.click("[data-amount]").await?;
    page.shows("[data-pay]", "declined.".match_partial()).await?;
    page.choose("#token", "tok_visa").await?;
    page.click("[data-amount]").await?;
    page.shows("[data-state]", "Paid. The ticket is yours.").await?;
    page.open("/orders").await?;
    page.shows("[data-list] [data-badge]", "Paid").await
}

impl Page {
    /// Another visitor, who uses the API.
    async fn client(&self, name: &str) -> Client {
        let mut client = Client::new(&self.base);
        client.sign_up(&unique(name)).await;
        client
    }

    /// Offers a ticket.
    async fn sell(&self, title: &str, price: &str) -> WebDriverResult<()> {
        self.open("/sell").await?;
        self.fill("#title", title).await?;
        self.fill("#price", price).await?;
        self.click("[data-form] button").await?;
        self.shows("[data-notice]", "Your ticket is for sale.").await
    }

    pub(super) async fn sign_up(&self, name: &str) -> WebDriverResult<()> {
        let email = unique(name);
        self.open("/signup").await?;
        self.fill("#email", &email).await?;
        self.fill("#password", PASSWORD).await?;
        self.click("[data-form] button").await?;
        self.shows("[data-user]", email).await
    }
}
