//! The right to read a stream. It ends with the token and with the host.

use super::{Operator, caller::Caller};
use tokio_util::sync::CancellationToken;

/// One reader's right.
pub(super) struct Reading {
    revoked: CancellationToken,
    stopping: CancellationToken,
}

impl Reading {
    pub(super) fn of(operator: &Operator, caller: &Caller) -> Self {
        Self { revoked: caller.revoked.clone(), stopping: operator.stopping.clone() }
    }

    /// Waits for an item. None when there are no more, the host stops, or the token is
    /// revoked.
    pub(super) async fn wait<T>(&self, item: impl Future<Output = Option<T>>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => None,
            () = self.revoked.cancelled() => None,
            item = item => item,
        }
    }
}
