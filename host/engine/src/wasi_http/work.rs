//! The work of one call, between the task of its caller and a task of its own. A short
//! answer is complete when its head is there: it costs no task, and the caller sends it in
//! one piece.

use super::progress::Progress;
use crate::Failure;
use futures::{FutureExt, channel::oneshot, future::BoxFuture};
use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// The work of a call. It ends when this is dropped.
pub(super) struct Work {
    running: Option<BoxFuture<'static, ()>>,
}

impl Work {
    pub(super) fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { running: Some(work.boxed()) }
    }

    /// Works until the receiver has a value, or the work is done without one. All
    /// that the guest does without a pause is done then.
    pub(super) async fn until<T>(&mut self, mut receiver: oneshot::Receiver<T>) -> Result<T, oneshot::Canceled> {
        poll_fn(|context| {
            self.poll(context);
            match Pin::new(&mut receiver).poll(context) {
                // The work tells the cause when it ends.
                Poll::Ready(Err(oneshot::Canceled)) if self.running.is_some() => Poll::Pending,
                Poll::Ready(received) => {
                    // Guests with `async` functions give way once between the head and the
                    // body. The caller has nothing to do then.
                    self.poll(context);
                    Poll::Ready(received)
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        let Some(running) = &mut self.running else { return };
        // After a panic the caller still gets an answer, see `Unwinding`.
        if !matches!(catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context))), Ok(Poll::Pending)) {
            self.running = None;
        }
    }

    /// Goes on in a task of its own, unless everything is done.
    pub(super) fn go_on(self) {
        if let Some(running) = self.running {
            tokio::spawn(running);
        }
    }
}

/// A caller that waits for the head. The caller has left when this is dropped.
pub(super) struct Waiting(Option<Arc<Progress>>);

impl Waiting {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        Self(Some(progress))
    }

    /// From now on the body shows whether the caller waits.
    pub(super) fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(progress) = &self.0 {
            progress.leave();
        }
    }
}

/// Notes a panic of the host before the work is dropped. The body of the answer would
/// look complete otherwise.
pub(super) struct Unwinding<'a> {
    pub(super) component: &'a str,
    pub(super) progress: &'a Progress,
}

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let problem = "its work panicked".to_owned();
            self.progress.fail(Failure::Host { component: self.component.to_owned(), problem });
        }
    }
}
