//! Prices that change while hosts die.

use super::{knows_all, three};
use std::time::{Duration, Instant};

/// Kills each host in turn. The others edit and reserve meanwhile. The event about
/// an edit may be under way on the host that dies.
#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn an_order_has_the_price_of_the_last_acknowledged_edit_while_hosts_die() {
    let mut hosts = three().await;
    let (seller, buyer) = (hosts[0].user("seller").await, hosts[0].user("buyer").await);
    let ticket = seller.sell("x", 1.0).await;
    let mut price = 1_u32;
    for victim in 0..hosts.len() {
        let (here, there) = ((victim + 1) % 3, (victim + 2) % 3);
        let begun = Instant::now();
        let mut rounds = 0;
        while begun.elapsed() < Duration::from_secs(8) {
            if rounds == 2 {
                hosts[victim].kill().await;
            }
            rounds += 1;
            let (seller, buyer) = (hosts[here].again(&seller), hosts[there].again(&buyer));
            price += 1;
            let edited = seller.edit(&ticket.id, "x", price).await;
            // The cancellation of the last order may not have arrived. An edit that
            // is not confirmed in time is not acknowledged.
            assert!([200, 400, 503].contains(&edited.status), "{edited:?}");
            if edited.status != 200 {
                continue;
            }
            let order = buyer.try_order(&ticket.id).await;
            if order.status == 201 {
                assert_eq!(order.order().ticket.price, f64::from(price), "after {:?}", begun.elapsed());
                assert_eq!(buyer.cancel(&order.id()).await.status, 204);
            }
        }
        assert!(rounds > 4, "{rounds} rounds");
        hosts[victim].start_again().await;
        knows_all(&hosts[here]).await;
    }
}
