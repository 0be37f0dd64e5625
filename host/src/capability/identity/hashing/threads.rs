//! Threads that hash. They give way to all others: a hash takes a processor for
//! tens of milliseconds, and nobody minds one more; requests, events and the
//! database on the same machine do.

use std::io;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// How much more they give way than the others: the kernel's niceness.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

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
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::debug!(%error, "hashing does not give way");
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
}
