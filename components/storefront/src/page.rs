//! The HTML pages. Each one is the frame that all pages share, with the content
//! of the page in it.

use ticketing_sdk::Response;

use crate::{asset, response};

const FRAME: &str = include_str!("../web/frame.html");
/// Parts that several pages share, and the names that stand for them.
const PARTIALS: [(&str, &str); 4] = [
    ("{{list}}", include_str!("../web/partials/list.html")),
    ("{{ticket_stub}}", include_str!("../web/partials/ticket_stub.html")),
    ("{{email_field}}", include_str!("../web/partials/email_field.html")),
    ("{{price_field}}", include_str!("../web/partials/price_field.html")),
];

/// The tickets for sale, and the search.
pub(crate) const BROWSE: Page = Page::new("browse", "Tickets", include_str!("../web/pages/browse.html"));
/// One ticket. A buyer can reserve it, and its seller can edit or withdraw it.
pub(crate) const TICKET: Page = Page::new("ticket", "Ticket", include_str!("../web/pages/ticket.html"));
/// The form that offers a ticket.
pub(crate) const SELL: Page = Page::new("sell", "Sell a ticket", include_str!("../web/pages/sell.html"));
/// The tickets of the signed-in user, and their statuses.
pub(crate) const SELLING: Page = Page::new("selling", "My tickets", include_str!("../web/pages/selling.html"));
/// The orders of the signed-in user.
pub(crate) const ORDERS: Page = Page::new("orders", "My orders", include_str!("../web/pages/orders.html"));
/// One order. The buyer can pay it or cancel it in time.
pub(crate) const ORDER: Page = Page::new("order", "Order", include_str!("../web/pages/order.html"));
/// The sign-in form.
pub(crate) const SIGN_IN: Page = Page::new("signin", "Sign in", include_str!("../web/pages/signin.html"));
/// The sign-up form.
pub(crate) const SIGN_UP: Page = Page::new("signup", "Sign up", include_str!("../web/pages/signup.html"));
/// The page for a URL that does not exist.
pub(crate) const NOT_FOUND: Page = Page::new("notfound", "Not found", include_str!("../web/pages/notfound.html"));

/// A page. The script finds the function of a page by its name.
pub(crate) struct Page {
    name: &'static str,
    title: &'static str,
    content: &'static str,
}

impl Page {
    const fn new(name: &'static str, title: &'static str, content: &'static str) -> Self {
        Self { name, title, content }
    }

    /// Makes the response with the page.
    pub(crate) fn respond(&self, status: u16) -> Response {
        // With `no-cache` the browser asks each time, so it shows a new version at once.
        response::respond(status, "text/html; charset=utf-8", &self.html(), "no-cache")
    }

    fn html(&self) -> String {
        let mut content = self.content.to_owned();
        for (name, partial) in PARTIALS {
            content = content.replace(name, partial.trim_end());
        }
        FRAME
            .replace("{{name}}", self.name)
            .replace("{{title}}", self.title)
            .replace("{{assets}}", &asset::folder())
            .replace("{{content}}", &content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&Page; 9] = [&BROWSE, &TICKET, &SELL, &SELLING, &ORDERS, &ORDER, &SIGN_IN, &SIGN_UP, &NOT_FOUND];

    /// The values of an attribute, in the order in which they occur.
    fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
        let opening = format!(" {attribute}=\"");
        html.split(opening.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
    }

    #[test]
    fn every_page_is_complete_and_has_a_function_in_the_script() {
        for page in ALL {
            let html = page.html();
            assert!(!html.contains("{{") && !html.contains("}}"), "{}", page.name);
            assert!(html.contains("<html lang=\"en\">") && html.contains("name=\"viewport\""), "{}", page.name);
            assert!(html.contains("<noscript>") && html.contains("<h1"), "{}", page.name);
            let script = include_str!("../web/scripts/main.js");
            assert!(script.contains(&format!("  {}: ", page.name)), "{} is not in the script", page.name);
        }
    }

    #[test]
    fn no_script_or_style_is_inline_and_all_files_are_from_this_site() {
        for page in ALL {
            let html = page.html();
            assert!(!html.contains("<style") && !html.contains(" style="), "{}", page.name);
            assert!(!html.contains(" onclick=") && !html.contains("javascript:"), "{}", page.name);
            assert_eq!(html.matches("<script").count(), 1, "{}", page.name);
            for address in values(&html, "src").into_iter().chain(values(&html, "href")) {
                let is_own = address.starts_with('/') && !address.starts_with("//");
                assert!(is_own || address.starts_with('#') || address.starts_with("data:"), "{address}");
            }
        }
    }

    #[test]
    fn the_frame_loads_every_asset() {
        for name in asset::tests::names() {
            assert_eq!(FRAME.matches(&format!("\"{{{{assets}}}}/{name}\"")).count(), 1, "{name}");
        }
        assert_eq!(FRAME.matches("{{assets}}").count(), asset::tests::names().count());
    }

    #[test]
    fn every_input_has_a_label_and_an_element_for_its_error() {
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
                // If the script does not run, the browser must not put the fields into the URL.
                assert!(form.contains("method=\"post\""), "{}", page.name);
            }
        }
    }
}
