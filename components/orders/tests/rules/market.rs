//! A marketplace in memory. Maps stand for the databases, and an unordered list
//! of messages stands for the bus. The components' own functions make the
//! decisions.

use std::collections::{BTreeMap, BTreeSet};

use events::{
    CancelReason, ExpirationComplete, OrderCancelled, OrderCompleted, OrderCreated, OrderStatus, Parties,
    PaymentCreated, PaymentDeclined, PaymentPending, Price, TicketWithdrawing, WithdrawalDecided,
};
use orders::domain::{Order, Ticket};
use payments::domain::{self as payments_domain, Attempt, AttemptState, Authorization, OpenAttempt, Operation, Terms};
use ticketing_sdk::Timestamp;
use tickets::domain::{self as tickets_domain, Transition};

mod withdrawal;

use withdrawal::Withdrawals;

const HOLD_MS: i64 = 60_000;
const PRICE: i64 = 1_999;
const MAX_STEPS_UNTIL_IDLE: usize = 100_000;

/// A card, and how the provider treats it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Card {
    Approved,
    Declined,
    Unknown,
}

/// The fate of a call to the provider.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    Arrives,
    /// The reply arrives after other actions.
    Late,
    /// The provider does the work, but its reply is lost.
    Lost,
    /// The call does not reach the provider.
    NeverAsked,
}

/// The state of a charge at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    Authorized,
    Captured,
    Voided,
    Refunded,
    Declined,
}

/// A charge in the provider's books, under an idempotency key.
struct LedgerEntry {
    order_id: String,
    charge: Charge,
    answer: Authorization,
}

/// An event under way to one component.
#[derive(Debug, Clone)]
enum Message {
    CreatedToTickets(OrderCreated),
    CreatedToPayments(OrderCreated),
    CancelledToTickets(OrderCancelled),
    CancelledToPayments(OrderCancelled),
    CompletedToPayments(OrderCompleted),
    CompletedToTickets(OrderCompleted),
    Withdrawing(TicketWithdrawing),
    WithdrawalDecided(WithdrawalDecided),
    ExpirationComplete(ExpirationComplete),
    PaymentPending(PaymentPending),
    PaymentDeclined(PaymentDeclined),
    PaymentCreated(PaymentCreated),
}

/// The databases of the components, the messages under way, and the books of the
/// provider.
#[derive(Default)]
pub(crate) struct Market {
    pub(crate) now_ms: i64,
    pub(crate) orders: BTreeMap<String, Order>,
    pub(crate) tickets: BTreeMap<String, tickets_domain::Ticket>,
    pub(crate) withdrawals: Withdrawals,
    released_orders: BTreeSet<String>,
    order_copies: BTreeMap<String, payments_domain::Order>,
    attempts: BTreeMap<String, Attempt>,
    /// The attempts that have a timer.
    timers: BTreeSet<String>,
    late_answers: Vec<(String, Authorization)>,
    ledger: BTreeMap<String, LedgerEntry>,
    messages: Vec<Message>,
    last_id: usize,
}

impl Market {
    /// Two tickets, and no orders.
    pub(crate) fn new() -> Self {
        let ticket = |id: &str| {
            tickets_domain::Ticket::new(id.to_owned(), "Concert".to_owned(), Price(PRICE), "seller".to_owned())
        };
        let tickets = ["t1", "t2"].map(|id| (id.to_owned(), ticket(id)));
        Self { tickets: tickets.into(), ..Self::default() }
    }

    /// The charges of an order at the provider.
    pub(crate) fn charges(&self, order_id: &str) -> Vec<Charge> {
        self.ledger.values().filter(|entry| entry.order_id == order_id).map(|entry| entry.charge).collect()
    }

    pub(crate) fn reserve(&mut self, ticket: usize, buyer: usize) {
        let Some(ticket) = pick(&self.tickets, ticket) else { return };
        // The unique index refuses a second live order.
        if self.is_held(&ticket.id) || self.withdrawals.granted.contains(&ticket.id) {
            return;
        }
        let ticket = Ticket { id: ticket.id, version: ticket.version, title: ticket.title, price: ticket.price };
        let buyer = format!("buyer{}", buyer % 3);
        let order = Order::new(self.new_id(), buyer, "seller".to_owned(), ticket, Timestamp(self.now_ms + HOLD_MS));
        self.messages.push(Message::CreatedToTickets(order.created_event()));
        self.messages.push(Message::CreatedToPayments(order.created_event()));
        self.orders.insert(order.id.clone(), order);
    }

    pub(crate) fn cancel(&mut self, order: usize) {
        if let Some(Ok(Some(order))) = pick(&self.orders, order).map(|order| order.cancel()) {
            self.save_cancelled(order, CancelReason::User);
        }
    }

    /// The expiration timer of an order fires, early or late.
    pub(crate) fn expire(&mut self, order: usize) {
        if let Some(order) = pick(&self.orders, order) {
            self.messages.push(Message::ExpirationComplete(ExpirationComplete { order_id: order.id }));
        }
    }

    pub(crate) fn expire_all(&mut self) {
        (0..self.orders.len()).for_each(|order| self.expire(order));
    }

    /// The first transaction of a payment, the call to the provider, and the
    /// second transaction unless the reply is late.
    pub(crate) fn pay(&mut self, order: usize, card: Card, reply: Reply) {
        let Some(copy) = pick(&self.order_copies, order) else { return };
        let Some(buyer) = copy.terms.as_ref().map(|terms| terms.user_id.clone()) else { return };
        let id = self.new_id();
        let token = format!("{card:?}");
        let attempt = match copy.open_attempt(&buyer, &token, self.last_attempt(&copy.id), self.now_ms, id) {
            Err(_) | Ok(OpenAttempt::Authorized(_)) => return,
            Ok(OpenAttempt::Existing(attempt)) => attempt,
            Ok(OpenAttempt::New(attempt)) => {
                self.messages.push(Message::PaymentPending(attempt.pending_event(copy.parties())));
                self.timers.insert(attempt.id.clone());
                self.attempts.insert(attempt.id.clone(), attempt.clone());
                attempt
            }
        };
        self.authorize(&attempt, reply);
    }

    /// A late answer arrives.
    pub(crate) fn late_answer(&mut self, answer: usize) {
        if !self.late_answers.is_empty() {
            let (attempt_id, answer) = self.late_answers.swap_remove(answer % self.late_answers.len());
            self.record_authorization(&attempt_id, &answer);
        }
    }

    /// The timer of an attempt fires.
    pub(crate) fn fire_timer(&mut self, timer: usize, reply: Reply) {
        let Some(id) = self.timers.iter().nth(timer % self.timers.len().max(1)).cloned() else { return };
        let Some(attempt) = self.attempts.get(&id).cloned() else { return };
        let status = self.order_copies.get(&attempt.order_id).map_or(OrderStatus::Created, |order| order.status);
        let (charge, state) = match attempt.next_operation(status) {
            Some(Operation::Authorize) => return self.authorize(&attempt, reply),
            Some(Operation::Capture) => (Charge::Captured, AttemptState::Captured),
            Some(Operation::Void) => (Charge::Voided, AttemptState::Voided),
            Some(Operation::Refund) => (Charge::Refunded, AttemptState::Refunded),
            None => {
                self.timers.remove(&id);
                return;
            }
        };
        if !matches!(reply, Reply::NeverAsked)
            && let Some(entry) = self.ledger.get_mut(&attempt.idempotency_key())
        {
            entry.charge = charge;
        }
        if matches!(reply, Reply::Arrives) {
            self.attempts.insert(id.clone(), attempt.with_state(state));
            self.timers.remove(&id);
        }
    }

    /// A message arrives. With `redeliver` it will arrive again.
    pub(crate) fn deliver(&mut self, message: usize, redeliver: bool) {
        if self.messages.is_empty() {
            return;
        }
        let index = message % self.messages.len();
        let message = self.messages.remove(index);
        let is_handled = self.handle(message.clone());
        if redeliver || !is_handled {
            self.messages.push(message);
        }
    }

    /// Delivers all messages and late answers, and fires all timers, until
    /// nothing is left to do.
    pub(crate) fn run_until_idle(&mut self) {
        for _ in 0..MAX_STEPS_UNTIL_IDLE {
            if !self.messages.is_empty() {
                self.deliver(0, false);
            } else if !self.late_answers.is_empty() {
                self.late_answer(0);
            } else if !self.timers.is_empty() {
                self.fire_timer(0, Reply::Arrives);
            } else {
                return;
            }
        }
        assert!(self.messages.is_empty(), "the market does not become idle: {:?}", self.messages);
    }

    /// Returns false if the message must be delivered again later.
    fn handle(&mut self, message: Message) -> bool {
        match message {
            Message::CreatedToTickets(event) => {
                let is_released = self.released_orders.contains(&event.id);
                let reserved = self.tickets.get(&event.ticket.id).map(|ticket| ticket.reserve(&event.id, is_released));
                return self.apply(reserved);
            }
            Message::CompletedToTickets(event) => {
                let sold = self.tickets.get(&event.ticket.id).map(|ticket| ticket.sell(&event.id));
                return self.apply(sold);
            }
            Message::Withdrawing(event) => self.decide_withdrawal(event),
            Message::WithdrawalDecided(event) => self.end_withdrawal(&event),
            Message::CancelledToTickets(event) => {
                let transition = self.tickets.get(&event.ticket.id).map(|ticket| ticket.release(&event.id));
                self.released_orders.insert(event.id);
                if let Some(Transition::To(ticket)) = transition {
                    self.update_ticket(ticket);
                }
            }
            Message::CreatedToPayments(event) => {
                let copy = self
                    .order_copies
                    .entry(event.id.clone())
                    .or_insert_with(|| order_copy(&event.id, OrderStatus::Created));
                copy.terms.get_or_insert(Terms {
                    user_id: event.user_id,
                    seller_id: event.seller_id,
                    expires_at: event.expires_at,
                    price: event.ticket.price,
                });
            }
            Message::CancelledToPayments(event) => self.end_order_copy(&event.id, OrderStatus::Cancelled),
            Message::CompletedToPayments(event) => self.end_order_copy(&event.id, OrderStatus::Complete),
            Message::ExpirationComplete(event) => {
                if let Some(order) = self.orders.get(&event.order_id).and_then(Order::expire) {
                    self.save_cancelled(order, CancelReason::Expired);
                }
            }
            Message::PaymentPending(event) => {
                let changed = self.orders.get(&event.order_id).and_then(|order| order.payment_pending(event.attempt));
                self.orders.extend(changed.map(|order| (order.id.clone(), order)));
            }
            Message::PaymentDeclined(event) => {
                let changed = self.orders.get(&event.order_id).and_then(|order| order.payment_declined(event.attempt));
                self.orders.extend(changed.map(|order| (order.id.clone(), order)));
            }
            Message::PaymentCreated(event) => {
                if let Some(Ok(Some(order))) = self.orders.get(&event.order_id).map(|order| order.pay(&event.amount)) {
                    self.messages.push(Message::CompletedToPayments(order.completed_event()));
                    self.messages.push(Message::CompletedToTickets(order.completed_event()));
                    self.orders.insert(order.id.clone(), order);
                }
            }
        }
        true
    }

    /// Returns false if the transition must wait for another event.
    fn apply(&mut self, transition: Option<Transition>) -> bool {
        match transition {
            Some(Transition::Blocked) => return false,
            Some(Transition::To(ticket)) => self.update_ticket(ticket),
            Some(Transition::Unchanged) | None => {}
        }
        true
    }

    fn update_ticket(&mut self, ticket: tickets_domain::Ticket) {
        let old = self.tickets.insert(ticket.id.clone(), ticket.clone());
        assert_eq!(old.map(|old| old.version + 1), Some(ticket.version), "each change adds 1 to the version");
    }

    fn save_cancelled(&mut self, order: Order, reason: CancelReason) {
        self.messages.push(Message::CancelledToTickets(order.cancelled_event(reason)));
        self.messages.push(Message::CancelledToPayments(order.cancelled_event(reason)));
        self.orders.insert(order.id.clone(), order);
    }

    fn end_order_copy(&mut self, order_id: &str, status: OrderStatus) {
        let copy = self.order_copies.entry(order_id.to_owned()).or_insert_with(|| order_copy(order_id, status));
        if !copy.status.is_final() {
            copy.status = status;
        }
        self.timers.extend(self.last_attempt(order_id).map(|attempt| attempt.id));
    }

    fn last_attempt(&self, order_id: &str) -> Option<Attempt> {
        let of_order = self.attempts.values().filter(|attempt| attempt.order_id == order_id);
        of_order.max_by_key(|attempt| attempt.number).cloned()
    }

    /// The call to the provider.
    fn authorize(&mut self, attempt: &Attempt, reply: Reply) {
        if matches!(reply, Reply::NeverAsked) {
            return;
        }
        let entry = self.ledger.entry(attempt.idempotency_key()).or_insert_with(|| {
            let (charge, answer) = match attempt.token.as_deref() {
                Some("Approved") => (Charge::Authorized, Authorization::Approved(attempt.idempotency_key())),
                Some("Declined") => (Charge::Declined, Authorization::Declined("declined".to_owned(), "No".to_owned())),
                _ => (Charge::Declined, Authorization::Invalid("no such card".to_owned())),
            };
            LedgerEntry { order_id: attempt.order_id.clone(), charge, answer }
        });
        let answer = entry.answer.clone();
        match reply {
            Reply::Arrives => self.record_authorization(&attempt.id, &answer),
            Reply::Late => self.late_answers.push((attempt.id.clone(), answer)),
            Reply::Lost | Reply::NeverAsked => {}
        }
    }

    /// The second transaction of a payment.
    fn record_authorization(&mut self, attempt_id: &str, answer: &Authorization) {
        let Some(attempt) = self.attempts.get(attempt_id).and_then(|attempt| attempt.with_authorization(answer)) else {
            return;
        };
        self.timers.remove(attempt_id);
        let is_cancelled =
            self.order_copies.get(&attempt.order_id).is_some_and(|order| order.status == OrderStatus::Cancelled);
        let (id, order_id) = (attempt.id.clone(), attempt.order_id.clone());
        match answer {
            Authorization::Approved(_) if is_cancelled => {
                self.timers.insert(id);
            }
            Authorization::Approved(provider_id) => self.messages.push(Message::PaymentCreated(PaymentCreated {
                id,
                order_id,
                provider_id: provider_id.clone(),
                amount: attempt.price.clone(),
                parties: Parties::default(),
            })),
            Authorization::Declined(..) | Authorization::Invalid(_) => {
                let code = "declined".to_owned();
                let (amount, parties) = (Some(attempt.price.clone()), Parties::default());
                let event = PaymentDeclined { id, order_id, attempt: attempt.number, code, amount, parties };
                self.messages.push(Message::PaymentDeclined(event));
            }
        }
        self.attempts.insert(attempt.id.clone(), attempt);
    }

    fn is_held(&self, ticket_id: &str) -> bool {
        let holds = |order: &Order| order.ticket.id == ticket_id && order.status != OrderStatus::Cancelled;
        self.orders.values().any(holds)
    }

    fn new_id(&mut self) -> String {
        self.last_id += 1;
        format!("id{:04}", self.last_id)
    }
}

fn order_copy(id: &str, status: OrderStatus) -> payments_domain::Order {
    payments_domain::Order { id: id.to_owned(), version: 0, status, terms: None }
}

fn pick<T: Clone>(map: &BTreeMap<String, T>, index: usize) -> Option<T> {
    map.values().nth(index.checked_rem(map.len())?).cloned()
}
