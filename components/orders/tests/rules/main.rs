//! The rules of a purchase, under any interleaving of reservations, payments and
//! cancellations by several buyers. Events arrive late, twice and out of order,
//! and answers of the provider get lost.
//!
//! [`market`] is a marketplace in memory that uses the decisions of the
//! components. The tests run random sequences of actions on it, and check the
//! rules after each action.

mod market;

use std::collections::BTreeMap;

use events::{OrderStatus, TicketStatus};
use market::{Card, Charge, Market, Reply};
use orders::domain::Order;
use proptest::prelude::*;

/// An action that may happen at any time. An index is taken modulo the number
/// of items.
#[derive(Debug, Clone)]
enum Action {
    Reserve { ticket: usize, buyer: usize },
    Withdraw { ticket: usize },
    Cancel { order: usize },
    Pay { order: usize, card: Card, reply: Reply },
    LateAnswer { answer: usize },
    FireTimer { timer: usize, reply: Reply },
    Expire { order: usize },
    Deliver { message: usize, redeliver: bool },
    Advance { ms: i64 },
}

fn action() -> impl Strategy<Value = Action> {
    let index = any::<usize>;
    let card = prop_oneof![3 => Just(Card::Approved), 2 => Just(Card::Declined), 1 => Just(Card::Unknown)];
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
        1 => index().prop_map(|ticket| Action::Withdraw { ticket }),
        2 => index().prop_map(|order| Action::Cancel { order }),
        5 => (index(), card, reply()).prop_map(|(order, card, reply)| Action::Pay { order, card, reply }),
        2 => index().prop_map(|answer| Action::LateAnswer { answer }),
        3 => (index(), reply()).prop_map(|(timer, reply)| Action::FireTimer { timer, reply }),
        1 => index().prop_map(|order| Action::Expire { order }),
        12 => (index(), prop::bool::weighted(0.3))
            .prop_map(|(message, redeliver)| Action::Deliver { message, redeliver }),
        1 => (0_i64..40_000).prop_map(|ms| Action::Advance { ms }),
    ]
}

fn perform(market: &mut Market, action: Action) {
    match action {
        Action::Reserve { ticket, buyer } => market.reserve(ticket, buyer),
        Action::Withdraw { ticket } => market.withdraw(ticket),
        Action::Cancel { order } => market.cancel(order),
        Action::Pay { order, card, reply } => market.pay(order, card, reply),
        Action::LateAnswer { answer } => market.late_answer(answer),
        Action::FireTimer { timer, reply } => market.fire_timer(timer, reply),
        Action::Expire { order } => market.expire(order),
        Action::Deliver { message, redeliver } => market.deliver(message, redeliver),
        Action::Advance { ms } => market.now_ms += ms,
    }
}

/// Checks the rules that hold at every moment.
fn check_always(market: &Market, before: &BTreeMap<String, Order>) {
    let mut holders = BTreeMap::new();
    for order in market.orders.values() {
        if order.status != OrderStatus::Cancelled {
            let other = holders.insert(&order.ticket.id, &order.id);
            assert_eq!(other, None, "one ticket has two live orders");
            assert!(!market.withdrawals.done.contains(&order.ticket.id), "an order has a withdrawn ticket: {order:?}");
        }
        if let Some(old) = before.get(&order.id) {
            let changes = i64::from(old != order);
            assert_eq!(order.version, old.version + changes, "each change adds 1 to the version");
            assert!(!old.status.is_final() || old == order, "a final order has changed: {old:?} -> {order:?}");
        }
        let charges: Vec<Charge> = market.charges(&order.id);
        let live = charges.iter().filter(|charge| matches!(charge, Charge::Authorized | Charge::Captured));
        assert!(live.count() <= 1, "an order has two live charges: {charges:?}");
        assert!(
            !charges.contains(&Charge::Captured) || order.status == OrderStatus::Complete,
            "an order is charged and not complete: {order:?}"
        );
    }
}

/// Checks the rules that hold when nothing is left to do.
fn check_idle(market: &Market) {
    for order in market.orders.values() {
        let charges = market.charges(&order.id);
        let is_captured = charges.contains(&Charge::Captured);
        let is_complete = order.status == OrderStatus::Complete;
        assert_eq!(
            is_captured, is_complete,
            "an order is complete if and only if it is charged: {order:?} {charges:?}"
        );
        assert!(!charges.contains(&Charge::Authorized), "money is still reserved: {order:?} {charges:?}");
        assert_ne!(order.status, OrderStatus::AwaitingPayment, "an order still awaits its payment");
    }
    let withdrawals = &market.withdrawals;
    assert!(withdrawals.open.is_empty(), "a withdrawal is not decided: {:?}", withdrawals.open);
    assert_eq!(withdrawals.granted, withdrawals.done, "each granted withdrawal is made");
    for ticket in market.tickets.values() {
        let holder =
            market.orders.values().find(|order| order.ticket.id == ticket.id && order.status != OrderStatus::Cancelled);
        assert_eq!(
            ticket.order_id.as_deref(),
            holder.map(|order| order.id.as_str()),
            "the live order holds the ticket"
        );
        let status = match holder.map(|order| order.status) {
            None => TicketStatus::Available,
            Some(OrderStatus::Complete) => TicketStatus::Sold,
            Some(_) => TicketStatus::Reserved,
        };
        assert_eq!(ticket.status(), status, "the ticket has the status of its order: {ticket:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_keeps_the_rules(actions in prop::collection::vec(action(), 1..120)) {
        let mut market = Market::new();
        for action in actions {
            let before = market.orders.clone();
            perform(&mut market, action);
            check_always(&market, &before);
        }
        let before = market.orders.clone();
        market.run_until_idle();
        check_idle(&market);

        // After the expiration of all reservations no order is open.
        market.expire_all();
        market.run_until_idle();
        check_idle(&market);
        prop_assert!(market.orders.values().all(|order| order.status.is_final()));
        for (id, old) in before.iter().filter(|(_, old)| old.status.is_final()) {
            prop_assert_eq!(market.orders.get(id), Some(old));
        }
    }
}

/// A market with one order, whose events have all arrived.
fn market_with_order() -> Market {
    let mut market = Market::new();
    market.reserve(0, 0);
    market.run_until_idle();
    market
}

/// Runs the market until it is idle, and checks that its one order has this status.
fn check_final_status(market: &mut Market, status: OrderStatus) {
    market.run_until_idle();
    check_idle(market);
    assert_eq!(market.orders.values().map(|order| order.status).collect::<Vec<_>>(), [status]);
}

#[test]
fn a_purchase_without_faults_completes_and_is_charged() {
    let mut market = market_with_order();
    market.pay(0, Card::Approved, Reply::Arrives);
    check_final_status(&mut market, OrderStatus::Complete);
}

#[test]
fn an_order_that_is_cancelled_while_the_provider_works_is_not_charged() {
    let mut market = market_with_order();
    market.pay(0, Card::Approved, Reply::Late);
    market.cancel(0);
    check_final_status(&mut market, OrderStatus::Cancelled);
    let charges: Vec<Charge> = market.orders.keys().flat_map(|id| market.charges(id)).collect();
    assert_eq!(charges, [Charge::Voided]);
}

#[test]
fn a_second_card_pays_after_the_first_was_refused() {
    let mut market = market_with_order();
    market.pay(0, Card::Declined, Reply::Arrives);
    market.pay(0, Card::Approved, Reply::Arrives);
    check_final_status(&mut market, OrderStatus::Complete);
}
