//! A marketplace in memory. Its databases are maps and its bus is an unordered
//! list of messages. The components' own functions make the decisions.

use std::collections::{BTreeMap, BTreeSet};

use events::{
    CancelReason, ExpirationComplete, Money, OrderCancelled, OrderCompleted, OrderCreated, OrderStatus, OrderedTicket,
    PaymentCreated, PaymentDeclined, PaymentPending, TicketRef,
};
use orders::domain::{Order, Ticket};
use payments::domain::{self as paying, Attempt, Authorization, Begin, Next, State, Terms};
use ticketing_sdk::Timestamp;
use tickets::domain::{self as selling, Step};

const HOLD_MS: i64 = 60_000;
const PRICE: i64 = 1_999;
const SETTLING_STEPS_MAX: usize = 100_000;

/// The provider's view of a card.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Card {
    Good,
    Bad,
    Unknown,
}

/// The fate of a call to the provider.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    Arrives,
    /// The answer arrives after other actions.
    Late,
    /// The provider did its part, and its answer never arrives.
    Lost,
    /// The call never reaches the provider.
    NeverAsked,
}

/// The state of a charge at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    Authorized,
    Captured,
    Voided,
    Refunded,
    Refused,
}

#[derive(Debug, Clone)]
enum Message {
    CreatedToTickets(OrderCreated),
    CreatedToPayments(OrderCreated),
    CancelledToTickets(OrderCancelled),
    CancelledToPayments(OrderCancelled),
    CompletedToPayments(OrderCompleted),
    Expired(ExpirationComplete),
    Pending(PaymentPending),
    Declined(PaymentDeclined),
    Paid(PaymentCreated),
}

/// All databases and everything that is under way between them.
#[derive(Default)]
pub(crate) struct Market {
    pub(crate) now_ms: i64,
    pub(crate) orders: BTreeMap<String, Order>,
    pub(crate) tickets: BTreeMap<String, selling::Ticket>,
    released: BTreeSet<String>,
    copies: BTreeMap<String, paying::Order>,
    attempts: BTreeMap<String, Attempt>,
    settling: BTreeSet<String>,
    answers: Vec<(String, Authorization)>,
    ledger: BTreeMap<String, (String, Charge, Authorization)>,
    messages: Vec<Message>,
    ids: usize,
}

impl Market {
    /// A marketplace with two tickets and nothing else.
    pub(crate) fn new() -> Self {
        let ticket = |id: &str| selling::Ticket {
            id: id.to_owned(),
            version: 0,
            title: "Concert".to_owned(),
            price: Money::usd(PRICE),
            user_id: "seller".to_owned(),
            order_id: None,
        };
        let tickets = ["t1", "t2"].map(|id| (id.to_owned(), ticket(id)));
        Self { tickets: tickets.into(), ..Self::default() }
    }

    /// The charges for an order, in every state.
    pub(crate) fn charges(&self, order_id: &str) -> Vec<Charge> {
        self.ledger.values().filter(|(order, ..)| order == order_id).map(|(_, charge, _)| *charge).collect()
    }

    pub(crate) fn reserve(&mut self, ticket: usize, buyer: usize) {
        let Some(ticket) = pick(&self.tickets, ticket) else { return };
        // The table of orders has a unique index that does this.
        let taken = |order: &Order| order.ticket.id == ticket.id && order.status != OrderStatus::Cancelled;
        if self.orders.values().any(taken) {
            return;
        }
        let ticket = Ticket { id: ticket.id, version: ticket.version, title: ticket.title, price: ticket.price };
        let buyer = format!("buyer{}", buyer % 3);
        let order = Order::new(self.id(), buyer, ticket, Timestamp(self.now_ms + HOLD_MS));
        let created = OrderCreated {
            id: order.id.clone(),
            version: order.version,
            status: order.status,
            user_id: order.user_id.clone(),
            expires_at: order.expires_at,
            ticket: OrderedTicket { id: order.ticket.id.clone(), price: order.ticket.price.clone() },
        };
        self.messages.push(Message::CreatedToTickets(created.clone()));
        self.messages.push(Message::CreatedToPayments(created));
        self.orders.insert(order.id.clone(), order);
    }

    pub(crate) fn cancel(&mut self, order: usize) {
        if let Some(Ok(Some(order))) = pick(&self.orders, order).map(|order| order.cancel()) {
            self.cancelled(order, CancelReason::User);
        }
    }

    /// The expiration timer of an order fires, early or late.
    pub(crate) fn expire(&mut self, order: usize) {
        if let Some(order) = pick(&self.orders, order) {
            self.messages.push(Message::Expired(ExpirationComplete { order_id: order.id }));
        }
    }

    pub(crate) fn expire_all(&mut self) {
        (0..self.orders.len()).for_each(|order| self.expire(order));
    }

    /// Runs the first transaction of a payment and the call to the provider. Runs
    /// the second transaction, too, if the answer is not late.
    pub(crate) fn pay(&mut self, order: usize, card: Card, reply: Reply) {
        let Some(copy) = pick(&self.copies, order) else { return };
        let Some(buyer) = copy.terms.as_ref().map(|terms| terms.user_id.clone()) else { return };
        let id = self.id();
        let token = format!("{card:?}");
        let attempt = match copy.begin(&buyer, &token, self.last_attempt(&copy.id), self.now_ms, id) {
            Err(_) => return,
            Ok(Begin::Resume(attempt)) => attempt,
            Ok(Begin::Start(attempt)) => {
                self.messages.push(Message::Pending(PaymentPending {
                    id: attempt.id.clone(),
                    order_id: attempt.order_id.clone(),
                    attempt: attempt.number,
                    version: attempt.version,
                }));
                self.settling.insert(attempt.id.clone());
                self.attempts.insert(attempt.id.clone(), attempt.clone());
                attempt
            }
        };
        self.ask(&attempt, reply);
    }

    /// A late answer arrives.
    pub(crate) fn answer(&mut self, answer: usize) {
        if !self.answers.is_empty() {
            let (attempt_id, answer) = self.answers.swap_remove(answer % self.answers.len());
            self.record(&attempt_id, &answer);
        }
    }

    /// The timer of a payment attempt fires.
    pub(crate) fn settle(&mut self, attempt: usize, reply: Reply) {
        let Some(id) = self.settling.iter().nth(attempt % self.settling.len().max(1)).cloned() else { return };
        let Some(attempt) = self.attempts.get(&id).cloned() else { return };
        let status = self.copies.get(&attempt.order_id).map_or(OrderStatus::Created, |order| order.status);
        let (charge, state) = match attempt.next(status) {
            Next::Authorize => return self.ask(&attempt, reply),
            Next::Rest => {
                self.settling.remove(&id);
                return;
            }
            Next::Capture => (Charge::Captured, State::Captured),
            Next::Void => (Charge::Voided, State::Voided),
            Next::Refund => (Charge::Refunded, State::Refunded),
        };
        if !matches!(reply, Reply::NeverAsked)
            && let Some(entry) = self.ledger.get_mut(&attempt.key())
        {
            entry.1 = charge;
        }
        if matches!(reply, Reply::Arrives) {
            self.attempts.insert(id.clone(), attempt.at(state));
            self.settling.remove(&id);
        }
    }

    /// A message arrives. If it is kept, it arrives again later.
    pub(crate) fn deliver(&mut self, message: usize, keep: bool) {
        if self.messages.is_empty() {
            return;
        }
        let index = message % self.messages.len();
        let message = self.messages.remove(index);
        let handled = self.handle(message.clone());
        if keep || !handled {
            self.messages.push(message);
        }
    }

    /// Lets every message and answer arrive and every timer fire.
    pub(crate) fn settle_everything(&mut self) {
        for _ in 0..SETTLING_STEPS_MAX {
            if !self.messages.is_empty() {
                self.deliver(0, false);
            } else if !self.answers.is_empty() {
                self.answer(0);
            } else if !self.settling.is_empty() {
                self.settle(0, Reply::Arrives);
            } else {
                return;
            }
        }
        assert!(self.messages.is_empty(), "messages never end: {:?}", self.messages);
    }

    /// Returns false if the message has to arrive again later.
    fn handle(&mut self, message: Message) -> bool {
        match message {
            Message::CreatedToTickets(event) => {
                let released = self.released.contains(&event.id);
                match self.tickets.get(&event.ticket.id).map(|ticket| ticket.reserve(&event.id, released)) {
                    Some(Step::Wait) => return false,
                    Some(Step::Change(ticket)) => self.change(ticket),
                    Some(Step::Ignore) | None => {}
                }
            }
            Message::CancelledToTickets(event) => {
                let step = self.tickets.get(&event.ticket.id).map(|ticket| ticket.release(&event.id));
                self.released.insert(event.id);
                if let Some(Step::Change(ticket)) = step {
                    self.change(ticket);
                }
            }
            Message::CreatedToPayments(event) => {
                let copy = self.copies.entry(event.id.clone()).or_insert_with(|| copy(&event.id, OrderStatus::Created));
                copy.terms.get_or_insert(Terms {
                    user_id: event.user_id,
                    expires_at: event.expires_at,
                    price: event.ticket.price,
                });
            }
            Message::CancelledToPayments(event) => self.end(&event.id, OrderStatus::Cancelled),
            Message::CompletedToPayments(event) => self.end(&event.id, OrderStatus::Complete),
            Message::Expired(event) => {
                if let Some(order) = self.orders.get(&event.order_id).and_then(Order::expire) {
                    self.cancelled(order, CancelReason::Expired);
                }
            }
            Message::Pending(event) => {
                let next = self.orders.get(&event.order_id).and_then(|order| order.payment_pending(event.attempt));
                self.orders.extend(next.map(|order| (order.id.clone(), order)));
            }
            Message::Declined(event) => {
                let next = self.orders.get(&event.order_id).and_then(|order| order.payment_declined(event.attempt));
                self.orders.extend(next.map(|order| (order.id.clone(), order)));
            }
            Message::Paid(event) => {
                if let Some(Ok(Some(order))) = self.orders.get(&event.order_id).map(|order| order.pay(&event.amount)) {
                    self.messages.push(Message::CompletedToPayments(OrderCompleted {
                        id: order.id.clone(),
                        version: order.version,
                        ticket: TicketRef { id: order.ticket.id.clone() },
                    }));
                    self.orders.insert(order.id.clone(), order);
                }
            }
        }
        true
    }

    fn change(&mut self, ticket: selling::Ticket) {
        let old = self.tickets.insert(ticket.id.clone(), ticket.clone());
        assert_eq!(old.map(|old| old.version + 1), Some(ticket.version), "each change adds one to the version");
    }

    fn cancelled(&mut self, order: Order, reason: CancelReason) {
        let event = OrderCancelled {
            id: order.id.clone(),
            version: order.version,
            ticket: TicketRef { id: order.ticket.id.clone() },
            reason,
        };
        self.messages.push(Message::CancelledToTickets(event.clone()));
        self.messages.push(Message::CancelledToPayments(event));
        self.orders.insert(order.id.clone(), order);
    }

    fn end(&mut self, order_id: &str, status: OrderStatus) {
        let copy = self.copies.entry(order_id.to_owned()).or_insert_with(|| copy(order_id, status));
        if !copy.status.is_final() {
            copy.status = status;
        }
        self.settling.extend(self.last_attempt(order_id).map(|attempt| attempt.id));
    }

    fn last_attempt(&self, order_id: &str) -> Option<Attempt> {
        let of_order = self.attempts.values().filter(|attempt| attempt.order_id == order_id);
        of_order.max_by_key(|attempt| attempt.number).cloned()
    }

    fn ask(&mut self, attempt: &Attempt, reply: Reply) {
        if matches!(reply, Reply::NeverAsked) {
            return;
        }
        let (_, _, answer) = self.ledger.entry(attempt.key()).or_insert_with(|| {
            let (charge, answer) = match attempt.token.as_deref() {
                Some("Good") => (Charge::Authorized, Authorization::Approved(attempt.key())),
                Some("Bad") => (Charge::Refused, Authorization::Declined("declined".to_owned(), "No".to_owned())),
                _ => (Charge::Refused, Authorization::Invalid("no such card".to_owned())),
            };
            (attempt.order_id.clone(), charge, answer)
        });
        let answer = answer.clone();
        match reply {
            Reply::Arrives => self.record(&attempt.id, &answer),
            Reply::Late => self.answers.push((attempt.id.clone(), answer)),
            Reply::Lost | Reply::NeverAsked => {}
        }
    }

    /// Runs the second transaction of a payment.
    fn record(&mut self, attempt_id: &str, answer: &Authorization) {
        let Some(attempt) = self.attempts.get(attempt_id).and_then(|known| known.authorized(answer)) else { return };
        self.settling.remove(attempt_id);
        let over = self.copies.get(&attempt.order_id).is_some_and(|order| order.status == OrderStatus::Cancelled);
        let (id, order_id) = (attempt.id.clone(), attempt.order_id.clone());
        match answer {
            Authorization::Approved(_) if over => {
                self.settling.insert(id);
            }
            Authorization::Approved(provider_id) => self.messages.push(Message::Paid(PaymentCreated {
                id,
                order_id,
                provider_id: provider_id.clone(),
                amount: attempt.price.clone(),
            })),
            Authorization::Declined(..) | Authorization::Invalid(_) => {
                let code = "declined".to_owned();
                self.messages.push(Message::Declined(PaymentDeclined { id, order_id, attempt: attempt.number, code }));
            }
        }
        self.attempts.insert(attempt.id.clone(), attempt);
    }

    fn id(&mut self) -> String {
        self.ids += 1;
        format!("id{:04}", self.ids)
    }
}

fn copy(id: &str, status: OrderStatus) -> paying::Order {
    paying::Order { id: id.to_owned(), version: 0, status, terms: None }
}

fn pick<T: Clone>(map: &BTreeMap<String, T>, index: usize) -> Option<T> {
    map.values().nth(index.checked_rem(map.len())?).cloned()
}
