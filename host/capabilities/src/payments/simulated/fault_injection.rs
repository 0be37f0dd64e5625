//! Injects faults into calls: those of the configuration, and those of test cards.

use super::{super::operation::Operation, test_cards};
use host_config::payments::FaultsConfig;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The delay of the slow test card, unless the configuration has a delay.
const SLOW_CARD_DELAY: Duration = Duration::from_secs(2);

/// The faults of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CallFaults {
    /// The call fails before the operation.
    pub(super) lose_request: bool,
    /// The call fails after the operation.
    pub(super) lose_response: bool,
    /// The provider receives the call twice.
    pub(super) duplicate: bool,
    /// The response comes this much later.
    pub(super) delay: Duration,
    /// The faults apply only to the first call with a key. A repeated call succeeds.
    pub(super) first_call_only: bool,
}

/// Decides about the faults of each call. It counts the calls since the start of the
/// host.
#[derive(Debug)]
pub(super) struct FaultInjector {
    config: FaultsConfig,
    calls: AtomicU64,
}

impl FaultInjector {
    pub(super) fn new(config: FaultsConfig) -> Self {
        Self { config, calls: AtomicU64::new(0) }
    }

    /// The faults of the next call. A test card decides first, then the number of the
    /// call and the configuration.
    pub(super) fn next(&self, operation: &Operation) -> CallFaults {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let is_due = |every: u32| every > 0 && number.is_multiple_of(u64::from(every));
        let delay = Duration::from_millis(self.config.delay_ms);
        if let Operation::Authorize { token, .. } = operation {
            let of_card = CallFaults { first_call_only: true, ..CallFaults::default() };
            match token.as_str() {
                test_cards::TIMEOUT_BEFORE_CHARGE => return CallFaults { lose_request: true, ..of_card },
                test_cards::TIMEOUT_AFTER_CHARGE => return CallFaults { lose_response: true, ..of_card },
                test_cards::SLOW => {
                    let delay = if delay.is_zero() { SLOW_CARD_DELAY } else { delay };
                    return CallFaults { delay, ..of_card };
                }
                _ => {}
            }
        }
        CallFaults {
            lose_request: is_due(self.config.timeout_before_every),
            lose_response: is_due(self.config.timeout_after_every),
            duplicate: is_due(self.config.duplicate_every),
            delay: if is_due(self.config.delay_every) { delay } else { Duration::ZERO },
            first_call_only: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nth_call_has_the_configured_fault() {
        let injector = FaultInjector::new(FaultsConfig { timeout_after_every: 3, ..Default::default() });
        let operation = Operation::Void { authorization: "a".to_owned() };
        let lost: Vec<bool> = (0..6).map(|_| injector.next(&operation).lose_response).collect();
        assert_eq!(lost, [false, false, true, false, false, true]);
    }

    #[test]
    fn the_default_configuration_has_no_faults() {
        let injector = FaultInjector::new(FaultsConfig::default());
        let operation = Operation::Void { authorization: "a".to_owned() };
        assert!((0..100).all(|_| injector.next(&operation) == CallFaults::default()));
    }
}
