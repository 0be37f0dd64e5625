//! The interfaces that the engine links, as a table for the check of a
//! component's imports.

use host_artifact::permissions::Offers;
use host_capabilities::{identity, logging, outbound, payments, requests};
use host_config::{offer::Offer, plugins::Grant};

/// The offers to every component. `state::link` links the same interfaces.
/// Interfaces of WASI 0.3 exist only for a component that answers requests by
/// `wasi:http`, see [`crate::wasi_http`].
pub const OFFERS: Offers = Offers(&[
    host_store::OFFER,
    identity::OFFER,
    payments::OFFER,
    requests::OFFER,
    outbound::OFFER,
    Offer { grant: Grant::Config, interfaces: &["wasi:config/store"] },
    logging::OFFER,
    Offer {
        grant: Grant::Clocks,
        interfaces: &["wasi:clocks/monotonic-clock", "wasi:clocks/system-clock", "wasi:clocks/wall-clock"],
    },
    Offer {
        grant: Grant::Random,
        interfaces: &["wasi:random/insecure", "wasi:random/insecure-seed", "wasi:random/random"],
    },
]);

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(imports: [&str; 2]) -> [Option<Grant>; 2] {
        imports.map(|import| OFFERS.grant_of(import))
    }

    #[test]
    fn a_capability_needs_one_grant_whichever_interface_is_imported() {
        let clocks = grants(["wasi:clocks/wall-clock@0.2.0", "wasi:clocks/monotonic-clock@0.2.6"]);
        assert_eq!(clocks, [Some(Grant::Clocks); 2]);
        let random = grants(["wasi:random/random@0.2.0", "wasi:random/insecure-seed@0.2.6"]);
        assert_eq!(random, [Some(Grant::Random); 2]);
        let http = grants(["wasi:http/client@0.3.0", "wasi:http/outgoing-handler@0.2.0"]);
        assert_eq!(http, [Some(Grant::Http); 2]);
        assert_eq!(OFFERS.grant_of("platform:requests/requests@1.0.0"), Some(Grant::Http));
        assert_eq!(grants(["wasi:filesystem/preopens@0.2.0", "wasi:sockets/tcp@0.2.0"]), [None; 2]);
    }

    #[test]
    fn every_grant_has_an_offer() {
        assert!(Grant::ALL.iter().all(|grant| OFFERS.0.iter().any(|offer| offer.grant == *grant)));
    }
}
