//! Work on the stack of the thread, for code that runs on the fiber of a guest.
//!
//! A fiber has a small stack, and nothing may exhaust it: that would end the whole
//! program. So a call into the host leaves work that needs more stack, such as a query in the
//! thread of its caller, and suspends its fiber. [`poll`] polls the guest, does the work when the
//! guest has given back the thread, and polls the guest again. No other thread takes part.

use parking_lot::Mutex;
use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

thread_local! {
    /// Whether a guest may run on this thread at the moment.
    static IS_IN_GUEST: Cell<bool> = const { Cell::new(false) };
    /// What guests have left for the stack of this thread.
    static LEFT: RefCell<Vec<Work>> = const { RefCell::new(Vec::new()) };
}

/// Returns what wakes the guest if it has not taken the result. None if the guest has
/// gone.
type Work = Box<dyn FnOnce() -> Option<Unread>>;
type Unread = Box<dyn FnOnce()>;

/// Polls a future that may run guests on fibers, and does the work that they leave.
pub fn poll<F: Future + ?Sized>(mut future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    if IS_IN_GUEST.get() {
        // A guest has called another one. This stack is that of a fiber.
        return future.poll(context);
    }
    let mut unread: Vec<Unread> = Vec::new();
    loop {
        let (polled, left) = {
            let _guest = InGuest::begin();
            (future.as_mut().poll(context), LEFT.take())
        };
        unread.drain(..).for_each(|wake| wake());
        if polled.is_ready() {
            return polled;
        }
        unread.extend(left.into_iter().filter_map(|work| work()));
        if unread.is_empty() {
            return polled;
        }
    }
}

/// Does the work on the stack of the thread: at once, or after the fiber that this future
/// runs on is suspended. If this future is dropped before, nothing is done.
pub async fn on_thread_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if !IS_IN_GUEST.get() {
        return work();
    }
    let result: Arc<Mutex<Option<T>>> = Arc::default();
    let mut work = Some(work);
    poll_fn(move |context| {
        let Some(work) = work.take() else {
            return result.lock().take().map_or(Poll::Pending, Poll::Ready);
        };
        let (result, waker) = (Arc::downgrade(&result), context.waker().clone());
        let work = move || -> Option<Unread> {
            // A caller that was dropped wants nothing any more.
            let result = result.upgrade()?;
            let done = work();
            *result.lock() = Some(done);
            Some(Box::new(move || {
                let is_unread = result.lock().is_some();
                if is_unread {
                    waker.wake();
                }
            }))
        };
        LEFT.with_borrow_mut(|left| left.push(Box::new(work)));
        Poll::Pending
    })
    .await
}

/// The time in which a guest may run. It ends after a panic too.
struct InGuest;

impl InGuest {
    fn begin() -> Self {
        IS_IN_GUEST.set(true);
        Self
    }
}

impl Drop for InGuest {
    fn drop(&mut self) {
        IS_IN_GUEST.set(false);
        // Empty, unless a panic has ended the guest.
        drop(LEFT.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        pin::pin,
        sync::atomic::{AtomicU32, Ordering::Relaxed},
        task::{Wake, Waker},
    };

    #[derive(Default)]
    struct Wakes(AtomicU32);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn once<F: Future>(future: F) -> Poll<F::Output> {
        poll(pin!(future), &mut Context::from_waker(Waker::noop()))
    }

    /// Whether the work runs outside of what [`poll`] polls.
    async fn is_outside() -> bool {
        on_thread_stack(|| !IS_IN_GUEST.get()).await
    }

    #[test]
    fn work_runs_after_the_future_has_given_back_the_thread() {
        let work = async {
            assert!(IS_IN_GUEST.get());
            let one = is_outside().await;
            assert!(IS_IN_GUEST.get());
            one && is_outside().await
        };
        assert_eq!(once(work), Poll::Ready(true));
        assert!(!IS_IN_GUEST.get());
        assert_eq!(pin!(is_outside()).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(true));
    }

    #[test]
    fn a_guest_that_another_guest_calls_leaves_its_work_for_the_outermost_poll() {
        let inner = poll_fn(|context| poll(pin!(async {}), context));
        let called = async {
            inner.await;
            let mut called = pin!(is_outside());
            poll_fn(|context| poll(called.as_mut(), context)).await
        };
        assert_eq!(once(called), Poll::Ready(true));
    }

    #[test]
    fn a_future_that_is_not_polled_again_is_woken() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut work = pin!(is_outside());
        let mut polls = 0;
        // As a set of futures does that polls only those that were woken.
        let set = poll_fn(|context| {
            polls += 1;
            if polls == 1 {
                assert!(work.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            }
            let _ = context;
            Poll::<()>::Pending
        });
        assert!(once(set).is_pending());
        assert_eq!((polls, wakes.0.load(Relaxed)), (2, 1));
    }

    #[test]
    fn work_of_a_caller_that_was_dropped_is_not_done() {
        let done = Arc::new(AtomicU32::new(0));
        let leave = |context: &mut Context<'_>| {
            let done = done.clone();
            let mut work = Box::pin(on_thread_stack(move || done.fetch_add(1, Relaxed)));
            assert!(work.as_mut().poll(context).is_pending());
            work
        };
        let dropped = poll_fn(|context| {
            drop(leave(context));
            Poll::<()>::Pending
        });
        assert!(once(dropped).is_pending());
        assert_eq!(done.load(Relaxed), 0);
        let mut kept = None;
        let kept = poll_fn(|context| {
            kept = kept.take().or_else(|| Some(leave(context)));
            Poll::<()>::Pending
        });
        assert!(once(kept).is_pending());
        assert_eq!(done.load(Relaxed), 1);
    }

    #[test]
    fn work_whose_caller_has_gone_is_dropped() {
        let dropped = Arc::new(());
        let held = dropped.clone();
        let gone = poll_fn(|context| {
            let held = held.clone();
            let mut work = Box::pin(on_thread_stack(move || drop(held)));
            assert!(work.as_mut().poll(context).is_pending());
            Poll::Ready(())
        });
        assert_eq!(once(gone), Poll::Ready(()));
        drop(held);
        assert_eq!(Arc::strong_count(&dropped), 1);
    }

    #[test]
    fn a_panic_leaves_the_thread_as_it_was() {
        let broken = async {
            let mut left = pin!(is_outside());
            let _ = poll_fn(|context| Poll::Ready(left.as_mut().poll(context).is_ready())).await;
            panic!("the host is broken");
        };
        assert!(catch_unwind(AssertUnwindSafe(|| once(broken))).is_err());
        assert!(!IS_IN_GUEST.get() && LEFT.take().is_empty());
        assert_eq!(once(is_outside()), Poll::Ready(true));
    }
}
