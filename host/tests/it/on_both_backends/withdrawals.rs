//! Tickets that their sellers withdraw.

use super::events::{forged, publish};
use crate::support::{MarketState, Setup, TicketStatus};
use serde_json::json;

#[tokio::test]
async fn a_withdrawn_ticket_is_gone_and_cannot_be_ordered() {
    let host = Setup::new().start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    let (ticket, other) = (anna.sell("x", 1.0).await, anna.sell("stays", 1.0).await);
    let reply = anna.withdraw(&ticket.id).await;
    assert_eq!((reply.status, reply.text.as_str()), (204, ""), "{reply:?}");

    let path = format!("/api/tickets/{}", ticket.id);
    host.visitor().get(&path).await.refuses(404, "Not Found");
    anna.edit(&ticket.id, "y", 2).await.refuses(404, "Not Found");
    berta.try_order(&ticket.id).await.refuses(404, "Not Found");
    berta.try_order_version(&ticket.id, 0).await.refuses(404, "Not Found");
    berta.withdraw(&ticket.id).await.refuses(404, "Not Found");
    assert_eq!(anna.withdraw(&ticket.id).await.status, 204, "the seller may repeat the withdrawal");
    for list in ["/api/tickets", "/api/tickets?q=x", "/api/tickets?seller=me"] {
        let listed = anna.all(list).await;
        assert!(listed.iter().all(|listed| listed["id"] == other.id.as_str()), "{list}: {listed:?}");
    }
    host.settles().await;
    berta.reserve(&other.id).await;
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn only_the_seller_withdraws_a_ticket_and_only_while_nobody_holds_it() {
    let host = Setup::new().start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    let ticket = anna.sell("x", 1.0).await;
    host.visitor().withdraw(&ticket.id).await.refuses(401, "Not authorized");
    berta.withdraw(&ticket.id).await.refuses(401, "Not authorized");
    assert_eq!(anna.with_header("if-match", "\"1\"").withdraw(&ticket.id).await.status, 412);

    let order = berta.reserve(&ticket.id).await;
    anna.withdraw(&ticket.id).await.refuses(400, "Cannot withdraw a reserved ticket");
    assert_eq!(berta.order(&order.id).await, order);
    assert_eq!(berta.cancel(&order.id).await.status, 204);
    let free = anna.ticket_becomes(&ticket.id, TicketStatus::Available).await;
    let matching = anna.with_header("if-match", &format!("\"{}\"", free.version));
    assert_eq!(matching.withdraw(&ticket.id).await.status, 204);
    host.settles().await;
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_ticket_can_be_withdrawn_at_once_and_its_late_events_change_nothing() {
    let host = Setup::new().start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    for _ in 0..10 {
        let ticket = anna.try_sell("x", 1).await.ticket();
        anna.edit(&ticket.id, "y", 2).await;
        assert_eq!(anna.withdraw(&ticket.id).await.status, 204);
        berta.try_order(&ticket.id).await.refuses(404, "Not Found");
        host.settles().await;
        berta.try_order(&ticket.id).await.refuses(404, "Not Found");
    }
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn of_a_withdrawal_and_an_order_at_once_exactly_one_succeeds() {
    let host = Setup::new().start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    let mut wins = [0, 0];
    for round in 0..30_u64 {
        let ticket = anna.sell("x", 1.0).await;
        let late = std::time::Duration::from_micros(round % 6 * 500);
        let order = async {
            tokio::time::sleep(late).await;
            berta.try_order(&ticket.id).await
        };
        let (withdrawn, order) = futures::join!(anna.withdraw(&ticket.id), order);
        match (withdrawn.status, order.status) {
            (204, 404) => {
                wins[0] += 1;
                host.visitor().get(&format!("/api/tickets/{}", ticket.id)).await.refuses(404, "Not Found");
            }
            (400, 201) => {
                wins[1] += 1;
                berta.pay(&order.id()).await;
                anna.ticket_becomes(&ticket.id, TicketStatus::Sold).await;
            }
            _ => panic!("{withdrawn:?} {order:?}"),
        }
    }
    host.settles().await;
    MarketState::read(&host).await.is_consistent();
    assert!(host.dead_letters().await.is_empty());
    assert!(wins.iter().sum::<u32>() == 30, "{wins:?}");
}

#[tokio::test]
async fn of_many_withdrawals_at_once_each_is_answered_rightly() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let ticket = anna.sell("x", 1.0).await;
    let replies = futures::future::join_all((0..10).map(|_| anna.withdraw(&ticket.id))).await;
    assert!(replies.iter().all(|reply| reply.status == 204), "{replies:?}");
    let withdrawn = host.database("components/tickets.db").await;
    assert_eq!(withdrawn.number("SELECT count(*) FROM withdrawn_tickets").await, 1);
}

#[tokio::test]
async fn a_withdrawn_ticket_cannot_be_ordered_in_whatever_order_its_events_arrive() {
    let mut host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ids = [0, 1, 2, 3].map(|number| format!("018bcfe5-6800-7000-8000-00000000000{number}"));
    let state = |id: &str, version: i64| {
        let subject = if version == 0 { "ticket.created" } else { "ticket.updated" };
        let state = json!({
            "id": id, "version": version, "title": "x", "amount": 1_000, "currency": "usd", "userId": seller.id,
        });
        forged(subject, &state)
    };
    let withdrawn = |id: &str| forged("ticket.withdrawn", &json!({ "id": id, "version": 2 }));
    let events = [
        [state(&ids[0], 0), state(&ids[0], 1), withdrawn(&ids[0]), withdrawn(&ids[0])],
        [withdrawn(&ids[1]), state(&ids[1], 0), state(&ids[1], 1), state(&ids[1], 0)],
        [state(&ids[2], 0), withdrawn(&ids[2]), state(&ids[2], 1), state(&ids[2], 0)],
        [state(&ids[3], 1), withdrawn(&ids[3]), withdrawn(&ids[3]), state(&ids[3], 0)],
    ];
    publish(&mut host, "tickets", events.as_flattened()).await;
    host.settles().await;
    for id in &ids {
        host.again(&buyer).try_order(id).await.refuses(404, "Not Found");
    }
    host.kill().await;
    host.start_again().await;
    for id in &ids {
        host.again(&buyer).try_order(id).await.refuses(404, "Not Found");
    }
    assert!(host.dead_letters().await.is_empty());
}
