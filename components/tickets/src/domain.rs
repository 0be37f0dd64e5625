//! Tickets, and the effects of orders on them.

use ::events::{Money, Price, TicketStatus};

const TITLE_CHARACTERS: std::ops::RangeInclusive<usize> = 1..=200;

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The id. Ids sort by the time of creation.
    pub id: String,
    /// 0 for a new ticket. Each change adds 1.
    pub version: i64,
    /// The title.
    pub title: String,
    /// The price.
    pub price: Money,
    /// The seller.
    pub user_id: String,
    /// The order that holds the ticket, if there is one.
    pub order_id: Option<String>,
    /// Whether that order is complete. `None` if no order holds the ticket, or
    /// if it was reserved before this was stored.
    pub is_sold: Option<bool>,
    /// The withdrawal that `orders` has not decided yet.
    pub withdrawal_id: Option<String>,
}

/// The effect of an order's event on its ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// The ticket does not change.
    Unchanged,
    /// The ticket changes to this state.
    To(Ticket),
    /// Another order still holds the ticket. The event about its end is under
    /// way, so the caller must try again later.
    Blocked,
}

impl Ticket {
    /// A new ticket.
    pub fn new(id: String, title: String, price: Price, user_id: String) -> Self {
        let price = Money::usd(price.0);
        Self { id, version: 0, title, price, user_id, order_id: None, is_sold: None, withdrawal_id: None }
    }

    /// Whether the ticket can be bought.
    pub fn status(&self) -> TicketStatus {
        match (&self.order_id, self.is_sold) {
            (None, _) => TicketStatus::Available,
            (Some(_), Some(true)) => TicketStatus::Sold,
            (Some(_), _) => TicketStatus::Reserved,
        }
    }

    /// The order that holds the ticket, if it is unknown whether that order is
    /// complete.
    pub fn unsettled_order(&self) -> Option<&str> {
        self.order_id.as_deref().filter(|_| self.is_sold.is_none())
    }

    /// Why the seller cannot edit the ticket. Clients know this text for every
    /// ticket that an order holds.
    pub fn edit_refusal(&self) -> Option<&'static str> {
        self.order_id.is_some().then_some("Cannot edit a reserved ticket")
    }

    /// Why the seller cannot withdraw the ticket.
    pub fn withdrawal_refusal(&self) -> Option<&'static str> {
        match self.status() {
            TicketStatus::Available => None,
            TicketStatus::Reserved => Some("Cannot withdraw a reserved ticket"),
            TicketStatus::Sold => Some("Cannot withdraw a sold ticket"),
        }
    }

    /// The ticket with a new title and price.
    pub fn edited(&self, title: String, price: Price) -> Self {
        Self {
            version: self.version + 1,
            title,
            price: Money { amount: price.0, currency: self.price.currency.clone() },
            ..self.clone()
        }
    }

    /// The effect of a new order. `is_released` says that the order has already
    /// ended.
    pub fn reserve(&self, order_id: &str, is_released: bool) -> Transition {
        match self.order_id.as_deref() {
            _ if is_released => Transition::Unchanged,
            Some(holder) if holder == order_id => Transition::Unchanged,
            Some(_) => Transition::Blocked,
            None => Transition::To(self.held_by(order_id, false)),
        }
    }

    /// The effect of a completed order, even if it arrives before the event about
    /// the new order.
    pub fn sell(&self, order_id: &str) -> Transition {
        match self.order_id.as_deref() {
            Some(holder) if holder != order_id => Transition::Blocked,
            Some(_) if self.is_sold == Some(true) => Transition::Unchanged,
            _ => Transition::To(self.held_by(order_id, true)),
        }
    }

    /// The effect of a cancelled order. Only the order that holds the ticket
    /// releases it.
    pub fn release(&self, order_id: &str) -> Transition {
        if self.order_id.as_deref() == Some(order_id) && self.is_sold != Some(true) {
            Transition::To(Self { version: self.version + 1, order_id: None, is_sold: None, ..self.clone() })
        } else {
            Transition::Unchanged
        }
    }

    fn held_by(&self, order_id: &str, is_sold: bool) -> Self {
        let order_id = Some(order_id.to_owned());
        Self { version: self.version + 1, order_id, is_sold: Some(is_sold), ..self.clone() }
    }
}

/// Checks a title, and removes the blanks around it. The result is in the
/// composed form of Unicode, and its length counts.
pub fn title(text: &str) -> Result<String, String> {
    const LENGTH: &str = "title must be between 1 and 200 characters";

    if texts::trim(text).is_empty() {
        return Err(LENGTH.to_owned());
    }
    let title = texts::line(text).map_err(|flaw| format!("title {flaw}"))?;
    if TITLE_CHARACTERS.contains(&title.chars().count()) { Ok(title) } else { Err(LENGTH.to_owned()) }
}

/// Parses a price from JSON: a number, or a string with a number.
pub fn price(json: Option<&str>) -> Result<Price, String> {
    const NOT_A_PRICE: &str = "price must be a number such as 20 or 19.99";

    let json = json.ok_or("price is required")?;
    match json.as_bytes().first() {
        Some(b'"') => Price::parse(&serde_json::from_str::<String>(json).map_err(|_| NOT_A_PRICE)?),
        Some(b'-' | b'0'..=b'9') => Price::parse(json),
        _ => Err(NOT_A_PRICE.to_owned()),
    }
}

/// Refuses a price that is too low to be charged. `lowest` is in cents.
pub fn chargeable(price: Price, lowest: i64) -> Result<Price, String> {
    if price.0 >= lowest {
        Ok(price)
    } else {
        Err(format!("price must be at least {}, because a card cannot be charged less", Price(lowest).with_cents()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(order_id: Option<&str>) -> Ticket {
        Ticket {
            id: "t".to_owned(),
            version: 4,
            title: "Concert".to_owned(),
            price: Money::usd(1_999),
            user_id: "u".to_owned(),
            order_id: order_id.map(str::to_owned),
            is_sold: order_id.map(|_| false),
            withdrawal_id: None,
        }
    }

    #[test]
    fn a_ticket_is_held_by_one_order_and_released_only_by_it() {
        let Transition::To(held) = ticket(None).reserve("a", false) else {
            panic!("not reserved");
        };
        assert_eq!((held.version, held.order_id.as_deref()), (5, Some("a")));
        assert_eq!(held.reserve("a", false), Transition::Unchanged);
        assert_eq!(held.reserve("b", false), Transition::Blocked);
        assert_eq!(held.release("b"), Transition::Unchanged);
        let Transition::To(free) = held.release("a") else {
            panic!("not released");
        };
        assert_eq!((free.version, free.order_id), (6, None));
    }

    fn changed(transition: Transition) -> Ticket {
        match transition {
            Transition::To(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_sold_ticket_stays_sold() {
        let sold = changed(ticket(Some("a")).sell("a"));
        assert_eq!((sold.version, sold.status()), (5, TicketStatus::Sold));
        assert_eq!(sold.sell("a"), Transition::Unchanged);
        assert_eq!(sold.release("a"), Transition::Unchanged);
        assert_eq!(sold.reserve("a", false), Transition::Unchanged);
        assert_eq!(sold.reserve("b", false), Transition::Blocked);
        assert_eq!(sold.edit_refusal(), Some("Cannot edit a reserved ticket"));
        assert_eq!(sold.withdrawal_refusal(), Some("Cannot withdraw a sold ticket"));
    }

    #[test]
    fn a_sale_may_arrive_before_its_reservation_and_waits_for_the_release_of_another_order() {
        let sold = changed(ticket(None).sell("a"));
        assert_eq!((sold.order_id.as_deref(), sold.status()), (Some("a"), TicketStatus::Sold));
        assert_eq!(sold.reserve("a", false), Transition::Unchanged);
        assert_eq!(ticket(Some("b")).sell("a"), Transition::Blocked);
    }

    #[test]
    fn a_ticket_that_was_held_before_sales_were_stored_is_unsettled_until_its_order_ends() {
        let old = Ticket { is_sold: None, ..ticket(Some("a")) };
        assert_eq!((old.status(), old.unsettled_order()), (TicketStatus::Reserved, Some("a")));
        assert_eq!(changed(old.sell("a")).unsettled_order(), None);
        assert_eq!(changed(old.release("a")).unsettled_order(), None);
        assert_eq!(ticket(None).unsettled_order(), None);
        assert_eq!(ticket(Some("a")).unsettled_order(), None);
    }

    #[test]
    fn a_price_below_the_lowest_charge_is_refused_with_both() {
        assert_eq!(chargeable(Price(50), 50), Ok(Price(50)));
        let refusal = chargeable(Price(49), 50).unwrap_err();
        assert!(refusal.contains("at least 0.50"), "{refusal}");
    }

    #[test]
    fn an_order_that_has_ended_reserves_nothing() {
        assert_eq!(ticket(None).reserve("a", true), Transition::Unchanged);
        assert_eq!(ticket(Some("b")).reserve("a", true), Transition::Unchanged);
    }

    #[test]
    fn titles_are_trimmed_and_measured_in_characters() {
        assert_eq!(title("  Concert ").as_deref(), Ok("Concert"));
        assert!(title("   ").is_err());
        assert!(title(&"é".repeat(200)).is_ok());
        assert!(title(&"é".repeat(201)).is_err());
        assert_eq!(title(&"e\u{301}".repeat(200)), Ok("é".repeat(200)), "the composed form counts");
        assert!(title("\u{3000}\u{200B}\u{A0}").is_err());
        let refusal = title("a\u{202E}b").unwrap_err();
        assert_eq!(refusal, "title must not contain characters that change the direction of the text");
    }

    #[test]
    fn a_price_is_a_number_or_a_string() {
        assert_eq!(price(Some("19.99")), Ok(Price(1_999)));
        assert_eq!(price(Some("\"19.99\"")), Ok(Price(1_999)));
        assert_eq!(price(Some("\"1\\uff10\"")), Ok(Price(1_000)));
        for json in ["true", "{}", "[1]", "\"\"", "1e2", "\"1\\u0000\"", "\"", "\"19,99\""] {
            assert!(price(Some(json)).is_err(), "{json}");
        }
        assert!(price(None).is_err());
    }
}
