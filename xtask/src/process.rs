//! Child processes, and the lines that say what is being done.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use wait_timeout::ChildExt;

/// Prints a step's line, to the stream that cargo reports on.
pub(crate) fn say(line: &str) {
    eprintln!("==> {line}");
}

/// Runs a command to its end with its output shown; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs a command with its output kept; `None` where it cannot be started or fails.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let Output { status, stdout, .. } = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    status.success().then(|| String::from_utf8_lossy(&stdout).trim().to_owned())
}

/// Runs a command silently; false where it cannot be started, fails or is not done in time.
pub(crate) fn succeeds_within(command: &mut Command, limit: Duration) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = quiet.spawn() else {
        return false;
    };
    match child.wait_timeout(limit) {
        Ok(Some(status)) => status.success(),
        Ok(None) | Err(_) => {
            // Gone already, or killed now: either way it is only left to be reaped.
            child.kill().and_then(|()| child.wait()).is_ok_and(|status| status.success())
        }
    }
}

/// Replaces this process. Returns only where that fails.
pub(crate) fn become_command(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", shown(command)))
}

/// The first file of that name in the folders of `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A command as a person would type it.
fn shown(command: &Command) -> String {
    let name = command.get_program().to_string_lossy();
    let name = name.rsplit('/').next().unwrap_or_default();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    std::iter::once(name.into()).chain(arguments).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_ended() {
        assert!(!succeeds_within(Command::new("sleep").arg("600"), Duration::from_millis(20)));
        assert!(succeeds_within(&mut Command::new("true"), Duration::from_secs(60)));
    }

    #[test]
    fn a_failure_names_the_command_without_its_folder() {
        let error = run(Command::new("/usr/bin/env").arg("false")).unwrap_err();
        assert!(error.to_string().starts_with("env false failed"), "{error}");
    }
}
