//! Plays the tests of a plugin (`ticketing plugin test`) from `cargo test`.
//!
//! A file such as `tests/plugin.rs` beside the tests in `tests/*.toml`:
//!
//! ```text
//! #[test]
//! fn the_plugin_passes_its_tests() {
//!     ticketing_sdk::testing::run(env!("CARGO_MANIFEST_DIR"));
//! }
//! ```

use std::{
    env,
    ffi::OsString,
    io,
    path::Path,
    process::{Command, Stdio},
};

/// The variable that names the program `ticketing`. Without it, the program is looked for in `PATH`.
pub const PROGRAM: &str = "TICKETING_BIN";

/// Builds the plugin in a folder and plays its tests.
///
/// # Panics
/// A test fails, or the program is not there. The message has the differences.
#[expect(clippy::panic, reason = "a test fails by panicking")]
#[track_caller]
pub fn run(folder: impl AsRef<Path>) {
    if let Err(problem) = try_run(folder.as_ref(), env::var_os(PROGRAM)) {
        panic!("{problem}");
    }
}

/// The error has the output of the program.
fn try_run(folder: &Path, program: Option<OsString>) -> Result<(), String> {
    let program = program.unwrap_or_else(|| "ticketing".into());
    let mut command = Command::new(&program);
    command.args(["plugin", "test"]).arg(folder).stdin(Stdio::null());
    let output = command.output().map_err(|error| not_started(&program, &error))?;
    if output.status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("`ticketing plugin test` failed ({})\n{}{}", output.status, text(&output.stdout), text(&output.stderr)))
}

fn not_started(program: &OsString, error: &io::Error) -> String {
    format!("{} cannot be started ({error}): install `ticketing`, or name it in {PROGRAM}", program.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_or_fails_is_a_problem_with_its_output() {
        let folder = Path::new("/a folder");
        let problem = try_run(folder, Some("/no/such/program".into())).unwrap_err();
        assert!(problem.starts_with("/no/such/program cannot be started"), "{problem}");
        assert!(problem.ends_with("or name it in TICKETING_BIN"), "{problem}");
        assert!(try_run(folder, Some("true".into())).is_ok());
        let problem = try_run(folder, Some("false".into())).unwrap_err();
        assert!(problem.starts_with("`ticketing plugin test` failed (exit status: 1)"), "{problem}");
    }
}
