//! The rules of a purchase under any interleaving: several buyers reserve, pay
//! and cancel, events arrive late, twice and out of order, and answers of the
//! provider get lost.
//!
//! [`market`] is a marketplace in memory that uses the components' own
//! decisions. The tests run random actions on it and check the rules after each
//! action.

mod market;

use std::collections::BTreeMap;

use events::OrderStatus;
use market::{Card, Charge, Market, Reply};
use orders::domain::Order;
use proptest::prelude::*;

/// An action that may happen at any time.
#[derive(Debug, Clone)]
enum Action {
    Reserve { ticket: usize, buyer: usize },
    Cancel { order: usize },
    Pay { order: usize, card: Card, reply: Reply },
    Answer { answer: usize },
    Settle { attempt: usize, reply: Reply },
    Expire { order: usize },
    Deliver { message: usize, keep: bool },
    Pass { ms: i64 },
}

fn action() -> impl Strategy<Value = Action> {
    // The market takes an index modulo the number of things to choose from.
    let index = any::<usize>;
    let card = prop_oneof![3 => Just(Card::Good), 2 => Just(Card::Bad), 1 => Just(Card::Unknown)];
    let reply = || {
        prop_oneof![
            4 => Just(Reply::Arrives),
            2 => Just(Reply::Late),
            1 => Just(Reply::Lost),
            1 => Just(Reply::NeverAsked),
        ]
    };
    prop_oneof![
        4 => (index(), index()).prop_map(|(ticket, buyer)| Action::Reserve { ticket, buyer }),
        2 => index().prop_map(|order| Action::Cancel { order }),
        5 => (index(), card, reply()).prop_map(|(order, card, reply)| Action::Pay { order, card, reply }),
        2 => index().prop_map(|answer| Action::Answer { answer }),
        3 => (index(), reply()).prop_map(|(attempt, reply)| Action::Settle { attempt, reply }),
        1 => index().prop_map(|order| Action::Expire { order }),
        12 => (index(), prop::bool::weighted(0.3)).prop_map(|(message, keep)| Action::Deliver { message, keep }),
        1 => (0_i64..40_000).prop_map(|ms| Action::Pass { ms }),
    ]
}

fn act(market: &mut Market, action: Action) {
    match action {
        Action::Reserve { ticket, buyer } => market.reserve(ticket, buyer),
        Action::Cancel { order } => market.cancel(order),
        Action::Pay { order, card, reply } => market.pay(order, card, reply),
        Action::Answer { answer } => market.answer(answer),
        Action::Settle { attempt, reply } => market.settle(attempt, reply),
        Action::Expire { order } => market.expire(order),
        Action::Deliver { message, keep } => market.deliver(message, keep),
        Action::Pass { ms } => market.now_ms += ms,
    }
}

/// Checks the rules that hold at every moment.
fn check(market: &Market, before: &BTreeMap<String, Order>) {
    let mut holders = BTreeMap::new();
    for order in market.orders.values() {
        if order.status != OrderStatus::Cancelled {
            let other = holders.insert(&order.ticket.id, &order.id);
            assert_eq!(other, None, "a ticket has two live orders");
        }
        if let Some(old) = before.get(&order.id) {
            let changes = i64::from(old != order);
            assert_eq!(order.version, old.version + changes, "each change adds one to the version");
            assert!(!old.status.is_final() || old == order, "an order left its final state: {old:?} -> {order:?}");
        }
        let charges: Vec<Charge> = market.charges(&order.id);
        let held = charges.iter().filter(|charge| matches!(charge, Charge::Authorized | Charge::Captured));
        assert!(held.count() <= 1, "the money is held twice: {charges:?}");
        assert!(
            !charges.contains(&Charge::Captured) || order.status == OrderStatus::Complete,
            "the buyer is charged without a sale: {order:?}"
        );
    }
}

/// Checks the rules that hold once every message has arrived.
fn check_settled(market: &Market) {
    for order in market.orders.values() {
        let charges = market.charges(&order.id);
        let captured = charges.contains(&Charge::Captured);
        assert_eq!(
            captured,
            order.status == OrderStatus::Complete,
            "an order is complete exactly if it is charged: {order:?} {charges:?}"
        );
        assert!(!charges.contains(&Charge::Authorized), "money stays reserved: {order:?} {charges:?}");
        assert_ne!(order.status, OrderStatus::AwaitingPayment, "an order still waits for its payment");
    }
    for ticket in market.tickets.values() {
        let holder = market
            .orders
            .values()
            .find(|order| order.ticket.id == ticket.id && order.status != OrderStatus::Cancelled)
            .map(|order| order.id.as_str());
        assert_eq!(ticket.order_id.as_deref(), holder, "a ticket names its live order");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_keeps_the_rules(actions in prop::collection::vec(action(), 1..120)) {
        let mut market = Market::new();
        for action in actions {
            let before = market.orders.clone();
            act(&mut market, action);
            check(&market, &before);
        }
        let before = market.orders.clone();
        market.settle_everything();
        check_settled(&market);

        // Once every reservation has expired, every order is in a final state.
        market.expire_all();
        market.settle_everything();
        check_settled(&market);
        prop_assert!(market.orders.values().all(|order| order.status.is_final()));
        for (id, old) in before.iter().filter(|(_, old)| old.status.is_final()) {
            prop_assert_eq!(market.orders.get(id), Some(old));
        }
    }
}

#[test]
fn a_purchase_without_faults_completes_and_is_charged() {
    let mut market = Market::new();
    market.reserve(0, 0);
    market.settle_everything();
    market.pay(0, Card::Good, Reply::Arrives);
    market.settle_everything();
    check_settled(&market);
    assert!(market.orders.values().all(|order| order.status == OrderStatus::Complete));
    assert_eq!(market.orders.len(), 1);
}

#[test]
fn an_order_that_is_cancelled_while_the_provider_works_is_not_charged() {
    let mut market = Market::new();
    market.reserve(0, 0);
    market.settle_everything();
    market.pay(0, Card::Good, Reply::Late);
    market.cancel(0);
    market.settle_everything();
    check_settled(&market);
    assert!(market.orders.values().all(|order| order.status == OrderStatus::Cancelled));
    let charges: Vec<Charge> = market.orders.keys().flat_map(|id| market.charges(id)).collect();
    assert_eq!(charges, [Charge::Voided]);
}

#[test]
fn a_second_card_pays_after_the_first_was_refused() {
    let mut market = Market::new();
    market.reserve(0, 0);
    market.settle_everything();
    market.pay(0, Card::Bad, Reply::Arrives);
    market.pay(0, Card::Good, Reply::Arrives);
    market.settle_everything();
    check_settled(&market);
    assert!(market.orders.values().all(|order| order.status == OrderStatus::Complete));
}
