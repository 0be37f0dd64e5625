//! What goes wrong with which call.

use super::{super::record::Operation, tokens};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// How late a token that asks for it is answered, unless the settings say.
const SLOW: Duration = Duration::from_secs(2);

/// What is to go wrong with one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Fail before anything is done.
    pub(super) before: bool,
    /// Fail when everything is done.
    pub(super) after: bool,
    /// Receive the call twice.
    pub(super) twice: bool,
    /// Answer late.
    pub(super) delay: Duration,
    /// Only if the key is new: a repeated call succeeds.
    pub(super) once: bool,
}

/// Plans the faults. It counts calls from the start of the host.
#[derive(Debug)]
pub(super) struct Faults {
    settings: host_config::payments::FaultsConfig,
    calls: AtomicU64,
}

impl Faults {
    pub(super) fn new(settings: host_config::payments::FaultsConfig) -> Self {
        Self { settings, calls: AtomicU64::new(0) }
    }

    /// The plan for the next call: what its token asks for, else what the
    /// settings say about a call of its number.
    pub(super) fn next(&self, operation: &Operation) -> Plan {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let is_due = |every: u32| every > 0 && number.is_multiple_of(u64::from(every));
        let delay = Duration::from_millis(self.settings.delay_ms);
        if let Operation::Authorize { token, .. } = operation {
            let once = Plan { once: true, ..Plan::default() };
            match token.as_str() {
                tokens::TIMEOUT_BEFORE_CHARGE => return Plan { before: true, ..once },
                tokens::TIMEOUT_AFTER_CHARGE => return Plan { after: true, ..once },
                tokens::SLOW => {
                    let delay = if delay.is_zero() { SLOW } else { delay };
                    return Plan { delay, ..once };
                }
                _ => {}
            }
        }
        Plan {
            before: is_due(self.settings.timeout_before_every),
            after: is_due(self.settings.timeout_after_every),
            twice: is_due(self.settings.duplicate_every),
            delay: if is_due(self.settings.delay_every) { delay } else { Duration::ZERO },
            once: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nth_call_fails() {
        let faults = Faults::new(host_config::payments::FaultsConfig { timeout_after_every: 3, ..Default::default() });
        let operation = Operation::Void { authorization: "a".to_owned() };
        let after: Vec<bool> = (0..6).map(|_| faults.next(&operation).after).collect();
        assert_eq!(after, [false, false, true, false, false, true]);
    }

    #[test]
    fn nothing_goes_wrong_unless_asked_for() {
        let faults = Faults::new(host_config::payments::FaultsConfig::default());
        let operation = Operation::Void { authorization: "a".to_owned() };
        assert!((0..100).all(|_| faults.next(&operation) == Plan::default()));
    }
}
