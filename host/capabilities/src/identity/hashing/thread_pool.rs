//! The threads that compute hashes. They have a lower priority than all other
//! threads. A hash keeps a processor busy for tens of milliseconds, and a little more
//! time does not matter to it. It matters to requests, to events and to a database
//! on the same machine.

use std::io;
#[cfg(target_os = "linux")]
use std::time::Duration;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// How much higher their niceness is than that of the other threads.
#[cfg(target_os = "linux")]
const ADDED_NICENESS: i32 = 10;
/// How long a thread runs before another hashing thread gets its processor. A hash
/// uses more memory than fits into the cache, and the next thread evicts it. With
/// the default time slice of the kernel, six concurrent hashes cost a tenth more
/// than two. This is the longest slice of Linux. Linux before 6.12 ignores it. See
/// sched_setattr(2).
#[cfg(target_os = "linux")]
const TIME_SLICE: Duration = Duration::from_millis(100);

/// The threads belong to a runtime that runs nothing else. They end when this value
/// is dropped.
#[derive(Debug)]
pub(super) struct ThreadPool(Option<Runtime>);

impl ThreadPool {
    /// Creates a pool that starts up to `max_threads` threads when they are needed.
    pub(super) fn new(max_threads: usize) -> io::Result<Self> {
        let builder = &mut Builder::new_current_thread();
        builder.max_blocking_threads(max_threads.max(1)).thread_name("hashing").on_thread_start(lower_priority);
        builder.build().map(|runtime| Self(Some(runtime)))
    }

    /// Runs the work on one of the threads. `None` when the pool is shutting down.
    pub(super) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<JoinHandle<T>> {
        self.0.as_ref().map(|runtime| runtime.handle().spawn_blocking(work))
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // The drop may happen in a task, which must not block.
            runtime.shutdown_background();
        }
    }
}

#[cfg(target_os = "linux")]
fn lower_priority() {
    // On Linux, this changes the current thread only: setpriority(2).
    match rustix::process::nice(ADDED_NICENESS) {
        Ok(niceness) => request_time_slice(niceness),
        Err(error) => tracing::debug!(%error, "hashing thread keeps the normal priority"),
    }
}

/// Asks the kernel for [`TIME_SLICE`], the time before another thread of the same
/// priority gets the processor. Threads of a higher priority still interrupt it.
#[cfg(target_os = "linux")]
fn request_time_slice(niceness: i32) {
    let wanted = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: 0,
        sched_flags: libc::SCHED_FLAG_KEEP_POLICY as u64,
        sched_nice: niceness,
        sched_priority: 0,
        sched_runtime: TIME_SLICE.as_nanos() as u64,
        sched_deadline: 0,
        sched_period: 0,
    };
    #[expect(unsafe_code, reason = "no crate has this call")]
    // SAFETY: the kernel reads `size` bytes before it returns.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) };
    if done != 0 {
        let error = io::Error::last_os_error();
        tracing::debug!(%error, "hashing thread keeps the default time slice");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_hashing_threads_have_a_lower_priority() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let pool = ThreadPool::new(1).unwrap();
        let before = niceness();
        assert_eq!(pool.run(niceness).unwrap().await.unwrap(), (before + ADDED_NICENESS).min(19));
        assert_eq!(niceness(), before);
    }

    /// Reads the time slice with sched_getattr(2). It is zero if the kernel has one
    /// slice for all threads.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_hashing_threads_have_a_longer_time_slice() {
        let slice = || {
            #[expect(unsafe_code, reason = "no crate has this call")]
            // SAFETY: all fields are numbers, and the kernel writes at most `size` bytes.
            let (done, attributes) = unsafe {
                let mut attributes: libc::sched_attr = std::mem::zeroed();
                let size = size_of::<libc::sched_attr>();
                (libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0), attributes)
            };
            assert_eq!(done, 0, "{}", io::Error::last_os_error());
            Duration::from_nanos(attributes.sched_runtime)
        };
        let pool = ThreadPool::new(1).unwrap();
        let before = slice();
        assert!(before < TIME_SLICE, "{before:?}");
        let hashing = pool.run(slice).unwrap().await.unwrap();
        assert_eq!(hashing, if before.is_zero() { before } else { TIME_SLICE });
        assert_eq!(slice(), before);
    }
}
