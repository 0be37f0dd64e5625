//! The limits of the system on this process. A limit that is too low would show
//! later, in the middle of some work and with an error that names no limit. So
//! the start looks at all of them first.

use anyhow::{bail, ensure};
use host_config::engine::EngineConfig;
use host_engine::Engine;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{num::NonZeroUsize, sync::mpsc, thread};

/// A host with six components has about 75 files open. Each reader of a database
/// takes three more, and each connection one.
const MIN_OPEN_FILES: u64 = 256;
/// Below this, a busy host refuses connections before its own limits do.
const ENOUGH_OPEN_FILES: u64 = 8_192;
/// The smallest limit on the size of a file. The log of a database grows to
/// 64 MiB, and compiled code can be as large as this.
const MIN_FILE_BYTES: u64 = 512 << 20;
/// Threads of a host beside those of the processors.
const OTHER_THREADS: usize = 40;

const GIB: u64 = 1 << 30;

/// Raises the limits that the process may raise, and checks all of them.
///
/// # Errors
/// Names the limit, what the host needs, and the cure.
pub fn check(engine: &EngineConfig) -> anyhow::Result<()> {
    check_address_space(engine)?;
    check_open_files()?;
    if let Some(limit) = getrlimit(Resource::Fsize).current
        && limit < MIN_FILE_BYTES
    {
        bail!(
            "the limit on the size of a file is {} MiB (`ulimit -f`), and the host needs at least {} MiB: raise the limit",
            limit >> 20,
            MIN_FILE_BYTES >> 20
        );
    }
    check_threads()
}

fn check_address_space(engine: &EngineConfig) -> anyhow::Result<()> {
    let needed = Engine::address_space_bytes(engine);
    match getrlimit(Resource::As).current {
        Some(limit) if limit < needed => bail!(
            "the limit on address space is {:.1} GiB (`ulimit -v`), and the host reserves {} GiB for {} instances: \
             remove the limit, or lower engine.max_instances (reserved addresses take no memory)",
            limit as f64 / GIB as f64,
            needed.div_ceil(GIB),
            engine.max_instances
        ),
        _ => Ok(()),
    }
}

fn check_open_files() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    // A process may raise its limit as far as the second limit allows.
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    let Some(current) = current else { return Ok(()) };
    ensure!(
        current >= MIN_OPEN_FILES,
        "the limit on open files is {current} (`ulimit -n`), and the host needs at least {MIN_OPEN_FILES}: raise the limit"
    );
    if current < ENOUGH_OPEN_FILES {
        tracing::warn!(
            current,
            "the limit on open files (`ulimit -n`) allows few connections: raise it to {ENOUGH_OPEN_FILES} or more"
        );
    }
    Ok(())
}

/// Starts as many threads as the host needs, and ends them.
fn check_threads() -> anyhow::Result<()> {
    let needed = thread::available_parallelism().map_or(1, NonZeroUsize::get) + OTHER_THREADS;
    let mut started = Vec::with_capacity(needed);
    for count in 0..needed {
        let (end, ended) = mpsc::channel::<()>();
        match thread::Builder::new().spawn(move || ended.recv()) {
            Ok(thread) => started.push((end, thread)),
            Err(error) => bail!(
                "the host needs {needed} threads, and the system gives it {count} ({error}): \
                 raise the limit (`ulimit -u`, or the limit on the container's processes) or free memory"
            ),
        }
    }
    for (end, thread) in started {
        drop(end);
        let _ = thread.join();
    }
    Ok(())
}
