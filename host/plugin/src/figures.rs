//! The figures that the host keeps of each plugin by itself. All revisions of a
//! plugin share them, and they live as long as one of these revisions.

use super::{delivery_rates::DeliveryRates, failure_log::FailureLog, history::History};
use std::time::Instant;

/// The figures of one plugin.
pub struct Figures {
    /// Its calls in the last 15 minutes.
    pub history: History,
    /// The events that were delivered to it.
    pub deliveries: DeliveryRates,
    /// Its last failures.
    pub failures: FailureLog,
}

impl Figures {
    /// Begins now, without a call.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { history: History::new(now), deliveries: DeliveryRates::new(now), failures: FailureLog::default() }
    }
}
