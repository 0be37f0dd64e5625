//! The calls of a component to `platform:live`.

use super::{CallResult, StoreView};
use crate::{Error, OpenTransaction, bindings::platform::live::live::Host, live::LiveEvent};
use wasmtime::component::Resource;

/// The most live events of one transaction.
const EVENTS_PER_TRANSACTION: usize = 100;
/// The most bytes of their data together.
const BYTES_PER_TRANSACTION: usize = 1 << 20;

/// The live events of a transaction.
#[derive(Default)]
pub(crate) struct LiveCount {
    events: usize,
    bytes: usize,
}

impl LiveCount {
    /// Counts one more event with this data.
    fn add(&mut self, data_bytes: usize) -> Result<(), Error> {
        if self.events == EVENTS_PER_TRANSACTION {
            return Err(Error::Limit(format!("more than {EVENTS_PER_TRANSACTION} live events in a transaction")));
        }
        if self.bytes + data_bytes > BYTES_PER_TRANSACTION {
            return Err(Error::Limit(format!(
                "live events with more than {BYTES_PER_TRANSACTION} bytes of data in a transaction"
            )));
        }
        self.events += 1;
        self.bytes += data_bytes;
        Ok(())
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.events == 0
    }
}

impl StoreView<'_> {
    async fn send_live(&mut self, handle: &Resource<OpenTransaction>, event: LiveEvent) -> Result<(), Error> {
        event.check()?;
        let database = self.database()?;
        let open = self.open(handle)?;
        open.live.add(event.data.len())?;
        open.hold(database, event.data.len())?;
        let mut borrowed = open.borrow().await?;
        let result = borrowed.inner.send_live(event);
        borrowed.give_back(Ok(result))
    }
}

impl Host for StoreView<'_> {
    async fn notify(
        &mut self,
        transaction: Resource<OpenTransaction>,
        channel: String,
        name: String,
        data: String,
    ) -> CallResult<()> {
        Ok(self.send_live(&transaction, LiveEvent { channel, name, data }).await)
    }
}
