//! The signals that end the process, and SIGHUP, which ends nothing.
//!
//! A thread of its own waits for them, with a runtime of its own. So neither
//! components, nor statements, nor clients can hold up the end: after the first
//! signal the host has its drain time, and then the thread ends the process. A
//! second signal ends the process at once. A host that has not started yet has
//! nothing to drain, and ends at once after the first. Everything that was
//! acknowledged is durable before, as after a loss of power.

use anyhow::Context;
use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// The time beside the drain time in which databases and the log are closed.
const CLOSING: Duration = Duration::from_secs(2);
/// The exit code after a second signal, as of a process that SIGTERM killed.
const AT_ONCE: i32 = 143;
/// The exit code if the drain time and [`CLOSING`] did not suffice. The work that
/// was cut off is in the log.
const CUT_OFF: i32 = 0;

/// The time in which a start that was cancelled ends in order.
const CANCELLED: Duration = Duration::from_millis(500);

/// The end of the process, as a signal asks for it.
pub struct Shutdown {
    /// Cancelled at the first signal.
    pub stop: CancellationToken,
    has_started: Arc<AtomicBool>,
}

impl Shutdown {
    /// From now on the first signal begins the drain time.
    pub fn begin_to_drain_at_signals(&self) {
        self.has_started.store(true, Ordering::Release);
    }
}

/// Watches for SIGTERM and SIGINT. The token is cancelled at the first one. From
/// then on the process lives at most for the drain time and a little longer. Each
/// SIGHUP calls `reload`.
///
/// # Errors
/// The signals cannot be watched.
pub fn watch(drain: Duration, reload: impl Fn() + Send + 'static) -> anyhow::Result<Shutdown> {
    let (stop, has_started) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        }
    };
    let (first, started) = (stop.clone(), has_started.clone());
    let watching = move || {
        runtime.block_on(async {
            signals.end(&reload).await;
            let patience = if started.load(Ordering::Acquire) { drain + CLOSING } else { CANCELLED };
            first.cancel();
            let code = match timeout(patience, signals.end(&reload)).await {
                Ok(()) => AT_ONCE,
                Err(_) => CUT_OFF,
            };
            tracing::warn!("the process ends, work under way is cut off");
            // The thread of the log writes the line meanwhile.
            tokio::time::sleep(Duration::from_millis(50)).await;
            process::exit(code)
        })
    };
    thread::Builder::new().name("signals".into()).spawn(watching).context("the thread for signals")?;
    Ok(Shutdown { stop, has_started })
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Waits for a signal that ends the process.
    async fn end(&mut self, reload: &impl Fn()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => reload(),
            }
        }
    }
}
