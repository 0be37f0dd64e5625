//! The two output streams of every command.
//!
//! The reader of a stream may leave before the command is done, as in
//! `ticketing plugin list | head -1`. That is no failure: the command finishes its
//! work without printing more, and its exit code tells how the work ended. A
//! stream that cannot be written for another reason, such as a full disk, is a
//! failure.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
    process,
    sync::atomic::{AtomicBool, Ordering},
};

/// Whether the reader of the standard output has left.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Prints a line. If that fails for another reason than a reader who left, the
/// program ends with exit code 1.
pub fn line(text: &dyn Display) {
    print(|| try_line(text));
}

/// Prints bytes as they are, in the same way.
pub fn raw(bytes: &[u8]) {
    print(|| {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    });
}

fn print(write: impl FnOnce() -> io::Result<()>) {
    if is_closed() {
        return;
    }
    if let Err(error) = write() {
        if error.kind() == ErrorKind::BrokenPipe {
            return IS_CLOSED.store(true, Ordering::Relaxed);
        }
        complain(&format_args!("error: the standard output cannot be written: {error}"));
        process::exit(1);
    }
}

/// Prints a line.
///
/// # Errors
/// The standard output cannot be written.
pub fn try_line(text: &dyn Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Prints a line on the error stream. Nobody can be told if that fails.
pub fn complain(text: &dyn Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether the reader of the standard output has left. A command without an end
/// of its own ends then.
pub fn is_closed() -> bool {
    IS_CLOSED.load(Ordering::Relaxed)
}
