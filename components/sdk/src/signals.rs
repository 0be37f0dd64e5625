//! Waiting during a request for something that this component commits, for
//! example when it handles an event. `wit/deps/signals` documents what it costs.

use crate::bindings::imports::platform::signals::signals;
use crate::bindings::imports::platform::store::sql;
use crate::error::{Error, Result};
use crate::time::now_ms;

/// The longest time between two reads. A notification of another host can be
/// lost.
const READ_EVERY_MS: i64 = 250;

/// Listens to a topic that transactions notify with
/// [`Tx::notify`](crate::store::Tx::notify).
pub struct Listener(signals::Listener);

impl Listener {
    /// Listens from now on. Call it before the change whose effect you wait for.
    pub fn to(topic: &str) -> Result<Self> {
        match signals::Listener::listen(topic) {
            Err(sql::Error::Limit(limit)) => Err(Error::Unavailable(limit)),
            result => Ok(Self(result?)),
        }
    }

    /// Waits for the topic and reads, again and again, until there is a value or
    /// the time is over. Returns none also if too many calls wait already.
    pub fn wait_until<T>(&self, limit_ms: i64, mut read: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
        let mut left_ms = limit_ms;
        while left_ms > 0 {
            let wait_ms = left_ms.min(READ_EVERY_MS);
            let begun_ms = now_ms();
            let is_notified = match self.0.wait(u32::try_from(wait_ms).unwrap_or(0)) {
                Err(sql::Error::Limit(_)) => return read(),
                result => result?,
            };
            if let Some(value) = read()? {
                return Ok(Some(value));
            }
            // The clock may step.
            left_ms -= if is_notified { (now_ms() - begun_ms).clamp(0, wait_ms) } else { wait_ms };
        }
        Ok(None)
    }
}
