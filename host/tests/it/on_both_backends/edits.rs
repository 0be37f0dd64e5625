//! The price of an order after an edit.

use crate::support::{Setup, Status, eventually};
use serde_json::json;

#[tokio::test]
async fn no_order_is_made_at_a_price_older_than_an_acknowledged_edit() {
    let host = Setup::new().start().await;
    let seller = host.user("seller").await;
    let buyers = host.users("buyer", 2).await;
    let ticket = seller.sell("0", 1.0).await;
    for round in 1..30_u32 {
        let reply = seller.edit(&ticket.id, &round.to_string(), round + 1).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let buyer = &buyers[round as usize % buyers.len()];
        let order = buyer.reserve(&ticket.id).await;
        assert_eq!((order.ticket.price, order.ticket.title.as_str()), (f64::from(round + 1), &*round.to_string()));
        assert_eq!(order.ticket.version, reply.ticket().version);
        assert_eq!(buyer.cancel(&order.id).await.status, 204);
        assert_eq!(buyer.order(&order.id).await.status, Status::Cancelled);
        host.settles().await;
    }
}

#[tokio::test]
async fn an_edit_that_orders_has_not_confirmed_is_not_acknowledged() {
    let host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("old", 1.0).await;
    let operator = host.operator();
    assert_eq!(operator.post("/plugins/orders/pause", json!({})).await.status, 200);
    let (first, second) = futures::future::join(seller.edit(&ticket.id, "new", 2), async {
        let shown = async || host.visitor().ticket(&ticket.id).await;
        eventually("the first edit is saved", shown, |ticket| ticket.title == "new").await;
        seller.with_header("if-match", "\"0\"").edit(&ticket.id, "other", 3).await
    })
    .await;
    assert_eq!((first.status, first.header("retry-after")), (503, Some("1")), "{first:?}");
    assert_eq!(second.status, 412, "the first edit is saved: {second:?}");
    assert_eq!(host.visitor().ticket(&ticket.id).await.title, "new");
    assert_eq!(operator.post("/plugins/orders/resume", json!({})).await.status, 200);
    assert_eq!(seller.edit(&ticket.id, "newer", 4).await.status, 200);
    assert_eq!(buyer.reserve(&ticket.id).await.ticket.title, "newer");
}
