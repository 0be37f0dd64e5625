//! The pages: a frame that all share, and what is in it.

use ticketing_sdk::{Request, Response};

use crate::asset::{SCRIPT, STYLE};
use crate::response;

const FRAME: &str = include_str!("../web/frame.html");

/// Tickets for sale, and the search in them.
pub(crate) const BROWSE: Page = Page::new("browse", "Tickets", include_str!("../web/browse.html"));
/// One ticket: to buy, or to edit by who sells it.
pub(crate) const TICKET: Page = Page::new("ticket", "Ticket", include_str!("../web/ticket.html"));
/// Offering a ticket.
pub(crate) const SELL: Page = Page::new("sell", "Sell a ticket", include_str!("../web/sell.html"));
/// The visitor's orders.
pub(crate) const ORDERS: Page = Page::new("orders", "My orders", include_str!("../web/orders.html"));
/// One order: to pay or to cancel while there is time.
pub(crate) const ORDER: Page = Page::new("order", "Order", include_str!("../web/order.html"));
/// Signing in.
pub(crate) const SIGN_IN: Page = Page::new("signin", "Sign in", include_str!("../web/signin.html"));
/// Making an account.
pub(crate) const SIGN_UP: Page = Page::new("signup", "Sign up", include_str!("../web/signup.html"));
/// In the place of what does not exist.
pub(crate) const NOT_FOUND: Page = Page::new("notfound", "Not found", include_str!("../web/notfound.html"));

/// A page. Its name is the one that the script knows it by.
pub(crate) struct Page {
    name: &'static str,
    title: &'static str,
    content: &'static str,
}

impl Page {
    const fn new(name: &'static str, title: &'static str, content: &'static str) -> Self {
        Self { name, title, content }
    }

    /// Answers with the page.
    pub(crate) fn respond(&self, request: &Request, status: u16) -> Response {
        // The same for everybody, but asked for anew each time, so that a new version shows at once.
        response::respond(request, status, "text/html; charset=utf-8", &self.html(), "no-cache")
    }

    fn html(&self) -> String {
        FRAME
            .replace("{{name}}", self.name)
            .replace("{{title}}", self.title)
            .replace("{{style}}", &STYLE.address())
            .replace("{{script}}", &SCRIPT.address())
            .replace("{{content}}", self.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&Page; 8] = [&BROWSE, &TICKET, &SELL, &ORDERS, &ORDER, &SIGN_IN, &SIGN_UP, &NOT_FOUND];

    /// The values of an attribute, in the order in which they occur.
    fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
        let opening = format!(" {attribute}=\"");
        html.split(opening.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
    }

    #[test]
    fn every_page_is_complete_and_has_a_script_of_its_own() {
        for page in ALL {
            let html = page.html();
            assert!(!html.contains("{{") && !html.contains("}}"), "{}", page.name);
            assert!(html.contains("<html lang=\"en\">") && html.contains("name=\"viewport\""), "{}", page.name);
            assert!(html.contains("<noscript>") && html.contains("<h1"), "{}", page.name);
            let script = include_str!("../web/storefront.js");
            assert!(script.contains(&format!("  {}: ", page.name)), "{} is not in the script", page.name);
        }
    }

    #[test]
    fn nothing_is_inline_and_nothing_is_fetched_from_elsewhere() {
        for page in ALL {
            let html = page.html();
            assert!(!html.contains("<style") && !html.contains(" style="), "{}", page.name);
            assert!(!html.contains(" onclick=") && !html.contains("javascript:"), "{}", page.name);
            assert_eq!(html.matches("<script").count(), 1, "{}", page.name);
            for address in values(&html, "src").into_iter().chain(values(&html, "href")) {
                let own = address.starts_with('/') && !address.starts_with("//");
                assert!(own || address.starts_with('#') || address.starts_with("data:"), "{address}");
            }
        }
    }

    #[test]
    fn every_input_has_a_label_and_a_place_for_its_error() {
        for page in ALL {
            let html = page.html();
            let ids = values(&html, "id");
            let unique: std::collections::BTreeSet<_> = ids.iter().collect();
            assert_eq!(unique.len(), ids.len(), "{}: {ids:?}", page.name);
            for label in values(&html, "for") {
                assert!(ids.contains(&label), "{}: no input {label}", page.name);
            }
            for described in values(&html, "aria-describedby").iter().flat_map(|list| list.split(' ')) {
                assert!(ids.contains(&described), "{}: no text {described}", page.name);
            }
            let inputs = html.matches("<input").count() + html.matches("<select").count();
            assert_eq!(values(&html, "for").len(), inputs, "{}", page.name);
            for form in html.split("<form").skip(1).filter(|form| !form.contains("role=\"search\"")) {
                let form = form.split("</form>").next().unwrap();
                for name in values(form, "name") {
                    assert!(form.contains(&format!("data-error=\"{name}\"")), "{}: {name}", page.name);
                }
                // Without the script a form must not put its fields into the address.
                assert!(form.contains("method=\"post\""), "{}", page.name);
            }
        }
    }
}
