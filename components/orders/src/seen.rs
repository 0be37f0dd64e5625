//! The ticket that the buyer has seen. An order is refused if the ticket has
//! changed since, so nobody pays a price that they have not seen.

use ::events::{Price, TicketStatus};
use serde::Serialize;
use ticketing_sdk::{Request, Response, Result};

use crate::store::TicketCopy;

/// The time for which a request waits for the event about a version that the
/// buyer has seen and this component has not.
const VERSION_MS: u32 = 1_000;
const CHANGED: &str = "The ticket was changed in the meantime";

/// The version of the ticket that the buyer has seen. The body and the header
/// `If-Match` can both name it.
pub(crate) struct Seen<'a> {
    request: &'a Request,
    version: Option<i64>,
}

/// The ticket in its JSON form.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    id: &'a str,
    title: &'a str,
    price: Price,
    user_id: &'a str,
    version: i64,
    status: TicketStatus,
}

impl<'a> Seen<'a> {
    /// `version` is the field of the body.
    pub(crate) fn new(request: &'a Request, version: Option<i64>) -> Self {
        Self { request, version }
    }

    /// Whether this is the version that the buyer has seen. It is if the buyer
    /// names none.
    pub(crate) fn is(&self, version: i64) -> bool {
        self.version.is_none_or(|seen| seen == version) && self.request.check_if_match(version).is_ok()
    }

    /// 412 with the current ticket, which nobody holds. If the buyer has seen a
    /// newer version, the event about it may be under way.
    pub(crate) fn refuse(&self, current: &TicketCopy) -> Result<Response> {
        let ticket = &current.ticket;
        let body = Body {
            id: &ticket.id,
            title: &ticket.title,
            price: ticket.price.price(),
            user_id: &current.seller_id,
            version: ticket.version,
            status: TicketStatus::Available,
        };
        let response = Response::refusal(412, CHANGED, "ticket", &body)?.version(ticket.version);
        Ok(if self.is_newer(ticket.version) { response.ask_again_for(VERSION_MS) } else { response })
    }

    fn is_newer(&self, version: i64) -> bool {
        self.version.is_some_and(|seen| seen > version) || self.request.matched_versions().any(|seen| seen > version)
    }
}

/// Parses the field `version`, which may be absent.
pub(crate) fn version(json: Option<&str>) -> Result<Option<i64>, String> {
    let Some(json) = json else { return Ok(None) };
    match json.parse() {
        Ok(version) if version >= 0 => Ok(Some(version)),
        _ => Err("version must be the version of the ticket, a whole number such as 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_whole_number_or_absent() {
        assert_eq!(version(None), Ok(None));
        assert_eq!(version(Some("0")), Ok(Some(0)));
        assert_eq!(version(Some("9223372036854775807")), Ok(Some(i64::MAX)));
        for json in ["-1", "1.0", "1e2", "\"1\"", "true", "[]", "{}", "9223372036854775808", ""] {
            assert!(version(Some(json)).is_err(), "{json}");
        }
    }
}
