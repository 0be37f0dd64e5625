//! What a ticket is, and how orders hold it.

use ::events::{Money, Price};

const TITLE_CHARACTERS: std::ops::RangeInclusive<usize> = 1..=200;

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Sorts by age.
    pub id: String,
    /// 0 when it is made, then one more with each change.
    pub version: i64,
    /// What is sold.
    pub title: String,
    /// For how much.
    pub price: Money,
    /// Who sells it.
    pub user_id: String,
    /// The order that holds it, while one does.
    pub order_id: Option<String>,
}

/// What an event of an order means for its ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing to do.
    Ignore,
    /// The ticket as it is to be from now on.
    Change(Ticket),
    /// Another order holds it, whose end is on the way: see again later.
    Wait,
}

impl Ticket {
    /// The ticket with another title and price.
    pub fn edited(&self, title: String, price: Price) -> Self {
        Self {
            version: self.version + 1,
            title,
            price: Money { amount: price.0, currency: self.price.currency.clone() },
            ..self.clone()
        }
    }

    /// What the creation of an order means. `released` tells whether that
    /// order is known to be over.
    pub fn reserve(&self, order_id: &str, released: bool) -> Step {
        match self.order_id.as_deref() {
            _ if released => Step::Ignore,
            Some(holder) if holder == order_id => Step::Ignore,
            Some(_) => Step::Wait,
            None => Step::Change(self.held_by(Some(order_id))),
        }
    }

    /// What the cancellation of an order means: only the holder releases.
    pub fn release(&self, order_id: &str) -> Step {
        if self.order_id.as_deref() == Some(order_id) { Step::Change(self.held_by(None)) } else { Step::Ignore }
    }

    fn held_by(&self, order_id: Option<&str>) -> Self {
        Self { version: self.version + 1, order_id: order_id.map(str::to_owned), ..self.clone() }
    }
}

/// A title: some text, without the space around it.
pub fn title(text: &str) -> Result<String, String> {
    let title = text.trim();
    if TITLE_CHARACTERS.contains(&title.chars().count()) {
        Ok(title.to_owned())
    } else {
        Err("title must be between 1 and 200 characters".to_owned())
    }
}

/// A price from the JSON text of a number or of a string that holds one.
pub fn price(json: Option<&str>) -> Result<Price, String> {
    let json = json.ok_or("price is required")?;
    let decimal = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).map_or(json, str::trim);
    Ok(Price::parse(decimal)?)
}

/// The pattern for `LIKE ... ESCAPE '!'` that finds the text anywhere.
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
        let Step::Change(held) = ticket(None).reserve("a", false) else {
            panic!("not reserved");
        };
        assert_eq!((held.version, held.order_id.as_deref()), (5, Some("a")));
        assert_eq!(held.reserve("a", false), Step::Ignore);
        assert_eq!(held.reserve("b", false), Step::Wait);
        assert_eq!(held.release("b"), Step::Ignore);
        let Step::Change(free) = held.release("a") else {
            panic!("not released");
        };
        assert_eq!((free.version, free.order_id), (6, None));
    }

    #[test]
    fn an_order_that_is_over_reserves_nothing() {
        assert_eq!(ticket(None).reserve("a", true), Step::Ignore);
        assert_eq!(ticket(Some("b")).reserve("a", true), Step::Ignore);
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
