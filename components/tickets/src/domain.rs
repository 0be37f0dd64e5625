//! Tickets, and the effects of orders on them.

use ::events::{Money, Price};

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
            None => Transition::To(self.held_by(Some(order_id))),
        }
    }

    /// The effect of a cancelled order. Only the order that holds the ticket
    /// releases it.
    pub fn release(&self, order_id: &str) -> Transition {
        if self.order_id.as_deref() == Some(order_id) {
            Transition::To(self.held_by(None))
        } else {
            Transition::Unchanged
        }
    }

    fn held_by(&self, order_id: Option<&str>) -> Self {
        Self { version: self.version + 1, order_id: order_id.map(str::to_owned), ..self.clone() }
    }
}

/// Checks a title, and removes the spaces around it.
pub fn title(text: &str) -> Result<String, String> {
    let title = text.trim();
    if TITLE_CHARACTERS.contains(&title.chars().count()) {
        Ok(title.to_owned())
    } else {
        Err("title must be between 1 and 200 characters".to_owned())
    }
}

/// Parses a price from JSON: a number, or a string with a number.
pub fn price(json: Option<&str>) -> Result<Price, String> {
    let json = json.ok_or("price is required")?;
    let decimal = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).map_or(json, str::trim);
    Ok(Price::parse(decimal)?)
}

/// The pattern for `LIKE ... ESCAPE '!'` that finds the text at any position.
pub fn search_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.trim().to_lowercase().chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
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
    }

    #[test]
    fn a_price_is_a_number_or_a_string() {
        assert_eq!(price(Some("19.99")), Ok(Price(1_999)));
        assert_eq!(price(Some("\"19.99\"")), Ok(Price(1_999)));
        for json in ["true", "{}", "[1]", "\"\"", "1e2", "\"1\\u0030\"", "\""] {
            assert!(price(Some(json)).is_err(), "{json}");
        }
        assert!(price(None).is_err());
    }

    #[test]
    fn wildcards_in_a_search_are_ordinary_characters() {
        assert_eq!(search_pattern(" 50%_Off! "), "%50!%!_off!!%");
    }
}
