//! Threads that hash. They give way to all others: a hash takes a processor for
//! tens of milliseconds, and nobody minds one more; requests, events and the
//! database on the same machine do.

use std::io;
#[cfg(target_os = "linux")]
use std::time::Duration;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// How much more they give way than the others: the kernel's niceness.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;
/// How long they work before they give way to each other. A hash goes through
/// more memory than a processor keeps near, and whoever works next puts its own
/// there: six hashes at once cost a tenth more than two where they take turns
/// as often as the kernel has others do. The longest that Linux grants (6.12
/// and later; earlier ones do not look at it): sched_setattr(2).
#[cfg(target_os = "linux")]
const SLICE: Duration = Duration::from_millis(100);

/// Threads of a runtime that has nothing else to run. They end with this value.
#[derive(Debug)]
pub(super) struct Threads(Option<Runtime>);

impl Threads {
    /// So many at most, made as they are needed.
    pub(super) fn new(most: usize) -> io::Result<Self> {
        let builder = &mut Builder::new_current_thread();
        builder.max_blocking_threads(most.max(1)).thread_name("hashing").on_thread_start(give_way);
        builder.build().map(|runtime| Self(Some(runtime)))
    }

    /// Does the work on one of them. None when they are ending.
    pub(super) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<JoinHandle<T>> {
        self.0.as_ref().map(|runtime| runtime.handle().spawn_blocking(work))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // This may happen in a task, where nothing may be waited for.
            runtime.shutdown_background();
        }
    }
}

#[cfg(target_os = "linux")]
fn give_way() {
    // Of this thread alone, on Linux: setpriority(2).
    match rustix::process::nice(NICER) {
        Ok(niceness) => work_long(niceness),
        Err(error) => tracing::debug!(%error, "hashing does not give way"),
    }
}

/// Asks the kernel to let this thread work for [`SLICE`] before another one
/// that gives way as much has its turn. Those that do not still interrupt it.
#[cfg(target_os = "linux")]
fn work_long(niceness: i32) {
    let wanted = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: 0,
        sched_flags: libc::SCHED_FLAG_KEEP_POLICY as u64,
        sched_nice: niceness,
        sched_priority: 0,
        sched_runtime: SLICE.as_nanos() as u64,
        sched_deadline: 0,
        sched_period: 0,
    };
    #[expect(unsafe_code, reason = "no crate has this call")]
    // SAFETY: the kernel reads as many bytes as `size` says, before it returns.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) };
    if done != 0 {
        let error = io::Error::last_os_error();
        tracing::debug!(%error, "hashing works in slices as short as any");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashing_gives_way_and_nothing_else_does() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let threads = Threads::new(1).unwrap();
        let before = niceness();
        assert_eq!(threads.run(niceness).unwrap().await.unwrap(), (before + NICER).min(19));
        assert_eq!(niceness(), before);
    }

    /// What sched_getattr(2) says: nothing, where the kernel has one slice for
    /// all.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashing_works_in_long_slices_and_nothing_else_does() {
        let slice = || {
            #[expect(unsafe_code, reason = "no crate has this call")]
            // SAFETY: all its fields are numbers, of which the kernel writes as
            // many bytes as it is told.
            let (done, attributes) = unsafe {
                let mut attributes: libc::sched_attr = std::mem::zeroed();
                let size = size_of::<libc::sched_attr>();
                (libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0), attributes)
            };
            assert_eq!(done, 0, "{}", io::Error::last_os_error());
            Duration::from_nanos(attributes.sched_runtime)
        };
        let threads = Threads::new(1).unwrap();
        let before = slice();
        assert!(before < SLICE, "{before:?}");
        let hashing = threads.run(slice).unwrap().await.unwrap();
        assert_eq!(hashing, if before.is_zero() { before } else { SLICE });
        assert_eq!(slice(), before);
    }
}
