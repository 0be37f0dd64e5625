//! Compiling in a child process: the same binary reads a component from its
//! standard input and writes the compiled code to its standard output.
//!
//! A small component can keep the compiler busy for minutes and make it ask for
//! gigabytes. The child has limits of its own on memory, processor time and wall
//! time, so such a component harms nobody. The child inherits no environment
//! and no open file. It sets its limits before it reads the first byte.

mod child;

pub use child::{Job, run};

use host_artifact::ComponentKind;
use host_config::engine::CompileLimits;
use std::{
    fs::File,
    io,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

/// The subcommand of the binary that compiles one component.
pub const SUBCOMMAND: &str = "compile-component";
/// The bytes of a child's messages that are read.
const MAX_MESSAGE_BYTES: u64 = 4 << 10;

/// How the components of others are compiled.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// In this process, without limits.
    InProcess,
    /// In a child process with limits.
    Child(ChildCompiler),
}

/// The child process of each compilation.
#[derive(Debug, Clone)]
pub struct ChildCompiler {
    program: PathBuf,
    limits: CompileLimits,
}

/// Why there is no compiled code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The compiler refuses the component.
    #[error("{0}")]
    Refused(String),
    /// It asked for too much memory.
    #[error("compiling it needs more memory than {0} MiB, the limit engine.compile_memory_mib")]
    Memory(u64),
    /// It took too much processor time.
    #[error("compiling it needs more processor time than {0} s, the limit engine.compile_cpu_seconds")]
    ProcessorTime(u64),
    /// It took too long.
    #[error("compiling it takes longer than {0} s, the limit engine.compile_wall_seconds")]
    WallTime(u64),
    /// The code is too large.
    #[error("its compiled code has more than {0} MiB, the most that is accepted")]
    CodeSize(u64),
    /// The compiler crashed.
    #[error("the compiler ended with {0}")]
    Crashed(String),
    /// The host cannot run the compiler or keep its output.
    #[error("the compiler cannot be run: {0}")]
    Host(#[from] io::Error),
}

impl Compiler {
    /// A child process of the program that runs now, even if its file has been
    /// replaced since it started.
    ///
    /// # Errors
    /// The system does not tell the program's path.
    pub fn child(limits: CompileLimits) -> io::Result<Self> {
        let own = PathBuf::from("/proc/self/exe");
        let program = if own.exists() { own } else { std::env::current_exe()? };
        Ok(Self::Child(ChildCompiler { program, limits }))
    }
}

impl ChildCompiler {
    /// Compiles into a file. Dropping the future kills the child.
    ///
    /// # Errors
    /// See [`CompileError`].
    pub(super) async fn compile(&self, kind: ComponentKind, bytes: &[u8], output: File) -> Result<(), CompileError> {
        let job = Job { kind, memory_mib: self.limits.memory_mib, cpu_seconds: self.limits.cpu_seconds };
        let mut child = Command::new(&self.program)
            .arg(SUBCOMMAND)
            .args(job.arguments())
            .env_clear()
            // Otherwise the allocator asks for a gigabyte at once, and the limit
            // counts all of it.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (input, messages) = (child.stdin.take(), child.stderr.take());
        let feed = async {
            // A child that does not take its input says why.
            if let Some(mut input) = input {
                let _ = input.write_all(bytes).await;
            }
        };
        let listen = async {
            let mut text = Vec::new();
            if let Some(messages) = messages {
                let _ = messages.take(MAX_MESSAGE_BYTES).read_to_end(&mut text).await;
            }
            String::from_utf8_lossy(&text).trim().to_owned()
        };
        let work = async { tokio::join!(feed, listen, child.wait()) };
        match tokio::time::timeout(self.limits.wall_time(), work).await {
            Ok(((), message, status)) => self.judge(status?, message),
            Err(_) => {
                child.kill().await?;
                Err(CompileError::WallTime(self.limits.wall_seconds))
            }
        }
    }

    fn judge(&self, status: ExitStatus, message: String) -> Result<(), CompileError> {
        let limits = &self.limits;
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(()),
            (_, Some(child::SIGXCPU)) => Err(CompileError::ProcessorTime(limits.cpu_seconds)),
            (_, Some(child::SIGXFSZ)) => Err(CompileError::CodeSize(child::MAX_CODE_MIB)),
            // The system kills the process that uses most when memory is short.
            (_, Some(child::SIGKILL)) => Err(CompileError::Memory(limits.memory_mib)),
            _ if child::is_out_of_memory(&message) => Err(CompileError::Memory(limits.memory_mib)),
            (Some(code), _) if code == i32::from(child::REFUSED) => Err(CompileError::Refused(message)),
            _ => Err(CompileError::Crashed(format!("{status}: {message}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (ChildCompiler, tempfile::TempDir) {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("compiler");
        let mut file = File::options().create(true).write(true).truncate(true).mode(0o700).open(&program).unwrap();
        write!(file, "#!/bin/sh\n{script}\n").unwrap();
        drop(file);
        let limits = CompileLimits { memory_mib: 64, cpu_seconds: 1, wall_seconds: 1 };
        (ChildCompiler { program, limits }, folder)
    }

    async fn compile(script: &str) -> Result<String, CompileError> {
        let (compiler, folder) = shell(script);
        let output = folder.path().join("output");
        let file = File::create(&output).unwrap();
        compiler.compile(ComponentKind::Platform, &[b'x'; 1 << 20], file).await?;
        Ok(std::fs::read_to_string(output).unwrap())
    }

    #[tokio::test]
    async fn the_child_gets_the_bytes_and_its_limits_and_no_environment() {
        let written =
            compile("echo \"$@\"; /usr/bin/env | grep -vE '^(PWD|SHLVL|_|OLDPWD|MIMALLOC_ARENA_EAGER_COMMIT)='; wc -c")
                .await
                .unwrap();
        assert_eq!(written, "compile-component --kind platform --memory-mib 64 --cpu-seconds 1\n1048576\n");
    }

    #[tokio::test]
    async fn the_end_of_a_child_names_the_limit() {
        let error = async |script: &str| compile(script).await.unwrap_err().to_string();
        assert_eq!(error("cat >&2; sleep 9").await, CompileError::WallTime(1).to_string());
        assert_eq!(error("kill -XCPU $$").await, CompileError::ProcessorTime(1).to_string());
        assert_eq!(error("kill -XFSZ $$").await, CompileError::CodeSize(child::MAX_CODE_MIB).to_string());
        assert_eq!(error("kill -KILL $$").await, CompileError::Memory(64).to_string());
        let out_of_memory = "echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$";
        assert_eq!(error(out_of_memory).await, CompileError::Memory(64).to_string());
        assert_eq!(error("echo 'no component' >&2; exit 3").await, "no component");
        assert!(error("echo odd >&2; exit 101").await.contains("101: odd"));
    }

    #[tokio::test]
    async fn a_child_that_writes_messages_without_end_is_ended() {
        let error = compile("yes >&2").await.unwrap_err();
        assert!(!matches!(error, CompileError::Refused(_)), "{error}");
    }
}
