//! The rules of a purchase under any interleaving: reservations, payments and
//! cancellations of several buyers, events that arrive late, twice and out of
//! order, and a provider whose answers get lost.
//!
//! [`world`] is a marketplace in memory that is made of the components' own
//! decisions; here it is put through random histories and looked at after
//! every step.

mod world;

use std::collections::BTreeMap;

use events::OrderStatus;
use orders::domain::Order;
use proptest::prelude::*;
use world::{Card, Charge, Reply, World};

/// Something that may happen at any time.
#[derive(Debug, Clone)]
enum Action {
    Reserve { ticket: usize, buyer: usize },
    Cancel { order: usize },
    Pay { order: usize, card: Card, reply: Reply },
    Answer { answer: usize },
    Settle { attempt: usize, reply: Reply },
    Expire { order: usize },
    Deliver { letter: usize, keep: bool },
    Pass { ms: i64 },
}

fn action() -> impl Strategy<Value = Action> {
    // Taken modulo how many there are.
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
        12 => (index(), prop::bool::weighted(0.3)).prop_map(|(letter, keep)| Action::Deliver { letter, keep }),
        1 => (0_i64..40_000).prop_map(|ms| Action::Pass { ms }),
    ]
}

fn act(world: &mut World, action: Action) {
    match action {
        Action::Reserve { ticket, buyer } => world.reserve(ticket, buyer),
        Action::Cancel { order } => world.cancel(order),
        Action::Pay { order, card, reply } => world.pay(order, card, reply),
        Action::Answer { answer } => world.answer(answer),
        Action::Settle { attempt, reply } => world.settle(attempt, reply),
        Action::Expire { order } => world.expire(order),
        Action::Deliver { letter, keep } => world.deliver(letter, keep),
        Action::Pass { ms } => world.now_ms += ms,
    }
}

/// What must hold at every moment.
fn check(world: &World, before: &BTreeMap<String, Order>) {
    let mut holders = BTreeMap::new();
    for order in world.orders.values() {
        if order.status != OrderStatus::Cancelled {
            let other = holders.insert(&order.ticket.id, &order.id);
            assert_eq!(other, None, "two live orders of one ticket");
        }
        if let Some(old) = before.get(&order.id) {
            let changes = i64::from(old != order);
            assert_eq!(order.version, old.version + changes, "a change is one version");
            assert!(!old.status.is_final() || old == order, "left its final state: {old:?} -> {order:?}");
        }
        let charges: Vec<Charge> = world.charges(&order.id);
        let held = charges.iter().filter(|charge| matches!(charge, Charge::Authorized | Charge::Captured));
        assert!(held.count() <= 1, "held twice: {charges:?}");
        assert!(
            !charges.contains(&Charge::Captured) || order.status == OrderStatus::Complete,
            "charged without a sale: {order:?}"
        );
    }
}

/// What must hold once everything has arrived.
fn check_at_rest(world: &World) {
    for order in world.orders.values() {
        let charges = world.charges(&order.id);
        let captured = charges.contains(&Charge::Captured);
        assert_eq!(captured, order.status == OrderStatus::Complete, "completed iff charged: {order:?} {charges:?}");
        assert!(!charges.contains(&Charge::Authorized), "money left reserved: {order:?} {charges:?}");
        assert_ne!(order.status, OrderStatus::AwaitingPayment, "left waiting");
    }
    for ticket in world.tickets.values() {
        let holder = world
            .orders
            .values()
            .find(|order| order.ticket.id == ticket.id && order.status != OrderStatus::Cancelled)
            .map(|order| order.id.as_str());
        assert_eq!(ticket.order_id.as_deref(), holder, "the ticket is held by its live order");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_keeps_the_rules(actions in prop::collection::vec(action(), 1..120)) {
        let mut world = World::new();
        for action in actions {
            let before = world.orders.clone();
            act(&mut world, action);
            check(&world, &before);
        }
        let before = world.orders.clone();
        world.come_to_rest();
        check_at_rest(&world);

        // And once every reservation has run out, nothing is open.
        world.expire_all();
        world.come_to_rest();
        check_at_rest(&world);
        prop_assert!(world.orders.values().all(|order| order.status.is_final()));
        for (id, old) in before.iter().filter(|(_, old)| old.status.is_final()) {
            prop_assert_eq!(world.orders.get(id), Some(old));
        }
    }
}

#[test]
fn a_purchase_without_trouble_completes_and_is_charged() {
    let mut world = World::new();
    world.reserve(0, 0);
    world.come_to_rest();
    world.pay(0, Card::Good, Reply::Arrives);
    world.come_to_rest();
    check_at_rest(&world);
    assert!(world.orders.values().all(|order| order.status == OrderStatus::Complete));
    assert_eq!(world.orders.len(), 1);
}

#[test]
fn a_buyer_who_cancels_while_the_card_is_asked_is_not_charged() {
    let mut world = World::new();
    world.reserve(0, 0);
    world.come_to_rest();
    world.pay(0, Card::Good, Reply::Late);
    world.cancel(0);
    world.come_to_rest();
    check_at_rest(&world);
    assert!(world.orders.values().all(|order| order.status == OrderStatus::Cancelled));
    let charges: Vec<Charge> = world.orders.keys().flat_map(|id| world.charges(id)).collect();
    assert_eq!(charges, [Charge::Voided]);
}

#[test]
fn a_second_card_pays_after_the_first_was_refused() {
    let mut world = World::new();
    world.reserve(0, 0);
    world.come_to_rest();
    world.pay(0, Card::Bad, Reply::Arrives);
    world.pay(0, Card::Good, Reply::Arrives);
    world.come_to_rest();
    check_at_rest(&world);
    assert!(world.orders.values().all(|order| order.status == OrderStatus::Complete));
}
