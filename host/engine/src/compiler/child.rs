//! The child's side of a compilation.

use crate::{code_settings, wasi_http};
use host_artifact::ComponentKind;
use host_config::uploads::MAX_ARTIFACT_BYTES;
use rustix::process::{Resource, Rlimit, Signal, nice, setrlimit};
use sha2::{Digest, Sha256};
use std::{
    io::{self, Read, Write},
    process::ExitCode,
};
use wasmtime::{Config, Engine};

/// The exit code when the compiler refuses the component.
pub(super) const REFUSED: u8 = 3;
/// The largest compiled code.
pub(super) const MAX_CODE_MIB: u64 = 512;
/// How much the child gives way to the host. Beside a host that takes a whole processor,
/// it has about a quarter of it (weight 335 beside 1024, see sched(7)). With 10 it had a
/// tenth, and the upload of 12 MiB to a busy host had no answer after five minutes.
const NICENESS: i32 = 5;

pub(super) const SIGKILL: i32 = Signal::KILL.as_raw();
pub(super) const SIGXCPU: i32 = Signal::XCPU.as_raw();
pub(super) const SIGXFSZ: i32 = Signal::XFSZ.as_raw();

/// One compilation of a child.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// The kind of the component, which decides the settings of the compiler.
    pub kind: ComponentKind,
    /// The limit on memory.
    pub memory_mib: u64,
    /// The limit on processor time.
    pub cpu_seconds: u64,
}

impl Job {
    /// The job as arguments of the program.
    pub(super) fn arguments(&self) -> [String; 6] {
        let [memory, cpu] = [self.memory_mib, self.cpu_seconds].map(|number| number.to_string());
        [
            "--kind".to_owned(),
            self.kind.name().to_owned(),
            "--memory-mib".to_owned(),
            memory,
            "--cpu-seconds".to_owned(),
            cpu,
        ]
    }
}

/// Compiles the component on the standard input to the standard output, within
/// limits that the process sets for itself.
pub fn run(job: Job) -> ExitCode {
    let compiled = limit(job).and_then(|()| read()).map_err(|error| format!("{error:#}"));
    let compiled = compiled.and_then(|bytes| compile(job.kind, &bytes).map_err(|error| format!("{error:#}")));
    match compiled.and_then(|code| write(&code).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "{problem}");
            ExitCode::from(REFUSED)
        }
    }
}

/// Memory is what the process can write to: the address space also has the
/// program and what the allocator only reserves.
fn limit(job: Job) -> io::Result<()> {
    let memory = (job.memory_mib << 20).saturating_add(mapped_bytes());
    let limits = [
        (Resource::Core, 0, 0),
        (Resource::Data, memory, memory),
        // The signal of the first limit tells the cause, the second one kills.
        (Resource::Cpu, job.cpu_seconds, job.cpu_seconds + 1),
        (Resource::Fsize, MAX_CODE_MIB << 20, MAX_CODE_MIB << 20),
    ];
    for (resource, current, maximum) in limits {
        setrlimit(resource, Rlimit { current: Some(current), maximum: Some(maximum) })?;
    }
    nice(NICENESS)?;
    Ok(())
}

/// The memory that the process has mapped before the compiler begins.
fn mapped_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let data_pages = statm.split_whitespace().nth(5).and_then(|pages| pages.parse::<u64>().ok());
    data_pages.unwrap_or_default().saturating_mul(rustix::param::page_size() as u64)
}

fn read() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_ARTIFACT_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn compile(kind: ComponentKind, bytes: &[u8]) -> wasmtime::Result<Vec<u8>> {
    Engine::new(&settings(kind))?.precompile_component(bytes)
}

fn settings(kind: ComponentKind) -> Config {
    match kind {
        ComponentKind::Platform => code_settings(),
        ComponentKind::WasiHttp => wasi_http::settings(),
    }
}

/// Writes an entry of the compile cache.
fn write(code: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(&Sha256::digest(code))?;
    output.write_all(code)?;
    output.flush()
}

/// Whether a child's last message is about memory.
pub(super) fn is_out_of_memory(message: &str) -> bool {
    let signs = ["memory allocation of", "Cannot allocate memory", "os error 12", "os error 11", "out of memory"];
    signs.iter().any(|sign| message.contains(sign))
}
